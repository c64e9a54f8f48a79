"""The runtime on trio: timers in virtual time, time-outs, tasks whose exceptions stay in."""

import re
import time
import uuid

import pytest
import trio
import trio.testing

from channeld.later import Pending, yield_to_task
from channeld.server.runtime import TrioRuntime


async def test_timers_are_called_in_time(autojump_clock: trio.testing.MockClock) -> None:
    called: list[float] = []
    runtime = TrioRuntime()
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        start = runtime.clock.monotonic()
        runtime.timers.at(start + 10, called.append)
        runtime.timers.at(start + 5, called.append)
        await trio.sleep(7)
        assert called == [start + 5]
        runtime.timers.at(start + 8, called.append)
        await trio.sleep(10)
        assert called == [start + 5, start + 8, start + 10]
        nursery.cancel_scope.cancel()


async def test_a_timer_that_raises_stops_no_other(
    autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(now: float) -> None:
        raise RuntimeError("a bug")

    called: list[float] = []
    runtime = TrioRuntime()
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        runtime.timers.at(runtime.clock.monotonic() + 1, fail)
        runtime.timers.at(runtime.clock.monotonic() + 2, called.append)
        await trio.sleep(3)
        assert len(called) == 1
        nursery.cancel_scope.cancel()
    assert "task_failed" in capsys.readouterr().err


def test_the_wall_clock_is_the_systems() -> None:
    assert abs(TrioRuntime().clock.wall() - time.time()) < 60


async def test_within_gives_the_result_or_times_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def give(value: int, after: float) -> int:
        await trio.sleep(after)
        return value

    runtime = TrioRuntime()
    assert await runtime.within(2, give, 7, 1) == 7
    with pytest.raises(TimeoutError):
        await runtime.within(2, give, 7, 3)


async def test_within_lets_errors_through() -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError

    with pytest.raises(KeyError):
        await TrioRuntime().within(2, fail)


async def test_a_thread_gives_its_result_or_is_given_up() -> None:
    runtime = TrioRuntime()
    assert await runtime.in_thread(5, "-".join, ["a", "b"]) == "a-b"
    release = __import__("threading").Event()
    with pytest.raises(TimeoutError):
        await runtime.in_thread(0.01, release.wait)
    release.set()


async def test_a_task_that_fails_is_logged_and_hurts_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug above")

    done: list[bool] = []

    async def work() -> None:
        await trio.lowlevel.checkpoint()
        done.append(True)

    async def wait() -> None:
        await yield_to_task()
        done.append(True)

    runtime = TrioRuntime()
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        runtime.spawn(fail())
        runtime.spawn(Pending(work()))
        runtime.spawn(wait())
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert done == [True, True]
    assert "a bug above" in capsys.readouterr().err


def test_what_is_spawned_when_nothing_runs_is_dropped() -> None:
    async def work() -> None:
        raise AssertionError

    runtime = TrioRuntime()
    runtime.spawn(work())
    runtime.spawn(Pending(work()))


def test_ids_are_random_and_of_the_agreed_form() -> None:
    runtime = TrioRuntime()
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", runtime.random_id())
    assert runtime.random_id() != runtime.random_id()
    assert uuid.UUID(runtime.uuid()).version == 4
    assert 0 <= runtime.random() < 1


@pytest.mark.parametrize("in_a_group", [False, True])
async def test_a_cancellation_that_was_kept_cancels_nobody_else(in_a_group: bool) -> None:
    async def raise_a_kept_one() -> None:
        kept: list[BaseException] = []
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                kept.append(error)
                raise
        raise BaseExceptionGroup("x", [*kept, ValueError()]) if in_a_group else kept[0]

    runtime = TrioRuntime()
    with pytest.raises(RuntimeError, match="not of this call"):
        await runtime.within(5, raise_a_kept_one)
    await trio.lowlevel.checkpoint()


async def test_a_cancellation_from_around_goes_on() -> None:
    runtime = TrioRuntime()
    with trio.CancelScope() as scope:
        scope.cancel()
        await runtime.within(5, trio.sleep_forever)
    assert scope.cancelled_caught
