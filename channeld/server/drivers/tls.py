"""TLS over a non-blocking socket, for the lane: `recv` and `send` as a plain socket has them.

OpenSSL works on two memory buffers, so it never waits. Its own output (handshake, key update, alert) is sent by the next
`flush`, and what the kernel does not accept is kept. Plaintext that `send` has taken is encrypted and sent in order;
`unsent` holds what has not been sent yet.

All connections of a lane share the two buffers, which would be 2.4 KiB of each: both are empty between any two calls.
"""

import contextlib
import socket
import ssl
from typing import Protocol

_RECORD = 16384
# Bytes of plaintext encrypted between two writes to the kernel.
_PIECE = 65536
# The beginning of a record of less than 256 bytes (RFC 8446 section 5.1). A record without data, such as a key update, costs 20 µs;
# OpenSSL does not count them, and reads on while there are more.
_SMALL_RECORD = b"\x17\x03\x03\x00"
_MOST_WITHOUT_DATA = 128
# If there are more such records than `_FEW`, they are decrypted in pieces of `_LITTLE` bytes.
_FEW, _LITTLE = 64, 2048


class TlsBuffers:
    """What OpenSSL reads from and writes to, for all connections of one thread."""

    __slots__ = ("incoming", "outgoing")

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()


class WantsWrite(Protocol):
    """Is told when the kernel accepts no more."""

    def want_write(self) -> None:
        """It accepts no more: call `flush` when it does again."""


class TlsSocket:
    """The server's end of one TLS connection.

    Args:
        sock: connected and non-blocking; the caller closes it.
        context: a server's.
        buffers: those of its lane.
        driver: told when the kernel accepts no more.

    Attributes:
        ended: the peer sends no more.
        is_half_closed: the write side is shut as soon as `unsent` has been sent.
        unsent: ciphertext that has not been sent yet.
    """

    __slots__ = (
        "_buffers", "_driver", "_is_shaken", "_object", "_sock", "_without_data", "ended",
        "is_half_closed", "unsent",
    )  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        buffers: TlsBuffers,
        driver: WantsWrite,
    ) -> None:
        self._sock, self._buffers, self._driver = sock, buffers, driver
        self._object = context.wrap_bio(buffers.incoming, buffers.outgoing, server_side=True)
        self._is_shaken = self.ended = self.is_half_closed = False
        self._without_data = 0
        self.unsent = b""

    def recv(self, size: int) -> bytes:
        """Plaintext from up to `size` bytes of ciphertext; empty at the end, announced or not.

        Raises:
            BlockingIOError: nothing yet.
            OSError: the connection is lost, or the bytes are not TLS (`ssl.SSLError`); the peer has been sent an alert.
        """
        data = b""
        if not self.ended:
            data = self._sock.recv(size)
            self.ended = not data
        parts: list[bytes] = []
        try:
            if len(data) > _LITTLE and data.count(_SMALL_RECORD) > _FEW:
                for start in range(0, len(data), _LITTLE):
                    self._take(data[start : start + _LITTLE], parts)
            else:
                self._take(data, parts)
        except ssl.SSLZeroReturnError:
            self.ended = True
        finally:
            if self._buffers.incoming.pending:
                # It has ended or is broken: drop the rest, which must not reach the next connection.
                self._buffers.incoming.read()
            # Whatever happened, send OpenSSL's own output: its part of the handshake, or an alert.
            self._take_output()
            self.flush()
        if not parts and not self.ended:
            raise BlockingIOError
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take(self, data: bytes, parts: list[bytes]) -> None:
        """Decrypt received bytes into `parts`, one for each record with data."""
        records = data.count(_SMALL_RECORD) + len(parts) if self._is_shaken else 0
        self._buffers.incoming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._read(parts)
        # A record that is split between two calls is counted up by one and down by the next.
        self._without_data = max(0, self._without_data + records - len(parts))
        if self._without_data > _MOST_WITHOUT_DATA:
            raise ssl.SSLError(f"more than {_MOST_WITHOUT_DATA} records without data")

    def _read(self, parts: list[bytes]) -> None:
        if not self._is_shaken:
            self._object.do_handshake()
            self._is_shaken = True
        incoming = self._buffers.incoming
        while incoming.pending or self._object.pending():
            part = self._object.read(_RECORD)
            if not part:
                self.ended = True
                return
            parts.append(part)

    def send(self, data: bytes | memoryview) -> int:
        """Encrypt and send about as much as the kernel accepts; returns how many bytes were taken.

        Raises:
            BlockingIOError: none was taken; `flush` is needed first.
            OSError: the connection is lost.
        """
        if not self._is_shaken:
            raise ConnectionError("nothing can be said before the TLS handshake")
        if self.unsent and not self.flush():
            raise BlockingIOError
        size = len(data)
        if size <= _RECORD:
            # Nearly always: a room's frames, for each member.
            try:
                self._object.write(data)
            finally:
                output = self._buffers.outgoing.read()
            self._push(output)
            return size
        view, taken = memoryview(data), 0
        while taken < size:
            end = min(taken + _PIECE, size)
            try:
                while taken < end:
                    taken += self._object.write(view[taken:end])
            finally:
                self._take_output()
            if not self.flush():
                break
        return taken

    def _take_output(self) -> None:
        """Take what OpenSSL has written, before it writes for another peer."""
        if self._buffers.outgoing.pending:
            self.unsent += self._buffers.outgoing.read()

    def flush(self) -> bool:
        """Send pending ciphertext; returns whether all of it was sent.

        Raises:
            OSError: the connection is lost.
        """
        return not self.unsent or self._push(self.unsent)

    def _push(self, data: bytes) -> bool:
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            self.unsent = b""
            return True
        self.unsent = data[sent:]
        self._driver.want_write()
        return False

    def shut(self) -> None:
        """Send `close_notify`. Never raises."""
        with contextlib.suppress(OSError, ValueError):
            # Without waiting for the peer's own (RFC 8446 section 6.1).
            try:
                self._object.unwrap()
            finally:
                self._take_output()
                self.flush()
