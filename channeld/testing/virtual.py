"""Virtual time and seeded randomness: the engine's runtime in tests."""

import random
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
import trio.testing

from channeld.later import in_task
from channeld.server.runtime import CommonRuntime

START = 1_767_225_600.0
"""The wall clock's start in every test: 2026-01-01T00:00:00Z."""


class VirtualClock:
    """Both clocks, moved by `advance` only (and by trio's own `MockClock` where that is in use)."""

    def __init__(self) -> None:
        self.offset = -trio.current_time()
        self._mock = isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
        self._now = 0.0

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return trio.current_time() + self.offset if self._mock else self._now

    def wall(self) -> float:
        """The same, as Unix time."""
        return START + self.monotonic()

    def jump(self, seconds: float) -> None:
        """Move both clocks."""
        clock = trio.lowlevel.current_clock()
        if isinstance(clock, trio.testing.MockClock):
            clock.jump(seconds)
        else:
            self._now += seconds

    def next_deadline(self) -> float:
        """When something on trio's own clock is due, on this clock's scale."""
        if not self._mock:
            return float("inf")
        return self.monotonic() + trio.lowlevel.current_statistics().seconds_to_next_deadline


class VirtualRuntime(CommonRuntime):
    """The engine's runtime in tests: seeded randomness, tasks in the test's nursery, threads counted."""

    def __init__(self, nursery: trio.Nursery, seed: int) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.failures: list[BaseException] = []
        self._random = random.Random(seed)  # noqa: S311 - the same ids in every run
        self._nursery = nursery
        self._threads = 0
        self._thread_done = trio.Event()

    def random_id(self) -> str:
        """Twenty-two characters, the same ones in every run."""
        return f"{self._random.getrandbits(88):022x}"

    def uuid(self) -> str:
        """A version 4 UUID, the same one in every run."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def random(self) -> float:
        """A number in [0, 1), the same one in every run."""
        return self._random.random()

    async def in_asyncio(
        self, seconds: float, call: Callable[..., Awaitable[Any]], *args: object
    ) -> Any:
        """`await call(*args)` on an asyncio loop in real time; the server is not at rest meanwhile."""
        with self._away():
            return await self.asyncio.call(call, *args)

    async def in_thread(self, seconds: float, call: Callable[..., Any], *args: object) -> Any:
        """Call a function in a worker thread; the server is not at rest meanwhile."""
        with self._away():
            return await trio.to_thread.run_sync(call, *args, abandon_on_cancel=True)

    @contextmanager
    def _away(self) -> Iterator[None]:
        self._threads += 1
        try:
            yield
        finally:
            self._threads -= 1
            self._thread_done.set()
            self._thread_done = trio.Event()

    def spawn(self, pending: Awaitable[object]) -> None:
        """Await it in a task; what it raises is kept in `failures`."""
        self._nursery.start_soon(self._contained, pending)

    async def _contained(self, pending: Awaitable[object]) -> None:
        try:
            await in_task(pending)
        except Exception as error:  # shown by the test's runner, at its end
            self.failures.append(error)

    async def rest(self) -> None:
        """Wait until nothing can happen any more unless time moves."""
        while True:
            await trio.testing.wait_all_tasks_blocked()
            if not self._threads:
                return
            await self._thread_done.wait()
