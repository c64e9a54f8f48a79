"""One RESP3 connection to Redis, driven by callbacks: no task waits for an answer, and a message costs no task switch.

Rules: `call` records the callback and queues the command; `flush` writes what is queued, as far as the socket accepts it;
`run` waits for the rest and reads. Answers arrive in the order of the calls. Everything from one read is handled within one
turn (`begin_turn`, `end_turn`), so what it causes to be written is sent together. A read takes at most `READ` bytes before
other tasks run, and what is not read stays in Redis, up to its own limit. hiredis parses. After the first fault the
connection is closed, and each call not answered gets the fault.
"""

import contextlib
import ssl
from collections import deque
from collections.abc import Callable, Generator
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from typing import NoReturn, TypeAlias, cast

import hiredis
import trio
from coredis.connection import TCPLocation, UnixDomainSocketLocation
from coredis.exceptions import NoScriptError, RedisError

from channeld.broker.redis.queue import Argument, Reply
from channeld.groups import first

READ = 64 * 1024
_LOOKS = 4

Location: TypeAlias = TCPLocation | UnixDomainSocketLocation

Then: TypeAlias = Callable[[Reply], object]
Turn: TypeAlias = tuple[Callable[[], object], Callable[[], object]]
"""Called before and after what one read brings is handled."""

_NOTHING = object()
# hiredis annotates it for a tuple of one element.
_packed = cast("Callable[[tuple[Argument, ...]], bytes]", hiredis.pack_command)


class Lost(Exception):
    """The session has ended; the message says why."""


class NoLongerPrimary(RedisError):
    """This server does not accept writes, or does not hold our keys."""


class SlotMoving(RedisError):
    """Nothing was done: the slot is being moved, with some keys here and some on another node."""


def _error(message: str) -> RedisError:
    """Make the exception for an error reply, for hiredis."""
    word = message.partition(" ")[0]
    if word in ("READONLY", "MOVED", "CLUSTERDOWN"):
        return NoLongerPrimary(message)
    if word in ("ASK", "TRYAGAIN"):
        return SlotMoving(message)
    return NoScriptError(message) if word == "NOSCRIPT" else RedisError(message)


class RedisWire:
    """A non-blocking socket, with TLS if a context is given."""

    def __init__(self, sock: socket, tls: ssl.SSLContext | None, host: str | None) -> None:
        self.sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if tls is not None:
            self._tls = tls.wrap_bio(self._in, self._out, server_hostname=host)

    async def shake_hands(self) -> None:
        """The handshake of TLS, if there is one.

        Raises:
            OSError: the peer is gone, or its certificate is not trusted.
        """
        while self._tls is not None:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                # Send the rest of the handshake before the first command.
                return
            await self._send_all(self._out.read())
            await trio.lowlevel.wait_readable(self.sock)
            self._feed(self.sock.recv(READ))

    def sealed(self, data: bytes) -> bytes:
        """The bytes to write, encrypted with TLS."""
        if self._tls is None:
            return data
        self._tls.write(data)
        return self._out.read()

    def receive(self) -> bytes:
        """Received bytes; empty if a TLS record is incomplete.

        Raises:
            OSError: the peer is gone. BlockingIOError: nothing was received.
        """
        data = self.sock.recv(READ)
        if self._tls is None:
            if not data:
                raise ConnectionResetError("closed by the server")
            return data
        self._feed(data)
        parts = []
        with contextlib.suppress(ssl.SSLWantReadError):
            while part := self._tls.read(READ):
                parts.append(part)
            raise ConnectionResetError("closed by the server")
        return b"".join(parts)

    def _feed(self, data: bytes) -> None:
        if not data:
            raise ConnectionResetError("closed by the server")
        self._in.write(data)

    async def _send_all(self, data: bytes) -> None:
        while data:
            await trio.lowlevel.wait_writable(self.sock)
            data = data[self.sock.send(data) :]


async def connect(location: Location, tls: ssl.SSLContext | None) -> RedisWire:
    """Connect to a location, including the TLS handshake.

    Raises:
        OSError: nothing answers, or the TLS handshake fails.
    """
    host = None
    if isinstance(location, TCPLocation):
        host = location.host
        stream = await trio.open_tcp_stream(host, location.port)
    else:
        stream = await trio.open_unix_socket(location.path)
    sock = socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    if host is not None:
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    wire = RedisWire(sock, tls, host)
    try:
        await wire.shake_hands()
    except BaseException:
        sock.close()
        raise
    return wire


