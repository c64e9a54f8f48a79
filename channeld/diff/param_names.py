"""Renames the path params of an old channel as in the new one, so that templates can be compared."""

import re
from collections.abc import Mapping
from typing import Final, TypeVar, cast

import attrs

from channeld.config.model import Channel, Message
from channeld.plan.path_syntax import parse_path

_T = TypeVar("_T")
_PARAM: Final = re.compile(r"\{params\.([^\s.{}?]+)")


def with_params_of(old: Channel, new: Channel) -> Channel:
    """The old channel with its params renamed in templates; unchanged if the names are the same."""
    was, now = parse_path(old.path, []), parse_path(new.path, [])
    if was is None or now is None or len(was.params) != len(now.params) or was.params == now.params:
        return old
    names = dict(zip(was.params, now.params, strict=True))
    if set(names.values()) & set(names):
        # They swapped places; don't guess what that means.
        return old

    def told(message: Message) -> Message:
        return attrs.evolve(
            message,
            route=_renamed(message.route, names),
            emit=_renamed(message.emit, names),
            stamp=_renamed(message.stamp, names),
            require=_renamed(message.require, names),
            key=_renamed(message.key, names),
        )

    presence = old.presence
    if presence is not None:
        presence = attrs.evolve(presence, info=_renamed(presence.info, names))
    return attrs.evolve(
        old,
        require=_renamed(old.require, names),
        rooms=_renamed(old.rooms, names),
        presence=presence,
        messages={name: told(message) for name, message in old.messages.items()},
    )


def _renamed(it: _T, names: Mapping[str, str]) -> _T:
    """A value of the model with every template in it renamed, keys of mappings as well."""
    found: object = it
    match it:
        case str():
            found = _PARAM.sub(lambda m: f"{{params.{names.get(m[1], m[1])}", it)
        case tuple() | list():
            found = type(it)(_renamed(each, names) for each in it)
        case dict():
            found = {_renamed(key, names): _renamed(each, names) for key, each in it.items()}
        case _ if attrs.has(type(it)):
            fields = attrs.asdict(it, recurse=False)  # type: ignore[arg-type]
            found = attrs.evolve(it, **_renamed(fields, names))  # type: ignore[misc]
    return cast("_T", found)
