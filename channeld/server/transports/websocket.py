"""The WebSocket transport (RFC 6455): its part of the handshake (section 4.2), and the two readers of its frames.

The scanner of `channeld.protocol.websocket` reads what nearly every client sends; `fallback.py` reads everything else.
"""

import binascii
import hashlib
from collections.abc import Mapping

import attrs

from channeld.protocol.reader import FrameReader, Receives, Responds
from channeld.protocol.websocket import PING, Scanner, encode_close, encode_text
from channeld.server.exchange import Refuse, RequestHead, refuse, tokens
from channeld.server.transports.deflate import PerMessageDeflate
from channeld.server.transports.extensions import Deflate, negotiate
from channeld.server.transports.fallback import FallbackReader
from channeld.server.transports.transport import Terms, Wire

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SUBPROTOCOL = "channeld"
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)


@attrs.frozen(slots=True)
class WebSocketAgreement:
    """A 101, and the compression that was negotiated."""

    response: bytes
    deflate: Deflate | None
    fallback: type[FallbackReader]
    since: str | None = None

    def open(self, receiver: Receives, responder: Responds, largest: int, rest: bytes) -> Wire:
        """See Agreement."""
        scanner = Scanner(receiver, responder, largest)
        scanner.rest = rest
        if self.deflate is None:
            return Wire(scanner, encode_text)
        deflate = PerMessageDeflate(self.deflate, largest)
        return Wire(self.fallback(scanner, deflate), deflate.compress)


@attrs.frozen(slots=True)
class WebSocket:
    """The WebSocket transport; `fallback` reads what the scanner does not."""

    fallback: type[FallbackReader] = FallbackReader
    name: str = "websocket"
    ping: bytes = encode_text(b"", PING)
    is_answered: bool = True

    def is_asked(self, head: RequestHead) -> bool:
        """See Transport."""
        return "websocket" in head.fields.get("upgrade", "").lower()

    def judge(self, head: RequestHead) -> Refuse | None:
        """See Transport. Checks are in the order in which a client can fix them."""
        return _judge_http(head) or _judge_upgrade(head.fields)

    def accept(self, head: RequestHead, terms: Terms) -> WebSocketAgreement:
        """See Transport."""
        fields = head.fields
        extensions = fields.get("sec-websocket-extensions", "") if terms.compress else ""
        deflate = negotiate(extensions) if extensions else None
        key = fields["sec-websocket-key"] + _GUID
        digest = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
        answer = _SWITCHING + binascii.b2a_base64(digest, newline=False) + b"\r\n"
        offered = tokens(fields.get("sec-websocket-protocol", ""))
        # The offer may contain a bearer token, so only our own names are ever echoed.
        spoken = terms.subprotocols or (_SUBPROTOCOL,)
        agreed = next((name for name in offered if name in spoken), None)
        if agreed is not None:
            answer += b"Sec-WebSocket-Protocol: " + agreed.encode() + b"\r\n"
        if deflate is not None:
            answer += b"Sec-WebSocket-Extensions: " + deflate.field().encode() + b"\r\n"
        return WebSocketAgreement(answer + b"\r\n", deflate, self.fallback)

    def encode(self, frame: bytes) -> bytes:
        """See Transport."""
        return encode_text(frame)

    def close(self, code: int, reason: str) -> bytes:
        """See Transport."""
        return encode_close(code, reason)

    def succeed(self, reader: FrameReader) -> FrameReader:
        """See Transport. A scanner is succeeded by the fallback reader, which succeeds itself."""
        return self.fallback(reader) if isinstance(reader, Scanner) else reader

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        """See Transport."""
        while start < offset:
            size = data[start + 1]
            if size < 126:
                start += 2 + size
            elif size == 126:
                start += 4 + int.from_bytes(data[start + 2 : start + 4], "big")
            else:
                start += 10 + int.from_bytes(data[start + 2 : start + 10], "big")
        return start


def _judge_http(head: RequestHead) -> Refuse | None:
    fields = head.fields
    if head.method != "GET":
        return refuse(405, "A channel has no such method", "Allow: GET, HEAD, POST, OPTIONS")
    if head.version != "1.1" or "host" not in fields:
        return refuse(400, "A WebSocket handshake is HTTP/1.1 with one Host field")
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        return refuse(400, "A WebSocket handshake has no body")
    return None


def _judge_upgrade(fields: Mapping[str, str]) -> Refuse | None:
    if not _names(fields.get("upgrade", "").lower(), "websocket"):
        return refuse(426, "Connect with a WebSocket", "Upgrade: websocket")
    if not _names(fields.get("connection", "").lower(), "upgrade"):
        return refuse(400, "The Connection field must name Upgrade")
    if fields.get("sec-websocket-version") != "13":
        wanted = "Sec-WebSocket-Version: 13"
        return refuse(
            426, "Only version 13 of the protocol is supported", "Upgrade: websocket", wanted
        )
    if not _is_key(fields.get("sec-websocket-key", "")):
        return refuse(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    return None


def _names(field: str, token: str) -> bool:
    # Most clients offer nothing else.
    return field == token or token in tokens(field)


def _is_key(key: str) -> bool:
    if len(key) != 24:
        return False
    try:
        return len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except ValueError:  # includes binascii.Error and non-ASCII characters
        return False
