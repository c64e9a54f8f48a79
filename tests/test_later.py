"""Coroutines that run at once as far as they can."""

from collections.abc import Callable, Generator
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing

from channeld.later import Continuation, Pending, in_task, resolved, run_sync, start, yield_to_task


async def test_coroutine_that_waits_for_nothing_is_done_at_once() -> None:
    seen: list[int] = []

    async def work() -> None:
        seen.append(await resolved(1))

    assert start(work()) is None
    assert seen == [1]


async def test_the_rest_runs_where_it_is_awaited() -> None:
    seen: list[object] = []

    async def slow() -> int:
        await trio.lowlevel.checkpoint()
        return 2

    async def work() -> None:
        seen.append("now")
        seen.append(await resolved(slow()))
        seen.append(await resolved(slow()))

    pending = start(work())
    assert seen == ["now"]
    assert pending is not None
    await pending
    assert seen == ["now", 2, 2]


async def test_exceptions_come_out_where_they_happen() -> None:
    async def early() -> None:
        raise KeyError

    async def late() -> None:
        await yield_to_task()
        raise ValueError("late")

    with pytest.raises(KeyError):
        start(early())
    pending = start(late())
    assert pending is not None
    with pytest.raises(ValueError, match="late"):
        await pending


async def test_cancellation_reaches_what_is_waited_for() -> None:
    cancelled = trio.Event()

    async def work() -> None:
        await yield_to_task()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.set()
            raise

    async with trio.open_nursery() as nursery:
        pending = start(work())
        assert pending is not None

        async def wait() -> None:
            await pending

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert cancelled.is_set()


async def test_a_pending_may_be_awaited_inside_another() -> None:
    async def inner() -> int:
        await yield_to_task()
        await trio.lowlevel.checkpoint()
        return 3

    async def outer() -> int:
        await yield_to_task()
        return await Pending(inner())

    assert await Pending(outer()) == 3


def test_given_up_pending_releases_what_it_holds() -> None:
    released: list[bool] = []

    async def work() -> None:
        try:
            await yield_to_task()
        finally:
            released.append(True)

    pending = start(work())
    assert pending is not None
    pending.close()
    assert released == [True]


def test_run_sync_refuses_to_wait() -> None:
    async def work() -> int:
        await yield_to_task()
        return 1

    async def at_once() -> int:
        return 1

    assert run_sync(at_once()) == 1
    with pytest.raises(RuntimeError, match="cannot wait"):
        run_sync(work())


async def test_what_waits_before_it_may_is_told_so_and_released() -> None:
    released: list[str] = []

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            released.append("released")

    with pytest.raises(RuntimeError, match=r"work waits without .* must be `yield_to_task`"):
        start(work())
    assert released == ["released"]


class Kept:
    """A promise that is kept by hand."""

    def __init__(self) -> None:
        self.call: Callable[[Exception | None], object] = lambda _error: None
        self.error: Exception | None = None

    def then(self, call: Callable[[Exception | None], object]) -> None:
        self.call = call

    def __await__(self) -> Generator[Any, Any, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error


def test_who_brings_the_answer_finishes_and_goes_on() -> None:
    promise, seen = Kept(), list[object]()
    Continuation(promise, seen.append).then(lambda: seen.append("resumed"))
    assert seen == []
    promise.call(None)
    assert seen == [None, "resumed"]


@pytest.mark.parametrize("error", [None, ValueError("no")])
async def test_a_continuation_can_be_awaited_too(error: Exception | None) -> None:
    promise, seen = Kept(), list[object]()
    promise.error = error
    await Continuation(promise, seen.append)
    assert seen == [error]


async def test_a_task_may_run_what_was_made_to_be_started() -> None:
    async def slow() -> int:
        await trio.lowlevel.checkpoint()
        return 2

    async def work() -> int:
        return await resolved(slow())

    assert await in_task(work()) == 2
    assert await in_task(Pending(work())) == 2
