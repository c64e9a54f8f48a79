"""Binding, Unix sockets, accepting with and without descriptors, and ceasing to."""

import os
import re
import resource
import socket
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from channeld.config.model import Server, Tls
from channeld.server.admission import Admission
from channeld.server.listener import Server as SocketServer
from channeld.server.listener import TlsError, tls_context
from channeld.server.outbox import Fanout
from channeld.server.runtime import TrioRuntime
from tests.server.kit import (
    Client,
    RecordingEngine,
    close_frame,
    frame,
    plan,
    serving,
    write_certificate,
)


async def serve_at(
    nursery: trio.Nursery, address: str, *, use_lane: bool
) -> tuple[SocketServer, Admission, str]:
    the_plan = plan(Server(bind=(address,)))
    runtime = TrioRuntime()
    admission = Admission(
        engine=RecordingEngine(), plan_source=lambda: the_plan, runtime=runtime, fanout=Fanout()
    )
    await nursery.start(runtime.run)
    server = SocketServer(admission, use_lane=use_lane)
    (name,) = await nursery.start(server.serve)
    return server, admission, name


@pytest.mark.parametrize("use_lane", [True, False])
async def test_what_waits_in_the_queue_is_served_before_the_listener_closes(use_lane: bool) -> None:
    async with trio.open_nursery() as nursery:
        server, admission, name = await serve_at(nursery, "127.0.0.1:0", use_lane=use_lane)
        where = ("127.0.0.1", int(name.rpartition(":")[2]))
        waiting = [socket.create_connection(where) for _ in range(80)]
        await server.stop_accepting()
        for sock in waiting:
            sock.setblocking(False)
            client = Client(trio.SocketStream(trio.socket.from_stdlib_socket(sock)))
            await client.open(glued=frame(b"a"))
            assert await client.text() == b"a"
        assert admission.open == 80
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where)
        for sock in waiting:
            sock.close()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("use_lane", [True, False])
async def test_a_unix_socket_is_served_and_removed(tmp_path: Path, use_lane: bool) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        _, admission, name = await serve_at(nursery, f"unix:{path}", use_lane=use_lane)
        assert name == f"unix:{path}"
        stream = await trio.open_unix_socket(path)
        client = await Client(stream).open(glued=frame(b"a"))
        assert await client.text() == b"a"
        assert admission.addresses == {"": 1}
        await stream.aclose()
        nursery.cancel_scope.cancel()
    assert not path.exists()


@pytest.mark.parametrize("use_lane", [True, False])
async def test_an_ipv6_address_is_served(use_lane: bool) -> None:
    async with trio.open_nursery() as nursery:
        _, _, name = await serve_at(nursery, "[::1]:0", use_lane=use_lane)
        assert name.startswith("[::1]:")
        stream = await trio.open_tcp_stream("::1", int(name.rpartition(":")[2]))
        client = await Client(stream).open(glued=frame(b"a"))
        assert await client.text() == b"a"
        await stream.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("driver", ["lane", "stream"])
async def test_when_it_accepts_no_more_the_connections_go_on(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client()
        await served.server.stop_accepting()
        await served.server.stop_accepting()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="all attempts to connect"):
            await served.raw()
        await client.send(frame(b"still") + close_frame(1000))
        assert await client.text() == b"still"


async def test_without_descriptors_the_stream_driver_waits_a_second(
    mock_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving("stream", patience=1000) as served:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        client = socket.socket()
        lowest = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.connect(("127.0.0.1", served.port))
            for _ in range(100):
                await trio.lowlevel.checkpoint()
            assert served.admission.sockets == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        mock_clock.jump(1.1)
        await served.until(lambda: served.admission.sockets == 1)
        client.close()
        assert capsys.readouterr().err.count("accept_failed") == 1


def test_a_certificate_is_read(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    context = tls_context(Tls(certificate=str(certificate), key=str(key)))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def refusal(certificate: Path, key: Path) -> str:
    with pytest.raises(TlsError) as raised:
        tls_context(Tls(certificate=str(certificate), key=str(key)))
    return str(raised.value)


@pytest.mark.parametrize(
    "style",
    [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL],
    ids=["PKCS8", "traditional"],
)
def test_an_encrypted_key_is_an_error_and_nobody_is_asked(
    tmp_path: Path, style: serialization.PrivateFormat, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate, key = write_certificate(tmp_path)
    read = serialization.load_pem_private_key(key.read_bytes(), None)
    lock = serialization.BestAvailableEncryption(b"open sesame")
    key.write_bytes(read.private_bytes(serialization.Encoding.PEM, style, lock))
    told = refusal(certificate, key)
    assert told == f"{key} is encrypted: remove its passphrase"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_certificate_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    certificate, key = write_certificate(tmp_path)
    certificate.write_text(text)
    assert refusal(certificate, key) == f"{certificate} contains no PEM certificate"
    assert refusal(key, key) == f"{key} contains no PEM certificate"


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_a_key_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    certificate, key = write_certificate(tmp_path)
    key.write_text(text)
    assert refusal(certificate, key) == f"{key} contains no PEM private key"
    assert refusal(certificate, certificate) == f"{certificate} contains no PEM private key"


@pytest.mark.parametrize("kind", ["same", "other"])
def test_a_key_of_another_certificate_is_named(tmp_path: Path, kind: str) -> None:
    certificate, key = write_certificate(tmp_path)
    strange = ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(as_pem(strange if kind == "same" else rsa.generate_private_key(65537, 2048)))
    assert refusal(certificate, key) == f"{key} is not the key of the certificate in {certificate}"


def as_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_what_else_openssl_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    weak = rsa.generate_private_key(65537, 1024)
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    made = (
        x509.CertificateBuilder(read.issuer, read.subject, weak.public_key(), read.serial_number)
        .not_valid_before(read.not_valid_before_utc)
        .not_valid_after(read.not_valid_after_utc)
        .sign(weak, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(as_pem(weak))
    told = refusal(certificate, key)
    assert told == f"{certificate} and {key} cannot be used: EE_KEY_TOO_SMALL"


@pytest.mark.parametrize("absent", ["certificate.pem", "key.pem"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, absent: str) -> None:
    certificate, key = write_certificate(tmp_path)
    (tmp_path / absent).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / absent))):
        tls_context(Tls(certificate=str(certificate), key=str(key)))
