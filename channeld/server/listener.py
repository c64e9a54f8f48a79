"""Listens: sets up TLS, hands each connection to the lane or the stream driver, and drains.

    server = Server(Admission(engine=…, plan_source=…, runtime=…, fanout=…))
    addresses = await nursery.start(server.serve)
    …
    await server.drain(10)

Who closes what: `serve` closes the sockets it was given, and removes a Unix socket's path; each driver closes its own.
"""

import socket
import ssl
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import attrs
import trio

from channeld.config.model import Tls
from channeld.server.admission import Admission
from channeld.server.connection import Connection
from channeld.server.drivers.lane import Lane, is_supported
from channeld.server.drivers.stream import StreamDriver
from channeld.server.sockets import (
    accept_each,
    accept_queued,
    bind,
    is_ours,
    listen,
    named,
    release,
    retire,
    waited_on,
)
from channeld.server.state import State
from channeld.telemetry import Sample, bound, log

# A drain without time still gives connections this long to send their Close frames.
_LAST_WORDS_S = 0.1
# Sockets beyond the limit of connections that still get a 503; further ones are closed without an answer.
_SPARE = 256
# OpenSSL's reasons for a key of another pair, and for a key of another type than the certificate's.
_MISMATCHES = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})


class TlsError(OSError):
    """A certificate and its key can't be used; the message names the file and says why."""


@attrs.frozen(slots=True, kw_only=True)
class ServerStatistics:
    """One server's numbers for metrics: current gauges, and totals since it was created.

    `connections` have completed their handshake; `sockets` also counts those that have not. `outbox_bytes` wait for peers
    that read slowly. `handshakes` counts answers by HTTP status.
    """

    connections: int
    sockets: int
    outbox_bytes: int
    bytes_in: int
    bytes_out: int
    slow_consumers: int
    ping_timeouts: int
    handshake_timeouts: int
    failures: int
    handshakes: dict[int, int]

    def samples(self) -> Iterator[Sample]:
        """Metrics of handshakes, bytes and outboxes."""
        for status, count in self.handshakes.items():
            result = "accepted" if status in (101, 200) else str(status)
            yield Sample("channeld_handshakes_total", count, (result,))
        yield Sample("channeld_received_bytes_total", self.bytes_in)
        yield Sample("channeld_sent_bytes_total", self.bytes_out)
        yield Sample("channeld_outbox_bytes", self.outbox_bytes)
        yield Sample("channeld_slow_consumers_total", self.slow_consumers)


def tls_context(tls: Tls) -> ssl.SSLContext:
    """A server's context for a certificate and its key: TLS 1.2 or later, HTTP/1.1. Never asks for a passphrase.

    Raises:
        OSError: a file can't be read; the message names it.
        TlsError: a file is not a PEM certificate or an unencrypted key, or the two do not match.
    """
    for file in (tls.certificate, tls.key):
        # OpenSSL would not say which one it could not read.
        Path(file).read_bytes()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])

    def refuse_to_ask() -> str:
        raise TlsError(f"{tls.key} is encrypted: remove its passphrase")

    try:
        context.load_cert_chain(tls.certificate, tls.key, refuse_to_ask)
    except ssl.SSLError as error:
        raise TlsError(_why(error.reason, tls)) from error
    return context


def _why(reason: str | None, tls: Tls) -> str:
    """What is wrong with which file. OpenSSL gives no reason if a file lacks what it looks for."""
    if reason in _MISMATCHES:
        return f"{tls.key} is not the key of the certificate in {tls.certificate}"
    if not _has_certificate(tls.certificate):
        return f"{tls.certificate} contains no PEM certificate"
    if reason is None:
        return f"{tls.key} contains no PEM private key"
    return f"{tls.certificate} and {tls.key} cannot be used: {reason}"


