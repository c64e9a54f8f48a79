"""One heap of deadlines for keep-alive, authentication, tokens, presence and batches; and the two clocks.

Nothing here waits: the owner of the loop calls `next_deadline()`, sleeps, and calls `run(now)`. `on_earlier` is called
when a new deadline is earlier than the one being waited for.
"""

import heapq
import sys
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Both clocks in one object, so that tests can move them together."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back: for timers and rates."""

    def wall(self) -> float:
        """Seconds since the Unix epoch: for `{now}` and a token's `exp`."""


class OnTime(Protocol):
    """An object with a single timer. The timer refers to it directly, which saves a bound method (64 bytes)."""

    def on_time(self, now: float) -> None:
        """It is due."""


class Timer(float):
    """A deadline that can be cancelled.

    It is a float, so the heap needs no tuple around it and compares it as fast as a number. Each connection has one or two.
    """

    __slots__ = ("_waiting_in", "call", "number")

    call: Callable[[float], object] | OnTime | None
    number: int
    _waiting_in: "Timers | None"

    @classmethod
    def of(
        cls,
        deadline: float,
        number: int,
        call: Callable[[float], object] | OnTime,
        timers: "Timers",
    ) -> "Timer":
        """A timer of `owner`; it comes after those with the same deadline and smaller numbers."""
        timer = cls(deadline)
        timer.number, timer.call, timer._waiting_in = number, call, timers
        return timer

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

    __slots__ = ("_cancelled", "_heap", "_last", "_number", "on_earlier")

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        # Equal deadlines share a number (32 bytes) while deadlines only rise; otherwise the later one has a larger number.
        self._last, self._number = 0.0, 0
        self._cancelled = 0
        self.on_earlier: Callable[[], None] = _nothing

    def at(self, deadline: float, call: Callable[[float], object] | OnTime) -> Timer:
        """Call `call(now)` once at or after `deadline` (monotonic seconds)."""
        if deadline <= self._last:
            self._number += 1
        self._last = deadline
        timer = Timer.of(deadline, self._number, call, self)
        earlier = not self._heap or deadline < self._heap[0]
        heapq.heappush(self._heap, timer)
        if earlier:
            self.on_earlier()
        return timer

    def next_deadline(self) -> float | None:
        """When `run` has something to do next, or None."""
        while self._heap and self._heap[0].call is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return float(self._heap[0]) if self._heap else None

    def run(self, now: float, most: int = sys.maxsize) -> None:
        """Call what is due, earliest first and at most `most` of it; deadlines added by these calls wait for the next run.

        Raises:
            ExceptionGroup: everything the calls raised, after the last call.
        """
        heap, due = self._heap, list[Timer]()
        # The heap does not order equal deadlines, so all of them are taken out, or none.
        while heap and heap[0] <= now and (len(due) < most or heap[0] == due[-1]):
            timer = heapq.heappop(heap)
            if timer.call is None:
                self._cancelled -= 1
            else:
                due.append(timer)
        due.sort(key=_in_order)
        for timer in due[most:]:
            heapq.heappush(heap, timer)
        del due[most:]
        for timer in due:
            timer._release()  # noqa: SLF001 - one mechanism in two classes
        raised: list[Exception] = []
        for timer in due:
            # Read now, because one due timer may cancel another.
            call, timer.call = timer.call, None
            try:
                if callable(call):
                    call(now)
                elif call is not None:
                    call.on_time(now)
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
            self._heap = [timer for timer in self._heap if timer.call is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0


# A smaller heap is not worth a sweep.
_FEW = 64


def _in_order(timer: Timer) -> tuple[float, int]:
    return timer, timer.number


def _nothing() -> None:
    pass
