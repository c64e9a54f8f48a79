"""Pings, ages and slow readers, over every driver."""

import contextlib
import socket

import pytest
import trio
import trio.testing

from channeld.config.model import ConnectionAge, Ping, Server
from tests.server.kit import (
    DRIVERS,
    RecordingEngine,
    RecordingSession,
    echoes,
    frame,
    gone,
    pass_time,
    plan,
    read_frames,
    serving,
)

pytestmark = pytest.mark.parametrize("driver", DRIVERS)

# ------------------------------------------------------------------------------------------------ keep-alive


PINGING = plan(Server(ping=Ping(interval=25, timeout=20)))
PING_FRAME = (0x89, b"")


async def test_silence_is_pinged_and_then_ended(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    async with serving(driver, None, PINGING, patience=1000) as served:
        client = await served.client()
        await pass_time(mock_clock, 26)
        assert await client.frame() == PING_FRAME
        await pass_time(mock_clock, 18)
        assert served.admission.sockets == 1
        await pass_time(mock_clock, 3)
        await gone(served)
        assert served.engine.session.ends == [(1006, "ping timeout")]
        assert served.admission.counters.ping_timeouts == 1


@pytest.mark.parametrize("life", [frame(b"", 0x8A), frame(b"text"), b"\x81"])
async def test_any_bytes_count_as_life(
    driver: str, life: bytes, mock_clock: trio.testing.MockClock
) -> None:
    async with serving(driver, None, PINGING, patience=1000) as served:
        client = await served.client()
        await pass_time(mock_clock, 30)
        await client.send(life)
        await pass_time(mock_clock, 24)
        assert served.admission.sockets == 1
        assert read_frames(client.data) == []
        assert await client.frame() == PING_FRAME


async def test_a_busy_client_is_not_pinged(driver: str, mock_clock: trio.testing.MockClock) -> None:
    async with serving(driver, None, PINGING, patience=1000) as served:
        client = await served.client()
        for _ in range(10):
            await pass_time(mock_clock, 20)
            assert await echoes(client)
        assert client.data == b""


async def test_a_client_that_nobody_listens_to_is_not_silent(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    go_on = trio.Event()

    async def wait(session: RecordingSession) -> None:
        await go_on.wait()

    async with serving(driver, RecordingEngine(on_open=wait), PINGING, patience=1000) as served:
        client = await served.client()
        await pass_time(mock_clock, 200)
        assert served.admission.sockets == 1
        go_on.set()
        assert await echoes(client)


async def test_pings_come_early_where_they_are_frequent(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    frequent = plan(Server(ping=Ping(interval=2, timeout=1)))
    async with serving(driver, None, frequent, patience=1000) as served:
        client = await served.client()
        await pass_time(mock_clock, 2)
        assert await client.frame() == PING_FRAME


AGED = plan(Server(connection_age=ConnectionAge(max=100, jitter=0.2)))


async def test_a_connection_ends_between_its_least_and_its_largest_age(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    async with serving(driver, None, AGED, patience=1000) as served:
        client = await served.client()
        for _ in range(79):
            await pass_time(mock_clock, 1)
            await client.send(frame(b"", 0x8A))
        assert served.engine.session.ends == []
        for _ in range(22):
            await pass_time(mock_clock, 1)
        assert served.engine.session.ends == [(1012, "old")]
        assert served.engine.session.calls[-1] == "retire"


# ------------------------------------------------------------------------------------------------ slow readers


def pour(session: RecordingSession, _payload: bytes) -> None:
    """More than any kernel's buffers hold, and less than the outbox may."""
    session.echo(bytes(1 << 24))


ROOMY = plan(Server(ping=Ping(interval=25, timeout=20)), outbox=1 << 26)


async def test_who_takes_nothing_for_30_seconds_is_too_slow(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    engine = RecordingEngine(on_message=pour)
    async with serving(driver, engine, ROOMY, patience=1000) as served:
        client = await served.client(glued=frame(b"go"), bounded=True)
        await served.until(lambda: bool(engine.sessions) and bool(engine.session.messages))
        for _ in range(29):
            await pass_time(mock_clock, 1)
            # It is alive, and asked to be: it only does not read.
            await client.send(frame(b"", 0x8A))
        assert engine.session.ends == []
        # What the kernels' buffers took at first counts, and it is looked at every few seconds only.
        await pass_time(mock_clock, 7)
        assert engine.session.ends == [(4508, "too slow")]
        assert served.admission.counters.slow_consumers == 1


async def test_who_takes_nothing_is_too_slow_where_all_fits_the_kernels_buffers(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    def pour_little(session: RecordingSession, _message: bytes) -> None:
        session.echo(bytes(400_000))

    engine = RecordingEngine(on_message=pour_little)
    async with serving(driver, engine, ROOMY, patience=1000) as served:
        client = await served.client(glued=frame(b"go"), bounded=True)
        await served.until(lambda: bool(engine.sessions) and bool(engine.session.messages))
        for _ in range(62):  # at the first ping it is looked at, and 30 s later it is over
            await pass_time(mock_clock, 1)
            with contextlib.suppress(trio.BrokenResourceError):
                await client.send(frame(b"", 0x8A))
        assert engine.session.ends == [(4508, "too slow")]
        assert served.admission.counters.slow_consumers == 1


async def test_a_steady_slow_reader_is_served_to_the_end(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    engine = RecordingEngine(on_message=pour)
    async with serving(driver, engine, ROOMY, patience=100_000) as served:
        client = await served.client(bounded=True)
        if isinstance(client.stream, trio.SocketStream):
            # What lies in the client's own kernel nobody else can see.
            client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        await client.send(frame(b"go"))
        await served.until(lambda: bool(engine.sessions) and bool(engine.session.messages))
        while len(client.data) < 1 << 24:
            # It reads a little every 20 seconds, and says nothing at all: the ping stands behind what it still has to read.
            goal = len(client.data) + (1 << 20)
            while len(client.data) < min(goal, 1 << 24):
                assert await client.fill()
            assert engine.session.ends == []
            await pass_time(mock_clock, 20 if len(client.data) < 1 << 24 else 0)
        # It has come to the ping by now.
        await client.send(frame(b"", 0x8A))
        await pass_time(mock_clock, 24)
        assert engine.session.ends == []
