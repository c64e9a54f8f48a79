"""A connection's messages that the broker has not confirmed yet: many at a time, answered in order.

A message that only has to be published is given to the broker at once, and the next one is received, so consecutive messages leave in
one batch. Its answer waits here for those before it, as do other answers that are given meanwhile, such as refusals. Messages that need
more than publishing wait until nothing is in flight (`receive.py`). So a connection's frames are answered in the order of their arrival.
At most `MOST` messages are in flight; then nothing more is received.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from channeld.engine.ports import Event
from channeld.later import Promise

MOST: Final = 64

Finish = Callable[[Exception | None], object]


class _Unanswered:
    __slots__ = ("error", "finish", "is_here")

    def __init__(self, finish: Finish) -> None:
        self.finish = finish
        self.error: Exception | None = None
        self.is_here = False


class InFlight:
    """One per connection that has published through a broker that does not answer at once.

    Args:
        give: sends an answer.
        make_event: something to wait for.
    """

    __slots__ = ("_entries", "_give", "_idle", "_is_settling", "_make_event")

    def __init__(self, give: Callable[[bytes], object], make_event: Callable[[], Event]) -> None:
        self._give = give
        self._make_event = make_event
        self._entries: list[_Unanswered | bytes] = []
        self._is_settling = False
        self._idle: list[Event] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __bool__(self) -> bool:
        # Python would use the length, but mypyc's classes are always true without this.
        return bool(self._entries)

    def add(self, promise: Promise, finish: Finish) -> None:
        """Call `finish(error)`, which must not raise, when the promise is kept and everything before it has been answered."""
        entry = _Unanswered(finish)
        self._entries.append(entry)
        promise.then(partial(self._answered, entry))

    def holds(self, answer: bytes) -> bool:
        """Whether an answer is kept here because others come before it."""
        if self._is_settling or not self._entries:
            return False
        self._entries.append(answer)
        return True

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while self._entries:
            event = self._make_event()
            self._idle.append(event)
            await event.wait()

    def _answered(self, entry: _Unanswered, error: Exception | None) -> None:
        entry.is_here, entry.error = True, error
        if not self._is_settling:
            self._settle()

    def _settle(self) -> None:
        entries, self._is_settling = self._entries, True
        try:
            while entries:
                first = entries[0]
                if isinstance(first, bytes):
                    self._give(first)
                elif first.is_here:
                    first.finish(first.error)
                else:
                    return
                del entries[0]
        finally:
            self._is_settling = False
        waiting, self._idle = self._idle, []
        for event in waiting:
            event.set()
