"""The bad network itself: what it holds, delays and cuts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.chaos.partition import Direction, Partition


@asynccontextmanager
async def echoing(tmp_path: Path) -> AsyncIterator[tuple[Partition, trio.SocketStream]]:
    """A partition before a server that echoes, and a client behind it."""

    async def echo(stream: trio.SocketStream) -> None:
        async with stream:
            while data := await stream.receive_some():
                await stream.send_all(data)

    back = trio.socket.socket(trio.socket.AF_UNIX)
    await back.bind(str(tmp_path / "b"))
    back.listen()
    partition = Partition(str(tmp_path / "f"), str(tmp_path / "b"))
    with trio.fail_after(600):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, echo, [trio.SocketListener(back)])
            await nursery.start(partition.run)
            stream = await trio.open_unix_socket(partition.front)
            async with stream:
                yield partition, stream
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_what_is_held_in_one_direction_comes_when_it_is_healed(
    tmp_path: Path, direction: Direction
) -> None:
    async with echoing(tmp_path) as (partition, stream):
        await stream.send_all(b"1")
        assert await stream.receive_some() == b"1"
        partition.held = frozenset({direction})
        await stream.send_all(b"2")
        await trio.testing.wait_all_tasks_blocked(0.01)
        partition.heal()
        assert await stream.receive_some() == b"2"


async def test_what_is_delayed_comes_late(tmp_path: Path, autojump_clock: MockClock) -> None:
    autojump_clock.autojump_threshold = 0.01
    async with echoing(tmp_path) as (partition, stream):
        partition.delay = 5.0
        began = trio.current_time()
        await stream.send_all(b"1")
        assert await stream.receive_some() == b"1"
        assert trio.current_time() - began >= 10


async def test_what_is_cut_ends(tmp_path: Path) -> None:
    async with echoing(tmp_path) as (partition, stream):
        await stream.send_all(b"1")
        assert await stream.receive_some() == b"1"
        partition.cut()
        assert await stream.receive_some() == b""


async def test_half_closed_the_server_hears_the_end(tmp_path: Path) -> None:
    async with echoing(tmp_path) as (partition, stream):
        await stream.send_all(b"1")
        assert await stream.receive_some() == b"1"
        await partition.half_close()
        assert await stream.receive_some() == b""
