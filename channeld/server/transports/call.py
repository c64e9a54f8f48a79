"""Requests that are answered as a whole: what a stream's client sends by POST, reads of a room, preflights.

They are transports, so that one handshake judges all; but no session is opened for them. `calls.py` answers them.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import attrs

from channeld.protocol.reader import Closing, FrameReader, Receive, Stop
from channeld.server.exchange import Refuse, RequestHead, refuse
from channeld.server.transports.transport import Respond, Terms, Wire
from channeld.server.transports.web import judge_page, query_names, query_of, web_fields

__all__ = [
    "LARGEST_BODY",
    "LONGEST_CALL",
    "BodyReader",
    "CallAgreement",
    "Post",
    "Preflight",
    "Read",
]

LARGEST_BODY: Final = 1024 * 1024
LONGEST_CALL: Final = 90.0
"""Seconds that an answer to a call may take; the longest read takes 60."""

Run = Callable[[bytes], Awaitable[None]]
"""Answers a call whose body is whole."""


class BodyReader:
    """Reads one body of a known length; then nothing is read until the call is answered, and nothing after that."""

    def __init__(self, length: int, rest: bytes, run: Run) -> None:
        self._length = length
        self._body = bytearray(rest)
        self._run = run
        self.open = True
        self.pending: Awaitable[None] | None = None
        self.close: Closing | None = None

    def feed(self, data: bytes, now: float, budget: int) -> Stop:
        """See FrameReader."""
        if self.pending is not None:
            return Stop.VIOLATION  # it is answered: whatever else comes means nothing
        self._body += data
        if len(self._body) < self._length:
            return Stop.MORE
        self.pending = self._run(bytes(self._body[: self._length]))
        return Stop.PENDING


@attrs.frozen(slots=True)
class CallAgreement:
    """What is to be answered: the header lines that go along, and how many bytes the body has."""

    fields: tuple[str, ...]
    method: str
    length: int = 0
    expects: bool = False
    response: bytes = b""
    since: str | None = None

    def open(self, receive: Receive, respond: Respond, largest: int, rest: bytes) -> Wire:
        """See Agreement. Nothing is opened: `Connection` answers by `calls.py`."""
        raise NotImplementedError


@attrs.frozen(slots=True)
class _Call:
    """What calls have in common, as transports."""

    ping: bytes = b""
    is_answered: bool = False

    def accept(self, head: RequestHead, fields: Mapping[str, str], terms: Terms) -> CallAgreement:
        """See Transport."""
        length = int(fields.get("content-length", "0"))
        expects = fields.get("expect", "").lower() == "100-continue"
        lines = web_fields(fields, is_listed=terms.lists_origins)
        return CallAgreement(lines, head.method.decode(), length, expects)

    def encode(self, frame: bytes) -> bytes:
        """See Transport. No frame is ever sent."""
        return frame

    def close(self, code: int, reason: str) -> bytes:
        """See Transport."""
        return b""

    def succeed(self, reader: FrameReader) -> FrameReader:
        """See Transport."""
        return reader

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        """See Transport. An answer is never cut."""
        return len(data)


@attrs.frozen(slots=True)
class Post(_Call):
    """Frames for a connection whose stream is open somewhere."""

    name: str = "sse"

    def is_asked(self, head: RequestHead) -> bool:
        """See Transport."""
        return head.method == b"POST"

    def judge(self, head: RequestHead, fields: Mapping[str, str]) -> Refuse | None:
        """See Transport."""
        kind = fields.get("content-type", "").partition(";")[0].strip().lower()
        if (refusal := judge_page(head, fields)) is not None:
            return refusal
        if kind != "application/json":
            return refuse(415, "Send application/json")
        if "transfer-encoding" in fields or not fields.get("content-length", "").isdecimal():
            return refuse(411, "Say how long the body is, with Content-Length")
        if len(fields["content-length"]) > 9 or int(fields["content-length"]) > LARGEST_BODY:
            return refuse(413, f"A body may have {LARGEST_BODY} bytes")
        if not fields.get("channeld-connection"):
            return refuse(
                400, "Name the connection in Channeld-Connection: the id of its first event"
            )
        return None


@attrs.frozen(slots=True)
class Preflight(_Call):
    """What a browser asks before it lets a page of another origin read or post (Fetch Standard, section 4.8)."""

    name: str = "sse"

    def is_asked(self, head: RequestHead) -> bool:
        """See Transport."""
        return head.method == b"OPTIONS"

    def judge(self, head: RequestHead, fields: Mapping[str, str]) -> Refuse | None:
        """See Transport."""
        return _judge_bodiless(head, fields)


@attrs.frozen(slots=True)
class Read(_Call):
    """A read of a room's history and what comes after it, as Durable Streams 1.0 has them."""

    name: str = "streams"

    def is_asked(self, head: RequestHead) -> bool:
        """See Transport."""
        return head.method == b"HEAD" or (
            head.method == b"GET" and bool({"offset", "live"} & {*query_names(head.target)})
        )

    def judge(self, head: RequestHead, fields: Mapping[str, str]) -> Refuse | None:
        """See Transport."""
        return _judge_bodiless(head, fields) or _judge_query(query_of(head.target))


def _judge_query(pairs: list[tuple[str, str]]) -> Refuse | None:
    offsets = [value for name, value in pairs if name == "offset"]
    lives = [value for name, value in pairs if name == "live"]
    if len(offsets) > 1 or "" in offsets:
        return refuse(400, "Give one offset")
    if lives and (len(lives) > 1 or lives[0] not in ("long-poll", "sse")):
        return refuse(400, "`live` is long-poll or sse")
    if lives and not offsets:
        return refuse(400, "A live read needs an offset")
    return None


def _judge_bodiless(head: RequestHead, fields: Mapping[str, str]) -> Refuse | None:
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        return refuse(400, "This request has no body")
    # A preflight has an origin; its browser says nothing of the site.
    return judge_page(head, fields)
