"""A connection's timers: the deadline of each state and, while it is open, pings, its maximum age and its peer's progress."""

from math import inf

from channeld.server.admission import Admission
from channeld.server.flow import UNKNOWN, Flow
from channeld.server.outbox import TAKES_NOTHING, Outbox, Sends
from channeld.server.ports import Driver
from channeld.server.stall import Stall
from channeld.server.state import State
from channeld.server.transports.transport import Transport
from channeld.timers import Timer


class _Released:
    """The driver of a connection that is gone. Keeping its own driver would make a cycle for the garbage collector."""

    hears = False

    def want_write(self) -> None: ...

    def resume(self) -> None: ...

    def half_close(self) -> None: ...

    def flow(self) -> Flow:
        return UNKNOWN

    def release(self, *, abort: bool) -> None: ...


_RELEASED = _Released()


class WatchedOutbox(Outbox):
    """An outbox whose peer must show signs of life; the base of `connection.Connection`.

    Attributes:
        state: its current state.
        paused: nothing may be fed for now.
    """

    __slots__ = (
        "_admission", "_driver", "_ends", "_heard", "_pinged", "_stall", "_taken", "_timer",
        "_transport", "paused", "state",
    )  # fmt: skip

    def __init__(self, admission: Admission, driver: Driver, socket: Sends) -> None:
        super().__init__(admission.fanout, socket)
        self._admission = admission
        self._driver = driver
        self._transport: Transport = admission.transports[0]
        self.state = State.HEAD
        self.paused = False
        self._heard = admission.now()
        self._pinged = self._ends = inf
        self._taken = 0  # what the peer had read when it was pinged
        self._stall: Stall | None = None
        timeout = admission.plan_source().limits.handshake_timeout
        self._timer: Timer = admission.runtime.timers.at(self._heard + timeout, self)

    # ---- whether the peer reads

    def want_write(self) -> None:
        """See Outbox."""
        self._driver.want_write()
        self._watch_reader()

    @property
    def is_stuck(self) -> bool:
        """See Blocked."""
        return self.state is State.OPEN and (self.blocked or self.flow().waiting > 0)

    def flow(self) -> Flow:
        """See Blocked: the driver knows."""
        return self._driver.flow()

    def _watch_reader(self) -> None:
        if self.state is State.OPEN and (self._stall is None or self._stall.is_over):
            self._stall = Stall(self, self._admission.runtime.timers, self._admission.now())

    # ---- time

    def _watch(self, now: float) -> None:
        """Start the timer of an open connection: its first ping, or its maximum age if that is sooner."""
        server = self._admission.plan_source().server
        age = server.connection_age
        if age is not None:
            self._ends = now + age.max * (1 - age.jitter * self._admission.runtime.random())
        if self._timer > min(now + server.ping.interval, self._ends):
            self._set_timer(now + server.ping.interval)

    def _unwatch(self, *, abort: bool) -> None:
        """Stop all timers, and let the driver close."""
        self._timer.cancel()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        driver, self._driver, self.socket = self._driver, _RELEASED, TAKES_NOTHING
        driver.release(abort=abort)

    def _set_timer(self, deadline: float) -> None:
        """Set the timer to this time, or to when an open connection reaches its maximum age."""
        self._timer.cancel()
        if self._ends < deadline and self.state is State.OPEN:
            deadline = self._ends
        self._timer = self._admission.runtime.timers.at(deadline, self)

    def on_time(self, now: float) -> None:
        """Called by its timer, which thus needs no bound method (64 bytes)."""
        if self.state is State.OPEN:
            self._keep_alive(now)
        else:
            self.expired()

    def _keep_alive(self, now: float) -> None:
        ping = self._admission.plan_source().server.ping
        if now >= self._ends:
            self._ends = inf
            self.aged()
            if self.state is not State.OPEN:
                return
        if self.paused:
            # Nothing is being read from the client, so its silence means nothing.
            self._heard = now
        if self.flow().waiting:
            # Nothing is blocked while everything fits into the kernel's buffers.
            self._watch_reader()
        is_asked = self._pinged > self._heard and self._pinged <= now
        if not self._transport.is_answered:
            self.respond(self._transport.ping)
            self._set_timer(now + ping.interval)
        elif is_asked and not self._is_catching_up():
            self.lost()
        elif is_asked:
            self._set_timer(now + ping.timeout)
        elif now - self._heard >= ping.interval:
            self._pinged, self._taken = now, self.flow().taken
            self.respond(self._transport.ping)
            self._set_timer(now + ping.timeout)
        else:
            self._set_timer(self._heard + ping.interval)

    def _is_catching_up(self) -> bool:
        """Whether the ping is queued behind data that the peer is still reading, so that its silence means nothing."""
        flow = self.flow()
        before, self._taken = self._taken, flow.taken
        return self.blocked or (flow.waiting > 0 and flow.taken != before)  # the stall is watched

    # ---- for the subclass

    def respond(self, data: bytes) -> None:
        """Called with a ping to send."""

    def expired(self) -> None:
        """Called when the deadline of a state other than OPEN has passed."""

    def aged(self) -> None:
        """Called when an open connection has reached its maximum age."""

    def lost(self) -> None:
        """Called when the peer of an open connection has not answered a ping."""
