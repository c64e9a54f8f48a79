"""The frames that channeld speaks by itself, as far as a channel's declaration lets them come."""

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from channeld.config.model import Channel, Config, JwtAuth, TokensAuth
from channeld.export.definitions import Schema
from channeld.export.emitted import ROOM, Rendered
from channeld.export.frames import ID, frame_of
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import Json

__all__ = [
    "ANSWERS",
    "Reserved",
    "error_codes",
    "may_be_in_rooms",
    "received_frames",
    "sent_frames",
]

ANSWERS: Final[Mapping[str, str]] = {
    "authenticate": "authenticated",
    "history": "history",
    "ping": "pong",
    "presence": "presence",
    "subscribe": "subscribed",
    "unsubscribe": "unsubscribed",
}
"""What answers each reserved client frame, unless it is an `error`."""

_TEXT: Final[Json] = {"type": "string"}
_AFTER: Final[Json] = {
    "description": "Seconds to wait before trying again.",
    "type": "number",
    "minimum": 0,
}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_POSITION: Final[Json] = {"type": "string", "maxLength": 128}
_USER: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 128}
_NO_ID: Final[Mapping[str, Rendered]] = {}
_ID: Final[Mapping[str, Rendered]] = {"id": Rendered(ID, required=False)}


@attrs.frozen(slots=True, kw_only=True)
class Reserved:
    """One frame of channeld's own: its type, its schema, what it is for."""

    type: str
    schema: Schema
    description: str


def sent_frames(channel: Channel, config: Config) -> Iterator[Reserved]:
    """What a client of the channel may send beside its declared messages."""
    yield _sent("ping", "Asks for a `pong`.")
    if takes_token_frame(channel, config):
        text = "Brings a token: the first one, or a new one of the same user."
        yield _sent("authenticate", text, token=Rendered(_TEXT))
    if channel.rooms.subscribe is not None:
        text = "Joins a room; `since` asks for what was missed after that position."
        yield _sent("subscribe", text, room=Rendered(ROOM), since=Rendered(_POSITION, False))
    if may_be_in_rooms(channel, config):
        yield _sent("unsubscribe", "Leaves a room.", room=Rendered(ROOM))
    if channel.presence is not None:
        text = "Asks who is here; `only: count` asks how many."
        only = Rendered({"const": "count"}, False)
        whole = channel.presence.scope == "channel"
        yield _sent("presence", text, room=_own_room(channel, named=not whole), only=only)
    if channel.history is not None:
        text = "Asks for earlier frames of a room, those before a position."
        limit: Json = {"type": "integer", "minimum": 1, "maximum": 1000}
        before = {"limit": Rendered(limit, False), "before": Rendered(_POSITION, False)}
        yield _sent("history", text, room=_own_room(channel), **before)


def received_frames(
    channel: Channel, config: Config, info: Json, routed: Json
) -> Iterator[Reserved]:
    """What the server may send beside what it routes and publishes.

    Args:
        channel: the channel.
        config: the whole configuration.
        info: the schema of a user's presence `info`.
        routed: the schema of the frames that a `history` frame holds.
    """
    if channel.auth.names:
        expires = Rendered({**_COUNT, "description": "Seconds until the token ends."}, False)
        text = "Who the client is."
        yield _received("authenticated", text, _ID, user=Rendered(_USER), expires=expires)
    if channel.messages:
        yield _received("ack", "A message that has an `id` was routed.", id=Rendered(ID))
    if any(message.hook is not None for message in channel.messages.values()):
        text = "A hook's own answer, with fields of its own, instead of `ack`."
        yield _received("reply", text, id=Rendered(ID))
    yield _received("pong", "The answer to `ping`.", _ID)
    if may_be_in_rooms(channel, config):
        yield from _of_rooms(channel)
    if channel.presence is not None:
        yield _presence(channel, info)
    if channel.history is not None:
        frames: Json = {"type": "array", "items": routed}
        more = Rendered({"description": "Whether there are earlier ones.", "type": "boolean"})
        text = "Earlier frames of a room, in order."
        fields = {"room": Rendered(ROOM), "frames": Rendered(frames), "more": more}
        yield _received("history", text, _ID, **fields)
    if _may_expire(channel, config):
        text = "The token ends soon, in so many seconds: send a new one."
        yield _received("token_expiring", text, {"in": Rendered(_COUNT)})
    yield _disconnect()
    yield _error(channel, config)


def error_codes(channel: Channel, config: Config) -> list[ErrorCode]:
    """The codes of channeld's own that may come on a channel; a hook may bring others."""
    declared = channel.messages.values()
    hooks = channel.hooks
    connection_hooks = (hooks.connect, hooks.subscribe, hooks.unsubscribe)
    hooked = any(connection_hooks) or any(message.hook for message in declared)
    subscribes = channel.rooms.subscribe
    absent = {
        ErrorCode.UNAUTHORIZED: not channel.auth.names,
        ErrorCode.TOKEN_EXPIRED: not _may_expire(channel, config),
        ErrorCode.LIMIT_EXCEEDED: subscribes is None,
        ErrorCode.REJECTED: not hooked and (subscribes is None or subscribes.hook is None),
    }
    return [code for code in ErrorCode if not absent.get(code, False)]


