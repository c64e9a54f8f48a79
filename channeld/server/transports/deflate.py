"""permessage-deflate (RFC 7692) for one connection: compresses output, and inflates input up to a limit."""

import zlib
from typing import Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from channeld.protocol.websocket import TEXT, encode_text
from channeld.server.transports.extensions import Deflate
from channeld.server.transports.transport import Encode

_TAIL = b"\x00\x00\xff\xff"
_COMPRESSED = TEXT | 0x40  # RSV1
# With a window of 12 bits: 24 KiB for a compressor, 11 for an inflater. The defaults cost 268 and 44.
_MEMORY = 5
_LARGEST_WINDOW = 15
# Seconds that the only thread takes, at least, to inflate and check a byte.
_INFLATED_BYTE_S = 2e-9
# Bytes of frames that are cached for the next member of a room, and the overhead of an entry.
_MOST_KEPT = 256 * 1024
_ENTRY = 300


class PerMessageDeflate(Extension):
    """An extension for `wsproto.Connection` that limits inflated messages to `largest` bytes.

    wsproto's own inflates a whole WebSocket frame before its size can be checked: 97 KB become 100 MB.

    Args:
        accepted: the parameters of the handshake.
        largest: bytes that an inflated message may have.

    Attributes:
        is_broken: the input could not be inflated.
        spent: seconds of inflating, until the reader charges them.
    """

    name = "permessage-deflate"

    def __init__(self, accepted: Deflate, largest: int) -> None:
        self._accepted = accepted
        self._largest = largest
        self._inflater = _new_inflater(accepted)
        self._deflater: zlib._Compress | None = None
        # The incoming message: whether it is compressed (None between messages), and bytes inflated so far.
        self._compressed: bool | None = None
        self._inflated = 0
        self._control = False
        self._restarted = False
        self.is_broken = False
        self.spent = 0.0

    def offer(self) -> bool | str:
        """A server offers nothing."""
        return False

    def enabled(self) -> bool:
        """Always: it was negotiated before this object was made."""
        return True

    @property
    def compress(self) -> Encode:
        """The function that makes the compressed WebSocket frame of a message."""
        if self._accepted.server_no_context_takeover:
            return _WITHOUT_CONTEXT[self._accepted.server_max_window_bits].compress
        return self._compress

    def _compress(self, payload: bytes) -> bytes:
        deflater = self._deflater
        if deflater is None:
            deflater = self._deflater = _new_deflater(self._accepted.server_max_window_bits)
        return _compressed(deflater, payload)

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        """Section 6: RSV1 may only stand on the first WebSocket frame of a message."""
        self._control = opcode.iscontrol()
        if rsv.rsv1 and (self._control or opcode is Opcode.CONTINUATION):
            return CloseReason.PROTOCOL_ERROR
        if not self._control and opcode is not Opcode.CONTINUATION:
            self._compressed = rsv.rsv1
        return RsvBits(True, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Inflate a piece of a message."""
        return data if self._control or not self._compressed else self._inflate(data)

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Inflate what the end of the message releases (section 7.2.2)."""
        if self._control or not fin:
            return None
        rest = self._inflate(_TAIL) if self._compressed else None
        if self._compressed and self._accepted.client_no_context_takeover:
            self._inflater = _new_inflater(self._accepted)
        self._compressed, self._inflated, self._restarted = None, 0, False
        return rest

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        room = self._largest - self._inflated
        try:
            out = self._inflater.decompress(data, room + 1)
            if self._inflater.eof and not self._restarted:
                # Section 7.2.3.4: a message may hold a final block, after which the stream starts again. Once: each new
                # inflater costs more than the two bytes that ask for it.
                rest = self._inflater.unused_data
                self._restarted = True
                self._inflater = _new_inflater(self._accepted)
                out += self._inflater.decompress(rest, max(room - len(out), 0) + 1)
        except zlib.error:
            return self._break()
        if self._inflater.eof:
            return self._break()
        self._inflated += len(out)
        self.spent += _INFLATED_BYTE_S * len(out)
        return CloseReason.MESSAGE_TOO_BIG if self._inflated > self._largest else out

    def _break(self) -> CloseReason:
        self.is_broken = True
        return CloseReason.INVALID_FRAME_PAYLOAD_DATA


class _WithoutContext:
    """Compresses messages independently, for all connections that agreed on `server_no_context_takeover` and this window.

    A turn's frames go to one member of a room after the other, so they are compressed once and cached until newer ones
    displace them.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        # By identity: the payload is kept alive with its frame, so no other object can have its `id`.
        self._kept: dict[int, tuple[bytes, bytes]] = {}
        self._size = 0

    def compress(self, payload: bytes) -> bytes:
        """The WebSocket frame of a message, cached by the message's identity."""
        known = self._kept.get(id(payload))
        if known is not None:
            return known[1]
        data = _compressed(_new_deflater(self._bits), payload)
        self._size += len(payload) + len(data) + _ENTRY
        if self._size > _MOST_KEPT:
            self._kept.clear()
            self._size = len(payload) + len(data) + _ENTRY
        self._kept[id(payload)] = payload, data
        return data


_WITHOUT_CONTEXT: Final = {bits: _WithoutContext(bits) for bits in range(9, _LARGEST_WINDOW + 1)}


def _new_deflater(bits: int) -> "zlib._Compress":
    return zlib.compressobj(wbits=-bits, memLevel=_MEMORY)


def _compressed(deflater: "zlib._Compress", payload: bytes) -> bytes:
    data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return encode_text(data[: -len(_TAIL)], _COMPRESSED)


def _new_inflater(accepted: Deflate) -> "zlib._Decompress":
    return zlib.decompressobj(wbits=-(accepted.client_max_window_bits or _LARGEST_WINDOW))
