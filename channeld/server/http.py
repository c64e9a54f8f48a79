"""Serves an ASGI application over HTTP/1.1, a task for each connection and a limit on everything (decision 0004).

    await nursery.start(serve_http, app, sockets)

Rules: a request head has `head` seconds, a body `body`, one write `write`, an idle connection `idle`. Over `connections`
the one that has waited longest for its client (to send a request or a body, or to take an answer) makes room for the new
one, so half-sent requests cannot lock others out. An answer given before the body was read ends the connection, after the
client has had time to read it. The application sees `http.disconnect` as soon as its client is gone, and `serve_http`
closes the sockets that it was given.
"""

import contextlib
import email.utils
import functools
import http
import math
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import attrs
import h11
import orjson
import trio

from channeld.groups import leaves
from channeld.server.head import is_host
from channeld.server.sockets import (
    accept_each,
    accept_queued,
    is_ours,
    listen,
    release,
    retire,
    waited_on,
)
from channeld.telemetry import log

Message: TypeAlias = MutableMapping[str, Any]
AsgiApp: TypeAlias = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

_LARGEST_HEAD: Final = 16 * 1024
_READ: Final = 65536
# How much of an unread body is read and dropped to keep the connection, and to close it without a reset.
_DROPPED: Final = 128 * 1024
_LINGERED: Final = 16 * 1024 * 1024
_STATUSES: Final = frozenset(http.HTTPStatus)
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.frozen(slots=True, kw_only=True)
class HttpLimits:
    """Maximum number of connections, and time limits in seconds."""

    connections: int = 256
    head: float = 10.0
    idle: float = 60.0
    body: float = 20.0
    write: float = 20.0
    linger: float = 2.0


class _Over(Exception):
    """The connection ends without an answer."""


_ENDS: Final = (_Over, *_GONE)


