"""A backend on a loopback port: a small HTTP/1.1 server that answers as it is told, and remembers what it was asked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import h11
import trio


@attrs.frozen
class Asked:
    """One request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@attrs.define
class LoopbackBackend:
    """`answer` gives (status, body) for a request, or waits."""

    port: int = 0
    answer: Callable[[Asked], Awaitable[tuple[int, bytes]]] | None = None
    asked: list[Asked] = attrs.field(factory=list)
    connections: int = 0
    closes: bool = False

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection, request after request."""
        self.connections += 1
        number = self.connections
        http = h11.Connection(h11.SERVER)
        async with stream:
            while True:
                asked = await self._read(http, stream, number)
                if asked is None:
                    return
                self.asked.append(asked)
                status, body = await self.answer(asked) if self.answer else (200, b"{}")
                headers = [("content-length", str(len(body)))]
                if self.closes:
                    headers.append(("connection", "close"))
                sent = http.send(h11.Response(status_code=status, headers=headers))
                await stream.send_all((sent or b"") + (http.send(h11.Data(data=body)) or b""))
                http.send(h11.EndOfMessage())
                if http.our_state is h11.MUST_CLOSE:
                    return
                http.start_next_cycle()

    async def _read(
        self, http: h11.Connection, stream: trio.SocketStream, number: int
    ) -> Asked | None:
        target, headers, body = "", {}, b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                try:
                    http.receive_data(bytes(await stream.receive_some()))
                except trio.BrokenResourceError:
                    return None
            elif isinstance(event, h11.Request):
                target = event.target.decode()
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return Asked(target, headers, body, number)
            else:
                return None


@asynccontextmanager
async def loopback_backend(
    answer: Callable[[Asked], Awaitable[tuple[int, bytes]]] | None = None,
) -> AsyncIterator[LoopbackBackend]:
    """A backend that runs until the block ends."""
    backend = LoopbackBackend(answer=answer)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    backend.port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, backend.serve, [listener])
        yield backend
        nursery.cancel_scope.cancel()
