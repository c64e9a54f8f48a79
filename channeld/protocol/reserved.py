"""The protocol's own frames, one table: who sends each, when it can come, what it holds, and how people are told.

Everything that knows these frames reads this table: the types that no configuration may declare, the shapes that the
engine checks, the frames that exports describe, what the exported clients take for an answer, and the reference of the
wire. A row of a client's frame needs one thing more: its verb in `channeld.engine.reserved`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

import attrs

from channeld.protocol.frames import Json

__all__ = [
    "ANSWERS",
    "EVERYTHING",
    "FRAMES",
    "ID",
    "POSITION",
    "RESERVED",
    "RESERVED_CLIENT",
    "ROOM",
    "SETTLING",
    "Features",
    "Field",
    "ReservedFrame",
]


@attrs.frozen(slots=True)
class Field:
    """One field of a frame: its JSON Schema, and whether it is always there."""

    schema: Json
    required: bool = True


Fields: TypeAlias = Mapping[str, Field]


@attrs.frozen(slots=True, kw_only=True)
class Features:
    """What a channel offers, as far as its reserved frames depend on it; the defaults offer nothing.

    `one_room` is true where a connection is in one room that need not be named. `info` is the schema of a user's
    presence info, `state` that of its state (None: there is none), `routed` that of the frames that a `history` frame holds, `codes` are the error codes that may come.
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

    `kinds` gives the fields of each of its forms (most have one) besides `type` and `id`. `id` says whether it can
    carry one; `answer` is the frame that answers it, `settles` whether it can be an answer itself. `own` marks what
    differs from channel to channel. `shown` are its forms as people write them, each with when it comes.
    """

    type: str
    side: Literal["client", "server"]
    words: str
    shown: tuple[tuple[str, str], ...]
    when: Callable[[Features], bool]
    kinds: Callable[[Features], tuple[Fields, ...]]
    id: bool = True
    answer: str = ""
    settles: bool = False
    own: bool = False

    def schemas(self, features: Features) -> Iterator[dict[str, Json]]:
        """A JSON Schema for each form of the frame, without its `type` and `id`; a client's form is closed."""
        for fields in self.kinds(features):
            required: list[Json] = [name for name, field in fields.items() if field.required]
            yield {
                "type": "object",
                "required": required,
                "properties": {name: field.schema for name, field in fields.items()},
                **({"additionalProperties": False} if self.side == "client" else {}),
            }


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


def _list_of(fields: Fields) -> Field:
    required: list[Json] = [name for name, field in fields.items() if field.required]
    properties = {name: field.schema for name, field in fields.items()}
    entry: Json = {"type": "object", "required": required, "properties": properties}
    return Field({"type": "array", "items": entry})


def _own_room(features: Features) -> Field:
    # Where there is one joined room it need not be named.
    return Field(ROOM, not features.one_room)


# ----------------------------------------------------------------------------------------- forms that take some words


