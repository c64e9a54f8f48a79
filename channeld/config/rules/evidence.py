"""Helpers for rules: what was written where, and findings at that location."""

from collections.abc import Iterator
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

from channeld.config.model import Auth, Channel, Config, HookRef, Message, Secret
from channeld.config.source import Sources
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Diagnostic
from channeld.pointer import at, tokens

Findings: TypeAlias = Iterator[Diagnostic]
"""The result of a rule."""


def host_of(url: str) -> str:
    """The host of a URL; empty if invalid."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_written(sources: Sources, pointer: str) -> bool:
    """Whether a key exists: with a valid value, an invalid one, or none."""
    parent, _, _ = pointer.rpartition("/")
    holder = sources.written(parent)
    return isinstance(holder, dict) and tokens(pointer)[-1] in holder


def is_doubtful(sources: Sources, pointer: str) -> bool:
    """Whether a key of the mapping was refused; it may be what seems to be missing."""
    return any(refused.rpartition("/")[0] == pointer for refused in sources.refused)


def texts(sources: Sources, pointer: str) -> Iterator[tuple[str, str]]:
    """A string, or each string of a list, with its pointer; unknown values are left out."""
    value = sources.written(pointer)
    if isinstance(value, str) and pointer not in sources.unset:
        yield value, pointer
    for index, one in enumerate(value if isinstance(value, list) else ()):
        if isinstance(one, str) and at(pointer, index) not in sources.unset:
            yield one, at(pointer, index)


def is_unknown(sources: Sources, *pointers: str) -> bool:
    """Whether an unset variable stands at one of these pointers, or below."""
    return any(f"{one}/".startswith(f"{pointer}/") for one in sources.unset for pointer in pointers)


def entries(sources: Sources, pointer: str) -> list[str]:
    """The names in a mapping as written, without those that start with `x-`."""
    value = sources.written(pointer)
    return [name for name in value if not name.startswith("x-")] if isinstance(value, dict) else []


def channel_names(sources: Sources) -> Iterator[tuple[str, str, str]]:
    """Each channel that names an authenticator, the name (valid or not), and its pointer."""
    for channel in entries(sources, "/channels"):
        pointer = at("/channels", channel, "auth")
        if isinstance(sources.written(pointer), dict):
            pointer = at(pointer, "use")
        for name, place in texts(sources, pointer):
            if name != "none" or not place.endswith("/auth"):
                yield channel, name, place


def messages(config: Config) -> Iterator[tuple[Channel, str, Message, str]]:
    """Each message type with its channel, name and pointer."""
    for channel in config.channels.values():
        for name, message in channel.messages.items():
            yield channel, name, message, at("/channels", channel.name, "messages", name)


def hooks(config: Config) -> Iterator[tuple[HookRef, str]]:
    """Each hook of authenticators, channels and messages, with its pointer."""
    for name, auth in config.auth.items():
        hook = getattr(auth, "hook", None)
        if hook is not None:
            yield hook, at("/auth", name, "hook")
    for channel in config.channels.values():
        pointer = at("/channels", channel.name)
        for role in ("connect", "close", "subscribe", "unsubscribe"):
            hook = getattr(channel.hooks, role)
            if hook is not None:
                yield hook, at(pointer, "hooks", role)
        subscribe = channel.rooms.subscribe
        if subscribe is not None and subscribe.hook is not None:
            yield subscribe.hook, at(pointer, "rooms", "subscribe", "hook")
        for type_, message in channel.messages.items():
            if message.hook is not None:
                yield message.hook, at(pointer, "messages", type_, "hook")


def has_rooms(config: Config, sources: Sources, channel: Channel) -> bool:
    """Whether somebody may be in a room of a channel; an invalid declaration counts as a room.

    Where none is declared, the control API and Python hooks can still put connections into rooms.
    """
    pointer = at("/channels", channel.name, "rooms")
    rooms = sources.written(pointer)
    if is_written(sources, pointer) and rooms not in ([], {"join": []}):
        return True
    is_of_code = bool(config.hooks.lifespan) or any(
        hook.backend is None and not place.endswith("/hooks/unsubscribe")
        for hook, place in hooks(config)
    )
    return is_of_code or is_written(sources, "/api")


_A = TypeVar("_A", bound=Auth)


def authenticators(config: Config, type_: type[_A]) -> Iterator[tuple[str, _A]]:
    """The authenticators of one type, with their names."""
    for name, auth in config.auth.items():
        if isinstance(auth, type_):
            yield name, auth


def with_tokens(config: Config) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The authenticators that take tokens, by name, and where they look for them."""
    for name, auth in config.auth.items():
        if token_from := getattr(auth, "token_from", ()):
            yield name, token_from


def secrets(
    sources: Sources, found: tuple[Secret, ...], pointer: str
) -> Iterator[tuple[Secret, str]]:
    """Each of several secrets with its pointer, or with that of the whole if it has none of its own."""
    value = sources.written(pointer)
    apart = isinstance(value, list) and len(value) == len(found)
    for index, secret in enumerate(found):
        yield secret, at(pointer, index) if apart else pointer


def finding(
    code: str, message: str, sources: Sources, pointer: str, help: str = "", key: bool = False
) -> Diagnostic:
    """A finding at a value, or at its key."""
    return diagnose(code, message, sources.place(pointer, key=key), help=help)
