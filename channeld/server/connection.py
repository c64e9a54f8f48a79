"""One client's connection: fed bytes, it fills its outbox and asks the engine; it never waits. `states.py` is its map."""

from collections.abc import Awaitable

from channeld.protocol.codes import REFUSALS, CloseCode
from channeld.protocol.websocket import (
    PING,
    CloseFrame,
    Scanner,
    Stop,
    encode_close,
    encode_text,
)
from channeld.server.admission import Admission
from channeld.server.handshake import Accept, Refuse, refuse
from channeld.server.head import find_end
from channeld.server.outbox import Outbox, Write
from channeld.server.ports import Driver, Session
from channeld.server.states import State
from channeld.server.transports.deflate import PerMessageDeflate
from channeld.server.transports.fallback import Slow
from channeld.telemetry import log
from channeld.timers import Timer

__all__ = ["FRAMES_A_TURN", "Connection"]

FRAMES_A_TURN = 32
_PING = encode_text(b"", PING)
_SPENT = bytearray()  # for a head that has been read; nothing is ever added to it
_MORE = Stop.MORE  # Python 3.11 looks a member up in 0.1 µs
_NO_CLOSE = CloseFrame(CloseCode.ABNORMAL, "")


class Connection(Outbox):
    """A `Peer` for its session, a reader and an outbox for its carrier.

    Args:
        gate: what the server's connections share.
        carrier: who waits for this connection.
        write: `socket.send`, or None where the carrier takes what waits (`Outbox.take`).
        address: the peer's address, empty for a Unix socket.
        secure: whether it came over TLS.

    Attributes:
        state: where it is.
        paused: nothing may be fed for now.
    """

    __slots__ = (
        "_address",
        "_carrier",
        "_close",
        "_deflate",
        "_gate",
        "_head",
        "_heard",
        "_is_admitted",
        "_is_pending",
        "_pinged",
        "_reader",
        "_secure",
        "_session",
        "_timer",
        "paused",
        "state",
    )

    def __init__(
        self, gate: Admission, carrier: Driver, write: Write | None, address: str, *, secure: bool
    ) -> None:
        super().__init__(gate.fanout, write or _takes_nothing)
        self._gate = gate
        self._carrier = carrier
        self._address = address
        self._secure = secure
        self.state = State.HEAD
        self.paused = self._is_pending = self._is_admitted = False
        self._head = bytearray()
        self._reader: Scanner | Slow | None = None
        self._deflate: PerMessageDeflate | None = None
        self._session: Session | None = None
        self._close = _NO_CLOSE
        self._heard = gate.now()
        self._pinged = float("inf")
        gate.arrive()
        timeout = gate.plan_source().limits.handshake_timeout
        self._timer: Timer = gate.runtime.timers.at(self._heard + timeout, self._on_time)

    # ---- what the session asks (engine.peer.Peer)

    def send(self, frame: bytes) -> None:
        """Queue one frame's JSON. Never blocks or raises; nothing once it is closing."""
        if self.direct is None:
            if self.state is State.OPEN:
                self.fanout.catch_up(self)
                self.relay(frame, encode_text(frame))
            return
        fanout = self.fanout
        if fanout.recipients is not None:
            fanout.catch_up(self)
        if self.out is None and fanout.in_turn:
            # `queue`, written out for the usual answer: a call less.
            self.out = [encode_text(frame)]
            fanout.dirty.append(self)
        else:
            self.queue(encode_text(frame))

    def relay(self, frame: bytes, encoded: bytes) -> None:
        """Queue a room's frame, encoded for everybody; a client that compresses gets its own. Nothing once closing."""
        if self.state is State.OPEN:
            self.queue(encoded if self._deflate is None else self._deflate.compress(frame))

    def close(self, code: int, reason: str = "") -> None:
        """Flush what is queued, then close with a Close frame. Idempotent: the first code counts."""
        if self.state is State.OPEN:
            self.fanout.catch_up(self)
            self._say_close(CloseFrame(code, reason))

    # ---- what the carrier asks

    def feed(self, data: bytes, now: float) -> None:
        """Bytes came at this time; none: the peer will send no more. Not while `paused`."""
        self._heard = now
        reader = self._reader
        try:
            if not data:
                self._hang_up()
            elif reader is not None:
                stop = reader.feed(data, now, FRAMES_A_TURN)
                if stop is not _MORE:
                    self._read_on(stop, now)
            elif self.state is State.HEAD:
                self._read_head(data, now)
        except Exception as error:  # a bug above ends this connection, not the server
            self._fail(error)
            self._linger()

    def proceed(self, now: float) -> None:
        """Go on after a pause with what came before it."""
        self.paused = False
        try:
            if self._reader is not None:
                self._read_on(self._reader.feed(b"", now, FRAMES_A_TURN), now)
        except Exception as error:  # a bug above ends this connection, not the server
            self._fail(error)
            self._linger()

    def abandon(self, code: int) -> None:
        """The server stops: the connection ends now, without waiting for anything."""
        if self.state is State.OPEN:
            self._leave(CloseFrame(code, ""), State.ENDING)
        self._release(abort=False)

    def want_write(self) -> None:
        """The peer takes no more for now."""
        self._carrier.want_write()

    def overflowed(self) -> None:
        """A slow consumer: it gets the rest of the frame that is partly sent, the reason, and its end."""
        if self.state is State.OPEN and self._session is not None:
            self._gate.counters.slow_consumers += 1
            log(
                "slow_consumer",
                connection=self._session.connection_id,
                address=self._address,
                bytes=self.queued,
                limit=self.limit,
            )
            self.cut()
            self._say_close(CloseFrame(CloseCode.TOO_SLOW, "too slow"))

    def broken(self) -> None:
        """The peer is gone."""
        if self.state is State.OPEN:
            self._leave(_NO_CLOSE, State.ENDING)
        self._release(abort=False)

    def drained(self) -> None:
        """The last words have been sent."""
        if self.state is State.LINGERING:
            self._carrier.half_close()
        else:
            self._release(abort=False)

    # ---- the opening handshake

    def _read_head(self, data: bytes, now: float) -> None:
        self._head += data
        end = find_end(self._head)
        if end < 0:
            self._refuse(refuse(431, "The request head is larger than 16 KiB"))
        elif end:
            head, rest, self._head = bytes(self._head[:end]), bytes(self._head[end:]), _SPENT
            verdict = self._gate.judge(head, self._address, secure=self._secure)
            if isinstance(verdict, Refuse):
                self._refuse(verdict)
            else:
                self._accept(verdict, rest, now)

    def _refuse(self, refusal: Refuse) -> None:
        self._gate.count(refusal.status)
        reason = REFUSALS[refusal.status].title if refusal.status in REFUSALS else "internal error"
        log("handshake_refused", status=refusal.status, reason=reason, address=self._address)
        self.queue(refusal.response)
        self._linger()

    def _accept(self, accepted: Accept, rest: bytes, now: float) -> None:
        self._is_admitted = True
        self._address = accepted.request.address
        match = accepted.match
        try:
            session = self._gate.engine.connect(match.channel, match.params, accepted.request, self)
        except Exception as error:  # a bug above ends this connection, not the server
            self._fail(error)
            self._refuse(refuse(500, "The server could not open a session"))
            return
        self._gate.count(101)
        self.queue(accepted.response)
        self.state, self._session, self.limit = State.OPEN, session, session.limits.outbox
        scanner = Scanner(session.receive, self._send_control, session.limits.message_size)
        scanner.rest = rest
        self._reader = scanner
        if accepted.deflate is not None:
            self._deflate = PerMessageDeflate(accepted.deflate, scanner.largest)
            self._reader = self._gate.slow(scanner, self._deflate)
        elif self.write is not _takes_nothing:
            self.direct = self.write
        interval = self._gate.plan_source().server.ping.interval
        if self._timer.deadline > now + interval:
            self._set_timer(now + interval)
        pending = session.open(now)
        if pending is not None:
            self._wait_for(pending)
        elif rest:
            self._read_on(self._reader.feed(b"", now, FRAMES_A_TURN), now)

    # ---- reading

    def _read_on(self, stop: Stop, now: float) -> None:
        """See to why the reader stopped, and let it go on while it can."""
        while stop is not Stop.MORE:
            reader = self._reader
            if reader is None or not self._may_go_on(stop, reader, now):
                return
            reader = self._reader
            stop = Stop.MORE if reader is None else reader.feed(b"", now, FRAMES_A_TURN)

    def _may_go_on(self, stop: Stop, reader: Scanner | Slow, now: float) -> bool:
        if stop is Stop.BUDGET:
            self.paused = True
            self._carrier.resume()
        elif stop is Stop.PENDING and reader.pending is not None:
            self._wait_for(reader.pending)
        elif stop is Stop.UNUSUAL and isinstance(reader, Scanner):
            self._reader = self._gate.slow(reader)
            return True
        elif stop is Stop.CLOSE and reader.close is not None:
            self._answer_close(reader.close)
        elif stop is not Stop.CLOSED:
            self._break_off(stop, reader, now)
        # Closed by the session within `feed`: the slow half awaits the client's Close in what the scanner left.
        return stop is Stop.CLOSED and isinstance(reader, Slow)

    def _answer_close(self, close: CloseFrame) -> None:
        if self.state is State.OPEN:
            self.fanout.catch_up(self)
            self.queue(encode_close(close.code))
            self._leave(close, State.ENDING)
        self._end()

    def _break_off(self, stop: Stop, reader: Scanner | Slow, now: float) -> None:
        """A violation, or too large a message: from here on the client's bytes mean nothing."""
        if stop is Stop.TOO_LARGE:
            if self.state is State.OPEN and self._session is not None:
                self._session.too_large(now)
            self.close(CloseCode.MESSAGE_TOO_BIG, "message too large")
        elif reader.close is not None:
            self.close(reader.close.code, reader.close.reason)
        self._linger()

    def _hang_up(self) -> None:
        """The peer will send no more. What was queued for it still leaves."""
        self.paused = True
        if self.state is State.OPEN:
            self.fanout.catch_up(self)
            self._leave(_NO_CLOSE, State.ENDING)
        if self.state in (State.HEAD, State.LINGERING):
            self._release(abort=False)
        else:
            self._end()

    # ---- waiting, which others do

    def _wait_for(self, pending: Awaitable[None]) -> None:
        self.paused = self._is_pending = True
        self._gate.runtime.spawn(self._wait(pending))

    async def _wait(self, pending: Awaitable[None]) -> None:
        try:
            await pending
        except Exception as error:  # a bug above ends this connection, not the server
            self._fail(error)
        self._is_pending = False
        if self.state is not State.OPEN:
            self.fanout.when_turn_ends(self._tell_session)
        if self.state is not State.GONE:
            self._carrier.resume()

    def _on_time(self, now: float) -> None:
        if self.state is State.OPEN:
            self._keep_alive(now)
            return
        if self.state is State.HEAD:
            self._gate.counters.handshake_timeouts += 1
        self._release(abort=self.out is not None or self.state is State.CLOSING)

    def _keep_alive(self, now: float) -> None:
        ping = self._gate.plan_source().server.ping
        if self.paused:
            # It is not the client's silence: nobody listens.
            self._heard = now
        if self._pinged > self._heard and self._pinged <= now:
            self._gate.counters.ping_timeouts += 1
            self._leave(CloseFrame(CloseCode.ABNORMAL, "ping timeout"), State.ENDING)
            self._release(abort=True)
        elif now - self._heard >= ping.interval:
            self._pinged = now
            self._send_control(_PING)
            self._set_timer(now + ping.timeout)
        else:
            self._set_timer(self._heard + ping.interval)

    def _set_timer(self, deadline: float) -> None:
        self._timer.cancel()
        self._timer = self._gate.runtime.timers.at(deadline, self._on_time)

    # ---- parting

    def _send_control(self, data: bytes) -> None:
        if self.state is State.OPEN:
            self.fanout.catch_up(self)
            self.queue(data)

    def _say_close(self, close: CloseFrame) -> None:
        self.queue(encode_close(close.code, close.reason))
        self._leave(close, State.CLOSING)
        if isinstance(self._reader, Scanner):
            # It may be the scanner's own receiver that asks, so the scanner is not touched.
            self._reader = self._gate.slow(self._reader)

    def _leave(self, close: CloseFrame, state: State) -> None:
        """Out of OPEN: nothing is queued any more, and the session will be told."""
        self.state, self.direct, self._close = state, None, close
        if self._reader is not None:
            self._reader.open = False
        self._set_timer(self._gate.now() + self._gate.linger)
        self.fanout.when_turn_ends(self._tell_session)

    def _tell_session(self) -> None:
        session = self._session
        if session is None or self._is_pending:
            return
        self._session = None
        try:
            pending = session.closed(self._close.code, self._close.reason, self._gate.now())
        except Exception as error:  # a bug above ends this connection, not the server
            self._fail(error)
        else:
            if pending is not None:
                self._gate.runtime.spawn(pending)

    def _end(self) -> None:
        """Nothing is awaited from the client: the connection is gone as soon as all is sent."""
        if self.state is not State.GONE:
            self.state, self._reader, self.parting = State.ENDING, None, True
            if self.out is None:
                self.drained()

    def _linger(self) -> None:
        """All is said, and nothing that comes is read."""
        if self.state is State.HEAD:
            self._set_timer(self._gate.now() + self._gate.linger)
        if self.state not in (State.ENDING, State.GONE):
            self.state, self._reader, self.parting = State.LINGERING, None, True
            if self.out is None:
                self.drained()

    def _release(self, *, abort: bool) -> None:
        if self.state is not State.GONE:
            self.state, self._reader, self.direct, self.out = State.GONE, None, None, None
            self.paused = True
            self._timer.cancel()
            self._carrier.release(abort=abort)
            self._gate.leave(self._address if self._is_admitted else None)

    def _fail(self, error: Exception) -> None:
        self._gate.counters.failures += 1
        connection = self._session.connection_id if self._session is not None else None
        log("connection_failed", connection=connection, exception=error)
        self.close(CloseCode.INTERNAL_ERROR, "internal error")


def _takes_nothing(_data: bytes | memoryview) -> int:
    return 0
