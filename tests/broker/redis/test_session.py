import datetime as dt
import gc
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from channeld.broker.broker import Topic
from channeld.broker.redis.connection import Lost
from channeld.broker.redis.session import Dialler
from tests.ports import free_port

ROOM = Topic("room", "lobby", "general")
MakeServer = Callable[[str], Any]
# coredis leaves streams unclosed when a connection fails this early.
LEAVES_UNCLOSED = pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")


def certificate(folder: Path, address: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


async def refused(url: str) -> str:
    """Why a session cannot begin."""
    with pytest.RaisesGroup(pytest.RaisesExc(Lost)) as raised:
        async with trio.open_nursery() as nursery:
            await Dialler(url, "p", "test").dial(nursery)
    return str(raised.value.exceptions[0])


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_a_password_and_a_database_over_tcp(
    kind: str, make_server: MakeServer, one_node: Any
) -> None:
    server, port = make_server(kind), free_port()
    server.kill()
    server.start("--port", str(port), "--bind", "127.0.0.1", "--requirepass", "p@ss/w%rd")
    node = await one_node(f"redis://:p%40ss%2Fw%25rd@127.0.0.1:{port}/3")
    await node.broker.subscribe(ROOM)
    await node.broker.publish(ROOM, b"1")
    await node.until(lambda: node.payloads == [b"1"])


def start_tls(server: Any, address: str) -> str:
    """Restart with TLS and a certificate for an address; the URL to reach it."""
    port = free_port()
    server.kill()
    certificate(server.folder, address)
    files = {name: str(server.folder / name) for name in ("cert.pem", "key.pem")}
    pair = ("--tls-cert-file", files["cert.pem"], "--tls-key-file", files["key.pem"])
    server.start("--tls-port", str(port), "--bind", "127.0.0.1", "--tls-auth-clients", "no", *pair)
    return f"rediss://127.0.0.1:{port}?ssl_ca_certs={files['cert.pem']}"


async def test_tls_with_the_right_certificate(make_server: MakeServer, one_node: Any) -> None:
    node = await one_node(start_tls(make_server("redis"), "127.0.0.1"))
    assert await node.broker.publish(ROOM, b"1") is None


@LEAVES_UNCLOSED
async def test_a_certificate_for_another_host_is_refused(make_server: MakeServer) -> None:
    url = start_tls(make_server("redis"), "127.0.0.9")
    assert "certificate" in await refused(url)
    gc.collect()


@LEAVES_UNCLOSED
async def test_a_wrong_password_is_said_so(make_server: MakeServer) -> None:
    server = make_server("valkey")
    await server.command("CONFIG", "SET", "requirepass", "right")
    assert "invalid username-password" in await refused(f"unix://:wrong@{server.socket}")
    gc.collect()


async def test_nobody_there_is_said_so() -> None:
    assert "nothing answers" in await refused(f"redis://127.0.0.1:{free_port()}")
    assert "nothing answers" in await refused("unix:///nowhere/s")
