"""The table of the protocol's own frames: who sends each, when, its fields, and its description.

Everything about these frames comes from this table: the types that configurations must not declare, the schemas that the
engine checks, the frames in exports, what exported clients treat as an answer, and the wire reference. A client's frame
also needs its verb in `channeld.engine.reserved`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

import attrs

from channeld.protocol.frames import Json


@attrs.frozen(slots=True)
class Field:
    """One field of a frame: its JSON Schema, and whether it is always present."""

    schema: Json
    required: bool = True


Fields: TypeAlias = Mapping[str, Field]


@attrs.frozen(slots=True, kw_only=True)
class Features:
    """A channel's features that its reserved frames depend on; none by default.

    `one_room`: a connection is in one room, which need not be named. `info` is the schema of a user's presence info,
    `state` that of its state (None: there is none), `routed` that of the frames that a `history` frame holds, `codes` are
    the possible error codes.
    """

    users: bool = False
    token_frames: bool = False
    tokens_end: bool = False
    rooms: bool = False
    subscribes: bool = False
    one_room: bool = False
    messages: bool = False
    replies: bool = False
    presence: Literal["none", "room", "channel"] = "none"
    changes: Literal["none", "each", "gathered"] = "none"
    history: bool = False
    codes: tuple[str, ...] = ()
    info: Json = True
    state: Json = None
    routed: Json = True


EVERYTHING: Final = Features(
    users=True,
    token_frames=True,
    tokens_end=True,
    rooms=True,
    subscribes=True,
    one_room=True,
    messages=True,
    replies=True,
    state=True,
    presence="room",
    changes="each",
    history=True,
)
"""A channel that offers all of it, in the form that asks least of a client: what the engine checks frames against."""


@attrs.frozen(slots=True, kw_only=True)
class ReservedFrame:
    """One frame of the protocol's own.

    `kinds` has the fields of each form besides `type` and `id`; most frames have one form. `id`: it can have an id. `answer` is
    the frame that answers it. `settles`: it can itself be an answer. `own`: it differs between channels. `shown` maps examples
    of its forms to when each is sent.
    """

    type: str
    side: Literal["client", "server"]
    words: str
    shown: Mapping[str, str]
    when: Callable[[Features], bool]
    kinds: Callable[[Features], tuple[Fields, ...]]
    id: bool = True
    answer: str = ""
    settles: bool = False
    own: bool = False

    def schemas(self, features: Features) -> Iterator[dict[str, Json]]:
        """A JSON Schema for each form of the frame, without its `type` and `id`; a client's form is closed."""
        for fields in self.kinds(features):
            closed: dict[str, Json] = {"additionalProperties": False}
            yield _object(fields) | (closed if self.side == "client" else {})


# ------------------------------------------------------------------------------------------------- parts of schemas

ID: Final[Json] = {"type": ["string", "integer"], "minLength": 1, "maxLength": 64}
ROOM: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 128}
POSITION: Final[Json] = {"type": "string", "maxLength": 128}

_TEXT: Final[Json] = {"type": "string"}
_COUNT: Final[Mapping[str, Json]] = {"type": "integer", "minimum": 0}
_USER: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 128}
_NUMBER_OF: Final = Field(dict(_COUNT))
_ROOM: Final = Field(ROOM)
_USER_FIELD: Final = Field(_USER)
_AFTER: Final = Field(
    {"description": "Seconds to wait before trying again.", "type": "number", "minimum": 0},
    required=False,
)


def _text(description: str) -> dict[str, Json]:
    return {"description": description, "type": "string"}


def _count(description: str) -> dict[str, Json]:
    return {**_COUNT, "description": description}


def _flag(description: str) -> dict[str, Json]:
    return {"description": description, "type": "boolean"}


def _object(fields: Fields) -> dict[str, Json]:
    required: list[Json] = [name for name, field in fields.items() if field.required]
    properties = {name: field.schema for name, field in fields.items()}
    return {"type": "object", "required": required, "properties": properties}


def _list_of(fields: Fields) -> Field:
    return Field({"type": "array", "items": _object(fields)})


def _own_room(features: Features) -> Field:
    # With only one joined room it need not be named.
    return Field(ROOM, not features.one_room)


# ------------------------------------------------------------------------------------------------------ longer forms


