"""Attacks below HTTP: TLS handshakes that are given up, and records that no library would send; each returns what it was answered."""

import itertools
import socket
import ssl
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.hostile.ground import Ground
from tests.hostile.wire import Answers, abort, trusting

_HANDSHAKE, _DATA = 22, 23
_ANSWERS = {b"\x15": "alert", b"\x16": "hello", b"": "end"}
_HTTP = b"GET / HTTP/1.1\r\n\r\n"
_A_CONNECTION = 2000


def aborted_handshakes(ground: Ground, count: int) -> Answers:
    """Reset at once, in the middle of the ClientHello, or after the server's answer; or something else is sent instead."""
    answers: Answers = Counter()
    for number in range(count):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting().wrap_bio(incoming, outgoing)
        _go_on(tls)
        hello = outgoing.read()
        parts = (b"", hello[: number % len(hello)], hello, b"\x16\x03\x01\x00\x05hello", _HTTP)
        with ground.plain() as sock:
            sock.sendall(parts[number % 5])
            if number % 5 > 1:
                answers[_ANSWERS[sock.recv(1 << 16)[:1]]] += 1
            abort(sock)
    return answers


def key_updates(ground: Ground, count: int) -> Answers:
    """Each asks for one of the server's in return."""
    return _records(ground, count, updates=True)


def empty_records(ground: Ground, count: int) -> Answers:
    """Without data, which OpenSSL reads on over."""
    return _records(ground, count, updates=False)


def _records(ground: Ground, count: int, *, updates: bool) -> Answers:
    answers: Answers = Counter()
    for _ in range(0, count, _A_CONNECTION):
        with ground.plain() as sock:
            crafted = _Records(sock)
            try:
                for data in itertools.islice(
                    crafted.portions(updates=updates), _A_CONNECTION // 100
                ):
                    sock.sendall(data)
                while sock.recv(1 << 16):
                    pass
                answers["end"] += 1
            except (BrokenPipeError, ConnectionResetError):
                answers["end"] += 1
    return answers


class _Records:
    """A client's records on a TLS 1.3 connection (RFC 8446 section 5.2), made with the secret that its library tells."""

    def __init__(self, sock: socket.socket) -> None:
        with tempfile.NamedTemporaryFile() as file:
            context = trusting()
            context.keylog_filename = file.name
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing)
            while not _go_on(tls):
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(1 << 16))
            sock.sendall(outgoing.read())
            assert tls.cipher()[0] == "TLS_AES_256_GCM_SHA384", tls.cipher()  # type: ignore[index]
            lines = [line.split() for line in Path(file.name).read_text().splitlines()]
        (secret,) = (line[2] for line in lines if line[0] == "CLIENT_TRAFFIC_SECRET_0")
        self._use(bytes.fromhex(secret))

    def portions(self, *, updates: bool) -> Iterator[bytes]:
        """A hundred records each."""
        while True:
            yield b"".join(
                self._update() if updates else self._sealed(b"", _DATA) for _ in range(100)
            )

    def _update(self) -> bytes:
        record = self._sealed(b"\x18\x00\x00\x01\x01", _HANDSHAKE)
        self._use(self._expanded(b"traffic upd", 48))
        return record

    def _use(self, secret: bytes) -> None:
        self._secret, self._number = secret, 0
        self._key = AESGCM(self._expanded(b"key", 32))
        self._iv = int.from_bytes(self._expanded(b"iv", 12), "big")

    def _expanded(self, label: bytes, length: int) -> bytes:
        name = b"tls13 " + label
        info = length.to_bytes(2, "big") + bytes((len(name),)) + name + b"\x00"
        return HKDFExpand(hashes.SHA384(), length, info).derive(self._secret)

    def _sealed(self, content: bytes, kind: int) -> bytes:
        head = b"\x17\x03\x03" + (len(content) + 17).to_bytes(2, "big")
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        return head + self._key.encrypt(nonce, content + bytes((kind,)), head)


def _go_on(tls: ssl.SSLObject) -> bool:
    """Take the handshake a step further; returns whether it is done."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
