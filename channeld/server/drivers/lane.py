"""The express lane: one task serves every socket, by a private epoll that is nested in trio's (decision 0003).

It waits with `trio.lowlevel.wait_readable` for the epoll itself. When that is readable, one turn reads every ready
socket, lets the sessions answer, writes everything with one `send` a connection, and only then yields. On other systems,
and for streams that are not sockets, `server/drivers/stream.py` does the waiting; everything else is the same code.

Invariants, each with a test in `tests/server/drivers/test_lane.py`:

1.  A byte has exactly one reader: the connection's, and nothing is read while the connection is paused.
2.  Frames are taken in order, at a frame boundary; once the fallback reader has taken over, it reads to the end.
3.  Pings, pongs and Close frames never wait for a consumer.
4.  A closed socket is marked, unregistered and closed with no checkpoint between; over TLS, bytes that are encrypted and
    not yet sent are sent first, within `linger` seconds.
5.  Everything that is written goes through the outbox.
6.  A turn takes at most `FRAMES_A_TURN` frames of one socket and of `SOCKETS_A_TURN` sockets, and begins none when it has
    taken `TURN_S` seconds (`SHARE_S` where connections go on after a pause); the rest is taken in later turns, in order, no
    byte is lost, and trio's other tasks run between them.
7.  New and ending connections get `SHARE_S` seconds of a turn, however many they are: listeners and sockets without a
    complete handshake have an epoll of their own, and a peer's end is handled after the open connections have been read.
    Without file descriptors the lane stops accepting for a second, and says so once.
8.  When more sockets are ready than a turn has time for, those of addresses with more than `FEW` connections wait in an epoll of
    their own until few of them are ready: each such address counts like one socket (`crowds.py`). They are served one socket of
    each address after the other, for what is left of `TURN_S`, or half of `SHARE_S` if answers to others wait for the turn's end.
9.  An exception from above ends one connection, never the lane.
"""

import collections
import contextlib
import select
import socket
import ssl
import struct

import trio

from channeld.server.admission import Admission
from channeld.server.connection import Connection
from channeld.server.drivers.crowds import FEW, Crowds
from channeld.server.drivers.tls import TlsBuffers, TlsSocket
from channeld.server.flow import Flow, flow_of
from channeld.server.sockets import MOST_QUEUED, NO_DESCRIPTORS, RETRY_S
from channeld.server.state import State
from channeld.telemetry import log

SOCKETS_A_TURN = 128
ACCEPTS_A_TURN = 16
SHARE_S = 0.001
_CROWDS_S = 0.0005

# Larger reads do not pay: 4 KiB and 64 KiB both take 1 µs, 256 KiB take 10.
_READ = 65536
_IN, _OUT = 1, 4  # select.EPOLLIN, EPOLLOUT: the module has them on Linux only
_RESET = struct.pack("ii", 1, 0)


def is_supported() -> bool:
    """Whether this system has an epoll to nest."""
    return hasattr(select, "epoll")


class _LaneSocket:
    """One connection's socket, plain or TLS, and what the epoll watches it for."""

    __slots__ = (
        "_lane", "connection", "epoll", "mask", "socket", "tls",
    )  # fmt: skip

    def __init__(
        self, lane: "Lane", sock: socket.socket, address: str, context: ssl.SSLContext | None
    ) -> None:
        self._lane = lane
        self.epoll = lane.arrivals
        self.socket = sock
        self.mask = 0
        self.tls = None if context is None else TlsSocket(sock, context, lane.tls, self)
        sends, secure = self.tls or sock, context is not None
        self.connection = Connection(lane.admission, self, sends, address, secure=secure)

    @property
    def fd(self) -> int:
        """The socket's descriptor. Not stored, since a number takes 32 bytes."""
        return self.socket.fileno()

    @property
    def hears(self) -> bool:
        """See Driver."""
        return True

    def want_write(self) -> None:
        """See Driver."""
        self.watch(self.mask | _OUT)

    def resume(self) -> None:
        """See Driver."""
        self._lane.resume(self)

    def half_close(self) -> None:
        """See Driver."""
        if self.tls is not None:
            self.tls.shut()
            if self.tls.unsent:
                self.tls.is_half_closed = True
                return
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.connection.broken()

    def flow(self) -> Flow:
        """See Driver."""
        return flow_of(self.socket)

    def release(self, *, abort: bool) -> None:
        """See Driver. There is no checkpoint between marking the connection and closing its socket.

        Over TLS, bytes may be encrypted but not sent yet; the lane goes on sending them for a while.
        """
        self._lane.forget(self)
        if self.tls is not None and not abort:
            self.tls.shut()
            if self.tls.unsent and self._lane.finish(self):
                return
        self.close(abort=abort)

    def close(self, *, abort: bool) -> None:
        """Close the socket; with `abort`, discard what the kernel still holds."""
        if abort:
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.socket.close()
        self.tls = None  # it refers to this object

    def watch(self, mask: int) -> None:
        """Watch for these events; 0: none."""
        before, self.mask = self.mask, mask
        epoll = self.epoll
        if mask == before:
            return
        if not mask:
            # Not modify(0), after which a hang-up would be reported for ever.
            epoll.unregister(self.fd)
        elif before:
            epoll.modify(self.fd, mask)
        else:
            epoll.register(self.fd, mask)

    def move(self, place: select.epoll) -> None:
        """Wait in another epoll from now on."""
        mask = self.mask
        self.watch(0)
        self.epoll = place
        self.watch(mask)

    def pause(self) -> None:
        """Stop reading: the connection is paused."""
        if self.connection.state is not State.GONE:
            self.watch(self.mask & _OUT)

    def write_on(self) -> None:
        """Write on: the socket accepts more."""
        connection = self.connection
        if self.tls is not None and not self._flush_tls(self.tls):
            return
        if connection.out is not None:
            connection.flush()
        has_sent = not connection.blocked and (self.tls is None or not self.tls.unsent)
        if has_sent and connection.state is not State.GONE:
            self.watch(self.mask & ~_OUT)

    def _flush_tls(self, tls: TlsSocket) -> bool:
        """Send what is encrypted; returns whether all of it was sent."""
        try:
            if not tls.flush():
                return False
            if tls.is_half_closed:
                tls.is_half_closed = False
                self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.connection.broken()
            return False
        return True


