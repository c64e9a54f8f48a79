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

__all__ = ["AnswerRead", "HttpConnection", "NotAnswered", "NotPrivate", "open_connection"]

READ: Final = 64 * 1024
_GONE: Final = (OSError, ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError)

# A request is written here, since h11's checks cost 50 µs and nothing in it comes from outside; h11 only has to know that
# there was one, to read the answer.
_ASKED: Final = (
    h11.Request(method="POST", target="/", headers=[("host", "it"), ("content-length", "0")]),
    h11.EndOfMessage(),
)


class NotPrivate(OSError):
    """An http URL leads to an address that is neither loopback nor private."""


class NotAnswered(Exception):
    """The connection ended after the request was sent, and before anything of an answer came."""


@attrs.frozen(slots=True)
class AnswerRead:
    """The answer to a request. `body` is None where it could not be read; `problem` says why. Status 0: there was none."""

    status: int
    body: bytes | None
    problem: str = ""


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
        self._fields = (
            f"HTTP/1.1\r\nhost: {host}\r\nuser-agent: channeld/{__version__}\r\n"
            "accept-encoding: identity\r\ncontent-type: application/json\r\n"
        )
        self._http = h11.Connection(h11.CLIENT)
        self._is_answered = False
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
            NotAnswered: the connection is gone, and nothing of an answer came.
        """
        self.is_reusable = self._is_answered = False
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"POST {target} {self._fields}content-length: {len(body)}\r\n{fields}\r\n"
        sent = head.encode() + body
        for event in _ASKED:
            self._http.send(event)
        try:
            await self._stream.send_all(sent)
        except _GONE as error:
            raise NotAnswered(f"the connection is gone: {_words(error)}") from error
        return await self._answer(most)

    async def _answer(self, most: int) -> AnswerRead:
        try:
            answer = await self._read_answer(most)
        except (h11.RemoteProtocolError, h11.LocalProtocolError) as error:
            return AnswerRead(0, None, f"cannot be read: {error}")
        except _GONE as error:
            return AnswerRead(0, None, f"breaks off: {_words(error)}")
        is_done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        # What follows an answer would be taken for the next one.
        if is_done and self._http.trailing_data == (b"", False):
            self._http.start_next_cycle()
            self.is_reusable = True
        return answer

    async def _read_answer(self, most: int) -> AnswerRead:
        status, size = 0, 0
        chunks: list[bytes] = []
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._receive()
            elif isinstance(event, h11.Response):
                status = event.status_code
                encoding = (
                    dict(event.headers).get(b"content-encoding", b"identity").decode("latin-1")
                )
                if encoding.lower() != "identity":
                    return AnswerRead(status, None, f"has the encoding {encoding}")
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > most:
                    return AnswerRead(status, None, f"is larger than {most} bytes")
                chunks.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return AnswerRead(status, b"".join(chunks))

    async def _receive(self) -> None:
        try:
            data = bytes(await self._stream.receive_some(READ))
        except _GONE as error:
            if self._is_answered:
                raise
            raise NotAnswered(f"the connection is gone: {_words(error)}") from error
        if not data and not self._is_answered:
            raise NotAnswered("the backend closed the connection without an answer")
        self._is_answered = True
        self._http.receive_data(data)

    async def aclose(self) -> None:
        """Close it at once. Idempotent."""
        await trio.aclose_forcefully(self._stream)


def _words(error: BaseException) -> str:
    return str(error.__cause__ or error) or type(error).__name__
