"""References between parts of a configuration: what each place may name, and where the name is defined.

`kind_at` is the table for completion, definition and rename.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final

from channeld.plan.path_syntax import parse_path
from channeld.pointer import tokens
from channeld.protocol.frames import Json


class NameKind(Enum):
    """The kinds of names that a scalar can be."""

    AUTHENTICATOR = "authenticator"
    BACKEND = "backend"
    CHANNEL = "channel"
    MESSAGE = "message type"
    HOOK = "hook"
    SCHEMA = "schema"
    FILE = "file"


_ITEM: Final = r"(/\d+)?"
_PLACES: Final = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (rf"/channels/[^/]+/auth(/use)?{_ITEM}", NameKind.AUTHENTICATOR),
        (r"/.*/backend", NameKind.BACKEND),
        (rf"/channels/[^/]+/messages/[^/]+/route{_ITEM}/channel", NameKind.CHANNEL),
        (rf"/webhooks/\d+/channels{_ITEM}", NameKind.CHANNEL),
        (rf"/channels/[^/]+/(messages|events)/[^/]+/clears{_ITEM}", NameKind.MESSAGE),
        (r"/channels/[^/]+/(messages|events)/[^/]+/deprecated/use", NameKind.MESSAGE),
        (r"/channels/[^/]+/messages/[^/]+/emit/type", NameKind.MESSAGE),
        (r"/channels/[^/]+/hooks/(connect|close|subscribe|unsubscribe)(/call)?", NameKind.HOOK),
        (r"/channels/[^/]+/messages/[^/]+/hook(/call)?", NameKind.HOOK),
        (r"/channels/[^/]+/rooms/subscribe/hook(/call)?", NameKind.HOOK),
        (rf"/hooks/lifespan{_ITEM}(/call)?", NameKind.HOOK),
        (r"/auth/[^/]+/hook(/call)?", NameKind.HOOK),
        (r"/channels/[^/]+/((messages|events)/[^/]+/schema|presence/state)", NameKind.SCHEMA),
        (rf"/include{_ITEM}", NameKind.FILE),
        (r"/.*/file", NameKind.FILE),
        (r"/server/tls/(certificate|key)", NameKind.FILE),
        (r"/(hooks/path|config)", NameKind.FILE),
    )
)
_SCHEMAS: Final = re.compile(
    r"(/schemas/[^/]+|/auth/[^/]+/claims|/channels/[^/]+/(params|query)/[^/]+"
    r"|/channels/[^/]+/(messages|events)/[^/]+/schema|/channels/[^/]+/presence/state)(/.*)?"
)
_TEMPLATES: Final = re.compile(
    r"/auth/[^/]+/user|/channels/[^/]+/(rooms|presence/info|require|messages/[^/]+/(emit|stamp|key|route|require)"
    r"|events/[^/]+/key)(/.*)?"
)


def kind_at(pointer: str) -> NameKind | None:
    """The kind of name at a pointer; None if it is not a name."""
    if pointer.endswith("/$ref") and is_schema(pointer):
        return NameKind.SCHEMA
    return next((kind for place, kind in _PLACES if place.fullmatch(pointer)), None)


def is_schema(pointer: str) -> bool:
    """Whether a pointer is at or inside a schema."""
    return _SCHEMAS.fullmatch(pointer) is not None


def is_template(pointer: str) -> bool:
    """Whether the text at a pointer may contain templates."""
    return _TEMPLATES.fullmatch(pointer) is not None and not pointer.endswith("/to")


def message_of(path: Sequence[str]) -> tuple[str, str, str] | None:
    """The channel, `messages` or `events`, and the type that a place belongs to."""
    if len(path) >= 4 and path[0] == "channels" and path[2] in ("messages", "events"):
        return path[1], path[2], path[3]
    return None


def params_of(path: object) -> tuple[str, ...]:
    """The params of a channel's `path`; empty if it is invalid."""
    pattern = parse_path(path, []) if isinstance(path, str) else None
    return pattern.params if pattern is not None else ()


def channel_of(pointer: str) -> str:
    """The channel that a pointer belongs to; empty if none."""
    parts = tokens(pointer)
    return parts[1] if len(parts) > 1 and parts[0] == "channels" else ""


def channels_reached(channel: str, message: Json) -> list[str]:
    """The channels that a message of a channel is routed to."""
    route = message.get("route") if isinstance(message, dict) else None
    targets = route if isinstance(route, list) else [route]
    found = [target.get("channel") if isinstance(target, dict) else None for target in targets]
    return list(dict.fromkeys(one if isinstance(one, str) else channel for one in found))
