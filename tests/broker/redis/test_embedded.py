"""The private Valkey: who can reach it, and how it ends."""

import io
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from channeld.broker.redis import embedded
from channeld.broker.redis.broker import RedisBroker
from channeld.broker.redis.embedded import EmbeddedValkey, ValkeyFailed
from tests.broker.conftest import RealClock


async def until(so: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not so():
            await trio.testing.wait_all_tasks_blocked(0.01)


async def test_it_answers_on_a_socket_that_is_ours_alone() -> None:
    valkey = EmbeddedValkey()
    async with trio.open_nursery() as nursery:
        await nursery.start(valkey.run)
        assert stat.S_IMODE(valkey._folder.stat().st_mode) == 0o700
        broker = RedisBroker(valkey.url, "p", lambda *_: None, RealClock(), "n")
        await nursery.start(broker.run)
        assert broker.healthy
        await broker.aclose()
        nursery.cancel_scope.cancel()
    assert not valkey._folder.exists()


async def test_it_listens_on_no_port() -> None:
    valkey = EmbeddedValkey()
    async with trio.open_nursery() as nursery:
        await nursery.start(valkey.run)
        stream = await trio.open_unix_socket(str(valkey._socket))
        async with stream:
            await stream.send_all(b"CONFIG GET port\r\n")
            assert b"$1\r\n0\r\n" in await stream.receive_some()
        nursery.cancel_scope.cancel()


async def test_one_that_dies_is_started_again(capsys: pytest.CaptureFixture[str]) -> None:
    valkey = EmbeddedValkey()
    async with trio.open_nursery() as nursery:
        await nursery.start(valkey.run)
        stream = await trio.open_unix_socket(str(valkey._socket))
        async with stream:
            await stream.send_all(b"SHUTDOWN NOSAVE\r\n")
            while await stream.receive_some():
                pass
        await until(lambda: "broker_restarted" in capsys.readouterr().err)
        await until(valkey._socket.exists)
        nursery.cancel_scope.cancel()


async def test_why_it_died_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    valkey = EmbeddedValkey()
    async with trio.open_nursery() as nursery:
        await nursery.start(valkey.run)
        stream = await trio.open_unix_socket(str(valkey._socket))
        async with stream:
            await stream.send_all(b"INFO server\r\n")
            found = re.search(rb"process_id:(\d+)", await stream.receive_some())
        assert found is not None
        os.kill(int(found[1]), signal.SIGKILL)
        said = io.StringIO()

        def is_said() -> bool:
            said.write(capsys.readouterr().err)
            return "broker_restarted" in said.getvalue()

        await until(is_said)
        assert '"status":-9,"reason":"killed by SIGKILL"' in said.getvalue()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("status", "reason"),
    [(0, ""), (None, ""), (3, ""), (-15, "killed by SIGTERM"), (-99, "killed by signal 99")],
)
def test_a_signal_is_named(status: int | None, reason: str) -> None:
    assert embedded._killed_by(status) == reason


OWNER = """
import trio
from channeld.broker.redis.embedded import EmbeddedValkey

async def main():
    async with trio.open_nursery() as nursery:
        valkey = EmbeddedValkey()
        await nursery.start(valkey.run)
        print(valkey._folder, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


@pytest.fixture
def owner() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process with an embedded Valkey, and the Valkey's folder."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


async def test_it_ends_with_an_owner_that_is_killed(
    owner: tuple[subprocess.Popen[str], Path],
) -> None:
    process, folder = owner
    assert folder.joinpath("valkey.sock").exists()
    process.send_signal(signal.SIGKILL)
    await until(lambda: not folder.exists())


async def test_one_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    valkey = EmbeddedValkey()
    valkey._binary = Path("/bin/false")
    with pytest.raises(ValkeyFailed, match="did not start: it said nothing"):
        await valkey.run()
    assert not valkey._folder.exists()


def test_a_long_temporary_folder_leaves_room_for_the_sockets_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp/" + "x" * 100)
    assert len(bytes(EmbeddedValkey()._socket)) <= 100


def test_no_valkey_for_this_platform_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(ValkeyFailed, match="no bundled Valkey for this platform"):
        EmbeddedValkey()
