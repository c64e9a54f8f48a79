"""A client that keeps no rules: raw sockets, bytes as they are wanted, and what came back, counted."""

import collections
import contextlib
import json
import re
import select
import socket
import ssl
import struct
import time
import zlib
from collections.abc import Iterable
from typing import Self

import orjson

PATIENCE = 120.0
"""Seconds until an attacker stops waiting for what must come."""
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
_COMPRESSED = TEXT | 0x40
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_TCP_REPAIR = 19
_IP_BIND_ADDRESS_NO_PORT = 24
_SCRATCH = bytearray(1 << 20)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)

Answers = collections.Counter[str]
"""What attackers got, and how often: a frame's type, an error's code, `close 4508`, `HTTP 431`, `end`, `reset`."""


def head(path: str, *fields: str) -> bytes:
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {_KEY}",
        *fields,
    )
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def frame(payload: bytes, first: int = TEXT) -> bytes:
    """A client's WebSocket frame. The masking key is zero, which RFC 6455 does not forbid a client."""
    size = len(payload)
    if size < 126:
        return bytes((first, 128 + size)) + bytes(4) + payload
    if size < 65536:
        return bytes((first, 254)) + size.to_bytes(2, "big") + bytes(4) + payload
    return bytes((first, 255)) + size.to_bytes(8, "big") + bytes(4) + payload


def say(type: str, **fields: object) -> bytes:
    return frame(json.dumps({"type": type, **fields}).encode())


GOODBYE = frame((1000).to_bytes(2, "big"), CLOSE)


def trusting() -> ssl.SSLContext:
    """Of clients that do not ask who the server is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def connected(port: int, source: str, *, buffer: int = 0) -> socket.socket:
    """A TCP connection from a loopback address."""
    sock = socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.settimeout(PATIENCE)
    # The port is chosen with `connect`: so each source has as many as there are.
    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def abort(sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Raw:
    """One connection, from a loopback address, plain or over TLS. `answers` counts what came; `ended` is true when nothing more will."""

    def __init__(
        self, port: int, source: str = "127.0.0.1", *, buffer: int = 0, secure: bool = False
    ) -> None:
        self.answers: Answers = collections.Counter()
        self.ended = False
        self._inbox = bytearray()
        self._is_open = False
        self.socket = connected(port, source, buffer=buffer)
        if secure:
            self.socket = trusting().wrap_socket(self.socket)
            self.socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def open(self, path: str, *fields: str, rest: bytes = b"") -> Self:
        """Shake hands, and wait for the answer."""
        self.pour([head(path, *fields) + rest])
        self.read_until("HTTP")
        return self

    def pour(self, pieces: Iterable[bytes], *, reads: bool = True) -> int:
        """Send as fast as it goes, reading meanwhile or not, until the server ends it: how many bytes it took.

        Where nothing is read and the server takes no more for five seconds, that is the end as well.
        """
        sent = 0
        self.socket.setblocking(False)
        for piece in pieces:
            rest = memoryview(piece)
            while rest and not self.ended:
                if not self._wait(writes=True, reads=reads):
                    return sent
                with contextlib.suppress(BlockingIOError):
                    taken = self._send(rest)
                    sent, rest = sent + taken, rest[taken:]
            if self.ended:
                break
        return sent

    def read_until(self, *names: str, count: int = 1) -> Self:
        """Read until that many of these were counted (a prefix will do), or the end."""
        deadline = time.monotonic() + PATIENCE
        while not self.ended and self.counted(*names) < count:
            assert time.monotonic() < deadline, f"{names} did not come, but {dict(self.answers)}"
            self._wait(writes=False, reads=True)
        return self

    def read_out(self) -> Self:
        """Read until the server ends the connection."""
        return self.read_until("never")

    def skip(self, size: int) -> Self:
        """Read that many bytes, or to the end, without a look at them: as cheaply as a client can."""
        self.socket.setblocking(True)
        self.socket.settimeout(PATIENCE)
        while size > 0 and (taken := self.socket.recv_into(_SCRATCH)):
            size -= taken
        return self

    def counted(self, *names: str) -> int:
        return sum(count for key, count in self.answers.items() if key.startswith(names))

    def part(self) -> Self:
        """Await a Close frame or the end, answer the one, and read to the other."""
        self.read_until("close", "end", "reset")
        if not self.ended:
            self.pour([GOODBYE])
        return self.read_out()

    def vanish(self) -> None:
        """Be gone without a FIN or RST, as a machine whose power fails. Needs root."""
        self.socket.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
        self.socket.close()

    def reset(self) -> None:
        abort(self.socket)

    def _wait(self, *, writes: bool, reads: bool) -> bool:
        """Read what there is. False: for too long there was neither that, nor room to write."""
        # Not `select`, which knows no descriptor above 1,023.
        poll = select.poll()
        poll.register(self.socket, select.POLLIN * reads | select.POLLOUT * writes)
        ready = poll.poll((PATIENCE if reads else 5.0) * 1000)
        events = ready[0][1] if ready else 0
        if reads and events & ~select.POLLOUT:
            self._read()
        return bool(events)

    def _send(self, data: memoryview) -> int:
        try:
            return self.socket.send(data)
        except ssl.SSLWantWriteError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            self._end("reset")
            return 0

    def _read(self) -> None:
        is_secure = isinstance(self.socket, ssl.SSLSocket)
        while not self.ended:
            try:
                data = self.socket.recv(1 << 18)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except ConnectionResetError:
                self._end("reset")
                return
            self._inbox += data
            self._take()
            if not data:
                self._end("end")
            if not is_secure:
                # What has come over TLS and is not read does not make the socket readable.
                return

    def _end(self, how: str) -> None:
        if not self.ended:
            self.ended = True
            self.answers[how] += 1

    def _take(self) -> None:
        inbox = self._inbox
        while not self._is_open:
            end = inbox.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            body = _LENGTH.search(inbox, 0, end)
            end += int(body[1]) if body else 0
            if len(inbox) < end:
                return
            status = inbox[9:12].decode()
            self.answers[f"HTTP {status}"] += 1
            self._is_open = status == "101"
            del inbox[:end]
        at, size = 0, len(inbox)
        while size - at >= 2:
            length, start = inbox[at + 1], at + 2
            if length > 125:
                start = at + (4 if length == 126 else 10)
                length = int.from_bytes(inbox[at + 2 : start], "big")
            if size < start or start + length > size:
                break
            self.answers[_name(inbox[at], bytes(inbox[start : start + length]))] += 1
            at = start + length
        del inbox[:at]


def _name(first: int, payload: bytes) -> str:
    if first == CLOSE:
        return f"close {int.from_bytes(payload[:2], 'big')}"
    if first not in (TEXT, _COMPRESSED):
        return {PING: "PING", PONG: "PONG"}.get(first, hex(first))
    if first == _COMPRESSED:
        payload = zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")
    content = orjson.loads(payload)
    return str(content["code"] if content["type"] == "error" else content["type"])
