"""Calls between trio and an asyncio loop in a thread: results, errors, cancellation, context, and an end."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from channeld.server import asyncio_loop
from channeld.server.asyncio_loop import AsyncioLoop

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


@pytest.fixture
async def loop() -> AsyncIterator[AsyncioLoop]:
    made = AsyncioLoop()
    yield made
    await made.aclose()
    assert not [one for one in threading.enumerate() if one.name == "channeld-asyncio"]


async def test_a_call_runs_in_asyncio_and_returns(loop: AsyncioLoop) -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    assert await loop.call(double, 21) == 42


async def test_what_it_raises_is_raised(loop: AsyncioLoop) -> None:
    async def fail() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        await loop.call(fail)


GROUP = BaseExceptionGroup("group", [KeyboardInterrupt(), ValueError()])


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), BaseException("b"), GROUP]
)
async def test_nothing_that_it_raises_ends_the_loop(
    loop: AsyncioLoop, error: BaseException
) -> None:
    async def fail() -> None:
        raise error

    async def after() -> str:
        return "here"

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await loop.call(fail)
    loop.start_soon(fail)
    assert await loop.call(after) == "here"


async def test_what_a_task_of_a_hook_does_to_the_loop_is_undone(loop: AsyncioLoop) -> None:
    async def child() -> None:
        raise KeyboardInterrupt

    async def stop() -> None:
        asyncio.get_running_loop().stop()

    async def leave_child() -> None:
        children.append(asyncio.create_task(child()))

    async def after() -> str:
        for each in children:
            assert isinstance(each.exception(), KeyboardInterrupt)
        return "here"

    children: list[asyncio.Task[None]] = []
    await loop.call(leave_child)
    assert await loop.call(after) == "here"
    await loop.call(stop)
    assert await loop.call(after) == "here"


async def test_a_task_that_cancels_itself_is_an_error(loop: AsyncioLoop) -> None:
    async def cancel() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="was cancelled"):
        await loop.call(cancel)


async def test_cancelling_the_caller_cancels_the_task_and_lets_it_clean_up(
    loop: AsyncioLoop,
) -> None:
    begun, cleaned = trio.Event(), []
    token = trio.lowlevel.current_trio_token()

    async def wait() -> None:
        token.run_sync_soon(begun.set)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.call, wait)
        await begun.wait()
        nursery.cancel_scope.cancel()
    assert cleaned == [True]


async def test_a_task_that_ignores_its_cancellation_is_given_up(
    loop: AsyncioLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio_loop, "GRACE", 0.05)
    begun, let_go = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    async def ignore() -> None:
        token.run_sync_soon(begun.set)
        while not let_go.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.call, ignore)
        await begun.wait()
        nursery.cancel_scope.cancel()
    let_go.set()


async def test_context_variables_go_along(loop: AsyncioLoop) -> None:
    async def who() -> str:
        return WHO.get()

    WHO.set("ann")
    assert await loop.call(who) == "ann"


async def test_a_task_awaits_something_on_trio_s_side(loop: AsyncioLoop) -> None:
    async def on_trio(name: str) -> str:
        await trio.lowlevel.checkpoint()
        return f"hello {name}"

    async def fail_on_trio() -> None:
        await trio.lowlevel.checkpoint()
        raise LookupError("not there")

    async def on_asyncio() -> list[str]:
        answers = [await loop.trio(on_trio, "ann")]
        try:
            await loop.trio(fail_on_trio)
        except LookupError as error:
            answers.append(str(error))
        return answers

    assert await loop.call(on_asyncio) == ["hello ann", "not there"]


async def test_cancelling_the_task_cancels_what_it_awaits_on_trio_s_side(
    loop: AsyncioLoop,
) -> None:
    begun, ended = trio.Event(), trio.Event()

    async def on_trio() -> None:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.call, loop.trio, on_trio)
        await begun.wait()
        nursery.cancel_scope.cancel()
    await ended.wait()


async def test_a_context_manager_is_entered_and_left_in_one_task(loop: AsyncioLoop) -> None:
    tasks = []

    @asynccontextmanager
    async def life(name: str) -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        yield f"state of {name}"
        tasks.append(asyncio.current_task())

    async with loop.context(life, "app") as state:
        assert state == "state of app"
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


@pytest.mark.parametrize("where", ["before", "after"])
async def test_what_a_context_manager_raises_is_raised(loop: AsyncioLoop, where: str) -> None:
    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        if where == "before":
            raise LookupError("before")
        yield
        raise LookupError("after")

    with pytest.raises(LookupError, match=where):
        async with loop.context(life):
            pass


async def test_tasks_that_are_started_end_with_the_loop() -> None:
    loop, begun, ended = AsyncioLoop(), trio.Event(), []
    token = trio.lowlevel.current_trio_token()

    async def wait(name: str) -> None:
        token.run_sync_soon(begun.set)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    loop.start_soon(wait, "timer")
    await begun.wait()
    await loop.aclose()
    await loop.aclose()
    assert ended == ["timer"]
    assert not loop.is_running
