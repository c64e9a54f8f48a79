"""Decides which refused requests are logged: for each address and reason, the first in a minute.

Somebody who guesses keys, or an application with a rotated-out key, must not fill the log. The table is bounded: when it is
full, the entry whose minute began first is dropped, and there is a total limit of lines per minute.
"""

import math
from collections import OrderedDict
from typing import Final

from channeld.timers import Clock

WINDOW: Final = 60.0
"""Seconds, from the first refusal on."""
MOST_ADDRESSES: Final = 1024
MOST_LINES: Final = 100
"""Lines of the log in that time, for all addresses together."""


class Refusals:
    """The table. All clients of a Unix socket have the address `""`, so they count as one."""

    def __init__(self, clock: Clock, most: int = MOST_ADDRESSES) -> None:
        self._clock = clock
        self._most = most
        self._ends: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lines, self._lines_end = 0, -math.inf

    def __len__(self) -> int:
        return len(self._ends)

    def is_news(self, address: str, reason: str) -> bool:
        """Record a refusal; returns whether to log it."""
        now = self._clock.monotonic()
        self._expire(now)
        if (address, reason) in self._ends:
            return False
        if len(self._ends) >= self._most:
            self._ends.popitem(last=False)
        self._ends[address, reason] = now + WINDOW
        return self._takes_line(now)

    def _expire(self, now: float) -> None:
        while self._ends:
            oldest, ends = next(iter(self._ends.items()))
            if ends > now:
                return
            del self._ends[oldest]

    def _takes_line(self, now: float) -> bool:
        if now >= self._lines_end:
            self._lines, self._lines_end = 0, now + WINDOW
        self._lines += 1
        return self._lines <= MOST_LINES
