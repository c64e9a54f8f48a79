"""One client's connection, sans I/O: fed bytes, it calls the engine and fills its outbox. Its states: `state.py`."""

from collections.abc import Awaitable
from functools import partial

from channeld.later import Continuation, Pending
from channeld.protocol.codes import CloseCode
from channeld.protocol.reader import Closing, FrameReader, Stop
from channeld.server.admission import Admission, Seat
from channeld.server.exchange import Answer, Refuse, refuse
from channeld.server.handshake import Accept
from channeld.server.head import find_end
from channeld.server.outbox import TAKES_NOTHING, Sends
from channeld.server.ports import Driver, Owner, Session
from channeld.server.state import State
from channeld.server.transports.call import (
    KEPT_S,
    LONGEST_CALL,
    BodyReader,
    Call,
    CallAgreement,
    Kept,
)
from channeld.server.transports.sse import EventReader
from channeld.server.transports.transport import Encode, Stream
from channeld.server.watched import WatchedOutbox
from channeld.telemetry import log

FRAMES_A_TURN = 32
_FRAMES_A_LOOK = 8  # check the clock after this many
_SPENT = bytearray()  # replaces a head that has been read; never written to
_ENDS = frozenset({Stop.CLOSE, Stop.TOO_LARGE, Stop.VIOLATION})
_MORE = Stop.MORE  # an enum member lookup takes 0.1 µs in Python 3.11
_NO_CLOSE = Closing(CloseCode.ABNORMAL, "")


