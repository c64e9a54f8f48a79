"""The tables of `wire.md`: error codes, close codes, HTTP answers, reserved types.

Holds the words that the enumerations lack; a missing code stops the generator.
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
        "The text is not a single JSON object with a string `type`, is nested too deeply, or contains a number out of range",
        "",
        "stays open",
    ),
    ErrorCode.UNKNOWN_TYPE: ("The channel does not declare this message type", "", "stays open"),
    ErrorCode.INVALID_MESSAGE: (
        "The message does not match its type's schema, or a reserved frame or an `id` is malformed",
        "`errors`: at most 10 of `{path, message, keyword}`",
        "stays open",
    ),
    ErrorCode.UNAUTHORIZED: (
        "No token, or one that was rejected. The reason is only in the log",
        "",
        "close 4401, also after a refused renewal",
    ),
    ErrorCode.TOKEN_EXPIRED: ("The token expired and was not renewed", "", "close 4401"),
    ErrorCode.FORBIDDEN: (
        "`require` is not met, or this client may not join, send to or inspect the room",
        "`room`, if one is concerned",
        "stays open; close 4403 if the channel itself is refused",
    ),
    ErrorCode.RATE_LIMITED: (
        "Over the type's `rate`, or over `limits.messages`",
        "`retry_after`: seconds",
        "stays open",
    ),
    ErrorCode.LIMIT_EXCEEDED: ("Too many rooms", "`limit`", "stays open"),
    ErrorCode.REJECTED: (
        "A hook raised `Reject`, possibly with its own code",
        "the hook's",
        "stays open; closes after a `connect` hook",
    ),
    ErrorCode.TOO_LARGE: ("Over `limits.message_size`", "`limit`: bytes", "close 1009"),
    ErrorCode.UNAVAILABLE: (
        'The broker is unreachable: the message was not routed or, with `"outcome":"unknown"`, may have been',
        "`retry_after`: seconds; `outcome`",
        "stays open",
    ),
    ErrorCode.INTERNAL_ERROR: (
        "A hook raised or timed out, or the server has a bug",
        "`ref`: identifies the log entry",
        "stays open; close 1011 while connecting",
    ),
}

CLOSE_CODES: Mapping[CloseCode, str] = {
    CloseCode.NORMAL: "Closed by the client, or by a hook's `ctx.close()`",
    CloseCode.GOING_AWAY: "The server is shutting down for good",
    CloseCode.PROTOCOL_ERROR: "A violation of RFC 6455: an unmasked frame, reserved bits or opcodes, bad fragmentation",
    CloseCode.UNSUPPORTED_DATA: "A binary message",
    CloseCode.NO_STATUS: "Never sent: the client's Close frame had no code",
    CloseCode.ABNORMAL: "Never sent: the connection ended without a Close frame, or pings went unanswered",
    CloseCode.INVALID_DATA: "Text that is not UTF-8",
    CloseCode.POLICY_VIOLATION: "A message in an unreasonable number of fragments",
    CloseCode.MESSAGE_TOO_BIG: "A message over `limits.message_size`",
    CloseCode.INTERNAL_ERROR: "A server bug, or a failed `connect` step",
    CloseCode.SERVICE_RESTART: "The server is draining, or a reload changed this channel",
    CloseCode.TRY_AGAIN_LATER: "The broker was unreachable while connecting",
    CloseCode.UNAUTHORIZED: "No token, an invalid one, or an expired one: reconnect with a new token",
    CloseCode.FORBIDDEN: "This user may not use the channel, or a `connect` hook refused",
    CloseCode.REPLACED: "Replaced by a newer connection of the same user (`connections_per_user`)",
    CloseCode.KICKED: "Disconnected through the control API",
    CloseCode.TOO_MANY_ERRORS: "Over `limits.errors`",
    CloseCode.TOO_SLOW: "More than `limits.outbox` was waiting for this client",
}


def close_codes() -> str:
    """The close codes, and whether a client should reconnect after each."""
    rows = [
        [str(int(code)), CLOSE_CODES[code], "yes" if may_come_back(code) else "no"]
        for code in CloseCode
    ]
    return table(["code", "when", "reconnect unchanged"], rows)


HTTP_STATUSES: Mapping[int, str] = {
    400: "The request violates RFC 6455 section 4.2, or HTTP itself",
    403: "The `Origin` is not one of `server.allowed_origins`",
    404: "No channel has this path, or a param does not match its schema",
    405: "A method other than GET, HEAD, POST and OPTIONS",
    426: "A plain GET, or a protocol version other than 13",
    429: "Over `limits.connections_per_address`; with `Retry-After`",
    431: "A request head over 16 KiB",
    503: "Over `limits.connections`; with `Retry-After`",
}


def http_answers() -> str:
    """The answers before the upgrade."""
    rows = [[str(s), refusal.title, HTTP_STATUSES[s]] for s, refusal in sorted(REFUSALS.items())]
    return table(["status", "title", "when"], rows)


def sent_frames() -> str:
    """What a client may send, with the answer to each."""
    rows = [
        ["`{\"type\": T, …}`, a type that the channel declares", "whatever the configuration defines for T", "nothing, or `ack` if it has an `id`"],
        *(
            # Setting one's own state is only acknowledged.
            [f"`{shown}`", asks, "`ack`" if '"set"' in shown else f"`{frame.answer}`"]
            for frame in FRAMES
            if frame.side == "client"
            for shown, asks in frame.shown.items()
        ),
    ]  # fmt: skip
    return table(["frame", "asks for", "is answered with"], rows)


def received_frames() -> str:
    """What the server sends on its own, and what it routes."""
    rows = [
        [f"`{shown}`", comes]
        for frame in FRAMES
        if frame.side == "server"
        for shown, comes in frame.shown.items()
    ]
    other = "a routed message or an event. From a room with history it carries `room` and, if it is stored, `pos`"
    return table(["frame", "when"], [*rows, ["anything else", other]])


def reserved_types() -> str:
    """The types that a configuration cannot declare."""
    return ", ".join(f"`{kind}`" for kind in sorted(RESERVED)) + "."
