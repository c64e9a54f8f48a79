"""The load client believes no server: a spoilt delivery ends the measurement."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "bench" / "load.c"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("bench") / "load"
    subprocess.run(["cc", "-std=c11", "-Werror", "-Wall", "-o", target, SOURCE], check=True)
    return target


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free: int = probe.getsockname()[1]
    command = [sys.executable, HERE / "broken_floor.py", str(free), request.param]
    with subprocess.Popen(command) as server:
        while server.poll() is None and not is_listening(free):
            pass
        yield free
        server.kill()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def fan(client: Path, port: int) -> subprocess.CompletedProcess[str]:
    sizes = ["--connections", "3", "--window", "4", "--seconds", "0.05"]
    command = [str(client), "fan", "--port", str(port), "--path", "/fan", *sizes]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("port", ["unharmed"], indirect=True)
def test_counts_every_delivery_of_an_honest_server(client: Path, port: int) -> None:
    done = fan(client, port)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"rewritten": 0' in done.stdout


@pytest.mark.parametrize(
    ("port", "complaint"),
    [
        ("lost", "got message 5 of sender 0, expected 4"),
        ("doubled", "got message 4 of sender 0, expected 5"),
        ("swapped", "got message 5 of sender 0, expected 4"),
        ("altered", "altered text"),
    ],
    indirect=["port"],
)
def test_fails_loudly_on_a_spoilt_delivery(client: Path, port: int, complaint: str) -> None:
    done = fan(client, port)
    assert done.returncode == 1
    assert complaint in done.stderr
