"""Requests without a session: what a stream's client sends by POST, reads of a room, preflights.

They are transports so that one handshake judges them all; `calls.py` answers them. Another request may follow over the same
connection (RFC 9112 section 9.3), one at a time and within bounds: a body ends where its Content-Length says, and whatever
is refused by its head closes the connection.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from channeld.hooks import Request
from channeld.plan.plan import Match
from channeld.protocol.reader import Closing, FrameReader, Receives, Responds, Stop
from channeld.server.exchange import KEEP_ALIVE, Refuse, RequestHead, refuse, tokens
from channeld.server.transports.transport import Terms, Transport, Wire
from channeld.server.transports.web import judge_page, query_names, query_of, web_fields

LARGEST_BODY: Final = 1024 * 1024
MOST_AHEAD: Final = 16 * 1024
"""Bytes that a client may send before a waiting answer: a request head."""
MOST_CALLS: Final = 1000
"""Calls over one connection."""
KEPT_S: Final = 75.0
"""Seconds that a connection is kept for the next call: longer than proxies keep theirs, so that these close first."""
LONGEST_CALL: Final = 90.0
"""Seconds that an answer to a call may take; the longest read takes 60."""

Run = Callable[[bytes], Awaitable[None]]
"""Answers a call whose body is whole."""


@attrs.define(eq=False)
class Kept:
    """What a connection remembers across calls: its peer, whether it ends, and how many calls there were."""

    peer: str
    is_over: Callable[[], bool]
    calls: int = 0

    def take(self, agreement: "CallAgreement") -> "CallAgreement":
        """Count a call; returns how it is answered."""
        self.calls += 1
        is_last = self.calls >= MOST_CALLS or self.is_over()
        return agreement.last() if is_last else agreement.kept()


@attrs.define(eq=False)
class Ending:
    """What to do when the client of a waiting call leaves; set by what answers the call."""

    then: Callable[[], object] = lambda: None


class BodyReader:
    """Reads one body of known length, and then nothing until the call is answered.

    Args:
        length: bytes of the body.
        rest: what arrived of it with the head.
        run: answers the call.
        goes_on: whether another request may follow, beginning with `rest`; otherwise further bytes are ignored.
        ending: given if the answer may wait; the client is then read from, to notice when it leaves.
    """

    def __init__(
        self,
        length: int,
        rest: bytes,
        run: Run,
        *,
        goes_on: bool = False,
        ending: Ending | None = None,
    ) -> None:
        self._length = length
        self._ending = ending
        self._body = bytearray(rest)
        self._run = run
        self._goes_on = goes_on
        self._open = True
        self.pending: Awaitable[None] | None = None
        self.close: Closing | None = None

    @property
    def listens(self) -> bool:
        """Whether the client is read from while its call is answered."""
        return self._ending is not None

    @property
    def open(self) -> bool:
        """See FrameReader."""
        return self._open

    @open.setter  # noqa: A003 - as FrameReader calls it
    def open(self, value: bool) -> None:
        self._open = value
        if not value and self._ending is not None:
            self._ending.then()

    @property
    def rest(self) -> bytes:
        """Bytes received after the body."""
        return bytes(self._body[self._length :])

    def feed(self, data: bytes, now: float, budget: int) -> Stop:
        """See FrameReader."""
        if self.pending is not None and data:
            # Sent before the waiting answer. (Without data, the answer is complete.)
            self._body += data
            if len(self._body) - self._length <= MOST_AHEAD:
                return Stop.MORE
            self.open = False
            return Stop.VIOLATION
        if self.pending is not None:
            return Stop.ANSWERED if self._goes_on and self.open else Stop.VIOLATION
        self._body += data
        if len(self._body) < self._length:
            return Stop.MORE
        self.pending = self._run(bytes(self._body[: self._length]))
        return Stop.PENDING


@attrs.frozen(slots=True)
class CallAgreement:
    """How to answer: header lines to add, the length of the body, whether another request may follow."""

    fields: tuple[str, ...]
    method: str
    length: int = 0
    expects: bool = False
    keeps: bool = False
    response: bytes = b""
    since: str | None = None
    ending: Ending | None = None

    def open(self, receiver: Receives, responder: Responds, largest: int, rest: bytes) -> Wire:
        """See Agreement. Nothing is opened: `Connection` answers by `calls.py`."""
        raise NotImplementedError

    def reader(self, rest: bytes, run: Run, *, hears: bool) -> BodyReader:
        """A reader of the body; `hears`: more can be read while the answer waits."""
        ending = self.ending if hears else None
        return BodyReader(self.length, rest, run, goes_on=self.keeps, ending=ending)

    def kept(self) -> "CallAgreement":
        """The same, with a Keep-Alive field if the client asked for one."""
        lines = (KEEP_ALIVE, f"Keep-Alive: timeout={KEPT_S:.0f}")
        return attrs.evolve(self, fields=(*self.fields, *lines)) if self.keeps else self

    def last(self) -> "CallAgreement":
        """The same, but the connection closes after the answer."""
        return attrs.evolve(self, keeps=False)


@attrs.frozen(slots=True)
class Call:
    """An accepted request without a session, and how it is answered."""

    match: Match
    request: Request
    transport: Transport
    agreement: CallAgreement


@attrs.frozen(slots=True)
class _Calling:
    """What the transports of calls have in common."""

    ping: bytes = b""
    is_answered: bool = False

    def accept(self, head: RequestHead, terms: Terms) -> CallAgreement:
        """See Transport."""
        fields = head.fields
        length = int(fields.get("content-length", "0"))
        expects = fields.get("expect", "").lower() == "100-continue"
        lines = web_fields(fields, is_listed=terms.lists_origins)
        # A live stream has no length: it ends with its connection.
        is_last = "close" in tokens(fields.get("connection", "").lower())
        keeps = not is_last and ("live", "sse") not in query_of(head.target)
        ending = Ending() if self.waits(head) else None
        return CallAgreement(lines, head.method, length, expects, keeps, ending=ending)

    def waits(self, head: RequestHead) -> bool:
        """Whether the answer may have to wait."""
        return False

    def encode(self, frame: bytes) -> bytes:
        """See Transport. Frames are never sent."""
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
class Post(_Calling):
    """Frames for a connection whose stream is open somewhere."""

    name: str = "sse"

    def is_asked(self, head: RequestHead) -> bool:
        """See Transport."""
        return head.method == "POST"

    def judge(self, head: RequestHead) -> Refuse | None:
        """See Transport."""
        fields = head.fields
        kind = fields.get("content-type", "").partition(";")[0].strip().lower()
        coding = fields.get("content-encoding", "identity").lower()
        if (refusal := judge_page(head)) is not None:
            return refusal
        if (kind, coding) != ("application/json", "identity"):
            detail = "Send application/json, without Content-Encoding"
            return refuse(415, detail, "Accept-Encoding: identity")
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
class Preflight(_Calling):
    """A CORS preflight: a browser asks whether a page of another origin may read or post (Fetch Standard, section 4.8)."""

    name: str = "sse"

    def is_asked(self, head: RequestHead) -> bool:
        """See Transport."""
        return head.method == "OPTIONS"

    def judge(self, head: RequestHead) -> Refuse | None:
        """See Transport."""
        return _judge_bodiless(head)


@attrs.frozen(slots=True)
class Read(_Calling):
    """A read of a room's history and of what follows it (Durable Streams 1.0)."""

    name: str = "streams"

    def waits(self, head: RequestHead) -> bool:
        """See _Calling."""
        return "live" in query_names(head.target)

    def is_asked(self, head: RequestHead) -> bool:
        """See Transport."""
        return head.method == "HEAD" or (
            head.method == "GET" and bool({"offset", "live"} & {*query_names(head.target)})
        )

    def judge(self, head: RequestHead) -> Refuse | None:
        """See Transport."""
        return _judge_bodiless(head) or _judge_query(query_of(head.target))


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


def _judge_bodiless(head: RequestHead) -> Refuse | None:
    fields = head.fields
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        return refuse(400, "This request has no body")
    # A preflight has an Origin but no Sec-Fetch-Site.
    return judge_page(head)
