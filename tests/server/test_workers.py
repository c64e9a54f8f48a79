"""A supervisor of small workers: started, replaced, given up, reloaded, ended."""

import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import orjson
import pytest
import trio
import trio.testing

from channeld.server.sockets import BindError, bind, named
from channeld.server.workers import (
    MOST_FAILURES,
    Supervisor,
    WorkerChannel,
    WorkersFailed,
    WorkerSpec,
    reserve,
)

SPEC = WorkerSpec(
    number=1, group="g", broker_url="unix:///x", addresses=["127.0.0.1:1"], generated={"A": "b"}
)

# What a worker does, without channeld: it reads its spec, says that it is ready and notes each signal in a file.
WORKER = """
import json, os, signal, socket, sys
line = socket.socket(fileno=int(sys.argv[-1]))
number = json.loads(line.makefile().readline())["number"]
def note(text):
    with open(sys.argv[1], "a") as file: file.write(f"{number} {text}\\n")
def end(*_):
    note("end")
    os._exit(STATUS)
signal.signal(signal.SIGTERM, end)
def reload(*_):
    note("reload")
    line.send(b"RELOADING=1\\nMONOTONIC_USEC=1\\nREADY=1\\n")
signal.signal(signal.SIGHUP, reload)
signal.signal(signal.SIGUSR1, lambda *_: note("debug"))
note("start")
BEFORE
line.send(b"READY=1\\n")
while True: signal.pause()
"""


