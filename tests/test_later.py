"""Coroutines that run at once as far as they can."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing

from channeld.broker.broker import BrokerUnavailable
from channeld.broker.redis.queue import Answer
from channeld.later import (
    Continuation,
    Later,
    Pending,
    in_task,
    resolved,
    run_sync,
    start,
    yield_to_task,
)


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


async def value(answer: Answer[int]) -> int:
    later: Later[int] = answer
    return await resolved(later)


async def run(pending: Awaitable[object]) -> None:
    await in_task(pending)


class Going:
    """Goes on with a started coroutine, and says what was spawned and how it ended."""

    def __init__(self, pending: Pending[Any] | None) -> None:
        self.spawned: list[Any] = []
        self.ends: list[Exception | None] = []
        assert pending is not None
        pending.go_on(self.spawned.append, self.ends.append)


def test_who_brings_the_answers_runs_the_rest_without_a_task() -> None:
    one, two, seen = Answer[int](), Answer[int](), list[int]()

    async def work() -> None:
        seen.append(await value(one))
        seen.append(await value(two))

    going = Going(start(work()))
    one.resolve(1)
    assert (seen, going.ends) == ([1], [])
    two.resolve(2)
    assert (seen, going.ends, going.spawned) == ([1, 2], [None], [])


def test_an_answer_that_is_here_is_not_waited_for() -> None:
    answer = Answer[int]()
    answer.resolve(1)
    assert start(value(answer)) is None


def test_a_failed_answer_is_raised_where_it_was_asked_for() -> None:
    one, two = Answer[int](), Answer[int]()
    caught: list[BrokerUnavailable] = []

    async def work() -> None:
        try:
            await value(one)
        except BrokerUnavailable as error:
            caught.append(error)
        await value(two)

    going = Going(start(work()))
    one.fail(BrokerUnavailable(3.0))
    assert [error.retry_after for error in caught] == [3.0]
    two.fail(BrokerUnavailable(4.0))
    (end,) = going.ends
    assert isinstance(end, BrokerUnavailable)
    assert end.retry_after == 4.0


@pytest.mark.parametrize("error", [None, ValueError("late")])
async def test_the_rest_goes_into_a_task_once_it_needs_one(error: Exception | None) -> None:
    one, two, seen = Answer[int](), Answer[int](), list[int]()

    async def work() -> None:
        seen.append(await value(one))
        await yield_to_task()
        await trio.lowlevel.checkpoint()
        seen.append(await value(two))
        if error is not None:
            raise error

    going = Going(start(work()))
    one.resolve(1)
    (spawned,) = going.spawned
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, spawned)
        await trio.testing.wait_all_tasks_blocked()
        assert (seen, going.ends) == ([1], [])
        two.resolve(2)
    assert (seen, going.ends) == ([1, 2], [error])


def test_what_waits_behind_an_answer_before_it_may_is_told_so_and_released() -> None:
    answer, released = Answer[int](), list[bool]()

    class Foreign:
        def __await__(self) -> Generator[Any, Any, None]:
            yield "something of a library"

    async def work() -> None:
        try:
            await value(answer)
            await Foreign()
        finally:
            released.append(True)

    going = Going(start(work()))
    answer.resolve(1)
    assert released == [True]
    with pytest.raises(RuntimeError, match=r"work waits without .* must be `yield_to_task`"):
        raise going.ends[0] or AssertionError


async def test_one_that_was_started_goes_on_inside_another() -> None:
    one, two, seen = Answer[int](), Answer[int](), list[int]()

    async def inner() -> int:
        return await value(one) + await value(two)

    async def outer() -> None:
        entering = start(inner())
        assert entering is not None
        seen.append(await entering.inside())

    going = Going(start(outer()))
    one.resolve(1)
    assert seen == []
    two.resolve(2)
    assert (seen, going.ends, going.spawned) == ([3], [None], [])
    one, two = Answer[int](), Answer[int]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, outer())
        await trio.testing.wait_all_tasks_blocked()
        one.resolve(4)
        two.resolve(5)
    assert seen == [3, 9]
