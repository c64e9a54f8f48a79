"""Request heads and the answers that refuse them, shared by handshake and transports. Pure."""

import http
import json
from collections.abc import Mapping, Sequence
from typing import Final, Self

import attrs

from channeld.protocol.codes import REFUSALS

ALWAYS: Final = (
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: no-referrer",
    "Cross-Origin-Resource-Policy: same-origin",
)
"""Header lines of every answer over plain HTTP. The last does not concern requests that CORS allows."""
KEEP_ALIVE: Final = "Connection: keep-alive"


@attrs.frozen(slots=True)
class RequestHead:
    """A well-formed request head, its bytes as Latin-1: field names in lower case, repeated ones joined.

    Joined by a comma (RFC 9110 section 5.3); cookies by a semicolon (RFC 9113 section 8.2.3).
    """

    method: str
    target: str
    version: str
    fields: Mapping[str, str]


@attrs.frozen(slots=True, kw_only=True)
class Answer:
    """A complete HTTP answer, after which the connection is closed."""

    status: int
    response: bytes

    def without_body(self) -> Self:
        """The answer to HEAD (RFC 9110 section 9.3.2)."""
        head, end, _ = self.response.partition(b"\r\n\r\n")
        return attrs.evolve(self, response=head + end)

    def with_lines(self, lines: Sequence[str]) -> Self:
        """The same answer with further header lines."""
        status, end, rest = self.response.partition(b"\r\n")
        more = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        return attrs.evolve(self, response=status + end + more + rest)


@attrs.frozen(slots=True, kw_only=True)
class Refuse(Answer):
    """A refusal: its status and reason, and the whole HTTP answer, after which the connection is closed.

    Path, origin and address are for the log; a head that could not be read has none of them.
    """

    detail: str
    path: str | None = None
    origin: str | None = None
    address: str | None = None

    def told(self, peer: str) -> dict[str, object]:
        """Fields for the log; `peer` is used if the head names no address."""
        known = {"path": self.path, "origin": self.origin}
        found = {name: value for name, value in known.items() if value is not None}
        address = self.address or peer
        return {"status": self.status, "reason": self.detail, **found, "address": address}


def answer(status: int, body: bytes, kind: str, *lines: str) -> bytes:
    """A complete answer, after which the connection is closed unless a line is KEEP_ALIVE."""
    head = (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        *lines,
        *((f"Content-Type: {kind}",) if body or status == 200 else ()),
        *((f"Content-Length: {len(body)}",) if status not in (204, 304) else ()),
        *(() if KEEP_ALIVE in lines else ("Connection: close",)),
        "",
        "",
    )
    return "\r\n".join(head).encode("latin-1") + body


def refuse(status: int, detail: str, *fields: str) -> Refuse:
    """Make a refusal with an `application/problem+json` body (RFC 9457); `fields` are further header lines."""
    phrase = http.HTTPStatus(status).phrase
    title = REFUSALS[status].title if status in REFUSALS else phrase
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = json.dumps(problem).encode()
    response = answer(status, body, "application/problem+json", *ALWAYS, *fields)
    return Refuse(status=status, detail=detail, response=response)


def say(status: int, told: Mapping[str, object]) -> Answer:
    """A short JSON answer that must not be cached."""
    body = json.dumps(told).encode()
    return Answer(status=status, response=answer(status, body, "application/json", *ALWAYS))


def accepts(field: str, kind: str) -> bool:
    """Whether an `Accept` field names a media type with a weight over 0 (RFC 9110 section 12.5.1). A wildcard names none."""
    for entry in tokens(field.lower()):
        name, *parameters = (part.strip() for part in entry.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        if name == kind and weight.strip("0."):
            return True
    return False


def tokens(field: str) -> list[str]:
    """The members of a comma-separated field."""
    return [token for part in field.split(",") if (token := part.strip())] if field else []