class Lane:
    """Serves sockets, with TLS or without. `run` is one of the server's tasks.

    Args:
        admission: what the server's connections share.
        most: maximum number of open sockets, including those without a handshake. Beyond it, the socket that has waited
            longest for its handshake is closed, or else the new one.
    """

    def __init__(self, admission: Admission, most: int) -> None:
        self.admission = admission
        self.epoll, self.arrivals = select.epoll(), select.epoll()
        self.tls = TlsBuffers()
        self._arrivals_fd = self.arrivals.fileno()
        self.epoll.register(self._arrivals_fd, _IN)
        self._most = most
        self._crowds: Crowds[_LaneSocket] = Crowds(self.epoll)
        # By descriptor: a list needs a quarter of what a dict does.
        self._sockets: list[_LaneSocket | None] = []
        # Sockets whose connections have ended, with encrypted bytes still to send.
        self._finishing: dict[int, _LaneSocket] = {}
        self._listeners: dict[int, tuple[socket.socket, ssl.SSLContext | None]] = {}
        # Ready sockets that a turn had no time for. (Asking the epoll again might never reach them.)
        self._left: list[tuple[int, int]] = []
        # The same, for new connections.
        self._coming: collections.deque[tuple[int, int]] = collections.deque()
        # Connections whose peers have ended or are lost.
        self._departures: collections.deque[tuple[_LaneSocket, bool]] = collections.deque()
        self._resumed: collections.deque[_LaneSocket] = collections.deque()
        self._has_resumed = trio.Event()

    @property
    def connections(self) -> list[Connection]:
        """Every connection that has not ended."""
        return [driver.connection for driver in self._sockets if driver is not None]

    def _of(self, fd: int) -> _LaneSocket | None:
        return self._sockets[fd] if 0 <= fd < len(self._sockets) else None

    def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept this socket's connections, with TLS or without. The caller closes it, after `ignore`."""
        listener.setblocking(False)
        self._listeners[listener.fileno()] = listener, tls
        if listener.family != socket.AF_UNIX:
            # On Linux the accepted sockets inherit it.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.arrivals.register(listener.fileno(), _IN)

    def ignore(self, listener: socket.socket) -> None:
        """Accept no more. Idempotent."""
        if self._listeners.pop(listener.fileno(), None) is not None:
            # It is not registered while file descriptors are exhausted, or after the lane has ended.
            with contextlib.suppress(OSError, ValueError):
                self.arrivals.unregister(listener.fileno())

    def accept_rest(self, listener: socket.socket) -> None:
        """Accept what waits in its queue, before `ignore` and closing it; after `retire` nothing more arrives."""
        entry = self._listeners.get(listener.fileno())
        for _ in range(MOST_QUEUED // ACCEPTS_A_TURN):
            if entry is None or not self._accept(*entry):
                return

    def adopt(
        self, sock: socket.socket, address: str, tls: ssl.SSLContext | None = None
    ) -> Connection:
        """Serve a connected socket, with TLS or without; the lane closes it."""
        sock.setblocking(False)
        driver = _LaneSocket(self, sock, address, tls)
        fd = driver.fd
        self._sockets += [None] * (fd + 1 - len(self._sockets))
        self._sockets[fd] = driver
        try:
            driver.watch(_IN)
        except OSError:
            # Over the kernel's limit of watches per user.
            driver.mask = 0
            driver.connection.broken()
        return driver.connection

    def forget(self, driver: _LaneSocket) -> None:
        """Drop a driver whose socket is about to be closed."""
        if self._of(driver.fd) is driver:
            self._sockets[driver.fd] = None
            driver.watch(0)
            self._leave_crowd(driver)

    def _join_crowd(self, driver: _LaneSocket) -> bool:
        """Move a socket to the crowd of its address; False if the address has few connections, or if that is impossible."""
        address, admission = driver.connection.address, self.admission
        if admission.addresses.get(address, 0) + admission.callers.get(address, 0) <= FEW:
            return False
        if self._is_shared(driver.epoll):
            try:
                driver.move(self._crowds.join(address))
            except OSError:
                return False
        return True

    def _leave_crowd(self, driver: _LaneSocket) -> None:
        if not self._is_shared(driver.epoll):
            place = driver.epoll
            driver.move(self.epoll)
            self._crowds.leave(place)

    def _is_shared(self, place: select.epoll) -> bool:
        return place is self.epoll or place is self.arrivals

    def finish(self, driver: _LaneSocket) -> bool:
        """Send what is left on a socket whose connection has ended, for as long as a connection may linger."""
        if self.epoll.closed:
            return False
        self._finishing[driver.fd] = driver
        driver.watch(_OUT)
        timers, end = self.admission.runtime.timers, self.admission.now() + self.admission.linger
        timers.at(end, lambda _now: self._finish(driver, is_late=True))
        return True

    def _finish(self, driver: _LaneSocket, *, is_late: bool = False) -> None:
        if self._finishing.get(driver.fd) is not driver or driver.tls is None:
            return
        try:
            has_sent = driver.tls.flush()
        except OSError:
            is_late = True
        else:
            is_late = is_late and not has_sent
            if not has_sent and not is_late:
                return
        del self._finishing[driver.fd]
        driver.watch(0)
        driver.close(abort=is_late)

    def resume(self, driver: _LaneSocket) -> None:
        """Let a paused connection continue in a later turn."""
        if self._is_shared(driver.epoll):
            self._resumed.append(driver)
        else:
            self._crowds.resume(driver.epoll, driver)
        self._has_resumed.set()

    async def run(self) -> None:
        """Serve until cancelled; every connection ends then."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run_resumed)
                own = self.epoll.fileno()
                while True:
                    await trio.lowlevel.wait_readable(own)
                    self._turn()
        finally:
            for connection in self.connections:
                connection.abandon(1001)
            for driver in list(self._finishing.values()):
                self._finish(driver, is_late=True)
            self._crowds.close()
            self.epoll.close()
            self.arrivals.close()

    async def _run_resumed(self) -> None:
        while True:
            await self._has_resumed.wait()
            self._has_resumed = trio.Event()
            self._turn_of_resumed()

    def _turn(self) -> None:
        fanout, now = self.admission.fanout, self.admission.now()
        fanout.begin()
        ready, self._left = self._left or self.epoll.poll(0, SOCKETS_A_TURN), []
        is_full = asks = len(ready) == SOCKETS_A_TURN
        others = self._arrivals_fd
        for number, (fd, events) in enumerate(ready):
            if number and fanout.is_over():
                self._left, asks = ready[number:], True
                break
            if fd == others:
                asks = True
            else:
                self._serve(fd, events, now)
        if len(self._left) > FEW:
            self._part_crowds(is_full=is_full)
        self._serve_crowds(now)
        if asks or self._coming or self._departures:
            self._take_turns_end(now, asks=asks)
        else:
            fanout.end()

    def _serve(self, fd: int, events: int, now: float) -> None:
        sockets = self._sockets
        driver = sockets[fd] if fd < len(sockets) else None
        if driver is None:
            if fd in self._finishing:
                self._finish(self._finishing[fd])
            else:
                self._crowds.readable(fd)
            return
        if events & _OUT:
            driver.write_on()
        connection = driver.connection
        if events == _OUT:
            return
        if connection.paused:
            # Checked only now, so that most pauses cost no system call. A connection that has ended is paused as well.
            driver.pause()
            return
        try:
            data = (driver.tls or driver.socket).recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            self._depart(driver, is_lost=True)
            return
        if data:
            self.admission.counters.bytes_in += len(data)
            connection.feed(data, now)
        if not data or (driver.tls is not None and driver.tls.ended):
            # Over TLS, the same read may have brought the end; the socket need not become readable again.
            self._depart(driver, is_lost=False)

    def _depart(self, driver: _LaneSocket, *, is_lost: bool) -> None:
        if driver.connection.state is not State.GONE:
            driver.watch(driver.mask & _OUT)
            self._departures.append((driver, is_lost))

    def _take_turns_end(self, now: float, *, asks: bool = False) -> None:
        """Handle ending and new connections within their share of the turn (`asks`: there may be more), then write."""
        fanout, departures = self.admission.fanout, self._departures
        fanout.begin(SHARE_S)
        while departures:
            driver, is_lost = departures.popleft()
            if is_lost:
                driver.connection.broken()
            elif not driver.connection.paused:
                driver.connection.feed(b"", now)
            if fanout.is_over():
                break
        while self._coming or asks:
            if not self._coming:
                # The epoll returns first those that have waited longest.
                self._coming.extend(self.arrivals.poll(0))
                asks = bool(self._coming)
                continue
            self._serve_arrival(*self._coming.popleft(), now)
            if fanout.is_over():
                break
        if departures or self._coming:
            self._has_resumed.set()
        fanout.end()

    def _serve_arrival(self, fd: int, events: int, now: float) -> None:
        if fd in self._listeners:
            self._accept(*self._listeners[fd])
            return
        self._serve(fd, events, now)
        driver = self._of(fd)
        if driver is not None and driver.connection.state is not State.HEAD:
            driver.move(self.epoll)

    def _turn_of_resumed(self) -> None:
        now = self.admission.now()
        self.admission.fanout.begin(SHARE_S)
        for number in range(min(SOCKETS_A_TURN, len(self._resumed))):
            if number and self.admission.fanout.is_over():
                break
            self._proceed(self._resumed.popleft(), now)
        if len(self._resumed) > FEW and self.admission.fanout.is_over():
            left, self._resumed = self._resumed, collections.deque()
            for driver in left:
                self._join_crowd(driver)
                self.resume(driver)
        self._serve_crowds(now)
        if self._resumed:
            self._has_resumed.set()
        self._take_turns_end(now)

    def _proceed(self, driver: _LaneSocket, now: float) -> None:
        connection = driver.connection
        if connection.state is not State.GONE:
            connection.proceed(now)
        if not connection.paused:
            driver.watch(driver.mask | _IN)

    def _part_crowds(self, *, is_full: bool) -> None:
        """More sockets are ready than a turn has time for (`is_full`: perhaps even more): separate the crowds from the others."""
        fanout = self.admission.fanout
        fanout.begin()
        self._left = self._part(self._left)
        while is_full and not fanout.is_over():
            ready = self.epoll.poll(0, SOCKETS_A_TURN)
            # Sockets that belong to no crowd are reported again, after all others.
            is_full = len(ready) > 2 * len(self._part(ready))

    def _part(self, ready: list[tuple[int, int]]) -> list[tuple[int, int]]:
        stay = []
        for fd, events in ready:
            driver = self._of(fd)
            if driver is None or not self._join_crowd(driver):
                stay.append((fd, events))
        return stay

    def _serve_crowds(self, now: float) -> None:
        """Serve the crowds, one socket of each in turn, for what is left of this turn or for their share."""
        if not self._crowds.asked:
            return
        fanout = self.admission.fanout
        if fanout.dirty or fanout.recipients is not None or fanout.is_over():
            # Answers to other clients wait for the end of this turn.
            fanout.begin(_CROWDS_S)
        while (crowd := self._crowds.next(SOCKETS_A_TURN)) is not None:
            if crowd.ready:
                fd, events = crowd.ready.popleft()
                driver = self._of(fd)
                if crowd.is_calm and driver is not None and not driver.connection.paused:
                    self._leave_crowd(driver)
                self._serve(fd, events, now)
            if crowd.resumed:
                self._proceed(crowd.resumed.popleft(), now)
            if fanout.is_over():
                self._has_resumed.set()
                return

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> bool:
        """Accept as many as a turn allows; returns whether there may be more."""
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, address = listener.accept()
            except OSError as error:
                if error.errno in NO_DESCRIPTORS:
                    log("accept_failed", reason=error.strerror, errno=error.errno)
                    self._pause_accepting(listener)
                return False
            if self.admission.sockets >= self._most and not self.admission.make_room():
                sock.close()
                continue
            self.adopt(sock, address[0] if isinstance(address, tuple) else "", tls)
        return True

    def _pause_accepting(self, listener: socket.socket) -> None:
        self.arrivals.unregister(listener.fileno())
        timers, clock = self.admission.runtime.timers, self.admission.runtime.clock
        timers.at(clock.monotonic() + RETRY_S, lambda _now: self._accept_again(listener))

    def _accept_again(self, listener: socket.socket) -> None:
        if listener.fileno() in self._listeners:
            self.arrivals.register(listener.fileno(), _IN)
