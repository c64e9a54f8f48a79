"""One HTTP/1.1 connection to a backend over h11: send a request, read the whole answer, and say whether it can be reused.

Never pipelined. Plain http is used with loopback and private addresses only: the name is resolved at each connect and all
of its addresses must qualify, so that no name can lead a signed request elsewhere (DNS rebinding).
"""

import functools
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import SplitResult

import attrs
import h11
import trio

from channeld import __version__
from channeld.config.scalars import is_private

READ: Final = 64 * 1024
_GONE: Final = (OSError, ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError)

# Requests are written here, since h11's checks cost 50 µs and nothing in a request comes from outside; h11 is only told
# that there was one, so that it can parse the answer.
_ASKED: Final = (
    h11.Request(method="POST", target="/", headers=[("host", "it"), ("content-length", "0")]),
    h11.EndOfMessage(),
)

# The usual answer, arrived in one read: h11 would take as long for it as everything else together (decision 8). h11 gives
# the same result for all that this accepts, and parses everything else.
_USUAL: Final = re.compile(
    rb"HTTP/1\.1 (200|204) [\t -~]*\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n)*)\r\n"
)
_FRAMING: Final = re.compile(
    rb"^(connection|content-encoding|content-length|transfer-encoding|upgrade):[\t ]*(.*?)[\t ]*\r$",
    re.IGNORECASE | re.MULTILINE,
)


class NotPrivate(OSError):
    """An http URL leads to an address that is neither loopback nor private."""


class NotAnswered(Exception):
    """The connection ended after the request was sent and before any of the answer arrived."""


@attrs.frozen(slots=True)
class AnswerRead:
    """The answer to a request. `body` is None if it could not be read; `problem` says why. Status 0: no answer."""

    status: int
    body: bytes | None
    problem: str = ""


async def open_connection(url: SplitResult) -> "HttpConnection":
    """Connect to the host of a URL.

    Raises:
        OSError: no address answers, or one is not private.
        ssl.SSLError, trio.BrokenResourceError: the TLS handshake fails.
    """
    host = url.hostname or ""
    if url.scheme == "https":
        context = _system_trust()
        plain = await trio.open_tcp_stream(host, url.port or 443)
        stream = trio.SSLStream(plain, context, server_hostname=host, https_compatible=True)
        try:
            await stream.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return HttpConnection(stream, plain.socket.is_readable, url.netloc)
    port = url.port or 80
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not addresses or not all(is_private(address) for address in addresses):
        raise NotPrivate(f"{host} is not a loopback or private address; use https")
    problem: OSError = OSError(f"{host} has no address")
    for address in addresses:
        try:
            bare = await _connect(address, port)
        except OSError as error:
            problem = error
        else:
            return HttpConnection(bare, bare.is_readable, url.netloc)
    raise problem


async def _connect(address: str, port: int) -> "_BareStream":
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await trio.socket.from_stdlib_socket(sock).connect((address, port))
    except BaseException:
        sock.close()
        raise
    return _BareStream(sock)


@functools.cache
def _system_trust() -> ssl.SSLContext:
    # Reading the certificates takes 20 ms.
    return ssl.create_default_context()


class _BareStream(trio.abc.Stream):
    """A non-blocking socket that has no checkpoint where it need not wait, and waits for readability before it reads."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def is_readable(self) -> bool:
        """Whether there are bytes, an end of stream or an error to read."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`; raises what the socket does."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await self.wait_send_all_might_not_block()

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await trio.lowlevel.wait_writable(self._socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream`; raises what the socket does."""
        await trio.lowlevel.wait_readable(self._socket)
        return self._socket.recv(max_bytes or READ)

    async def aclose(self) -> None:
        """See `trio.abc.AsyncResource`."""
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()


class HttpConnection:
    """An open connection. `is_reusable`: another request may follow."""

    def __init__(self, stream: trio.abc.Stream, is_readable: Callable[[], bool], host: str) -> None:
        self._stream = stream
        self._is_readable = is_readable
        self._fields = (
            f"HTTP/1.1\r\nhost: {host}\r\nuser-agent: channeld/{__version__}\r\n"
            "accept-encoding: identity\r\ncontent-type: application/json\r\n"
        )
        self.is_reusable = False

    @property
    def is_stale(self) -> bool:
        """Whether the peer has closed it or sent something unasked."""
        return self._is_readable()

    async def post(
        self, target: str, headers: Sequence[tuple[str, str]], body: bytes, most: int
    ) -> AnswerRead:
        """Send a request and read its answer, up to that many bytes of body.

        Raises:
            NotAnswered: the connection is gone, and no answer arrived.
        """
        self.is_reusable = False
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"POST {target} {self._fields}content-length: {len(body)}\r\n{fields}\r\n"
        try:
            await self._stream.send_all(head.encode() + body)
            data = bytes(await self._stream.receive_some(READ))
        except _GONE as error:
            raise NotAnswered(f"the connection is gone: {_words(error)}") from error
        if not data:
            raise NotAnswered("the backend closed the connection without an answer")
        answer = _usual_answer(data, most)
        if answer is not None:
            self.is_reusable = True
            return answer
        try:
            return await self._read_answer(data, most)
        except (h11.RemoteProtocolError, h11.LocalProtocolError) as error:
            return AnswerRead(0, None, f"cannot be read: {error}")
        except _GONE as error:
            return AnswerRead(0, None, f"breaks off: {_words(error)}")

    async def _read_answer(self, data: bytes, most: int) -> AnswerRead:
        http = h11.Connection(h11.CLIENT)
        for asked in _ASKED:
            http.send(asked)
        http.receive_data(data)
        status, size = 0, 0
        chunks: list[bytes] = []
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await self._stream.receive_some(READ)))
            elif isinstance(event, h11.Response):
                status = event.status_code
                for name, value in event.headers:
                    if name == b"content-encoding" and value.lower() != b"identity":
                        problem = f"has the encoding {value.decode('latin-1')}"
                        return AnswerRead(status, None, problem)
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > most:
                    return AnswerRead(status, None, f"is larger than {most} bytes")
                chunks.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                # Bytes after an answer would be taken for the next one.
                is_done = http.our_state is http.their_state is h11.DONE
                self.is_reusable = is_done and http.trailing_data == (b"", False)
                return AnswerRead(status, b"".join(chunks))

    async def aclose(self) -> None:
        """Close it at once. Idempotent."""
        await trio.aclose_forcefully(self._stream)


def _usual_answer(data: bytes, most: int) -> AnswerRead | None:
    """Parse a usual, complete answer that leaves the connection reusable; None: leave it to h11."""
    head = _USUAL.match(data)
    if head is None:
        return None
    status, size, body = int(head[1]), -1, data[head.end() :]
    for name, value in _FRAMING.findall(head[2]):
        if name.lower() == b"content-length" and size < 0 and value.isdigit() and len(value) < 8:
            size = int(value)
        elif name.lower() != b"connection" or value.lower() != b"keep-alive":
            return None
    if status == 204:
        # It has no body, whatever its length says (RFC 9112 section 6.3).
        size = -1 if size > 0 else 0
    return AnswerRead(status, body) if size == len(body) <= most else None


def _words(error: BaseException) -> str:
    return str(error.__cause__ or error) or type(error).__name__