async def serve_http(
    app: AsgiApp,
    sockets: Sequence[socket.socket],
    limits: HttpLimits | None = None,
    *,
    until: Callable[[], Awaitable[object]] = trio.sleep_forever,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on sockets that `bind` made until cancelled. What the application raises is logged and answered with 500.

    When `until` returns, the listeners are closed; open connections continue, and no request under way is lost.
    """
    server = HttpServer(app, limits or HttpLimits())
    with contextlib.ExitStack() as closing:
        for sock in sockets:
            closing.callback(release, sock)
        async with trio.open_nursery() as nursery:
            admit = functools.partial(server.admit, nursery)
            for sock in sockets:
                listen(sock)
                listener = closing.enter_context(waited_on(sock))
                nursery.start_soon(accept_each, listener, admit)
            task_status.started()
            await until()
            await trio.sleep(max((retire(sock) for sock in sockets), default=0.0))
            for sock in filter(is_ours, sockets):
                accept_queued(sock, admit, server.limits.connections)
            closing.close()


class HttpServer:
    """Accepts connections, and keeps their number within the limit."""

    def __init__(self, app: AsgiApp, limits: HttpLimits) -> None:
        self.app = app
        self.limits = limits
        self._waiting: dict[trio.CancelScope, None] = {}
        self._open = 0

    def admit(self, nursery: trio.Nursery, sock: trio.socket.SocketType, address: object) -> None:
        """Serve a connection in the nursery if there is room, or can be made."""
        if self._open >= self.limits.connections and not self._make_room():
            sock.close()
            return
        self._open += 1
        nursery.start_soon(self._serve, sock, address)

    def _make_room(self) -> bool:
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        del self._waiting[longest]
        longest.cancel()
        return True

    @contextlib.contextmanager
    def patience(self, seconds: float) -> Iterator[trio.CancelScope]:
        """A time limit for waiting for the client; the scope says whether it was exceeded.

        Raises:
            _Over: another connection needed the room first.
        """
        scope = trio.CancelScope(deadline=trio.current_time() + seconds)
        self._waiting[scope] = None
        try:
            with scope:
                yield scope
        finally:
            # `_make_room` has already removed what it closed.
            is_sent_away = scope not in self._waiting
            self._waiting.pop(scope, None)
        if is_sent_away and scope.cancelled_caught:
            raise _Over

    async def _serve(self, sock: trio.socket.SocketType, address: object) -> None:
        stream = trio.SocketStream(sock)
        client = (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
        try:
            await _HttpConnection(self, stream, client).run()
        except _ENDS:
            pass
        except Exception as error:  # a bug of ours ends this connection, not the server
            log("task_failed", task="http", exception=error)
        finally:
            self._open -= 1
            await trio.aclose_forcefully(stream)


class _HttpConnection:
    """One client's connection: one request after the other."""

    def __init__(
        self, server: HttpServer, stream: trio.SocketStream, client: tuple[str, int] | None
    ) -> None:
        self._server = server
        self.limits = server.limits
        self.patience = server.patience
        self._stream = stream
        self._client = client
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        self.has_ended = False

    async def run(self) -> None:
        patience = self.limits.head
        while True:
            try:
                request = await self._next_request(patience)
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint)
                return
            if request is None:
                return
            await _Exchange(self, request, self._client).run(self._server.app)
            if not await self._may_go_on():
                return
            self.http.start_next_cycle()
            patience = self.limits.idle

    async def _next_request(self, patience: float) -> h11.Request | None:
        with self.patience(patience):
            event = await self.next_event()
            if isinstance(event, h11.Request):
                # h11's own limit only covers heads that arrive in pieces.
                if _size(event) > _LARGEST_HEAD:
                    raise h11.RemoteProtocolError("too large", error_status_hint=431)
                if not is_host(dict(event.headers).get(b"host", b"").decode("latin-1")):
                    raise h11.RemoteProtocolError("not a host", error_status_hint=400)
                return event
        return None

    async def next_event(self) -> Any:
        """The next h11 event; may be `PAUSED` or a closed connection."""
        while True:
            event = self.http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self.http.they_are_waiting_for_100_continue:
                await self.write(
                    self.http.send(h11.InformationalResponse(status_code=100, headers=[]))
                )
            await self.read()

    async def read(self) -> None:
        """Receive bytes and feed them to h11, which knows no empty line before a request (RFC 9112 section 2.2)."""
        received = await self._stream.receive_some(_READ)
        self.has_ended = not received
        is_first = self.http.their_state is h11.IDLE and not self.http.trailing_data[0]
        if is_first and received[:2] == b"\r\n":
            received = received[2:]
            if not received:
                return
        self.http.receive_data(received)

    async def write(self, data: bytes | None) -> None:
        """Send within the time limit of one write."""
        if data:
            with self.patience(self.limits.write) as scope:
                await self._stream.send_all(data)
            if scope.cancelled_caught:
                raise _Over

    async def answer(self, status: int, title: str, *, to_head: bool = False) -> None:
        """Answer with a problem document (RFC 9457), without its body to HEAD, and end the connection."""
        body = orjson.dumps({"type": "about:blank", "title": title, "status": status})
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await self.write(
            (self.http.send(_response(status, _dated(headers))) or b"")
            + (b"" if to_head else self.http.send(h11.Data(data=body)) or b"")
            + (self.http.send(h11.EndOfMessage()) or b"")
        )

    async def _refuse(self, status: int) -> None:
        if self.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self.answer(
                status, "Request head too large" if status == 431 else "Malformed request"
            )
        await self._part()

    async def _may_go_on(self) -> bool:
        """Whether another request may follow; a short rest of this one's body is read and dropped."""
        dropped = 0
        with self.patience(self.limits.linger):
            while self.http.their_state is h11.SEND_BODY and dropped < _DROPPED:
                try:
                    event = await self.next_event()
                except h11.RemoteProtocolError:
                    break
                dropped += len(event.data) if isinstance(event, h11.Data) else 0
        if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
            return True
        await self._part()
        return False

    async def _part(self) -> None:
        # Closing while the client still sends could destroy our answer (RFC 9112 section 9.6).
        with self.patience(self.limits.linger), contextlib.suppress(*_GONE):
            await self._stream.send_eof()
            dropped = 0
            while dropped < _LINGERED and (received := await self._stream.receive_some(_READ)):
                dropped += len(received)