@attrs.define(eq=False)
class Watched:
    """A supervisor, and the notes of its workers."""

    supervisor: Supervisor
    notes: Path
    ready: trio.Event

    def lines(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    async def until(self, count: int, word: str) -> None:
        with trio.fail_after(60):
            while sum(line.endswith(word) for line in self.lines()) < count:
                await trio.testing.wait_all_tasks_blocked(0.01)

    async def failure_after(self, act: Callable[[], None]) -> str:
        """Run the supervisor, and act when it is ready; why it failed."""
        failures = []

        async def run() -> None:
            try:
                await self.supervisor.run()
            except WorkersFailed as error:
                failures.append(str(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await self.ready.wait()
            act()
        [failure] = failures
        return failure


Make = Callable[..., Watched]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a supervisor of small workers; `before` is Python that a worker runs before it is ready."""

    def made(
        count: int = 2, before: str = "", status: int = 0, api: Sequence[socket.socket] = ()
    ) -> Watched:
        notes, ready = tmp_path / "notes", trio.Event()
        script = WORKER.replace("BEFORE", before).replace("STATUS", str(status))
        command = [sys.executable, "-S", "-E", "-c", script, str(notes)]
        supervisor = Supervisor(command, count, WorkerSpec(), api=api, on_ready=ready.set)
        return Watched(supervisor, notes, ready)

    return made


async def test_all_are_started_once_and_end_when_told(make: Make) -> None:
    watched = make()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.supervisor.run)
        await watched.ready.wait()
        watched.supervisor.stop()
    assert sorted(watched.lines()) == ["0 end", "0 start", "1 end", "1 start"]
    assert not watched.supervisor.is_forced


async def test_a_signal_that_came_before_is_obeyed(make: Make) -> None:
    watched = make()
    await watched.supervisor.run([signal.SIGTERM])
    assert not watched.supervisor.is_forced


async def test_a_signal_reaches_every_worker(make: Make) -> None:
    watched = make()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.supervisor.run)
        await watched.ready.wait()
        signal.raise_signal(signal.SIGHUP)
        await watched.until(2, "reload")
        signal.raise_signal(signal.SIGUSR1)
        await watched.until(2, "debug")
        signal.raise_signal(signal.SIGUSR1)
        await watched.until(4, "debug")
        signal.raise_signal(signal.SIGINT)
    assert sorted(set(watched.lines()))[:4] == ["0 debug", "0 end", "0 reload", "0 start"]


async def test_the_service_manager_hears_of_a_reload_when_all_are_done(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path := str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "3600000000")
        heard = trio.socket.from_stdlib_socket(manager)
        watched = make()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watched.supervisor.run)
            states = [await heard.recv(100) for _ in range(2)]
            signal.raise_signal(signal.SIGHUP)
            states += [(await heard.recv(100)).partition(b"\n")[0] for _ in range(2)]
            watched.supervisor.stop()
        states.append(await heard.recv(100))
    assert states == [b"WATCHDOG=1", b"READY=1", b"RELOADING=1", b"READY=1", b"STOPPING=1"]
    assert sum(line.endswith("reload") for line in watched.lines()) == 2


async def test_a_reload_before_a_worker_is_ready_is_made_up_for(make: Make) -> None:
    watched = make(count=1, before="open(sys.argv[1] + '.go', 'x'); line.recv(1)")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.supervisor.run)
        await watched.until(1, "start")
        signal.raise_signal(signal.SIGHUP)
        await trio.testing.wait_all_tasks_blocked(0.05)
        await watched.supervisor._workers[0].line.send_all(b"x")
        await watched.until(1, "reload")
        watched.supervisor.stop()


async def test_one_that_was_killed_is_replaced(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = make()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.supervisor.run)
        await watched.ready.wait()
        watched.supervisor._workers[1].tell(signal.SIGKILL)
        await watched.until(3, "start")
        watched.supervisor.stop()
    assert '"event":"worker_ended","number":1' in capsys.readouterr().err


@pytest.mark.parametrize("before", ["", "signal.signal(signal.SIGABRT, signal.SIG_IGN)"])
async def test_one_that_hangs_is_ended_and_replaced(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], before: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    watched = make(before=before)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.supervisor.run)
        await watched.until(2, "1 start")
        watched.supervisor.stop()
    assert '"event":"worker_hung","number":1' in capsys.readouterr().err


async def test_one_that_cannot_start_ends_all(make: Make) -> None:
    watched = make(before="if number == 1: sys.exit(3)")
    with pytest.raises(WorkersFailed, match="worker 1 could not start: it ended with status 3"):
        await watched.supervisor.run()
    assert "1 start" in watched.lines()


async def test_one_that_can_start_no_more_ends_all_after_some_trials(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channeld.server.workers.FIRST_PAUSE", 0.0)
    watched = make(count=1, before="if len(open(sys.argv[1]).readlines()) > 1: sys.exit(3)")
    failure = await watched.failure_after(
        lambda: watched.supervisor._workers[0].tell(signal.SIGKILL)
    )
    assert failure == "worker 0 could not start: it ended with status 3"
    assert watched.lines() == ["0 start"] * (1 + MOST_FAILURES)


async def test_one_that_ends_badly_is_named(make: Make) -> None:
    watched = make(count=1, status=7)
    assert await watched.failure_after(watched.supervisor.stop) == "worker 0 ended with status 7"


async def test_one_that_is_ended_while_it_starts_has_not_failed(make: Make) -> None:
    watched = make(count=1, status=130, before="while True: signal.pause()")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.supervisor.run)
        await watched.until(1, "start")
        watched.supervisor.stop()
    assert watched.lines() == ["0 start", "0 end"]


async def test_the_second_time_they_are_ended_by_force(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channeld.server.workers.LAST_MERCY", 0.0)
    watched = make(count=1, before="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.supervisor.run)
        await watched.ready.wait()
        watched.supervisor.stop()
        watched.supervisor.stop()
    assert watched.supervisor.is_forced
    assert watched.lines() == ["0 start"]


def _serve_no_api(sockets: Sequence[socket.socket], measured: bytes) -> None:
    raise AssertionError


SERVES_API = """
def serve():
    measured, (api,), _, _ = socket.recv_fds(line, 65536, 1)
    note("has " + measured.decode().strip())
    api = socket.socket(fileno=api)
    client, _ = api.accept()
    line.send(b'{"all": "so far"}\\n')
    client.send(str(number).encode())
    signal.pause()
import threading
threading.Thread(target=serve, daemon=True).start()
"""


async def test_the_api_is_passed_on_and_its_clients_wait_meanwhile(make: Make) -> None:
    def ask() -> int:
        with socket.create_connection(address, timeout=60) as client:
            return int(client.recv(10))

    [sock] = bind(["127.0.0.1:0"], listens=False)
    address = sock.getsockname()
    with sock:
        watched = make(before=SERVES_API, api=[sock])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watched.supervisor.run)
            await watched.ready.wait()
            first = await trio.to_thread.run_sync(ask)
            await watched.until(1, "has ")
            watched.supervisor._workers[first].tell(signal.SIGKILL)
            assert await trio.to_thread.run_sync(ask) == 1 - first
            await watched.until(1, 'has {"all": "so far"}')
            watched.supervisor.stop()
            assert sock.fileno() == -1
    [[first_has], [second_has]] = (
        [line for line in watched.lines() if line.startswith(f"{number} has")]
        for number in (first, 1 - first)
    )
    assert (first_has, second_has) == (f"{first} has ", f'{1 - first} has {{"all": "so far"}}')


async def test_a_worker_takes_the_api_and_has_the_parent_keep_what_it_measured() -> None:
    parent, ours = socket.socketpair()
    parent.sendall(orjson.dumps(attrs.asdict(SPEC)) + b"\n")
    channel = WorkerChannel(ours.detach())
    taken: list[tuple[list[str], bytes]] = []
    came = trio.Event()

    def take(sockets: Sequence[socket.socket], measured: bytes) -> None:
        taken.append(([named(sock) for sock in sockets], measured))
        for sock in sockets:
            sock.close()
        came.set()

    [sock] = bind(["127.0.0.1:0"])
    with sock, parent:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(channel.obey, take)
            channel.say("READY=1")
            socket.send_fds(parent, [b"12"], [sock.fileno()])
            parent.sendall(b"3\n")
            await came.wait()
            await channel.keep(lambda: b"{}")
            assert parent.recv(20) == b"READY=1\n{}\n"
            parent.close()
        assert taken == [([named(sock)], b"123")]


async def test_a_scrape_does_not_wait_for_a_parent_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("channeld.server.workers.PATIENCE", 0.05)
    parent, ours = socket.socketpair()
    with parent:
        parent.sendall(orjson.dumps(attrs.asdict(SPEC)) + b"\n")
        channel = WorkerChannel(ours.detach())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(channel.obey, _serve_no_api)
            for _ in range(2):
                await channel.keep(lambda: bytes(10_000_000))
            parent.close()


async def test_a_worker_reads_its_briefing_and_notices_that_its_parent_is_gone() -> None:
    parent, ours = socket.socketpair()
    with parent:
        parent.sendall(orjson.dumps(attrs.asdict(SPEC)) + b"\n")
        channel = WorkerChannel(ours.detach())
        assert channel.spec == SPEC
        assert (channel.spec.place.number, channel.spec.place.group) == (1, "g")
        channel.say("READY=1")
    for _ in range(100):
        channel.say("READY=1")
    with trio.fail_after(60):
        await channel.obey(_serve_no_api)


def test_a_worker_channel_without_a_parent_is_an_error() -> None:
    parent, ours = socket.socketpair()
    parent.close()
    with pytest.raises(OSError, match="parent is gone"):
        WorkerChannel(ours.detach())


def test_held_addresses_can_be_shared_by_workers_and_by_nobody_else() -> None:
    reserved, [name] = reserve(["127.0.0.1:0"])
    first, second = bind([name], beside=True), bind([name], beside=True)
    assert named(first[0]) == named(second[0]) == name
    with pytest.raises(BindError, match="in use"):
        reserve([name])
    for sock in (*reserved, *first, *second):
        sock.close()


def test_nobody_waits_behind_a_held_address() -> None:
    [sock], [name] = reserve(["127.0.0.1:0"])
    with sock, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(name.rpartition(":")[2])), timeout=5)


def test_a_unix_socket_cannot_be_shared() -> None:
    with pytest.raises(BindError, match="several workers cannot share a Unix socket"):
        reserve(["unix:/tmp/never"])
