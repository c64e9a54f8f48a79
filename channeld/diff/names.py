"""A channel of the old side with its path's params called as on the new one, so that templates can be compared."""

import re
from collections.abc import Mapping

import attrs

from channeld.config.model import Channel, Message, Presence, Rooms, Route, Subscribe
from channeld.plan.path_syntax import parse_path
from channeld.protocol.frames import Json

__all__ = ["with_params_of"]


def with_params_of(old: Channel, new: Channel) -> Channel:
    """The old channel, the params of its path renamed in templates; itself where they are called the same."""
    was, now = parse_path(old.path, []), parse_path(new.path, [])
    if was is None or now is None or len(was.params) != len(now.params) or was.params == now.params:
        return old
    names = dict(zip(was.params, now.params, strict=True))
    if set(names.values()) & set(names):
        # They changed places; what that means is not to be guessed.
        return old
    return _Renaming(names).channel(old)


@attrs.frozen
class _Renaming:
    names: Mapping[str, str]

    def channel(self, it: Channel) -> Channel:
        """A channel with all of its templates renamed."""
        return attrs.evolve(
            it,
            require=self.require(it.require),
            rooms=Rooms(
                join=self.texts(it.rooms.join), subscribe=self.subscribe(it.rooms.subscribe)
            ),
            presence=self.presence(it.presence),
            messages={name: self.message(message) for name, message in it.messages.items()},
        )

    def message(self, it: Message) -> Message:
        """A message with its routes, its delivered frame and its `require` renamed."""
        return attrs.evolve(
            it,
            route=tuple(map(self.route, it.route)),
            emit=self.fields(it.emit),
            stamp=self.fields(it.stamp),
            require=self.require(it.require),
        )

    def route(self, it: Route) -> Route:
        """A target with its room and user renamed."""
        room = self.text(it.room) if it.room is not None else None
        user = self.text(it.user) if it.user is not None else None
        return attrs.evolve(it, room=room, user=user)

    def subscribe(self, it: Subscribe | None) -> Subscribe | None:
        """What may be subscribed to, renamed."""
        return attrs.evolve(it, allow=self.texts(it.allow)) if it is not None else None

    def presence(self, it: Presence | None) -> Presence | None:
        """What is told of users, renamed."""
        if it is None:
            return None
        return attrs.evolve(it, info={key: self.value(value) for key, value in it.info.items()})

    def fields(self, it: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
        """Fields with templates."""
        return {key: self.value(value) for key, value in it.items()} if it is not None else None

    def require(self, it: tuple[Mapping[str, Json], ...]) -> tuple[Mapping[str, Json], ...]:
        """Alternatives whose keys are templates as well."""
        return tuple({self.text(key): self.value(v) for key, v in one.items()} for one in it)

    def texts(self, it: tuple[str, ...]) -> tuple[str, ...]:
        """Several templates."""
        return tuple(map(self.text, it))

    def value(self, it: Json) -> Json:
        """Any template."""
        if isinstance(it, str):
            return self.text(it)
        if isinstance(it, list):
            return [self.value(each) for each in it]
        if isinstance(it, dict):
            return {key: self.value(each) for key, each in it.items()}
        return it

    def text(self, it: str) -> str:
        """One template."""
        return re.sub(
            r"\{params\.([^\s.{}?]+)", lambda m: f"{{params.{self.names.get(m[1], m[1])}", it
        )