class _Exchange:
    """One request and its answer, as the application sees them."""

    def __init__(
        self, connection: _HttpConnection, request: h11.Request, client: tuple[str, int] | None
    ) -> None:
        self._connection = connection
        self._request = request
        self._scope = _scope(request, client)
        self._body_ends = trio.current_time() + connection.limits.body
        self._has_body = True
        self._is_slow = False
        self._head: bytes | None = None
        self._has_begun = False
        self._is_done = trio.Event()

    async def run(self, app: AsgiApp) -> None:
        try:
            await app(self._scope, self._receive, self._send)
        except Exception as error:  # an application's bug must not end the server
            if _is_of_a_client_gone(error):
                raise _Over from None
            log("task_failed", task="http", exception=error)
            await self._give_up(500, "Internal server error")
        if not self._is_done.is_set():
            slow = self._is_slow
            await self._give_up(408 if slow else 500, "Request too slow" if slow else "No answer")

    async def _give_up(self, status: int, title: str) -> None:
        if self._has_begun or self._connection.has_ended:
            raise _Over
        to_head = self._request.method == b"HEAD"
        await self._connection.answer(status, title, to_head=to_head)
        self._is_done.set()

    async def _receive(self) -> Message:
        if self._has_body:
            return await self._receive_body()
        await self._wait_for_end()
        return {"type": "http.disconnect"}

    async def _receive_body(self) -> Message:
        event = None
        try:
            with self._connection.patience(self._body_ends - trio.current_time()):
                event = await self._connection.next_event()
        except (h11.RemoteProtocolError, *_GONE):
            self._has_body, self._connection.has_ended = False, True
            return {"type": "http.disconnect"}
        if event is None:
            self._is_slow, self._has_body = True, False
            return {"type": "http.disconnect"}
        if isinstance(event, h11.Data):
            return {"type": "http.request", "body": bytes(event.data), "more_body": True}
        self._has_body = False
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _wait_for_end(self) -> None:
        """Wait until the client is gone or the answer is complete."""
        async with trio.open_nursery() as nursery:

            async def watch(wait: Callable[[], Awaitable[None]]) -> None:
                await wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch, self._watch_client)
            nursery.start_soon(watch, self._is_done.wait)

    async def _watch_client(self) -> None:
        connection = self._connection
        while not connection.has_ended:
            if len(connection.http.trailing_data[0]) >= _LARGEST_HEAD:
                await trio.sleep(math.inf)  # pipelined requests have to wait
            try:
                await connection.read()
            except _GONE:
                connection.has_ended = True

    def _is_long(self) -> bool:
        fields = dict(self._request.headers)
        return b"transfer-encoding" in fields or int(fields.get(b"content-length", 0)) > _DROPPED

    async def _send(self, message: Message) -> None:
        wire = self._connection.http
        if self._connection.has_ended:
            raise _Over
        if message["type"] == "http.response.start":
            headers = _dated(message.get("headers", ()))
            if self._has_body and wire.their_state is h11.SEND_BODY and self._is_long():
                # Too much of it is left to read, and the client must know that nothing more is read.
                headers.append((b"connection", b"close"))
            self._head = wire.send(_response(message["status"], headers))
            return
        out, self._head, self._has_begun = self._head or b"", b"", True
        if self._request.method != b"HEAD" and message.get("body"):
            out += wire.send(h11.Data(data=message["body"])) or b""
        is_last = not message.get("more_body", False)
        if is_last:
            out += wire.send(h11.EndOfMessage()) or b""
        await self._connection.write(out)
        if is_last:
            self._is_done.set()


def _size(request: h11.Request) -> int:
    fields = sum(len(name) + len(value) + 4 for name, value in request.headers)
    return len(request.target) + fields


def _is_of_a_client_gone(error: Exception) -> bool:
    """Whether an exception only says that the client is gone, also inside a group."""
    return all(isinstance(leaf, _ENDS) for leaf in leaves(error))


def _response(status: int, headers: list[tuple[bytes, bytes]]) -> h11.Response:
    reason = http.HTTPStatus(status).phrase if status in _STATUSES else ""
    return h11.Response(status_code=status, headers=headers, reason=reason.encode())


def _dated(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    # RFC 9110 section 6.6.1: a server with a clock sends the date.
    return [*headers, (b"date", email.utils.formatdate(time.time(), usegmt=True).encode())]


def _scope(request: h11.Request, client: tuple[str, int] | None) -> Message:
    path, _, query = request.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.http_version.decode("ascii"),
        "method": request.method.decode("ascii"),
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(request.headers),
        "client": client,
        "server": None,
        "state": {},
    }
