"""One heap of deadlines for everybody: keep-alive, authentication, tokens, presence, batches. And the two clocks.

Nothing here waits: whoever owns the loop asks `next_deadline()`, sleeps, and calls `run(now)`. `on_earlier` is called
when a new deadline comes before the one that was being waited for.
"""

import heapq
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clock", "Timer", "Timers"]


class Clock(Protocol):
    """Two clocks, handed in together so that tests can move both."""

    def monotonic(self) -> float:
        """Seconds that only grow: for timers and rates."""

    def wall(self) -> float:
        """Seconds since the Unix epoch: for `{now}` and a token's `exp`."""


class Timer:
    """A deadline that can be cancelled; a cancelled one leaves the heap when its time comes."""

    __slots__ = ("call", "deadline")

    def __init__(self, deadline: float, call: Callable[[float], object]) -> None:
        self.deadline = deadline
        self.call: Callable[[float], object] | None = call

    def cancel(self) -> None:
        """Never call it. Idempotent."""
        self.call = None

    def __lt__(self, other: "Timer") -> bool:
        return self.deadline < other.deadline


class Timers:
    """The heap. `call(now)` of a due timer must not raise and must not block."""

    __slots__ = ("_heap", "on_earlier")

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self.on_earlier: Callable[[], None] = _nothing

    def at(self, deadline: float, call: Callable[[float], object]) -> Timer:
        """Call `call(now)` once at or after `deadline` (monotonic seconds)."""
        timer = Timer(deadline, call)
        earlier = not self._heap or deadline < self._heap[0].deadline
        heapq.heappush(self._heap, timer)
        if earlier:
            self.on_earlier()
        return timer

    def next_deadline(self) -> float | None:
        """When `run` has something to do, or None."""
        while self._heap and self._heap[0].call is None:
            heapq.heappop(self._heap)
        return self._heap[0].deadline if self._heap else None

    def run(self, now: float) -> None:
        """Call everything that is due, earliest first."""
        while self._heap and self._heap[0].deadline <= now:
            timer = heapq.heappop(self._heap)
            call, timer.call = timer.call, None
            if call is not None:
                call(now)

    def __len__(self) -> int:
        return len(self._heap)


def _nothing() -> None:
    pass
