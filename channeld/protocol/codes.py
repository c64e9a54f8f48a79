"""Tables of error codes, close codes and HTTP refusals."""

import enum

import attrs


class ErrorCode(enum.StrEnum):
    """The `code` of an error frame. A hook's `Reject` may bring codes of its own."""

    INVALID_JSON = "INVALID_JSON"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    UNAUTHORIZED = "UNAUTHORIZED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - a code, not a secret
    FORBIDDEN = "FORBIDDEN"
    RATE_LIMITED = "RATE_LIMITED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    REJECTED = "REJECTED"
    TOO_LARGE = "TOO_LARGE"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class CloseCode(enum.IntEnum):
    """Close codes (RFC 6455 section 7.4.1, the IANA registry, and channeld's own by range)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    REPLACED = 4409
    KICKED = 4410
    TOO_MANY_ERRORS = 4429
    TOO_SLOW = 4508


def may_come_back(code: int) -> bool:
    """Whether a client that saw this close code should reconnect (with backoff and jitter)."""
    return code in (1006, 1011, 1012, 1013) or 4500 <= code < 4600 or 4900 <= code < 4950


# Codes that a hook may close with, besides its own range (RFC 6455 section 7.4.2).
_FOR_HOOKS = frozenset({1000, 1001, 1008, 1011, 1012, 1013})


def may_close_with(code: object) -> bool:
    """Whether a hook may close a connection with this code: a few standard ones, and 3000 to 4999."""
    return type(code) is int and (code in _FOR_HOOKS or 3000 <= code <= 4999)


@attrs.frozen(slots=True)
class Refusal:
    """An HTTP answer before the upgrade: a status and the title of its problem document (RFC 9457)."""

    status: int
    title: str


REFUSALS = {
    refusal.status: refusal
    for refusal in (
        Refusal(400, "Malformed request"),
        Refusal(403, "Origin not allowed"),
        Refusal(404, "No such channel"),
        Refusal(405, "Method not allowed"),
        Refusal(426, "This is a WebSocket channel"),
        Refusal(429, "Too many connections from this address"),
        Refusal(431, "Request header fields too large"),
        Refusal(503, "Too many connections"),
    )
}
