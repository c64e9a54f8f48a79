"""What the transports over plain HTTP share: checks of a request, and header lines of the answers.

A cross-origin request is known by `Origin` or by `Sec-Fetch-Site` (Fetch Metadata); answers to an allowed origin carry the
CORS fields (Fetch Standard, section 3.3).
"""

import http
import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from channeld.protocol.codes import CloseCode, ErrorCode
from channeld.server.exchange import ALWAYS, Refuse, RequestHead, answer, refuse

EVENT_HEAD: Final = (
    "HTTP/1.1 200 OK",
    "Content-Type: text/event-stream",
    "X-Accel-Buffering: no",
)
"""How a stream of events begins; nginx obeys the last line."""
_EXPOSED: Final = "ETag, Retry-After, Stream-Next-Offset, Stream-Cursor, Stream-Up-To-Date"
_STATUS_OF: Final[Mapping[int, int]] = {
    CloseCode.UNAUTHORIZED: 401,
    CloseCode.FORBIDDEN: 403,
    CloseCode.TRY_AGAIN_LATER: 503,
    CloseCode.SERVICE_RESTART: 503,
    CloseCode.INTERNAL_ERROR: 500,
}
_CODES_OF: Final[Mapping[int, ErrorCode]] = {
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    503: ErrorCode.UNAVAILABLE,
}


def judge_page(head: RequestHead) -> Refuse | None:
    """The checks that all of them share."""
    fields = head.fields
    if head.version != "1.1" or "host" not in fields:
        return refuse(400, "A request is HTTP/1.1 with one Host field")
    if "origin" not in fields and fields.get("sec-fetch-site", "none") not in (
        "same-origin",
        "none",
    ):
        return refuse(403, "Pages of this origin may not connect: see server.allowed_origins")
    return None


def web_fields(fields: Mapping[str, str], *, is_listed: bool) -> tuple[str, ...]:
    """The header lines of an answer to an accepted request; `is_listed`: its origin was allowed by name."""
    return (*ALWAYS, *cors_fields(fields, is_listed=is_listed)) if "origin" in fields else ALWAYS


def cors_fields(fields: Mapping[str, str], *, is_listed: bool) -> tuple[str, ...]:
    """The CORS fields that let a page of an allowed origin read the answer."""
    listed = ("Access-Control-Allow-Credentials: true",) if is_listed else ()
    return (
        f"Access-Control-Allow-Origin: {fields['origin']}",
        f"Access-Control-Expose-Headers: {_EXPOSED}",
        "Vary: Origin",
        *listed,
    )


def problem_of(
    code: int, reason: str, error: Mapping[str, object] | None, *lines: str
) -> tuple[int, bytes]:
    """The refusal of a request whose session closed before accepting it.

    Args:
        code: the close code; one of a hook's own is a 403.
        reason: the close reason.
        error: the last `error` frame that it was sent.
        lines: header lines of the answer.

    Returns:
        The status and the complete answer.
    """
    status = _STATUS_OF.get(code, 403)
    error = error or {}
    problem = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": error.get("message", reason or http.HTTPStatus(status).phrase),
        "code": error.get("code", _CODES_OF.get(status, ErrorCode.INTERNAL_ERROR)),
        **{name: error[name] for name in error if name not in ("type", "message", "code", "id")},
    }
    retry = ("Retry-After: 1",) if status == 503 else ()
    challenge = ("WWW-Authenticate: Bearer",) if status == 401 else ()
    body = json.dumps(problem).encode()
    return status, answer(status, body, "application/problem+json", *lines, *retry, *challenge)


def query_of(target: str) -> list[tuple[str, str]]:
    """The names and values in a request target's query."""
    query = target.partition("?")[2]
    pairs = [pair.partition("=") for pair in query.split("&", 100)[:100]] if query else []
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def query_names(target: str) -> set[str]:
    """The names in it."""
    return {name for name, _ in query_of(target)}