def _has_certificate(file: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        return False
    return True


class Server:
    """A WebSocket server.

    Args:
        admission: the engine, the plan, the runtime (whose `run` must be running) and the hub's fan-out.
        use_lane: False: serve everything by the stream driver.
    """

    def __init__(self, admission: Admission, *, use_lane: bool = True) -> None:
        self._admission = admission
        self._most = admission.plan_source().limits.connections + _SPARE
        self._lane = Lane(admission, self._most) if use_lane and is_supported() else None
        self._drivers: set[StreamDriver] = set()
        self._sockets: list[socket.socket] = []
        self._listeners: list[trio.socket.SocketType] = []
        self._tls: ssl.SSLContext | None = None
        self._nursery: trio.Nursery | None = None

    async def serve(
        self,
        sockets: Sequence[socket.socket] | None = None,
        tls: ssl.SSLContext | None = None,
        *,
        task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled. Reports started with the addresses it listens on, as `bind` takes them.

        Args:
            sockets: from `bind`; None: bind what the plan says.
            tls: the context; None: the plan's, if it has TLS.
            task_status: for `nursery.start`.

        Raises:
            BindError: an address can't be listened on.
            OSError: the certificate can't be read.
        """
        server = self._admission.plan_source().server
        if tls is None and server.tls is not None:
            tls = tls_context(server.tls)
        # The first log line imports modules; that would fail once file descriptors are exhausted.
        bound()
        self._tls = tls
        self._sockets = list(bind(server.bind) if sockets is None else sockets)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._admission.fanout.run)
                if self._lane is not None:
                    nursery.start_soon(self._lane.run)
                self._nursery = nursery
                self._listen(nursery)
                names = [named(sock) for sock in self._sockets]
                task_status.started(names)
        finally:
            self._admission.fanout.end()
            self._close_listeners()

    async def serve_stream(self, stream: trio.abc.Stream, address: str = "") -> None:
        """Serve one client over any stream, and close it at the end. `serve` must be running."""
        if self._admission.sockets >= self._most and not self._admission.make_room():
            await trio.aclose_forcefully(stream)
            return
        driver = StreamDriver(self._admission, stream, address)
        self._drivers.add(driver)
        try:
            await driver.run()
        finally:
            self._drivers.discard(driver)

    async def stop_accepting(self, seconds: float = 0.0) -> None:
        """Stop listening; open connections continue. Queued ones are accepted first, within `seconds`. Idempotent."""
        patience = max((retire(sock) for sock in self._sockets), default=0.0)
        await trio.sleep(min(patience, seconds))
        for sock in self._sockets:
            if is_ours(sock) and self._lane is not None:
                self._lane.accept_rest(sock)
            elif is_ours(sock) and self._nursery is not None:
                accept_queued(sock, partial(self._serve_socket, self._nursery))
        self._close_listeners()

    async def drain(self, seconds: float) -> None:
        """Stop accepting, and wait until every connection has ended, at most that many seconds.

        Those left when a fifth of that remains (at most the admission's `linger`) are closed with 1012, and have that
        time to answer.
        """
        await self.stop_accepting()
        self._admission.end_idle()
        log("server_draining", connections=self._admission.open, seconds=seconds)
        end = trio.current_time() + seconds
        with trio.move_on_at(end - min(self._admission.linger, seconds / 5)):
            await self._admission.wait_empty()
        for connection in self._connections():
            connection.close(1012, "restarting")
        with trio.move_on_at(max(end, trio.current_time() + _LAST_WORDS_S)):
            await self._admission.wait_empty()
        for connection in self._connections():
            connection.abandon(1012)
        self._admission.fanout.end()

    def statistics(self) -> ServerStatistics:
        """The server's current numbers."""
        counters = self._admission.counters
        return ServerStatistics(
            connections=self._admission.open,
            sockets=self._admission.sockets,
            outbox_bytes=sum(connection.queued for connection in self._connections()),
            bytes_in=counters.bytes_in,
            bytes_out=self._admission.fanout.bytes_out,
            slow_consumers=counters.slow_consumers,
            ping_timeouts=counters.ping_timeouts,
            handshake_timeouts=counters.handshake_timeouts,
            failures=counters.failures,
            handshakes=dict(counters.handshakes),
        )

    def _connections(self) -> list[Connection]:
        in_lane = self._lane.connections if self._lane is not None else []
        others = [driver.connection for driver in self._drivers]
        return in_lane + [one for one in others if one.state is not State.GONE]

    def _listen(self, nursery: trio.Nursery) -> None:
        for sock in self._sockets:
            listen(sock)
            if self._lane is not None:
                self._lane.listen(sock, self._tls)
            else:
                listener = waited_on(sock)
                self._listeners.append(listener)
                nursery.start_soon(accept_each, listener, partial(self._serve_socket, nursery))

    def _close_listeners(self) -> None:
        # trio must be told that a socket closes while a task waits for it, and the lane's epoll before it is closed.
        for sock in self._sockets:
            if self._lane is not None:
                self._lane.ignore(sock)
        for listener in self._listeners:
            listener.close()
        for sock in self._sockets:
            release(sock)
        self._listeners, self._sockets = [], []

    def _serve_socket(
        self, nursery: trio.Nursery, sock: trio.socket.SocketType, address: object
    ) -> None:
        stream: trio.abc.Stream = trio.SocketStream(sock)
        if self._tls is not None:
            stream = trio.SSLStream(stream, self._tls, server_side=True, https_compatible=True)
        host = address[0] if isinstance(address, tuple) else ""
        nursery.start_soon(self.serve_stream, stream, host)
