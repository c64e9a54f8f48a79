"""One HTTP/1.1 connection to a backend over h11: a request, the whole answer, and whether it serves for another.

Never pipelined. http is spoken with loopback and private addresses only: the name is resolved at each connect, and every
address that it has must be one, so that a name cannot lead a signed request out (threats: DNS rebinding).
"""

import functools
import ssl
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult

import attrs
import h11
import trio

from channeld import __version__
from channeld.config.scalars import is_private

__all__ = ["AnswerRead", "HttpConnection", "NotPrivate", "open_connection"]

READ: Final = 64 * 1024


class NotPrivate(OSError):
    """An http URL leads to an address that is neither loopback nor private."""


@attrs.frozen(slots=True)
class AnswerRead:
    """The answer to a request; `body` is None where it was larger than allowed."""

    status: int
    body: bytes | None


async def open_connection(url: SplitResult, tls: ssl.SSLContext | None) -> "HttpConnection":
    """Connect to the host of a URL.

    Raises:
        OSError: no address answers, or one is not private.
        ssl.SSLError, trio.BrokenResourceError: the TLS handshake fails.
    """
    host = url.hostname or ""
    if url.scheme == "https":
        context = tls or _system_trust()
        plain = await trio.open_tcp_stream(host, url.port or 443)
        stream = trio.SSLStream(plain, context, server_hostname=host, https_compatible=True)
        try:
            await stream.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return HttpConnection(stream, plain, url.netloc)
    port = url.port or 80
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not addresses or not all(is_private(address) for address in addresses):
        raise NotPrivate(f"{host} is not a loopback or private address; use https")
    problem: OSError = OSError(f"{host} has no address")
    for address in addresses:
        try:
            plain = await trio.open_tcp_stream(address, port)
        except OSError as error:
            problem = error
        else:
            return HttpConnection(plain, plain, url.netloc)
    raise problem


@functools.cache
def _system_trust() -> ssl.SSLContext:
    # Reading the certificates takes 20 ms.
    return ssl.create_default_context()


class HttpConnection:
    """An open connection. `is_reusable` says whether another request may follow."""

    def __init__(
        self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream],
        plain: trio.SocketStream, host: str,
    ) -> None:  # fmt: skip
        self._stream = stream
        self._plain = plain
        self._host = host
        self._http = h11.Connection(h11.CLIENT)
        self.is_reusable = False

    @property
    def is_stale(self) -> bool:
        """Whether the peer has closed it, or sent what nobody asked for: then there is something to read."""
        return self._plain.socket.is_readable()

    async def post(
        self, target: str, headers: Sequence[tuple[str, str]], body: bytes, most: int
    ) -> AnswerRead:
        """Send a request and read its answer, of whose body at most that many bytes.

        Raises:
            OSError, trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError: the connection is gone.
            h11.RemoteProtocolError: the answer is not HTTP.
        """
        self.is_reusable = False
        own = [
            ("host", self._host),
            ("user-agent", f"channeld/{__version__}"),
            ("accept-encoding", "identity"),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
        ]
        fields = [(name.encode(), value.encode()) for name, value in (*own, *headers)]
        request = h11.Request(method="POST", target=target, headers=fields)
        sent = self._http.send(request) or b""
        sent += self._http.send(h11.Data(data=body)) or b""
        sent += self._http.send(h11.EndOfMessage()) or b""
        await self._stream.send_all(sent)
        return await self._answer(most)

    async def _answer(self, most: int) -> AnswerRead:
        status = 0
        chunks: list[bytes] = []
        size = 0
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(bytes(await self._stream.receive_some(READ)))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > most:
                    return AnswerRead(status, None)
                chunks.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise trio.BrokenResourceError("the backend closed the connection")
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self.is_reusable = True
        return AnswerRead(status, b"".join(chunks))

    async def aclose(self) -> None:
        """Close it at once. Idempotent."""
        await trio.aclose_forcefully(self._stream)
