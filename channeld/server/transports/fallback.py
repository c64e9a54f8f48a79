"""The fallback reader: reads everything that the scanner does not, by wsproto, driven synchronously (decision 0003).

A connection that has sent a fragment, or that compresses, stays here until it ends; a violation ends it here. What wsproto
accepts and we don't is refused by an extension, `_Guard`, from the header, before any payload: binary messages, messages
that are too large, and messages in unreasonably many pieces.
"""

from collections.abc import Awaitable

import trio
from wsproto.connection import SERVER, Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from channeld.protocol.codes import CloseCode
from channeld.protocol.reader import Closing, Stop
from channeld.protocol.websocket import PONG, Scanner, encode_text, read_close
from channeld.server.transports.deflate import PerMessageDeflate

# Maximum number of fragments of a message, and for large messages one per this many bytes.
MOST_FRAGMENTS = 1024
_BYTES_A_FRAGMENT = 64
# Seconds that the only thread takes for a frame with hardly any content: a smaller fragment, a control frame.
_PIECE_S = 13e-6
# The share of one core that such frames and inflating may take for one client, and the seconds that they may take at once.
_SHARE, _BURST_S = 0.1, 0.05


class _Guard(Extension):
    """Checks each WebSocket frame by its header. Returning a close code makes wsproto stop."""

    name = "x-channeld-guard"

    def __init__(self, largest: int, *, compresses: bool, takes_binary: bool) -> None:
        # Deflated text can be larger than the text: an eighth with fixed codes, and 5 bytes for each flush.
        self._largest = 2 * largest + 1024 if compresses else largest
        self._most_fragments = max(MOST_FRAGMENTS, largest // _BYTES_A_FRAGMENT)
        self._takes_binary = takes_binary
        self._opcode = Opcode.CONTINUATION
        self._coming = self._before = self._fragments = 0
        self.close: Closing | None = None
        # Seconds spent on frames with hardly any content, until the reader charges them.
        self.spent = 0.0

    def offer(self) -> bool | str:
        """Never offered: it is internal."""
        return False

    def enabled(self) -> bool:
        """Always."""
        return True

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        """Check a header. wsproto may ask twice about the same one, so it is counted only once the frame is complete."""
        self._opcode, self._coming = opcode, payload_length
        if not opcode.iscontrol():
            # wsproto itself reports a new message within a message.
            is_first = self._fragments == 0
            if opcode is Opcode.BINARY and is_first and not self._takes_binary:
                return CloseReason.UNSUPPORTED_DATA
            if self._before + payload_length > self._largest:
                return CloseReason.MESSAGE_TOO_BIG
            if self._fragments >= self._most_fragments:
                return CloseReason.POLICY_VIOLATION
        return RsvBits(False, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Check a Close frame as the scanner does: wsproto refuses code 1014, and reports 1005 for an empty payload."""
        if self._opcode is Opcode.CLOSE and data:
            close = read_close(data)
            if not isinstance(close, Closing):
                return CloseReason(close)
            self.close = close
            return b""
        return data

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Count a complete frame."""
        is_control = self._opcode.iscontrol()
        if is_control or (self._coming < _BYTES_A_FRAGMENT and not fin):
            self.spent += _PIECE_S
        if not is_control:
            self._fragments = 0 if fin else self._fragments + 1
            self._before = 0 if fin else self._before + self._coming
        return None


async def _pause(seconds: float) -> None:
    await trio.sleep(seconds)


class FallbackReader:
    """Reads one client's WebSocket frames of any kind; the same interface as `Scanner`.

    Args:
        before: the scanner that read so far; its receiver is kept, and its remaining bytes are read first.
        deflate: the extension, where it was negotiated.
    """

    __slots__ = (
        "_before", "_deflate", "_guard", "_largest", "_message", "_paid_at", "_receiver",
        "_responder", "_wsproto", "close", "open", "pending",
    )  # fmt: skip

    takes_binary = False

    def __init__(self, before: Scanner, deflate: PerMessageDeflate | None = None) -> None:
        self._receiver, self._responder = before.receiver, before.responder
        self._largest = before.largest
        self._before: Scanner | None = before
        self._deflate = deflate
        self._guard = _Guard(
            before.largest, compresses=deflate is not None, takes_binary=self.takes_binary
        )
        # Created when there is something to read: most connections that the server closes only send a Close.
        self._wsproto: Connection | None = None
        self._message = bytearray()
        # When everything spent on this client is within its share.
        self._paid_at = 0.0
        self.open = before.open
        self.pending: Awaitable[None] | None = None
        self.close: Closing | None = None

    def feed(self, data: bytes, now: float, budget: int) -> Stop:
        """Feed bytes, and call the receiver for at most `budget` messages, pings and pongs."""
        wsproto = self._wsproto
        if wsproto is None:
            extensions: list[Extension] = [self._guard]
            if self._deflate is not None:
                extensions.append(self._deflate)
            wsproto = self._wsproto = Connection(SERVER, extensions)
        if self._before is not None:
            data = self._before.take_rest() + data
            self._before = None
        if data:
            wsproto.receive_data(data)
        for event in wsproto.events():
            stop = self._take(event, now)
            if stop is not Stop.MORE:
                return stop
            spent = self._take_spent()
            if spent and self._is_over_share(spent, now):
                self.pending = _pause(self._paid_at - now - _BURST_S / _SHARE / 2)
                return Stop.PENDING
            # A large inflated message counts as several, so that the clock is checked after it.
            budget -= max(1, int(spent / _PIECE_S))
            if budget <= 0:
                return Stop.BUDGET
        return Stop.MORE

    def _take_spent(self) -> float:
        spent, self._guard.spent = self._guard.spent, 0.0
        if self._deflate is not None:
            spent, self._deflate.spent = spent + self._deflate.spent, 0.0
        return spent

    def _is_over_share(self, spent: float, now: float) -> bool:
        """Whether the client must wait: it costs far more than it sends, 13 µs for 6 bytes, 150 for 115 that are inflated."""
        self._paid_at = max(self._paid_at, now) + spent / _SHARE
        return self._paid_at - now > _BURST_S / _SHARE

    def take_binary(self, message: bytes, now: float) -> Awaitable[None] | None:
        """Ignored here: the guard refuses binary messages unless `takes_binary`."""
        raise NotImplementedError

    def _take(self, event: Event, now: float) -> Stop:
        if isinstance(event, CloseConnection):
            return self._take_close(event)
        if not self.open:
            return Stop.MORE
        if isinstance(event, Ping):
            # Not `event.response()` through wsproto: it raises for a ping that comes while a Close is on its way.
            self._responder.respond(encode_text(bytes(event.payload), PONG))
        elif isinstance(event, TextMessage | BytesMessage):
            return self._take_message(event, now)
        return Stop.MORE

    def _take_message(self, event: TextMessage | BytesMessage, now: float) -> Stop:
        # Kept as one buffer: a list of one-byte pieces would take sixty times the message's size.
        data = event.data
        self._message += data.encode() if isinstance(data, str) else data
        if not event.message_finished:
            return Stop.MORE
        message = bytes(self._message)
        self._message.clear()
        receive = self._receiver.receive if isinstance(event, TextMessage) else self.take_binary
        self.pending = receive(message, now)
        if self.pending is not None:
            return Stop.PENDING
        return Stop.MORE

    def _take_close(self, event: CloseConnection) -> Stop:
        if self._wsproto is not None and self._wsproto.state is ConnectionState.REMOTE_CLOSING:
            self.close = self._guard.close or Closing(CloseCode.NO_STATUS, "")
            return Stop.CLOSE
        if event.code == CloseReason.MESSAGE_TOO_BIG:
            return Stop.TOO_LARGE
        is_broken = self._deflate is not None and self._deflate.is_broken
        words = "broken compression" if is_broken else _REASONS.get(int(event.code), "")
        self.close = Closing(int(event.code), words)
        return Stop.VIOLATION


_REASONS: dict[int, str] = {
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "text only",
    CloseCode.INVALID_DATA: "not UTF-8",
    CloseCode.POLICY_VIOLATION: "too many fragments",
}