def _presence_request(features: Features) -> tuple[Fields, ...]:
    named = features.presence == "room" and not features.one_room
    asked = {"room": Field(ROOM, named), "only": Field({"const": "count"}, required=False)}
    if features.state is None:
        return (asked,)
    words = "The user's state, in place of the last one; `null` takes it away."
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
        "held": "It waits until the rate of its type lets it go.",
        "dropped": "It is over the rate of its type, and was dropped.",
        "repeated": "It was routed before: somebody sent the same `once` key.",
    }
    deprecated: Json = {
        "description": "Said once of a type that may go: until when, and what to send instead.",
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
    said = "Whether all that was missed follows; if not, fetch the state again."
    replayed = {"replayed": Field(_count("How many kept frames follow."), required=False)}
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
        kinds.append({"event": _is("leave"), "user": _USER_FIELD})
    if features.changes != "none":
        kinds.append({"event": _is("update"), **who})
    return tuple({**room, **kind} for kind in kinds)


def _is(event: str) -> Field:
    return Field({"const": event})


def _history(features: Features) -> tuple[Fields, ...]:
    frames: Json = {"type": "array", "items": features.routed}
    more = Field(_flag("Whether there are earlier ones."))
    return ({"room": _ROOM, "frames": Field(frames), "more": more},)


def _disconnect(_features: Features) -> tuple[Fields, ...]:
    return (
        {
            "code": Field(_count("The close code that follows.")),
            "reason": Field(_TEXT),
            "reconnect": Field(_flag("Whether to come back.")),
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
            "ref": Field(_text("What the server's log calls it."), required=False),
        },
    )


# --------------------------------------------------------------------------------------------------------- the table

FRAMES: Final[tuple[ReservedFrame, ...]] = (
    ReservedFrame(
        type="ping",
        side="client",
        words="Asks for a `pong`.",
        shown=(('{"type": "ping"}', "a sign of life from the server itself"),),
        when=lambda _: True,
        kinds=lambda _: ({},),
        answer="pong",
    ),
    ReservedFrame(
        type="authenticate",
        side="client",
        words="Brings a token: the first one, or a new one of the same user.",
        shown=(
            (
                '{"type": "authenticate", "token": T}',
                "to be let in, as the first frame; later, a new end for a token of the same user",
            ),
        ),
        when=lambda features: features.token_frames,
        kinds=lambda _: ({"token": Field(_TEXT)},),
        answer="authenticated",
    ),
    ReservedFrame(
        type="subscribe",
        side="client",
        words="Joins a room; `since` asks for what was missed after that position.",
        shown=(
            (
                '{"type": "subscribe", "room": R, "since": POS?}',
                "to join a room; with `since`, also what was missed",
            ),
        ),
        when=lambda features: features.subscribes,
        kinds=lambda _: ({"room": _ROOM, "since": Field(POSITION, required=False)},),
        answer="subscribed",
    ),
    ReservedFrame(
        type="unsubscribe",
        side="client",
        words="Leaves a room.",
        shown=(('{"type": "unsubscribe", "room": R}', "to leave it"),),
        when=lambda features: features.rooms,
        kinds=lambda _: ({"room": _ROOM},),
        answer="unsubscribed",
    ),
    ReservedFrame(
        type="presence",
        side="client",
        words="Asks who is here, or how many (`only: count`); says one's own state (`set`).",
        shown=(
            (
                '{"type": "presence", "room": R, "only": "count"?}',
                "who is in a room that the client is in, or how many",
            ),
            (
                '{"type": "presence", "room": R, "set": {…}}',
                "to change one's own state where the channel has `presence.state`; `null` takes it away",
            ),
        ),
        when=lambda features: features.presence != "none",
        kinds=_presence_request,
        answer="presence",
        own=True,
    ),
    ReservedFrame(
        type="history",
        side="client",
        words="Asks for earlier frames of a room, those before a position.",
        shown=(
            (
                '{"type": "history", "room": R, "limit": N?, "before": POS?}',
                "earlier frames of a room; default 50, at most 1,000, never more than the history's `size`",
            ),
        ),
        when=lambda features: features.history,
        kinds=_history_request,
        answer="history",
        own=True,
    ),
    ReservedFrame(
        type="authenticated",
        side="server",
        words="Who the client is.",
        shown=(
            (
                '{"type": "authenticated", "user": U, "expires": SECONDS?}',
                "a token was accepted; before anything else",
            ),
        ),
        when=lambda features: features.users,
        kinds=lambda _: (
            {
                "user": _USER_FIELD,
                "expires": Field(_count("Seconds until the token ends."), required=False),
            },
        ),
        settles=True,
    ),
    ReservedFrame(
        type="ack",
        side="server",
        words="A message that has an `id` was routed; or held, dropped or known already, where it says so.",
        shown=(
            (
                '{"type": "ack", "id": ID, "held"?, "dropped"?, "repeated"?, "deprecated"?}',
                (
                    "the message was accepted and routed; or, with `true` in one of the first three, held back, dropped "
                    "or known already, as its options say. `deprecated` tells once what to send instead"
                ),
            ),
        ),
        when=lambda features: features.messages,
        kinds=_ack,
        id=False,
        settles=True,
    ),
    ReservedFrame(
        type="reply",
        side="server",
        words="A hook's own answer, with fields of its own, instead of `ack`.",
        shown=(
            (
                '{"type": "reply", "id": ID, …}',
                "a hook answered the message itself, in place of `ack`",
            ),
        ),
        when=lambda features: features.replies,
        kinds=lambda _: ({"id": Field(ID)},),
        id=False,
        settles=True,
    ),
    ReservedFrame(
        type="pong",
        side="server",
        words="The answer to `ping`.",
        shown=(('{"type": "pong"}', "after `ping`"),),
        when=lambda _: True,
        kinds=lambda _: ({},),
        settles=True,
    ),
    ReservedFrame(
        type="subscribed",
        side="server",
        words="The connection is in a room now.",
        shown=(
            (
                '{"type": "subscribed", "room": R, "pos": POS?, "recovered": BOOL?, "replayed": N?}',
                (
                    "after `subscribe`; on connecting, once for each `rooms.join` room of a channel with history; when "
                    "a hook or the API put the client into the room. `recovered` is there when `since` was: `true`, and "
                    "all missed frames follow in order; or `false`, and the client fetches its state again"
                ),
            ),
        ),
        when=lambda features: features.rooms,
        kinds=_subscribed,
        settles=True,
        own=True,
    ),
    ReservedFrame(
        type="unsubscribed",
        side="server",
        words="The connection has left a room, or was taken out of it.",
        shown=(
            (
                '{"type": "unsubscribed", "room": R, "reason": TEXT?}',
                "after `unsubscribe`, and when the server took the client out of the room",
            ),
        ),
        when=lambda features: features.rooms,
        kinds=lambda _: ({"room": _ROOM, "reason": Field(_TEXT, required=False)},),
        settles=True,
    ),
    ReservedFrame(
        type="presence",
        side="server",
        words="Who is here, who came, who left.",
        shown=(
            (
                '{"type": "presence", "room": R, "event": "state", "users": [{"user", "info", "connections"}]}',
                "on joining, and when asked",
            ),
            (
                '{"type": "presence", "room": R, "event": "join", "user": U, "info": {…}}',
                "to the others: a user's first connection came",
            ),
            (
                '{"type": "presence", "room": R, "event": "leave", "user": U}',
                "a user's last connection has been gone for `presence.grace`",
            ),
            (
                '{"type": "presence", "room": R, "event": "update", "user": U, "info": {…}, "state": {…}?}',
                "to the others: a user who is there has another `info`, by a second connection or a renewed token, or another `state`; it also stands in `join` and `users` where it was set",
            ),
            (
                '{"type": "presence", "room": R, "event": "changes", "joins": […], "leaves": […]}',
                "in place of `join` and `leave` where the channel says `presence.batch`",
            ),
            (
                '{"type": "presence", "room": R, "event": "count", "users": N, "connections": N}',
                'when asked with `"only": "count"`; anonymous connections count as connections',
            ),
        ),
        when=lambda features: features.presence != "none",
        kinds=_presence,
        settles=True,
        own=True,
    ),
    ReservedFrame(
        type="history",
        side="server",
        words="Earlier frames of a room, in order.",
        shown=(
            (
                '{"type": "history", "room": R, "frames": […], "more": BOOL}',
                "after `history`, oldest first; fewer than asked for, and `more`, where they are more than half of `limits.outbox`",
            ),
        ),
        when=lambda features: features.history,
        kinds=_history,
        settles=True,
        own=True,
    ),
    ReservedFrame(
        type="token_expiring",
        side="server",
        words="The token ends soon, in `in` seconds: send a new one.",
        shown=(('{"type": "token_expiring", "in": SECONDS}', "60 seconds before a token ends"),),
        when=lambda features: features.tokens_end,
        kinds=lambda _: ({"in": _NUMBER_OF},),
        id=False,
    ),
    ReservedFrame(
        type="disconnect",
        side="server",
        words="The server is about to close for a reason of its own.",
        shown=(
            (
                '{"type": "disconnect", "code": N, "reason": TEXT, "reconnect": BOOL, "retry_after": SECONDS?}',
                "before the server closes for a reason of its own: proxies and browsers lose close codes",
            ),
        ),
        when=lambda _: True,
        kinds=_disconnect,
        id=False,
    ),
    ReservedFrame(
        type="error",
        side="server",
        words="Something was refused or went wrong; with `id`, the frame that had it.",
        shown=(('{"type": "error", "code": CODE, "message": TEXT, …}', "[see below](#errors)"),),
        when=lambda _: True,
        kinds=_error,
        own=True,
    ),
)
"""The frames in the order in which exports and the reference tell of them."""

RESERVED_CLIENT: Final = frozenset(frame.type for frame in FRAMES if frame.side == "client")
"""What a client may send on every channel."""

RESERVED: Final = frozenset(frame.type for frame in FRAMES) | {"connection"}
"""The types that no configuration can declare; `connection` is the first event of a stream, and comes in no other way."""

ANSWERS: Final[Mapping[str, str]] = {frame.type: frame.answer for frame in FRAMES if frame.answer}
"""What answers each reserved client frame, unless it is an `error`."""

SETTLING: Final = tuple(frame.type for frame in FRAMES if frame.settles)
"""The frames that end the wait for an answer, besides `error`."""
