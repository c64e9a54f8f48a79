"""An asyncio loop in a thread of its own, for hooks that are written for asyncio; the server itself runs on trio.

A call goes over as a coroutine function and its arguments, and comes back as its result. Cancelling the trio task that
waits cancels the asyncio task, which then has `GRACE` seconds to end. The other way, `AsyncioLoop.trio` lets a task of
the loop await something on trio's side. Context variables of the caller hold in the task (PEP 567).
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, Generic, TypeVar, cast

import trio

from channeld.telemetry import log

GRACE: Final = 1.0
"""Seconds that a cancelled task may take to end before nobody waits for it any longer."""

T = TypeVar("T")


class AsyncioLoop:
    """One loop and its thread, both started by the first call. Only `trio` and `start_soon` are for other threads."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_over = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether a call has started it, and `aclose` has not ended it."""
        return self._loop is not None

    # ------------------------------------------------------------------------------------------- from trio's side

    async def call(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """`await function(*args)` in a task of the loop.

        Raises:
            RuntimeError: the task cancelled itself, or raised something that would have ended the loop.
            Exception: what the function raised.
        """
        task = _Task[T](function, args)
        self._start(task)
        await _wait_for(task, self._started())
        return task.result()

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run `await function(*args)` in a task that ends with the loop. Exceptions are logged. From any thread."""
        context = contextvars.copy_context()
        self._started().call_soon_threadsafe(self._begin, function, args, context)

    @asynccontextmanager
    async def context(
        self, make: Callable[..., AbstractAsyncContextManager[T]], *args: object
    ) -> AsyncIterator[T]:
        """Enter an asyncio context manager on the loop, and exit it in the same task when this block ends."""
        token = trio.lowlevel.current_trio_token()
        entered, values, loop = trio.Event(), list[T](), self._started()
        leave = asyncio.Event()

        async def hold() -> None:
            async with make(*args) as value:
                values.append(value)
                token.run_sync_soon(entered.set)
                await leave.wait()

        task = _Task[None](hold, ())
        task.when_done(entered.set)
        self._start(task)
        try:
            await entered.wait()
            if not values:
                task.result()
                raise RuntimeError("the context manager ended before it was entered")
            yield values[0]
        finally:
            loop.call_soon_threadsafe(leave.set if values else task.cancel)
            await _wait_for(task, loop)
        task.result()

    async def aclose(self) -> None:
        """Cancel every task, give them `GRACE` seconds, and end the loop and its thread. Idempotent."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = self._thread = None
        loop.call_soon_threadsafe(lambda: loop.create_task(self._end()))
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread.join, 2 * GRACE)
        if thread.is_alive():
            log("task_failed", task="asyncio", reason="its thread did not end")

    # ---------------------------------------------------------------------------------------- from the loop's side

    async def trio(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """`await function(*args)` on trio's side, from a task of the loop; cancelling that task cancels it.

        Raises:
            RuntimeError: the server has ended.
            Exception: what the function raised.
        """
        loop, token = asyncio.get_running_loop(), self._token
        if token is None:
            raise RuntimeError("the server is not running")
        future: asyncio.Future[T] = loop.create_future()
        scope = trio.CancelScope()

        def tell(result: T | None, error: Exception | None) -> None:
            if not future.done() and error is not None:
                future.set_exception(error)
            elif not future.done():
                future.set_result(cast("T", result))

        async def run() -> None:
            result, raised = None, None
            with scope:
                try:
                    result = await function(*args)
                except Exception as error:  # delivered to the task that asked
                    raised = error
                with suppress(RuntimeError):  # the loop is closed: nobody waits
                    loop.call_soon_threadsafe(tell, result, raised)

        try:
            token.run_sync_soon(trio.lowlevel.spawn_system_task, run)
            return await future
        except trio.RunFinishedError as error:
            raise RuntimeError("the server has ended") from error
        except asyncio.CancelledError:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(scope.cancel)
            raise

    # ------------------------------------------------------------------------------------------------------ within

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._token = trio.lowlevel.current_trio_token()
            self._loop = asyncio.new_event_loop()
            self._is_over = threading.Event()
            # A daemon: a hook that blocks it for ever must not keep the process from exiting.
            self._thread = threading.Thread(
                target=_run, args=(self._loop, self._is_over), name="channeld-asyncio", daemon=True
            )
            self._thread.start()
        return self._loop

    def _start(self, task: "_Task[Any]") -> None:
        self._started().call_soon_threadsafe(task.begin, self._tasks)

    def _begin(
        self,
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
        context: contextvars.Context,
    ) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(_logged(function, args), context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        loop = asyncio.get_running_loop()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE)
        await loop.shutdown_asyncgens()
        self._is_over.set()
        loop.stop()


class _Task(Generic[T]):
    """One call under way: started on the loop's thread, awaited on trio's through `done`."""

    def __init__(self, function: Callable[..., Awaitable[T]], args: tuple[object, ...]) -> None:
        self.name = getattr(function, "__qualname__", type(function).__name__)
        self.done = trio.Event()
        self._function, self._args = function, args
        self._context = contextvars.copy_context()
        self._token = trio.lowlevel.current_trio_token()
        self._task: asyncio.Task[T] | None = None
        self._also: Callable[[], None] | None = None

    def when_done(self, call: Callable[[], None]) -> None:
        """Also call this, on trio's side, just before `done` is set. Call before `begin`."""
        self._also = call

    def begin(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Start the task. Runs on the loop's thread."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(), context=self._context)
        tasks.add(self._task)
        self._task.add_done_callback(tasks.discard)
        self._task.add_done_callback(self._finish)

    def cancel(self) -> None:
        """Cancel the task if it has started and not ended. Runs on the loop's thread."""
        if self._task is not None:
            self._task.cancel()

    def result(self) -> T:
        """What it returned, or raises what it raised. Call on trio's side once it is done."""
        task = self._task
        if task is None or task.cancelled():
            raise RuntimeError(f"{self.name} was cancelled")
        return task.result()

    async def _run(self) -> T:
        try:
            return await self._function(*self._args)
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:
            # Some of these would end the asyncio loop for everybody; on trio's side all of them would end the server.
            raise RuntimeError(f"{self.name} raised {type(error).__name__}") from error

    def _finish(self, _task: asyncio.Task[T]) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._tell)

    def _tell(self) -> None:
        if self._also is not None:
            self._also()
        self.done.set()


async def _wait_for(task: "_Task[Any]", loop: asyncio.AbstractEventLoop) -> None:
    """Wait until it is done. When cancelled, give it `GRACE` seconds to end."""
    try:
        await task.done.wait()
    except trio.Cancelled:
        loop.call_soon_threadsafe(task.cancel)
        with trio.move_on_after(GRACE, shield=True):
            await task.done.wait()
        if not task.done.is_set():
            log("task_failed", task=task.name, reason="it did not end when it was cancelled")
        raise


def _run(loop: asyncio.AbstractEventLoop, is_over: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    try:
        while not is_over.is_set():
            # A hook's own task may raise something that ends the loop, or stop it; other hooks must keep running.
            try:
                loop.run_forever()
            except BaseException as error:
                log("task_failed", task="asyncio", exception=error)
    finally:
        loop.close()


async def _logged(function: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
    try:
        await function(*args)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # nobody waits for it
        log("task_failed", task=getattr(function, "__qualname__", None), exception=error)
