"""Socket activation and notifications, as systemd does them."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from channeld.server.sockets import BindError, bind
from channeld.server.systemd import (
    InheritedSocket,
    inherited_sockets,
    keep_watchdog,
    notify,
    reloading,
    watchdog_interval,
)

# High numbers, so that nothing of the test's own process is taken.
FIRST = 700


@pytest.fixture
def passed() -> Iterator[list[socket.socket]]:
    """Two listening sockets at the descriptors from FIRST on."""
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    for number, sock in enumerate(opened):
        os.dup2(sock.fileno(), FIRST + number)
    yield opened
    for sock in opened:
        sock.close()


def variables(count: int = 2) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": "a:b"}


def test_the_sockets_are_taken_once_and_in_their_order(passed: list[socket.socket]) -> None:
    environ = variables()
    found = inherited_sockets(environ, FIRST)
    assert [sock.getsockname() for sock in found] == [sock.getsockname() for sock in passed]
    assert all(isinstance(sock, InheritedSocket) for sock in found)
    assert not any(sock.get_inheritable() for sock in found)
    assert environ == {}
    assert inherited_sockets(environ, FIRST) == []
    for sock in found:
        sock.close()


@pytest.mark.parametrize("changed", [{"LISTEN_PID": "1"}, {"LISTEN_PID": ""}, {"LISTEN_FDS": "x"}])
def test_what_is_meant_for_another_process_is_left(changed: dict[str, str]) -> None:
    assert inherited_sockets(variables() | changed, FIRST) == []


def test_what_is_not_a_listening_socket_is_an_error() -> None:
    reading, writing = socket.socketpair()
    with reading, writing:
        os.dup2(reading.fileno(), FIRST)
        with pytest.raises(OSError, match="descriptor 700 is not a listening stream socket"):
            inherited_sockets(variables(1), FIRST)


def test_bind_takes_them(passed: list[socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "channeld.server.sockets.inherited_sockets", lambda: inherited_sockets(variables(), FIRST)
    )
    opened = bind(["systemd", "127.0.0.1:0"])
    assert [sock.getsockname() for sock in opened[:2]] == [sock.getsockname() for sock in passed]
    assert len(opened) == 3
    for sock in opened:
        sock.close()


def test_bind_says_when_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BindError, match="Cannot listen on systemd: no sockets were passed"):
        bind(["systemd"])


def test_the_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_a_reload_is_told_with_its_time(tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(environ["NOTIFY_SOCKET"])
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notify(reloading(), environ)
        first, _, moment = manager.recv(100).decode().partition("\nMONOTONIC_USEC=")
        assert first == "RELOADING=1"
        assert before <= int(moment) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


async def test_the_watchdog_is_told_twice_in_its_interval(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
    environ["WATCHDOG_PID"] = "7"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(environ["NOTIFY_SOCKET"])
        with trio.move_on_after(40):
            await keep_watchdog(lambda said: notify(said, environ), watchdog_interval(7, environ))
        assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(100)


@pytest.mark.parametrize(
    "variables", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}]
)
async def test_without_a_watchdog_nobody_is_told(variables: dict[str, str]) -> None:
    assert watchdog_interval(7, variables) == 0
    await keep_watchdog(pytest.fail, 0)


def test_an_abstract_address_is_one() -> None:
    name = f"channeld-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        notify("READY=1", {"NOTIFY_SOCKET": "@" + name})
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "nonsense", "/nowhere/at/all"])
def test_without_one_nothing_happens(address: str) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": address})
