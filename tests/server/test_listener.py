"""Binding, Unix sockets, accepting with and without descriptors, and ceasing to."""

import errno
import os
import resource
import socket
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from channeld.config.model import Server, Tls
from channeld.server.gate import Gate
from channeld.server.listener import BindError, bind, tls_context
from channeld.server.listener import Server as SocketServer
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


def close_all(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def test_several_addresses_are_bound() -> None:
    sockets = bind(["127.0.0.1:0", "[::1]:0", "localhost:0"])
    assert {sock.family for sock in sockets} == {socket.AF_INET, socket.AF_INET6}
    assert len(sockets) >= 3
    close_all(sockets)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "", ":²"]
)
def test_a_malformed_address_is_named(address: str) -> None:
    with pytest.raises(BindError, match="expected HOST:PORT or unix:PATH") as raised:
        bind([address])
    assert address in str(raised.value)


def test_a_taken_port_is_named_and_nothing_stays_bound() -> None:
    (taken,) = bind(["127.0.0.1:0"])
    (free,) = bind(["127.0.0.1:0"])
    addresses = [f"127.0.0.1:{sock.getsockname()[1]}" for sock in (free, taken)]
    free.close()
    with pytest.raises(BindError, match=f"{addresses[1]}: Address already in use"):
        bind(addresses)
    close_all(bind([addresses[0]]))
    taken.close()


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(BindError, match=r"192\.0\.2\.1:4000: Cannot assign"):
        bind(["192.0.2.1:4000"])


def test_processes_may_share_a_port() -> None:
    (first,) = bind(["127.0.0.1:0"], reuse_port=True)
    second = bind([f"127.0.0.1:{first.getsockname()[1]}"], reuse_port=True)
    close_all([first, *second])


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    (first,) = bind([f"unix:{path}"])
    first.close()
    assert path.is_socket()
    (second,) = bind([f"unix:{path}"])
    with pytest.raises(BindError, match="Address already in use"):
        bind([f"unix:{path}"])
    second.close()


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(BindError, match="Address already in use"):
        bind([f"unix:{path}"])
    assert path.read_text() == "precious"


async def serve_at(
    nursery: trio.Nursery, address: str, *, use_lane: bool
) -> tuple[SocketServer, Gate, str]:
    the_plan = plan(Server(bind=(address,)))
    runtime = TrioRuntime()
    gate = Gate(
        engine=RecordingEngine(), plan_source=lambda: the_plan, runtime=runtime, fanout=Fanout()
    )
    await nursery.start(runtime.run)
    server = SocketServer(gate, use_lane=use_lane)
    (name,) = await nursery.start(server.serve)
    return server, gate, name


@pytest.mark.parametrize("use_lane", [True, False])
async def test_a_unix_socket_is_served_and_removed(tmp_path: Path, use_lane: bool) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        _, gate, name = await serve_at(nursery, f"unix:{path}", use_lane=use_lane)
        assert name == f"unix:{path}"
        stream = await trio.open_unix_socket(path)
        client = await Client(stream).open(glued=frame(b"a"))
        assert await client.text() == b"a"
        assert gate.addresses == {"": 1}
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


@pytest.mark.parametrize("carrier", ["lane", "portable"])
async def test_when_it_accepts_no_more_the_connections_go_on(carrier: str) -> None:
    async with serving(carrier) as served:
        client = await served.client()
        served.server.stop_accepting()
        served.server.stop_accepting()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="all attempts to connect"):
            await served.raw()
        await client.send(frame(b"still") + close_frame(1000))
        assert await client.text() == b"still"


async def test_without_descriptors_the_portable_path_waits_a_second(
    mock_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving("portable", patience=1000) as served:
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
            assert served.gate.sockets == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        mock_clock.jump(1.1)
        await served.until(lambda: served.gate.sockets == 1)
        client.close()
        assert capsys.readouterr().err.count("accept_failed") == 1


def test_a_certificate_is_read(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    context = tls_context(Tls(certificate=str(certificate), key=str(key)))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_certificate_that_is_none_is_an_error(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    key.write_text("nonsense")
    with pytest.raises(ssl.SSLError):
        tls_context(Tls(certificate=str(certificate), key=str(key)))
    with pytest.raises(OSError, match="No such file") as raised:
        tls_context(Tls(certificate=str(tmp_path / "absent"), key=str(key)))
    assert raised.value.errno == errno.ENOENT