class _AskedRedis:
    """An answer that a task waits for."""

    __slots__ = ("_event", "_reply")

    def __init__(self) -> None:
        self._event = trio.Event()
        self._reply: Reply = None

    def __call__(self, reply: Reply) -> None:
        self._reply = reply
        self._event.set()

    def __await__(self) -> Generator[object, object, Reply]:
        yield from self._event.wait().__await__()
        if isinstance(self._reply, Exception):
            raise self._reply
        return self._reply


class Connection:
    """A RESP3 connection over a socket. `on_push` receives pushes; `timeout` seconds without an answer are a fault."""

    def __init__(self, wire: RedisWire, timeout: float, turn: Turn) -> None:
        self.on_push: Callable[[list[Reply]], object] = lambda _push: None
        self.fault: Lost | None = None
        self._wire = wire
        self._timeout = timeout
        self._begin, self._end = turn
        self._reader = hiredis.Reader(replyError=_error, notEnoughData=_NOTHING)
        self._waiting: deque[Then] = deque()
        self._told = 0  # channels told and not acknowledged yet
        self._looks = 0  # since an answer came, or the oldest call was made
        self._out: list[bytes] = []
        self._unsent = b""
        self._blocked = trio.Event()

    def call(self, words: tuple[Argument, ...], then: Then) -> None:
        """Queue a command; `then` gets the reply, a `RedisError` or `Lost`."""
        if self.fault is not None:
            then(self.fault)
            return
        if not self._waiting:
            self._looks = 0
        self._waiting.append(then)
        self._out.append(_packed(words))

    def tell(self, words: tuple[Argument, ...]) -> None:
        """Queue a command that is answered by a push for each word after the first: call `acknowledged` for each."""
        if self.fault is None:
            self._told += len(words) - 1
            self._out.append(_packed(words))

    def acknowledged(self) -> None:
        """Record a push that acknowledges one word of what was told."""
        self._told -= 1

    def flush(self) -> None:
        """Write what is queued, as far as the socket accepts it; the rest follows automatically."""
        if self._unsent or not self._out or self.fault is not None:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._write(self._wire.sealed(data))

    async def ask(self, *words: Argument) -> Reply:
        """Send one command and wait for its reply.

        Raises:
            Lost: no answer.
            RedisError: Redis refused it.
        """
        asked = _AskedRedis()
        self.call(words, asked)
        self.flush()
        return await asked

    def fail(self, reason: str) -> Lost:
        """Close it, and return why it was closed first. Idempotent."""
        if self.fault is not None:
            return self.fault
        fault = self.fault = Lost(reason)
        trio.lowlevel.notify_closing(self._wire.sock)
        self._wire.sock.close()
        self._blocked.set()
        waiting, self._waiting = self._waiting, deque()
        for then in waiting:
            then(fault)
        return fault

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Read, and write what had to wait, until the first fault.

        Raises:
            Lost: that fault.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_on)
                nursery.start_soon(self._watch)
                task_status.started()
                await self._read_on()
                nursery.cancel_scope.cancel()
        except* (OSError, trio.ClosedResourceError, hiredis.ProtocolError) as group:
            self.fail(str(first(group)))
        finally:
            self.fail("the session has ended")
        raise self.fail("the session has ended")

    async def _read_on(self) -> None:
        wire = self._wire
        while self.fault is None:
            await trio.lowlevel.wait_readable(wire.sock)
            try:
                data = wire.receive()
            except BlockingIOError:
                continue
            self._reader.feed(data)
            self._begin()
            try:
                self._take()
                self.flush()
            finally:
                self._end()

    def _take(self) -> None:
        read, push = self._reader.gets, hiredis.PushNotification
        while (reply := read()) is not _NOTHING:
            if type(reply) is push:
                self.on_push(reply)
            elif self._told and type(reply) is NoLongerPrimary:
                # It may be the answer to a subscription rather than to the next call.
                self.fail(str(reply))
            elif self._waiting:
                self._waiting.popleft()(reply)
        self._looks = 0

    async def _write_on(self) -> NoReturn:
        while True:
            await self._blocked.wait()
            self._blocked = trio.Event()
            while self._unsent and self.fault is None:
                await trio.lowlevel.wait_writable(self._wire.sock)
                self._write(self._unsent)
                self.flush()

    def _write(self, data: bytes) -> None:
        try:
            sent = self._wire.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.fail(str(error))
            return
        self._unsent = data[sent:]
        if self._unsent:
            self._blocked.set()

    async def _watch(self) -> NoReturn:
        # Counts looks instead of time: after a stall of this process, waiting answers are read before the next look.
        while True:
            await trio.sleep(self._timeout / _LOOKS)
            self._looks += 1
            if self._waiting and self._looks > _LOOKS:
                self.fail("no answer in time")
