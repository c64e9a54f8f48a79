"""The tables of `wire.md`: error codes, close codes, HTTP answers, reserved types.

What the enumerations do not say stands here; a code that is missing stops the generator.
"""

from collections.abc import Mapping

from pages.markdown import table

from channeld.protocol.codes import REFUSALS, CloseCode, ErrorCode, may_come_back
from channeld.protocol.reserved import FRAMES, RESERVED


def error_codes() -> str:
    """The error codes, each with the close code that follows."""
    rows = [[f"`{code}`", *ERROR_CODES[code]] for code in ErrorCode]
    return table(["code", "when", "extra fields", "then"], rows)


ERROR_CODES: Mapping[ErrorCode, tuple[str, str, str]] = {
    ErrorCode.INVALID_JSON: (
        "The text is not one JSON object with a string `type`, is nested too deep, or holds a number that does not fit",
        "",
        "stays open",
    ),
    ErrorCode.UNKNOWN_TYPE: ("The channel declares no such message type", "", "stays open"),
    ErrorCode.INVALID_MESSAGE: (
        "The schema of the type refuses it, or a reserved frame or an `id` has the wrong form",
        "`errors`: at most 10 of `{path, message, keyword}`",
        "stays open",
    ),
    ErrorCode.UNAUTHORIZED: (
        "No token, or one that does not pass. Never says why; the log does",
        "",
        "close 4401, for a refused renewal too",
    ),
    ErrorCode.TOKEN_EXPIRED: ("The token ended and was not renewed", "", "close 4401"),
    ErrorCode.FORBIDDEN: (
        "`require` is not met, or the room may not be joined, sent to or looked at",
        "`room`, where it is about one",
        "stays open; close 4403 where the channel refuses the connection",
    ),
    ErrorCode.RATE_LIMITED: (
        "Over the type's `rate`, or over `limits.messages`",
        "`retry_after`: seconds",
        "stays open",
    ),
    ErrorCode.LIMIT_EXCEEDED: ("Too many rooms", "`limit`", "stays open"),
    ErrorCode.REJECTED: (
        "A hook raised `Reject`; the hook may bring a code of its own",
        "the hook's",
        "stays open; a `connect` hook's closes",
    ),
    ErrorCode.TOO_LARGE: ("Over `limits.message_size`", "`limit`: bytes", "close 1009"),
    ErrorCode.UNAVAILABLE: (
        'The broker is away: the message was not routed, or, with `"outcome":"unknown"`, it may have been',
        "`retry_after`: seconds; `outcome`",
        "stays open",
    ),
    ErrorCode.INTERNAL_ERROR: (
        "A hook raised or took too long, or the server has a bug",
        "`ref`: the id in the log's line",
        "stays open; close 1011 while connecting",
    ),
}

CLOSE_CODES: Mapping[CloseCode, str] = {
    CloseCode.NORMAL: "The client's own, or a hook's `ctx.close()`",
    CloseCode.GOING_AWAY: "The server stops for good",
    CloseCode.PROTOCOL_ERROR: "The bytes break RFC 6455: unmasked, reserved bits or opcodes, bad fragments",
    CloseCode.UNSUPPORTED_DATA: "A binary message",
    CloseCode.NO_STATUS: "Seen, never sent: the Close frame had no code",
    CloseCode.ABNORMAL: "Seen, never sent: the connection ended without a Close frame, or pings went unanswered",
    CloseCode.INVALID_DATA: "Text that is not UTF-8",
    CloseCode.POLICY_VIOLATION: "A message in more fragments than sense makes",
    CloseCode.MESSAGE_TOO_BIG: "A message over `limits.message_size`",
    CloseCode.INTERNAL_ERROR: "A bug of the server, or a `connect` step that failed",
    CloseCode.SERVICE_RESTART: "The server drains, or a reload changed this channel",
    CloseCode.TRY_AGAIN_LATER: "The broker was away while connecting",
    CloseCode.UNAUTHORIZED: "No token, a bad one, or one that ended: come back with a new one",
    CloseCode.FORBIDDEN: "This user may not be on this channel, or a `connect` hook refused",
    CloseCode.REPLACED: "A newer connection of this user took the place (`connections_per_user`)",
    CloseCode.KICKED: "Sent away through the control API",
    CloseCode.TOO_MANY_ERRORS: "Over `limits.errors`",
    CloseCode.TOO_SLOW: "More than `limits.outbox` was waiting for this client",
}


def close_codes() -> str:
    """The close codes, and whether a client comes back after each."""
    rows = [
        [str(int(code)), CLOSE_CODES[code], "yes" if may_come_back(code) else "no"]
        for code in CloseCode
    ]
    return table(["code", "when", "come back unchanged"], rows)


HTTP_STATUSES: Mapping[int, str] = {
    400: "The handshake breaks RFC 6455 section 4.2 or HTTP itself",
    403: "The `Origin` is not one of `server.allowed_origins`",
    404: "No channel has this path, or a param does not satisfy its schema",
    405: "A method other than GET, HEAD, POST and OPTIONS",
    426: "A plain GET, or a version of the protocol other than 13",
    429: "Over `limits.connections_per_address`; with `Retry-After`",
    431: "A request head over 16 KiB",
    503: "Over `limits.connections`; with `Retry-After`",
}


def http_answers() -> str:
    """The answers before the upgrade."""
    rows = [[str(s), refusal.title, HTTP_STATUSES[s]] for s, refusal in sorted(REFUSALS.items())]
    return table(["status", "title", "when"], rows)


def sent_frames() -> str:
    """What a client may send, each with its answer."""
    rows = [
        ["`{\"type\": T, …}`, a type that the channel declares", "what the configuration says of T", "nothing; `ack` where it has an `id`"],
        *(
            # What changes something of one's own is only acknowledged.
            [f"`{shown}`", asks, "`ack`" if '"set"' in shown else f"`{frame.answer}`"]
            for frame in FRAMES
            if frame.side == "client"
            for shown, asks in frame.shown
        ),
    ]  # fmt: skip
    return table(["frame", "asks for", "is answered with"], rows)


def received_frames() -> str:
    """What the server sends by itself, and what it routes."""
    rows = [
        [f"`{shown}`", comes]
        for frame in FRAMES
        if frame.side == "server"
        for shown, comes in frame.shown
    ]
    other = "a routed message or an event; from a room with history it carries `room` and, where it is kept, `pos`"
    return table(["frame", "when"], [*rows, ["anything else", other]])


def reserved_types() -> str:
    """The types that a configuration cannot declare."""
    return ", ".join(f"`{kind}`" for kind in sorted(RESERVED)) + "."
