"""The engine's runtime on trio: clocks, timers, time-outs, threads, tasks and randomness."""

import binascii
import os
import random
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import trio

from channeld.groups import leaves
from channeld.later import Pending, in_task
from channeld.server.asyncio_loop import AsyncioLoop
from channeld.telemetry import log
from channeld.timers import Timers

_TIMERS_A_TURN = 16
"""Of thousands that are due at once, such as the deadlines of handshakes that came together; others are served in between."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")

T = TypeVar("T")


async def own_cancellation(call: Callable[..., Awaitable[T]], *args: object) -> T:
    """`await call(*args)`, turning a stray `Cancelled` that it kept from elsewhere into an error.

    Raises:
        RuntimeError: it raised `Cancelled` while no scope around it is cancelled.
    """
    try:
        return await call(*args)
    except BaseException as error:
        is_cancelled = trio.current_effective_deadline() <= trio.current_time()
        if not is_cancelled and any(isinstance(leaf, trio.Cancelled) for leaf in leaves(error)):
            raise RuntimeError("a Cancelled was raised that is not of this call") from error
        raise


class TrioClock:
    """trio's clock, which tests can move, and the system's wall clock."""

    __slots__ = ()

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return trio.current_time()

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()


class CommonRuntime:
    """What the server's runtime and that of tests have in common: timers, an asyncio loop, and how trio waits."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self.timers = Timers()
        self.asyncio = AsyncioLoop()

    async def within(
        self, seconds: float, call: Callable[..., Awaitable[Any]], *args: object
    ) -> Any:
        """`await call(*args)`, cancelled after that many seconds.

        Raises:
            TimeoutError: it took longer.
        """
        with trio.move_on_after(seconds) as scope:
            result = await own_cancellation(call, *args)
            # A call that resisted cancellation still timed out.
            if not scope.cancel_called:
                return result
        raise TimeoutError

    async def from_asyncio(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """`await call()` on trio, for a task of the asyncio loop."""
        return await self.asyncio.trio(call)

    def is_own_thread(self) -> bool:
        """Whether the caller runs on the server's thread."""
        return threading.get_ident() == self._thread

    def make_event(self) -> trio.Event:
        """Make a `trio.Event`."""
        return trio.Event()

    async def give_way(self) -> None:
        """Let other tasks run."""
        await trio.lowlevel.checkpoint()


class TrioRuntime(CommonRuntime):
    """Implements `channeld.engine.ports.Runtime`. `run` must be running before `spawn` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = TrioClock()
        self.timers.on_earlier = self._wake
        self._bits = b""
        self._earlier = trio.Event()
        self._nursery: trio.Nursery | None = None

    def random_id(self) -> str:
        """128 random bits as 22 URL-safe characters."""
        # As `secrets.token_urlsafe(16)`, without its system call for each connection.
        if not self._bits:
            self._bits = os.urandom(256 * 16)
        bits, self._bits = self._bits[:16], self._bits[16:]
        return binascii.b2a_base64(bits, newline=False).translate(_URL_SAFE, b"=").decode()

    def uuid(self) -> str:
        """A random UUID (RFC 9562 version 4)."""
        return str(uuid.uuid4())

    def random(self) -> float:
        """A number in [0, 1), not for secrets."""
        return random.random()  # noqa: S311 - it spreads reconnects

    async def in_asyncio(
        self, seconds: float, call: Callable[..., Awaitable[Any]], *args: object
    ) -> Any:
        """`await call(*args)` on the asyncio loop, cancelled after that many seconds. The first call starts the loop.

        Raises:
            TimeoutError: it took longer.
        """
        return await self.within(seconds, self.asyncio.call, call, *args)

    async def in_thread(self, seconds: float, call: Callable[..., Any], *args: object) -> Any:
        """Call a sync function in one of a bounded number of worker threads; abandoned, not stopped, at the time limit.

        Raises:
            TimeoutError: it took longer.
        """
        with trio.move_on_after(seconds):
            return await trio.to_thread.run_sync(call, *args, abandon_on_cancel=True)
        raise TimeoutError

    def spawn(self, pending: Awaitable[object]) -> None:
        """Await it in a task of its own, if it needs one; exceptions are logged. Dropped once `run` has ended."""
        if self._nursery is not None and isinstance(pending, Pending):
            pending.go_on(self._spawn, self._note)
        elif self._nursery is not None:
            self._nursery.start_soon(self._contain, pending)
        elif isinstance(pending, Coroutine | Pending):
            pending.close()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run timers and spawned tasks until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                while True:
                    await self._wait_for_timers()
                    self._run_timers()
            finally:
                self._nursery = None
                await self.asyncio.aclose()

    async def _wait_for_timers(self) -> None:
        self._earlier = trio.Event()
        deadline = self.timers.next_deadline()
        with trio.move_on_at(float("inf") if deadline is None else deadline):
            await self._earlier.wait()

    def _run_timers(self) -> None:
        try:
            self.timers.run(trio.current_time(), _TIMERS_A_TURN)
        except Exception as error:  # what a timer raised; the others were still called
            log("task_failed", task="timers", exception=error)

    def _spawn(self, pending: Awaitable[object]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._contain, pending)
        elif isinstance(pending, Coroutine):
            pending.close()

    def _note(self, error: Exception | None) -> None:
        if error is not None:
            log("task_failed", task=None, exception=error)

    async def _contain(self, pending: Awaitable[object]) -> None:
        try:
            await in_task(pending)
        except Exception as error:  # nobody waits for its result
            log("task_failed", task=getattr(pending, "__qualname__", None), exception=error)

    def _wake(self) -> None:
        self._earlier.set()