def _presence_request(features: Features) -> tuple[Fields, ...]:
    named = features.presence == "room" and not features.one_room
    asked = {"room": Field(ROOM, named), "only": Field({"const": "count"}, required=False)}
    if features.state is None:
        return (asked,)
    words = "The user's state, replacing the previous one; `null` removes it."
    state: Json = {"description": words, "anyOf": [features.state, {"type": "null"}]}
    return ({**asked, "set": Field(state, required=False)},)


def _history_request(features: Features) -> tuple[Fields, ...]:
    limit: Json = {"type": "integer", "minimum": 1, "maximum": 1000}
    return (
        {
            "room": _own_room(features),
            "limit": Field(limit, required=False),
            "before": Field(POSITION, required=False),
        },
    )


def _ack(_features: Features) -> tuple[Fields, ...]:
    flags = {
        "held": "Held until the type's rate allows it to be sent.",
        "dropped": "Dropped, because it exceeds the type's rate.",
        "repeated": "Already routed: the same `once` key was sent earlier.",
    }
    deprecated: Json = {
        "description": "Sent once for a deprecated type: until when it works, and what to send instead.",
        "type": "object",
        "properties": {"sunset": _TEXT, "use": _TEXT},
    }
    return (
        {
            "id": Field(ID),
            **{name: Field(_flag(text), required=False) for name, text in flags.items()},
            "deprecated": Field(deprecated, required=False),
        },
    )


def _subscribed(features: Features) -> tuple[Fields, ...]:
    pos = {"pos": Field(_text("The newest position in the room."))} if features.history else {}
    said = "Whether every missed frame follows; if not, fetch the state again."
    replayed = {"replayed": Field(_count("Number of stored frames that follow."), required=False)}
    recovered = {"recovered": Field(_flag(said), required=False)}
    return ({"room": _ROOM, **pos, **recovered, **(replayed if features.history else {})},)


def _presence(features: Features) -> tuple[Fields, ...]:
    room = {"room": _ROOM} if features.presence == "room" else {}
    who = {"user": _USER_FIELD, "info": Field(features.info)}
    if features.state is not None:
        who["state"] = Field(features.state, required=False)
    kinds: list[Fields] = [
        {"event": _is("state"), "users": _list_of({**who, "connections": _NUMBER_OF})},
        {"event": _is("count"), "users": _NUMBER_OF, "connections": _NUMBER_OF},
    ]
    if features.changes == "gathered":
        leaves = _list_of({"user": _USER_FIELD})
        kinds.append({"event": _is("changes"), "joins": _list_of(who), "leaves": leaves})
    elif features.changes == "each":
        kinds.append({"event": _is("join"), **who})
        kinds.append({"event": _is("leave"), "user": _USER_FIELD, "info": who["info"]})
    if features.changes != "none":
        kinds.append({"event": _is("update"), **who})
    return tuple({**room, **kind} for kind in kinds)


def _is(event: str) -> Field:
    return Field({"const": event})


def _history(features: Features) -> tuple[Fields, ...]:
    frames: Json = {"type": "array", "items": features.routed}
    more = Field(_flag("Whether there are earlier frames."))
    return ({"room": _ROOM, "frames": Field(frames), "more": more},)


def _disconnect(_features: Features) -> tuple[Fields, ...]:
    return (
        {
            "code": Field(_count("Close code that follows.")),
            "reason": Field(_TEXT),
            "reconnect": Field(_flag("Whether to reconnect.")),
            "retry_after": _AFTER,
        },
    )


def _error(features: Features) -> tuple[Fields, ...]:
    parts: dict[str, Json] = {"path": _TEXT, "message": _TEXT, "keyword": _TEXT}
    violation: Json = {"type": "object", "required": [*parts], "properties": parts}
    errors: Json = {
        "description": "Why the schema refuses it.",
        "type": "array",
        "items": violation,
    }
    return (
        {
            "code": Field({"anyOf": [{"enum": [*features.codes]}, _text("A hook's own code.")]}),
            "message": Field(_TEXT),
            "errors": Field(errors, required=False),
            "room": Field(_TEXT, required=False),
            "retry_after": _AFTER,
            "outcome": Field(
                {"description": "It may have been routed.", "const": "unknown"}, required=False
            ),
            "limit": Field(dict(_COUNT), required=False),
            "ref": Field(_text("Reference of the error in the server's log."), required=False),
        },
    )


