"""`run --take-over`: a second server beside the first, and nobody refused when the first is ended."""

import contextlib
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect

from tests.ports import free_port
from tests.server.kit import write_certificate
from tests.system.kit import PATIENCE, Served, eventually
from tests.system.restarts import Tried, estate, over

Serve = Callable[..., Served]

ALONE = """
    channeld: 1
    server: {bind: "127.0.0.1:%d", drain: 1h}
    api: {bind: "127.0.0.1:%d", keys: ["a-key-of-more-than-32-characters-in-all"]}
    channels:
      room: {path: /room, auth: none, messages: {say: {schema: true, route: sender}}}
"""


def listeners(port: int) -> int:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def assert_whole(tried: Tried, restarts: int, clients: int) -> None:
    assert tried.crowd.refused == []
    # Every client came back after every restart.
    assert len(tried.crowd.away) >= restarts * clients
    assert sum(map(len, tried.crowd.acked.values())) > 0


def test_restarts_refuse_nobody_and_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with estate(tmp_path, address, f"127.0.0.1:{free_port()}") as place:
        tried = Tried(place, over(address), clients=12, restarts=3).run()
    assert_whole(tried, 3, 12)


def test_workers_take_over_from_workers(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    api = f"127.0.0.1:{free_port()}"
    with estate(tmp_path, address, api, "--workers", "2") as place:
        tried = Tried(place, over(address), clients=12, restarts=1).run()
    assert_whole(tried, 1, 12)


def test_a_unix_socket_is_taken_over(tmp_path: Path) -> None:
    async def opened(path: str) -> ClientConnection:
        return await unix_connect("s", f"ws://localhost{path}", open_timeout=60)

    with contextlib.chdir(tmp_path), estate(tmp_path, "unix:s", "unix:api") as place:
        tried = Tried(place, opened, clients=4, restarts=2).run()
    assert_whole(tried, 2, 4)
    assert not tmp_path.joinpath("s").exists()


def test_tls_is_taken_over(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(certificate))
    trust.check_hostname = False
    address = f"127.0.0.1:{free_port()}"

    async def opened(path: str) -> ClientConnection:
        return await connect(f"wss://{address}{path}", proxy=None, ssl=trust, open_timeout=60)

    tls = f"certificate: {certificate}, key: {key}"
    with estate(tmp_path, address, f"127.0.0.1:{free_port()}", tls=tls) as place:
        tried = Tried(place, opened, clients=4, restarts=1).run()
    assert_whole(tried, 1, 4)


def test_a_second_server_started_by_mistake_is_told_so(serve: Serve) -> None:
    yaml = ALONE % (free_port(), free_port())
    serve(yaml)
    second = serve(yaml, ready=False)
    assert second.wait() == 1
    assert "Address already in use" in second.err.text()
    assert "--take-over" in second.err.text()


def test_a_foreign_server_is_not_taken_over_from(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        second = serve(ALONE % (other.getsockname()[1], free_port()), "--take-over", ready=False)
        assert second.wait() == 1
    assert "cannot be taken over from" in second.err.text()


def test_with_nobody_there_it_just_serves(serve: Serve) -> None:
    served = serve(ALONE % (free_port(), free_port()), "--take-over")
    with served.connect("/room") as client:
        assert client.ask("ping")["type"] == "pong"


def test_the_addresses_are_free_from_the_begin_of_the_drain(serve: Serve) -> None:
    api = free_port()
    yaml = ALONE % (free_port(), api)
    first = serve(yaml)
    with first.connect("/room"), first.connect("/room") as last:
        assert last.ask("ping")["type"] == "pong"
        first.tell(signal.SIGTERM)
        first.event("server_draining")
        # Until another server comes there, the first one tells its load balancer on the API's address, too.
        ready = f"http://127.0.0.1:{api}/health/ready"
        assert httpx2.get(ready, trust_env=False, timeout=PATIENCE).status_code == 503
        second = serve(yaml)
        eventually(lambda: httpx2.get(ready, trust_env=False, timeout=PATIENCE).status_code == 200)
        second.event("api_started")
        # From now on nobody reaches the first.
        eventually(lambda: listeners(api) == 1)
        assert {
            httpx2.get(ready, trust_env=False, timeout=PATIENCE).status_code for _ in range(9)
        } == {200}
        assert first.process.poll() is None
        with second.connect("/room") as client:
            assert client.ask("ping")["type"] == "pong"
        first.tell(signal.SIGTERM)
    assert first.wait() == 130


@pytest.mark.parametrize("options", [("--dev",), ("--dev", "--workers", "2")])
def test_it_is_not_for_development(serve: Serve, options: tuple[str, ...]) -> None:
    served = serve(ALONE % (1, 2), "--take-over", *options, ready=False)
    assert served.wait() == 2
    assert "--take-over is not for --dev" in served.err.text()
