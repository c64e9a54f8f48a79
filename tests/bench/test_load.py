"""The load client believes no server: a spoilt delivery ends the measurement."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import install  # type: ignore[import-not-found]

HERE = Path(__file__).resolve().parent
SOURCE = install.BENCH / "load.c"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("bench") / "load"
    command = ["cc", "-std=c11", "-Werror", "-Wall", "-o", target, SOURCE]
    subprocess.run([*command, *(install.TLS_FLAGS if install.has_openssl() else ())], check=True)
    return target


@pytest.fixture
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """The two ports of a server that does the harm it is told."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        free = [probe.getsockname()[1] for probe in (one, other)]
    script = HERE / "broken_floor.py"
    command = [sys.executable, script, str(free[0]), request.param, str(free[1])]
    with subprocess.Popen(command) as server:
        while server.poll() is None and not all(map(is_listening, free)):
            pass
        yield free
        server.kill()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def fan(client: Path, *where: str) -> subprocess.CompletedProcess[str]:
    sizes = ["--connections", "4", "--window", "4", "--seconds", "0.3"]
    command = [str(client), "fan", *where, *sizes]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("ports", ["unharmed"], indirect=True)
def test_counts_every_delivery_of_an_honest_server(client: Path, ports: list[int]) -> None:
    done = fan(client, "--port", f"{ports[0]}", "--path", "/fan")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["rewritten"], result["each_cpu"]) == (0, [])
    assert result["count"] > 0
    assert "far_p50_us" not in result


@pytest.mark.parametrize("ports", ["unharmed"], indirect=True)
def test_deals_a_room_out_over_ports_and_tells_how_long_the_far_ones_wait(
    client: Path, ports: list[int]
) -> None:
    done = fan(client, "--ports", f"{ports[0]},{ports[1]}", "--path", "/fan", "--senders", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["far_p50_us"] > 0


@pytest.mark.parametrize("ports", ["unharmed"], indirect=True)
def test_dials_each_of_its_ports(client: Path, ports: list[int]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        done = fan(client, "--ports", f"{ports[0]},{nobody}", "--path", "/fan")
    assert done.returncode == 1
    assert done.stderr == "load: connection 1: connect: Connection refused\n"


@pytest.mark.parametrize("ports", ["unharmed"], indirect=True)
def test_fails_on_a_message_of_another_room(client: Path, ports: list[int]) -> None:
    done = fan(client, "--port", f"{ports[0]}", "--path", "/fan/a", "--path", "/fan/b")
    assert done.returncode == 1
    assert "got a message of another room, from 0" in done.stderr


@pytest.mark.parametrize(
    ("ports", "complaint"),
    [
        ("lost", "got message 5 of sender 0, expected 4"),
        ("doubled", "got message 4 of sender 0, expected 5"),
        ("swapped", "got message 5 of sender 0, expected 4"),
        ("altered", "altered text"),
    ],
    indirect=["ports"],
)
def test_fails_loudly_on_a_spoilt_delivery(client: Path, ports: list[int], complaint: str) -> None:
    done = fan(client, "--port", f"{ports[0]}", "--path", "/fan")
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.skipif(
    not install.has_openssl() or shutil.which("openssl") is None, reason="needs OpenSSL and zlib"
)
@pytest.mark.parametrize(
    ("flavour", "options"),
    [
        ("tls", ["--tls", "1"]),
        ("deflate", ["--deflate", "permessage-deflate; client_max_window_bits"]),
        ("deflate", ["--deflate", "permessage-deflate; server_no_context_takeover"]),
    ],
)
def test_checks_every_delivery_over_tls_and_compressed(
    client: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flavour: str, options: list[str]
) -> None:
    monkeypatch.setattr(install, "BUILD", tmp_path)
    certificate, key = map(str, install.certificate())
    message = tmp_path / "message.json"
    message.write_text('{"type":"big","text":"' + "#" * 40 + '","more":[' + "1," * 40_000 + "1]}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    security = {"BENCH_CERTIFICATE": certificate, "BENCH_KEY": key, "BENCH_FLAVOUR": flavour}
    command = [
        sys.executable,
        str(install.BENCH / "peers" / "websockets_peer.py"),
        str(port),
        "asyncio",
    ]
    with subprocess.Popen(command, env=os.environ | security) as server:
        while server.poll() is None and not is_listening(port):
            pass
        where = ["--port", f"{port}", "--path", "/fan", "--message", str(message), *options]
        done = fan(client, *where)
        refused = fan(client, "--port", f"{port}", "--path", "/fan", "--deflate", "unknown")
        server.kill()
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["rewritten"], result["count"] > 0) == (0, True)
    assert refused.returncode == 1