# --------------------------------------------------------------------------------------------------------- the table

FRAMES: Final[tuple[ReservedFrame, ...]] = (
    ReservedFrame(
        type="ping",
        side="client",
        words="Asks for a `pong`.",
        shown={
            '{"type": "ping"}': "a liveness check that the server itself answers",
        },
        when=lambda _: True,
        kinds=lambda _: ({},),
        answer="pong",
    ),
    ReservedFrame(
        type="authenticate",
        side="client",
        words="Presents a token: the first one, or a fresh one for the same user.",
        shown={
            '{"type": "authenticate", "token": T}': "as the first frame, to authenticate; later, to extend the session with a fresh token for the same user",
        },
        when=lambda features: features.token_frames,
        kinds=lambda _: ({"token": Field(_TEXT)},),
        answer="authenticated",
    ),
    ReservedFrame(
        type="subscribe",
        side="client",
        words="Joins a room; `since` requests the frames missed after that position.",
        shown={
            '{"type": "subscribe", "room": R, "since": POS?}': "to join a room and, with `since`, to receive the frames missed",
        },
        when=lambda features: features.subscribes,
        kinds=lambda _: ({"room": _ROOM, "since": Field(POSITION, required=False)},),
        answer="subscribed",
    ),
    ReservedFrame(
        type="unsubscribe",
        side="client",
        words="Leaves a room.",
        shown={'{"type": "unsubscribe", "room": R}': "to leave a room"},
        when=lambda features: features.rooms,
        kinds=lambda _: ({"room": _ROOM},),
        answer="unsubscribed",
    ),
    ReservedFrame(
        type="presence",
        side="client",
        words="Asks who is present, or how many (`only: count`), or sets one's own state (`set`).",
        shown={
            '{"type": "presence", "room": R, "only": "count"?}': "to list, or only count, the users in one of the client's rooms",
            '{"type": "presence", "room": R, "set": {…}}': "to set one's own state on a channel with `presence.state`; `null` removes it",
        },
        when=lambda features: features.presence != "none",
        kinds=_presence_request,
        answer="presence",
        own=True,
    ),
    ReservedFrame(
        type="history",
        side="client",
        words="Asks for earlier frames of a room, up to a position.",
        shown={
            '{"type": "history", "room": R, "limit": N?, "before": POS?}': "to read earlier frames of a room: 50 by default, at most 1,000 and never more than the history's `size`",
        },
        when=lambda features: features.history,
        kinds=_history_request,
        answer="history",
        own=True,
    ),
    ReservedFrame(
        type="authenticated",
        side="server",
        words="Who the client is.",
        shown={
            '{"type": "authenticated", "user": U, "expires": SECONDS?}': "a token was accepted; sent before anything else",
        },
        when=lambda features: features.users,
        kinds=lambda _: (
            {
                "user": _USER_FIELD,
                "expires": Field(_count("Seconds until the token expires."), required=False),
            },
        ),
        settles=True,
    ),
    ReservedFrame(
        type="ack",
        side="server",
        words="A message with an `id` was routed or, where the flags say so, held, dropped or recognised as a repeat.",
        shown={
            '{"type": "ack", "id": ID, "held"?, "dropped"?, "repeated"?, "deprecated"?}': (
                "the message was accepted and routed. One of the first three flags is `true` if it was instead held back, "
                "dropped or recognised as a repeat under the type's options. `deprecated` names the replacement, once"
            ),
        },
        when=lambda features: features.messages,
        kinds=_ack,
        id=False,
        settles=True,
    ),
    ReservedFrame(
        type="reply",
        side="server",
        words="A hook's own answer, with its own fields, instead of `ack`.",
        shown={
            '{"type": "reply", "id": ID, …}': "instead of `ack`, when a hook answered the message itself",
        },
        when=lambda features: features.replies,
        kinds=lambda _: ({"id": Field(ID)},),
        id=False,
        settles=True,
    ),
    ReservedFrame(
        type="pong",
        side="server",
        words="The answer to `ping`.",
        shown={'{"type": "pong"}': "after `ping`"},
        when=lambda _: True,
        kinds=lambda _: ({},),
        settles=True,
    ),
    ReservedFrame(
        type="subscribed",
        side="server",
        words="The connection has joined a room.",
        shown={
            '{"type": "subscribed", "room": R, "pos": POS?, "recovered": BOOL?, "replayed": N?}': (
                "after `subscribe`; on connecting, for each `rooms.join` room of a channel with history; when a hook or the API"
                " adds the client to a room. `recovered` answers `since`: `true` means that every missed frame follows in "
                "order, `false` that the client has to fetch its state again; it comes unasked with `false` when frames were "
                "missed that the history no longer has"
            ),
        },
        when=lambda features: features.rooms,
        kinds=_subscribed,
        settles=True,
        own=True,
    ),
    ReservedFrame(
        type="unsubscribed",
        side="server",
        words="The connection has left a room, or was removed from it.",
        shown={
            '{"type": "unsubscribed", "room": R, "reason": TEXT?}': "after `unsubscribe`, and when the server removes the client from a room",
        },
        when=lambda features: features.rooms,
        kinds=lambda _: ({"room": _ROOM, "reason": Field(_TEXT, required=False)},),
        settles=True,
    ),
    ReservedFrame(
        type="presence",
        side="server",
        words="Who is present, who joined, who left.",
        shown={
            '{"type": "presence", "room": R, "event": "state", "users": [{"user", "info", "connections"}]}': "on joining, and on request",
            '{"type": "presence", "room": R, "event": "join", "user": U, "info": {…}}': "to the other members, when a user's first connection joins",
            '{"type": "presence", "room": R, "event": "leave", "user": U, "info": {…}}': "when a user's last connection has been gone for `presence.grace`",
            '{"type": "presence", "room": R, "event": "update", "user": U, "info": {…}, "state": {…}?}': "to the other members, when a present user's `info` changes (a second connection, a renewed token) or their `state` does. A `state` that is set also appears in `join` and `users`",
            '{"type": "presence", "room": R, "event": "changes", "joins": […], "leaves": […]}': "instead of `join` and `leave` on a channel with `presence.batch`",
            '{"type": "presence", "room": R, "event": "count", "users": N, "connections": N}': 'on request with `"only": "count"`; `connections` includes anonymous ones',
        },
        when=lambda features: features.presence != "none",
        kinds=_presence,
        settles=True,
        own=True,
    ),
    ReservedFrame(
        type="history",
        side="server",
        words="Earlier frames of a room, in order.",
        shown={
            '{"type": "history", "room": R, "frames": […], "more": BOOL}': "after `history`, oldest first. A page that would exceed half of `limits.outbox` is cut short, with `more`",
        },
        when=lambda features: features.history,
        kinds=_history,
        settles=True,
        own=True,
    ),
    ReservedFrame(
        type="token_expiring",
        side="server",
        words="The token expires in `in` seconds: send a fresh one.",
        shown={
            '{"type": "token_expiring", "in": SECONDS}': "60 seconds before a token expires",
        },
        when=lambda features: features.tokens_end,
        kinds=lambda _: ({"in": _NUMBER_OF},),
        id=False,
    ),
    ReservedFrame(
        type="disconnect",
        side="server",
        words="The server is about to close the connection.",
        shown={
            '{"type": "disconnect", "code": N, "reason": TEXT, "reconnect": BOOL, "retry_after": SECONDS?}': "before the server closes the connection, since proxies and browsers may hide close codes",
        },
        when=lambda _: True,
        kinds=_disconnect,
        id=False,
    ),
    ReservedFrame(
        type="error",
        side="server",
        words="Something was refused or failed. `id` repeats that of the frame it answers.",
        shown={
            '{"type": "error", "code": CODE, "message": TEXT, …}': "[see below](#errors)",
        },
        when=lambda _: True,
        kinds=_error,
        own=True,
    ),
)
"""The frames, in the order in which exports and the reference list them."""

RESERVED_CLIENT: Final = frozenset(frame.type for frame in FRAMES if frame.side == "client")
"""What a client may send on every channel."""

RESERVED: Final = frozenset(frame.type for frame in FRAMES) | {"connection"}
"""Types that a configuration cannot declare; `connection` is only ever the first event of a stream."""

ANSWERS: Final[Mapping[str, str]] = {frame.type: frame.answer for frame in FRAMES if frame.answer}
"""The frame that answers each reserved client frame, unless an `error` does."""

SETTLING: Final = tuple(frame.type for frame in FRAMES if frame.settles)
"""The frames that end the wait for an answer, besides `error`."""
