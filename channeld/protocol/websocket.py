"""RFC 6455 as bytes in, messages out, for drivers, tests and fuzzers. Knows no socket.

In this module and in `server/` a "WebSocket frame" is the wire unit of the RFC; elsewhere a frame is the JSON object.

`Scanner` handles what nearly every client sends: whole masked text frames, pings, pongs and Close frames. It stops at
anything else, and keeps all bytes from the start of that WebSocket frame for its successor
(`server/transports/fallback.py`). So it has no state for fragments, extensions or violations that could go wrong.
"""

import codecs
from collections.abc import Awaitable

from channeld.protocol.codes import CloseCode
from channeld.protocol.masking import unmask
from channeld.protocol.reader import Closing, Receives, Responds, Stop

__all__ = [
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "Scanner",
    "encode_close",
    "encode_text",
    "read_close",
    "unmask",
]

# The first bytes of whole WebSocket frames (section 5.2): FIN, no reserved bit, the opcode.
TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A

_PLAIN = frozenset((TEXT, CLOSE, PING, PONG))


def encode_text(payload: bytes, first: int = TEXT) -> bytes:
    """A server's WebSocket frame (section 5.2: FIN, unmasked). Encoded once for any number of connections."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def encode_close(code: int, reason: str) -> bytes:
    """A Close frame (section 5.5.1); the reason is cut to the 123 bytes that fit, at a character's end.

    The codes 1005 and 1006 never travel: a frame without a code says the same (section 7.1.5).
    """
    if code in (CloseCode.NO_STATUS, CloseCode.ABNORMAL):
        return encode_text(b"", CLOSE)
    return encode_text(
        code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode(), CLOSE
    )


def read_close(payload: bytes) -> Closing | CloseCode:
    """Parse a Close frame's unmasked payload; if it violates section 5.5.1 or 7.4, the code to answer with."""
    if not payload:
        return Closing(CloseCode.NO_STATUS, "")
    code = int.from_bytes(payload[:2], "big")
    # 1004-1006 and 1015 never travel; 1012-1014 are in the IANA registry; 3000-4999 are free for libraries and people.
    if len(payload) == 1 or not (code in _CLOSE_CODES or 3000 <= code < 5000):
        return CloseCode.PROTOCOL_ERROR
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        return CloseCode.INVALID_DATA
    return Closing(code, reason)


_CLOSE_CODES = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))


# An enum member lookup takes 0.1 µs in Python 3.11.
_MORE = Stop.MORE


class Scanner:
    """The plain WebSocket frames of one client, in order, from a frame boundary on.

    Args:
        receiver: gets each text message, and the time that `feed` was given.
        responder: gets the pong frame for each ping.
        largest: bytes of payload that a text message may have.

    Attributes:
        open, pending, close: see `FrameReader`.
        rest: bytes received but not processed yet.
    """

    __slots__ = (
        "checked", "close", "largest", "need", "open", "pending", "receiver", "responder", "rest",
    )  # fmt: skip

    def __init__(self, receiver: Receives, responder: Responds, largest: int) -> None:
        self.receiver = receiver
        self.responder = responder
        self.largest = largest
        self.open = True
        self.pending: Awaitable[None] | None = None
        self.close: Closing | None = None
        self.rest: bytes | bytearray = b""
        # The WebSocket frame at the start of `rest`: its size, and how many payload bytes are known to be valid UTF-8.
        self.need = self.checked = 0

    def feed(self, data: bytes, now: float, budget: int) -> Stop:
        """Take bytes, and call receiver and responder for at most `budget` WebSocket frames."""
        if self.rest:
            self._grow(data)
            if len(self.rest) < self.need:
                return self._judge(self.rest)
            data = self.take_rest()
        at, size, receiver = 0, len(data), self.receiver
        for _ in range(budget):
            if size - at < 6 or not self.open:
                break
            second = data[at + 1]
            if data[at] != TEXT:
                end = self._control(data, at)
                if end:
                    at = end
                    continue
                break
            start, end = (at + 6, at + second - 122) if second < 254 else _bounds(data, at)
            if not start <= end <= size or end - start > self.largest:
                break
            payload = unmask(data[start:end], data[start - 4 : start])
            if not payload.isascii() and not _is_utf8(payload):
                break
            at = end
            pending = receiver.receive(payload, now)
            if pending is not None:
                self.rest, self.pending = data[at:], pending
                return Stop.PENDING
        else:
            self.rest = data[at:]
            return Stop.BUDGET if at < size else _MORE
        return self._judge(data[at:]) if at < size else _MORE

    def take_rest(self) -> bytes:
        """Remove and return the unprocessed bytes."""
        rest, self.rest, self.need, self.checked = bytes(self.rest), b"", 0, 0
        return rest

    def _grow(self, data: bytes) -> None:
        # A bytearray grows in place, so a long message in small pieces needs no quadratic copying.
        if not isinstance(self.rest, bytearray):
            self.rest = bytearray(self.rest)
        self.rest += data

    def _control(self, data: bytes, at: int) -> int:
        """Answer a whole ping or skip a whole pong; returns where it ends, or 0 for anything else."""
        first, length = data[at], data[at + 1] - 128
        end = at + 6 + length
        if first not in (PING, PONG) or not 0 <= length < 126 or end > len(data):
            return 0
        if first == PING:
            self.responder.respond(
                encode_text(unmask(data[at + 6 : end], data[at + 2 : at + 6]), PONG)
            )
        return end

    def _judge(self, data: bytes | bytearray) -> Stop:
        """Decide what to do with bytes that don't begin with a whole text frame, ping or pong."""
        self.rest = data
        if not self.open:
            return Stop.CLOSED
        first, length = data[0], data[1] - 128 if len(data) > 1 else 0
        if first not in _PLAIN or length < 0 or (length > 125 and first != TEXT):
            return Stop.UNUSUAL
        if len(data) < (6 if length < 126 else 8 if length == 126 else 14):
            return Stop.MORE
        start, self.need = _bounds(data, 0)
        if self.need < start:
            return Stop.UNUSUAL
        if first == TEXT:
            return self._judge_text(data, start)
        return self._judge_close(data) if len(data) >= self.need else Stop.MORE

    def _judge_text(self, data: bytes | bytearray, start: int) -> Stop:
        if self.need - start > self.largest:
            return Stop.TOO_LARGE
        # Section 8.1: an incomplete text may already be invalid. Each byte is checked once.
        aligned = self.checked & ~3
        chunk = unmask(bytes(data[start + aligned : self.need]), bytes(data[start - 4 : start]))
        whole = len(data) >= self.need
        try:
            _, good = codecs.utf_8_decode(chunk[self.checked - aligned :], "strict", whole)
        except UnicodeDecodeError:
            return Stop.UNUSUAL
        self.checked += good
        return Stop.MORE

    def _judge_close(self, data: bytes | bytearray) -> Stop:
        close = read_close(unmask(bytes(data[6 : self.need]), bytes(data[2:6])))
        if not isinstance(close, Closing):
            return Stop.UNUSUAL
        self.close = close
        self.rest = b""
        return Stop.CLOSE


def _bounds(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """The start and end of a masked frame's payload; the end is before the start if the length is malformed."""
    length = data[at + 1] - 128
    if length < 126:
        return at + 6, at + 6 + length
    wide = at + (4 if length == 126 else 10)
    size = int.from_bytes(data[at + 2 : wide], "big")
    # Section 5.2: the minimal number of bytes must be used, and the most significant bit must be 0.
    fits = 126 <= size < 65536 if length == 126 else 65536 <= size < 1 << 63
    return wide + 4, wide + 4 + (size if fits else -1)


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
