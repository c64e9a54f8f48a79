"""What systemd hears of a server, at a socket as it gives one to a service."""

import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.kit import PATIENCE, Served, eventually

CHANNELS = """
channeld: 1
server: {drain: 0s}
channels:
  lobby: {path: /, auth: none}
"""


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    # Not the test's folder: a socket's name must be short.
    with (
        tempfile.TemporaryDirectory(prefix="cd-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
    ):
        sock.bind(f"{folder}/notify")
        sock.settimeout(PATIENCE)
        yield sock


def state(manager: socket.socket) -> str:
    """The next one, but for the watchdog's, without its time."""
    while (said := manager.recv(200).decode().partition("\n")[0]) == "WATCHDOG=1":
        pass
    return said


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_it_hears_of_start_reload_refused_reload_and_end(
    serve: Callable[..., Served], manager: socket.socket, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    yaml = CHANNELS + ("broker: valkey\n" if workers else "")
    # Seldom: the socket holds ten, and the start may take long.
    variables = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "6000000"}
    served = serve(yaml, *workers, **variables)
    assert state(manager) == "READY=1"
    served.tell(signal.SIGHUP)
    assert [state(manager), state(manager)] == ["RELOADING=1", "READY=1"]
    reloads = 2 if workers else 1
    eventually(lambda: len(served.events("config_reloaded")) == reloads)
    tmp_path.joinpath("channels.yaml").write_text("nonsense")
    served.tell(signal.SIGHUP)
    assert [state(manager), state(manager)] == ["RELOADING=1", "READY=1"]
    assert served.event("config_refused")
    assert manager.recv(200) == b"WATCHDOG=1"
    served.tell(signal.SIGTERM)
    assert state(manager) == "STOPPING=1"
    assert served.wait() == 0
