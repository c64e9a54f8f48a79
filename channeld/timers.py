"""One heap of deadlines for keep-alive, authentication, tokens, presence and batches; and the two clocks.

Nothing here waits: the owner of the loop calls `next_deadline()`, sleeps, and calls `run(now)`. `on_earlier` is called
when a new deadline is earlier than the one being waited for.
"""

import heapq
import itertools
from collections.abc import Callable
from math import inf
from typing import Protocol


class Clock(Protocol):
    """Both clocks, passed in together so that tests can move both."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back: for timers and rates."""

    def wall(self) -> float:
        """Seconds since the Unix epoch: for `{now}` and a token's `exp`."""


class Timer:
    """A deadline that can be cancelled."""

    __slots__ = ("_waiting_in", "call", "deadline")

    def __init__(self, deadline: float, call: Callable[[float], object], timers: "Timers") -> None:
        self.deadline = deadline
        self.call: Callable[[float], object] | None = call
        self._waiting_in: Timers | None = timers

    def cancel(self) -> None:
        """Never call it. Idempotent."""
        self.call = None
        timers = self._release()
        if timers is not None:
            timers._note_cancelled()  # noqa: SLF001 - one mechanism in two classes

    def _release(self) -> "Timers | None":
        timers, self._waiting_in = self._waiting_in, None
        return timers


class Timers:
    """The heap. `call(now)` of a due timer must not block; if it raises, the others that are due are still called.

    Equal deadlines are called in the order they were made. Cancelled timers are swept out when they are more than half
    of the heap, so however fast they are made and cancelled, the heap is at most twice as large as what is live.
    """

    __slots__ = ("_cancelled", "_heap", "_numbers", "on_earlier")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._cancelled = 0
        self.on_earlier: Callable[[], None] = _nothing

    def at(self, deadline: float, call: Callable[[float], object]) -> Timer:
        """Call `call(now)` once at or after `deadline` (monotonic seconds)."""
        timer = Timer(deadline, call, self)
        earlier = not self._heap or deadline < self._heap[0][0]
        heapq.heappush(self._heap, (deadline, next(self._numbers), timer))
        if earlier:
            self.on_earlier()
        return timer

    def next_deadline(self) -> float | None:
        """When `run` has something to do next, or None."""
        while self._heap and self._heap[0][2].call is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else None

    def run(self, now: float, most: float = inf) -> None:
        """Call what is due, earliest first and at most `most` of it; deadlines added by these calls wait for the next run.

        Raises:
            ExceptionGroup: everything the calls raised, after the last call.
        """
        due: list[Timer] = []
        while self._heap and self._heap[0][0] <= now and len(due) < most:
            timer = heapq.heappop(self._heap)[2]
            if timer.call is None:
                self._cancelled -= 1
            else:
                timer._release()  # noqa: SLF001 - one mechanism in two classes
                due.append(timer)
        raised: list[Exception] = []
        for timer in due:
            # Asked again here: one due timer may cancel another.
            call, timer.call = timer.call, None
            try:
                if call is not None:
                    call(now)
            except Exception as error:  # a failure in one timer must not stop the others
                raised.append(error)
        if raised:
            raise ExceptionGroup("timers raised", raised)

    def __len__(self) -> int:
        """The number of live timers."""
        return len(self._heap) - self._cancelled

    def _note_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > _FEW and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].call is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0


# A smaller heap is not worth a sweep.
_FEW = 64


def _nothing() -> None:
    pass