def may_be_in_rooms(channel: Channel, config: Config) -> bool:
    """Whether a connection can ever be in a room: on connect, by asking, or put there by a hook or the API."""
    hooks = channel.hooks
    hooked = any((hooks.connect, hooks.subscribe, hooks.close, hooks.unsubscribe))
    hooked = hooked or any(message.hook is not None for message in channel.messages.values())
    rooms = channel.rooms
    return bool(rooms.join) or rooms.subscribe is not None or hooked or config.api is not None


def takes_token_frame(channel: Channel, config: Config) -> bool:
    """Whether an `authenticate` frame can bring a token."""
    return any(
        isinstance(auth, JwtAuth | TokensAuth) and "message" in auth.token_from
        for auth in (config.auth[name] for name in channel.auth.names)
    )


def _may_expire(channel: Channel, config: Config) -> bool:
    return any(
        isinstance(auth, JwtAuth) and auth.on_expiry == "close"
        for auth in (config.auth[name] for name in channel.auth.names)
    )


def _sent(type: str, description: str, **fields: Rendered) -> Reserved:
    # A reserved frame with a field that nobody knows is refused.
    schema = frame_of(type, {**fields, **_ID}, closed=True)
    return Reserved(type=type, schema=schema, description=description)


def _received(
    type: str, description: str, also: Mapping[str, Rendered] = _NO_ID, **fields: Rendered
) -> Reserved:
    schema = frame_of(type, {**fields, **also})
    return Reserved(type=type, schema=schema, description=description)


def _own_room(channel: Channel, *, named: bool = True) -> Rendered:
    # Where there is one joined room it need not be named.
    return Rendered(ROOM, named and len(channel.rooms.join) != 1)


def _of_rooms(channel: Channel) -> Iterator[Reserved]:
    kept = channel.history is not None
    pos: dict[str, Rendered] = {}
    if kept:
        pos["pos"] = Rendered(_text("The newest position in the room."))
    said = "Whether all that was missed follows; if not, fetch the state again."
    recovered = Rendered({"description": said, "type": "boolean"}, False)
    text = "The connection is in a room now."
    yield _received("subscribed", text, _ID, room=Rendered(ROOM), **pos, recovered=recovered)
    reason = Rendered(_TEXT, False)
    text = "The connection has left a room, or was taken out of it."
    yield _received("unsubscribed", text, _ID, room=Rendered(ROOM), reason=reason)


def _presence(channel: Channel, info: Json) -> Reserved:
    assert channel.presence is not None  # noqa: S101 - the caller has looked
    room = {} if channel.presence.scope == "channel" else {"room": Rendered(ROOM)}
    user, some = Rendered(_USER), Rendered(info)
    entry = {"user": user, "info": some, "connections": Rendered(_COUNT)}
    kinds: list[dict[str, Rendered]] = [
        {"event": _is("state"), "users": _list_of(entry)},
        {"event": _is("count"), "users": Rendered(_COUNT), "connections": Rendered(_COUNT)},
    ]
    if channel.presence.events and channel.presence.batch > 0:
        joins, leaves = _list_of({"user": user, "info": some}), _list_of({"user": user})
        kinds.append({"event": _is("changes"), "joins": joins, "leaves": leaves})
    elif channel.presence.events:
        kinds.append({"event": _is("join"), "user": user, "info": some})
        kinds.append({"event": _is("leave"), "user": user})
    schema: Schema = {"anyOf": [frame_of("presence", {**room, **kind, **_ID}) for kind in kinds]}
    return Reserved(type="presence", schema=schema, description="Who is here, who came, who left.")


def _disconnect() -> Reserved:
    return _received(
        "disconnect",
        "The server is about to close for a reason of its own.",
        code=Rendered({**_COUNT, "description": "The close code that follows."}),
        reason=Rendered(_TEXT),
        reconnect=Rendered({"description": "Whether to come back.", "type": "boolean"}),
        retry_after=Rendered(_AFTER, False),
    )


def _error(channel: Channel, config: Config) -> Reserved:
    codes: list[Json] = [str(code) for code in error_codes(channel, config)]
    violation: Json = {
        "type": "object",
        "required": ["path", "message", "keyword"],
        "properties": {"path": _TEXT, "message": _TEXT, "keyword": _TEXT},
    }
    why = "Why the schema refuses it."
    errors: Json = {"description": why, "type": "array", "items": violation}
    fields = {
        "code": Rendered({"anyOf": [{"enum": codes}, _text("A hook's own code.")]}),
        "message": Rendered(_TEXT),
        "errors": Rendered(errors, False),
        "room": Rendered(_TEXT, False),
        "retry_after": Rendered(_AFTER, False),
        "limit": Rendered(_COUNT, False),
        "ref": Rendered(_text("What the server's log calls it."), False),
    }
    text = "Something was refused or went wrong; with `id`, the frame that had it."
    return _received("error", text, _ID, **fields)


def _text(description: str) -> dict[str, Json]:
    return {"description": description, "type": "string"}


def _is(event: str) -> Rendered:
    return Rendered({"const": event})


def _list_of(fields: Mapping[str, Rendered]) -> Rendered:
    required: list[Json] = [*fields]
    properties = {name: field.schema for name, field in fields.items()}
    entry: Json = {"type": "object", "required": required, "properties": properties}
    return Rendered({"type": "array", "items": entry})
