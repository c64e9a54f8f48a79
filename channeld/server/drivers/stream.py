"""The stream driver: a task for each connection over any trio stream: TLS, in memory, or where no epoll can be nested.

The connection and outbox are the same as in the lane; only the waiting differs. One task reads and a second writes what the
outbox holds, so a peer that reads nothing delays nobody, not even its own messages.
"""

import contextlib
import os
import socket
import ssl

import trio

from channeld.server.admission import Admission
from channeld.server.connection import Connection
from channeld.server.flow import UNKNOWN, Flow, flow_of
from channeld.server.state import State
from channeld.telemetry import log

_READ = _PIECE = 65536


class StreamDriver:
    """Serves one connection over a stream, and closes the stream at the end.

    Args:
        admission: what the server's connections share.
        stream: the stream, before its TLS handshake if it has one.
        address: the peer's address, empty if it has none.
    """

    def __init__(self, admission: Admission, stream: trio.abc.Stream, address: str = "") -> None:
        self._admission = admission
        self._stream = stream
        self._scope = trio.CancelScope()
        self._abort = True
        self._wanted = trio.Event()
        self._resumed = trio.Event()
        self._is_half_closed = False
        secure = isinstance(stream, trio.SSLStream)
        self.connection = Connection(admission, self, None, address, secure=secure)

    async def run(self) -> None:
        """Serve the connection until it ends. An exception from the stream ends it, and is not raised."""
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                if self.connection.state is State.GONE:
                    self._scope.cancel()
                nursery.start_soon(self._contain_write)
                await self._contain_read()
        finally:
            self.connection.abandon(1001)
            self._admission.fanout.end()
            await self._close()

    @property
    def hears(self) -> bool:
        """See Driver. Its task waits either for bytes or for `resume`."""
        return False

    def want_write(self) -> None:
        """See Driver."""
        self._wanted.set()

    def resume(self) -> None:
        """See Driver."""
        self._resumed.set()

    def half_close(self) -> None:
        """See Driver. A TLS stream has no half-close; the peer has our Close frame instead."""
        self._is_half_closed = isinstance(self._stream, trio.abc.HalfCloseableStream)
        self._wanted.set()

    def flow(self) -> Flow:
        """See Driver. Without a socket, progress is known only by whole pieces written."""
        stream = self._stream
        while isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        if not isinstance(stream, trio.SocketStream):
            return UNKNOWN
        # A second descriptor of the socket, because trio does not hand out its own.
        with (
            contextlib.suppress(OSError),
            socket.socket(fileno=os.dup(stream.socket.fileno())) as sock,
        ):
            return flow_of(sock)
        return UNKNOWN

    def release(self, *, abort: bool) -> None:
        """See Driver."""
        self._abort = abort
        self._scope.cancel()

    async def _contain_read(self) -> None:
        try:
            await self._read()
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            self.connection.broken()
        except Exception as error:  # a third-party stream may raise anything
            log("connection_failed", reason="the stream raised", exception=error)
            self.connection.broken()

    async def _read(self) -> None:
        connection, fanout = self.connection, self._admission.fanout
        while True:
            if connection.paused:
                await self._resumed.wait()
                self._resumed = trio.Event()
                fanout.begin()
                connection.proceed(trio.current_time())
            else:
                data = await self._stream.receive_some(_READ)
                self._admission.counters.bytes_in += len(data)
                fanout.begin()
                connection.feed(bytes(data), trio.current_time())
            fanout.end()

    async def _contain_write(self) -> None:
        try:
            await self._write()
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            self.connection.broken()
        except Exception as error:  # a stream of somebody else's may raise what it likes
            log("connection_failed", reason="the stream raised", exception=error)
            self.connection.broken()

    async def _write(self) -> None:
        connection = self.connection
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            while data := connection.take():
                # In pieces, so that a slow peer's progress can be seen.
                for start in range(0, len(data), _PIECE):
                    await self._stream.send_all(data[start : start + _PIECE])
                    connection.moved = True
                self._admission.fanout.bytes_out += len(data)
                connection.keep_unsent(data, len(data))
            if self._is_half_closed and isinstance(self._stream, trio.abc.HalfCloseableStream):
                self._is_half_closed = False
                await self._stream.send_eof()

    async def _close(self) -> None:
        with trio.move_on_after(self._admission.linger, shield=True):
            # A third-party stream may raise anything, and is closed even so (trio.abc.AsyncResource).
            with contextlib.suppress(Exception):
                if self._abort:
                    await trio.aclose_forcefully(self._stream)
                else:
                    await self._stream.aclose()