class Connection(WatchedOutbox):
    """A `Peer` for its session, a reader and an outbox for its driver.

    Args:
        admission: what the server's connections share.
        driver: does the waiting for this connection.
        socket: where it sends to, or None if the driver takes what waits (`Outbox.take`).
        address: the peer's address, empty for a Unix socket.
        secure: whether it came over TLS.

    Attributes:
        address: the client's, once a trusted proxy has said it.
    """

    __slots__ = (
        "_close", "_due", "_encode", "_head", "_is_call", "_is_pending", "_kept", "_reader",
        "_secure", "_session", "_stream", "address",
    )  # fmt: skip

    def __init__(
        self,
        admission: Admission,
        driver: Driver,
        socket: Sends | None,
        address: str,
        *,
        secure: bool,
    ) -> None:
        super().__init__(admission, driver, socket or TAKES_NOTHING)
        self.address, self._secure = address, secure
        self._is_pending = False
        # Its seat is made of this and its address, since an object would take 64 bytes; None: it has no seat.
        self._is_call: bool | None = None
        self._head = bytearray()
        self._encode: Encode = self.fanout.encode
        self._reader: FrameReader | None = None
        self._session: Session | None = None
        self._stream: Stream | None = None
        self._close = _NO_CLOSE
        self._due: Stop | None = None  # acted on once all received messages have been answered
        self._kept: Kept | None = None
        admission.arrive(self)

    # ---- called by the session (engine.ports.Peer)

    def send(self, frame: bytes) -> None:
        """Queue one frame's JSON. Never blocks or raises; does nothing once the connection is closing."""
        if self.direct is None:
            if self.state is State.OPEN:
                self.fanout.catch_up(self)
                if data := self._encode(frame):
                    self.queue(data)
            return
        fanout = self.fanout
        if fanout.recipients is not None:
            fanout.catch_up(self)
        if self.out is None and fanout.in_turn:
            # `queue`, inlined for the usual answer: saves a call.
            self.out = [fanout.encode(frame)]
            fanout.dirty.append(self)
        else:
            self.queue(fanout.encode(frame))

    def relay(self, frame: bytes, encoded: bytes) -> None:
        """Queue a room's frame, in the shared encoding or this client's own. Does nothing once it is closing."""
        if self.state is State.OPEN:
            is_shared = self._encode is self.fanout.encode
            if data := encoded if is_shared else self._encode(frame):
                self.queue(data)

    def close(self, code: int, reason: str = "") -> None:
        """Flush what is queued, then close with a Close frame (or its equivalent). Idempotent: the first code counts."""
        if self.state is State.OPEN:
            self.fanout.catch_up(self)
            self._say_close(Closing(code, reason))

    # ---- called by the driver

    def feed(self, data: bytes, now: float) -> None:
        """Take bytes received at this time; empty: the peer sends no more. Not called while `paused`."""
        self._heard = now
        reader = self._reader
        try:
            if not data:
                self._hang_up()
            elif reader is not None:
                stop = reader.feed(data, now, _FRAMES_A_LOOK)
                if stop is not _MORE:
                    self._read_on(stop, now)
            elif self.state is State.HEAD:
                self._read_head(data, now)
        except Exception as error:  # a bug above ends this connection, not the server
            self._fail(error)
            self._linger()

    def proceed(self, now: float) -> None:
        """Continue after a pause, with what was received before it. Does nothing while a message is pending."""
        if self._is_pending:
            return  # two things resumed it, and the first one did all
        self.paused = False
        try:
            due, self._due = self._due, None
            if due is _MORE:
                self._hang_up()
            elif self._reader is not None:
                self._read_on(due or self._reader.feed(b"", now, _FRAMES_A_LOOK), now)
        except Exception as error:  # a bug above ends this connection, not the server
            self._fail(error)
            self._linger()

    def abandon(self, code: int) -> None:
        """End the connection now, without waiting for anything: the server is stopping."""
        if self.state is State.OPEN:
            self._leave(Closing(code, ""), State.ENDING)
        self._release(abort=False)

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        """See Outbox."""
        return self._transport.boundary(data, start, offset)

    def give_way(self) -> None:
        """See Waiting."""
        self._release(abort=False)

    @property
    def is_idle(self) -> bool:
        """See Waiting."""
        return self._kept is not None and self.state is State.HEAD and not self._head

    def overflowed(self) -> None:
        """Close a slow consumer: it gets the rest of the partly sent frame, the reason, and a Close frame."""
        if self.state is State.OPEN and self._session is not None:
            slow, note = self._session.connection_id, self._admission.note_slow
            # If nobody in a room reads, all are too slow at once, so the log lines are written at the turn's end.
            self.fanout.when_turn_ends(partial(note, slow, self.address, self.queued, self.limit))
            self.cut()
            self._say_close(Closing(CloseCode.TOO_SLOW, "too slow"))

    def broken(self) -> None:
        """End the connection: the peer is gone."""
        self.abandon(CloseCode.ABNORMAL)

    def drained(self) -> None:
        """Continue closing: everything queued has been sent."""
        if self.state is State.LINGERING:
            self._driver.half_close()
        else:
            self._release(abort=False)

    # ---- the opening handshake

    def _read_head(self, data: bytes, now: float) -> None:
        if self._kept is not None and not self._head:
            self._set_timer(now + self._admission.plan_source().limits.handshake_timeout)
        self._head += data
        end = find_end(self._head)
        if end < 0:
            self._refuse(refuse(431, "The request head is larger than 16 KiB"))
        elif end:
            head, rest, self._head = bytes(self._head[:end]), bytes(self._head[end:]), _SPENT
            verdict = self._admission.judge(head, self.address, secure=self._secure)
            if isinstance(verdict, Accept):
                self._accept(verdict, rest, now)
            elif isinstance(verdict, Refuse):
                self._refuse(verdict)
            else:
                self._answer(verdict)

    def _refuse(self, refusal: Refuse) -> None:
        self._admission.count(refusal.status)
        log("handshake_refused", **refusal.told(self.address))
        self._answer(refusal)

    def _answer(self, answer: Answer) -> None:
        self.queue(answer.response)
        self._linger()

    def _accept(self, accepted: Accept, rest: bytes, now: float) -> None:
        seat, peer = accepted.seat, self.address
        self._is_call, self.address = seat.is_call, seat.address
        if isinstance(accepted.agreement, CallAgreement):
            self._kept = self._kept or Kept(peer, self._admission.is_draining)
            agreement = self._kept.take(accepted.agreement)
            call = Call(accepted.match, accepted.request, accepted.transport, agreement)
            self._take_call(call, rest, now)
            return
        self._admission.waiting.pop(self, None)
        try:
            session = self._admission.engine.connect(accepted.match, accepted.request, self)
        except Exception as error:  # a bug above ends this connection, not the server
            self._fail(error)
            self._refuse(refuse(500, "The server could not open a session"))
            return
        if accepted.agreement.response:
            self._admission.count(101)
            self.queue(accepted.agreement.response)
        self.state, self._session, self.limit = State.OPEN, session, session.limits.outbox
        largest = session.limits.message_size
        wire = accepted.agreement.open(session, self, largest, rest)
        self._transport, self._reader, self._encode = accepted.transport, wire.reader, wire.encode
        if wire.stream is not None:
            self._prepare(wire.stream, wire.reader)
        if wire.encode is self.fanout.encode and self.socket is not TAKES_NOTHING:
            self.direct = self.socket
        self._watch(now)
        pending = session.open(now)
        if pending is not None:
            self._wait_for(pending)
        elif self._stream is not None:
            self._begin()
        elif rest:
            self._read_on(self._reader.feed(b"", now, _FRAMES_A_LOOK), now)

    def _take_call(self, call: Call, rest: bytes, now: float) -> None:
        """Begin a call; its body has to arrive before the deadline that a head has."""
        self._transport = call.transport
        if call.agreement.expects and not rest:
            self.queue(b"HTTP/1.1 100 Continue\r\n\r\n")
        run = partial(self._answer_call, call)
        self._reader = call.agreement.reader(rest, run, hears=self._driver.hears)
        self._read_on(self._reader.feed(b"", now, FRAMES_A_TURN), now)

    def _await_call(self, kept: Kept, rest: bytes, now: float) -> None:
        """Wait for another request after a call was answered; meanwhile this connection may be closed to make room."""
        if kept.is_over():
            self._end()
            return
        self._admission.settle(self._seat())
        self._admission.waiting[self] = None
        self.state, self._reader, self._is_call = State.HEAD, None, None
        self.address, self._head = kept.peer, bytearray()
        self._set_timer(now + KEPT_S)
        if rest:
            self._read_head(rest, now)

    def _answer_call(self, call: Call, body: bytes) -> Awaitable[None]:
        answerer = self._admission.answerer
        assert answerer is not None  # noqa: S101 - else there are no calls
        self.state = State.OPEN
        self._admission.waiting.pop(self, None)
        self._set_timer(self._admission.now() + LONGEST_CALL)
        return answerer.answer(call, body, self.respond)

    def _prepare(self, stream: Stream, reader: FrameReader) -> None:
        """Hold the answer back until the session has accepted the client."""
        self._stream = stream
        if isinstance(reader, EventReader) and self._admission.answerer is not None:
            self._admission.answerer.streams[reader.secret] = self

    def _begin(self) -> None:
        """Begin the stream: the session has accepted the client, or ended."""
        stream, reader = self._stream, self._reader
        if stream is None or self.state is not State.OPEN:
            return
        if not stream.has_begun:
            self.queue(stream.begin())
        if isinstance(reader, EventReader) and reader.come_back():
            self._admission.count(200)

    @property
    def owner(self) -> Owner | None:
        """The stream's owner, while its session lives."""
        return None if self._session is None else Owner.of(self._session)

    async def post(self, texts: list[bytes]) -> list[bytes]:
        """Take what a stream's client has posted; returns the answers. Messages after the session's end are dropped."""
        if not isinstance(self._reader, EventReader):
            return []
        return await self._reader.answers_to(texts, self._admission.runtime.make_event())

    def take_posted(self) -> None:
        """See ConnectionSide."""
        # A pending message continues by itself, and posted messages are taken after it.
        if not self._is_pending and self.state is State.OPEN:
            self.paused = True
            self._driver.resume()

    # ---- reading

    def _read_on(self, stop: Stop, now: float) -> None:
        """Act on why the reader stopped, and let it continue while it can."""
        looks = FRAMES_A_TURN // _FRAMES_A_LOOK
        while stop is not Stop.MORE:
            reader = self._reader
            if stop is Stop.BUDGET:
                looks -= 1
                if not looks or self.fanout.is_over():
                    self.paused = True
                    self._driver.resume()
                    return
            elif (
                reader is None
                or (stop in _ENDS and self._must_settle(stop))
                or not self._may_go_on(stop, reader, now)
            ):
                return
            reader = self._reader
            stop = Stop.MORE if reader is None else reader.feed(b"", now, _FRAMES_A_LOOK)

    def _must_settle(self, due: Stop) -> bool:
        """Whether received messages are still unanswered; if so, act on `due` once they are answered."""
        session = self._session
        later = session.settled() if session is not None and self.state is State.OPEN else None
        if later is not None:
            self._due = due
            self._wait_for(later)
        return later is not None

    def _may_go_on(self, stop: Stop, reader: FrameReader, now: float) -> bool:
        if stop is Stop.PENDING and reader.pending is not None:
            self._wait_for(reader.pending)
        elif stop is Stop.UNUSUAL:
            self._reader = self._transport.succeed(reader)
            return True
        elif stop is Stop.CLOSE and reader.close is not None:
            self._answer_close(reader.close)
        elif stop is Stop.ANSWERED and isinstance(reader, BodyReader) and self._kept is not None:
            self._await_call(self._kept, reader.rest, now)
        elif stop is not Stop.CLOSED:
            self._break_off(stop, reader, now)
        # The session closed it within `feed`: a successor looks for the client's Close in the remaining bytes.
        return stop is Stop.CLOSED

    def _answer_close(self, close: Closing) -> None:
        if self.state is State.OPEN:
            self.fanout.catch_up(self)
            self.queue(self._transport.close(close.code, ""))
            self._leave(close, State.ENDING)
        self._end()

    def _break_off(self, stop: Stop, reader: FrameReader, now: float) -> None:
        """Stop reading after a violation or a message that is too large: further bytes cannot be interpreted."""
        if stop is Stop.TOO_LARGE:
            if self.state is State.OPEN and self._session is not None:
                self._session.too_large(now)
            self.close(CloseCode.MESSAGE_TOO_BIG, "message too large")
        elif reader.close is not None:
            self.close(reader.close.code, reader.close.reason)
        self._linger()

    def _hang_up(self) -> None:
        """End reading: the peer sends no more. What is queued for it is still sent."""
        if self._must_settle(_MORE):
            return
        self.paused = True
        if self.state is State.OPEN:
            self.fanout.catch_up(self)
            self._leave(_NO_CLOSE, State.ENDING)
        if self.state in (State.HEAD, State.LINGERING):
            self._release(abort=False)
        else:
            self._end()

    # ---- waiting for others

    def _wait_for(self, pending: Awaitable[None]) -> None:
        self._is_pending = True
        self.paused = not (isinstance(self._reader, BodyReader) and self._reader.listens)
        if isinstance(pending, Continuation):
            pending.then(self._go_on)
        else:
            rest = pending if isinstance(pending, Pending) else Pending(_awaited(pending))
            rest.go_on(self._admission.runtime.spawn, self._waited)

    def _waited(self, error: Exception | None) -> None:
        if error is not None:
            # A bug above ends this connection, not the server.
            self._fail(error)
        self._go_on()

    def _go_on(self) -> None:
        self._is_pending = False
        self._begin()
        if self.state is not State.OPEN:
            self.fanout.when_turn_ends(self._tell_session)
        if self.state is not State.GONE:
            self._driver.resume()

    # ---- called by the watch

    def expired(self) -> None:
        """See WatchedOutbox."""
        if self.state is State.HEAD and not self.is_idle:
            self._admission.counters.handshake_timeouts += 1
        self._release(abort=self.out is not None or self.state is State.CLOSING)

    def aged(self) -> None:
        """See WatchedOutbox."""
        if self._session is not None:
            self._session.retire()

    def lost(self) -> None:
        """See WatchedOutbox."""
        self._admission.counters.ping_timeouts += 1
        self._leave(Closing(CloseCode.ABNORMAL, "ping timeout"), State.ENDING)
        self._release(abort=True)

    def respond(self, data: bytes) -> None:
        """Queue bytes of the transport's own, after the room batch that is pending."""
        if self.state is State.OPEN:
            self.fanout.catch_up(self)
            self.queue(data)

    # ---- closing

    def _say_close(self, close: Closing) -> None:
        if self._stream is not None:
            status, words = self._stream.close(close.code, close.reason)
            if status:
                self._admission.count(status)
            self.queue(words)
            self._leave(close, State.CLOSING)
            self._linger()
            return
        self.queue(self._transport.close(close.code, close.reason))
        self._leave(close, State.CLOSING)
        if self._reader is not None:
            # The caller may be the reader's own receiver, so the reader must not be changed.
            self._reader = self._transport.succeed(self._reader)

    def _leave(self, close: Closing, state: State) -> None:
        """Leave OPEN: nothing more is queued, and the session will be told."""
        self.state, self.direct, self._close = state, None, close
        if self._reader is not None:
            self._reader.open = False
        if isinstance(self._reader, EventReader):
            self._reader.abandon()
            if self._admission.answerer is not None:
                self._admission.answerer.streams.pop(self._reader.secret, None)
        self._set_timer(self._admission.now() + self._admission.linger)
        self.fanout.when_turn_ends(self._tell_session)

    def _tell_session(self) -> None:
        session = self._session
        if session is None or self._is_pending:
            return
        self._session = None
        try:
            pending = session.closed(self._close.code, self._close.reason, self._admission.now())
        except Exception as error:  # a bug above ends this connection, not the server
            self._fail(error)
        else:
            if pending is not None:
                self._admission.runtime.spawn(pending)

    def _end(self) -> None:
        """Expect nothing more from the client: the connection is gone once everything is sent."""
        if self.state is not State.GONE:
            self.state, self._reader, self.parting = State.ENDING, None, True
            if self.out is None:
                self.drained()

    def _linger(self) -> None:
        """Send what is queued, and discard whatever arrives."""
        if self.state in (State.HEAD, State.OPEN):
            self._set_timer(self._admission.now() + self._admission.linger)
        if self.state not in (State.ENDING, State.GONE):
            self.state, self._reader, self.parting = State.LINGERING, None, True
            if self.out is None:
                self.drained()

    def _release(self, *, abort: bool) -> None:
        if self.state is not State.GONE:
            self.state, self._reader, self.direct, self.out = State.GONE, None, None, None
            self.paused = True
            self._admission.waiting.pop(self, None)
            self.let_go()
            self._unwatch(abort=abort)
            self._admission.leave(self._seat())

    def _seat(self) -> Seat | None:
        return None if self._is_call is None else Seat(self.address, self._is_call)

    def _fail(self, error: Exception) -> None:
        self._admission.counters.failures += 1
        connection = self._session.connection_id if self._session is not None else None
        log("connection_failed", connection=connection, exception=error)
        self.close(CloseCode.INTERNAL_ERROR, "internal error")


async def _awaited(pending: Awaitable[None]) -> None:
    await pending
