"""The events that wait for a webhook: a bounded queue, first in first out; when full, the oldest are dropped."""

from collections import deque
from typing import Final

MOST: Final = 10_000
MOST_BYTES: Final = 16 * 1024 * 1024


class EventQueue:
    """Encoded events in order.

    Args:
        most: how many may wait.
        most_bytes: their maximum total size. The newest is always accepted.
    """

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._events: deque[bytes] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._events)

    def put(self, event: bytes) -> int:
        """Add one at the end. Amortised O(1).

        Returns:
            How many of the oldest were dropped for it.
        """
        self._events.append(event)
        self._bytes += len(event)
        dropped = 0
        while len(self._events) > 1 and (
            len(self._events) > self._most or self._bytes > self._most_bytes
        ):
            self._bytes -= len(self._events.popleft())
            dropped += 1
        return dropped

    def take(self, most: int, most_bytes: int) -> list[bytes]:
        """Remove and return the oldest, up to that many and that total size, but at least one if there is any."""
        taken: list[bytes] = []
        size = 0
        while self._events and len(taken) < most:
            size += len(self._events[0])
            if taken and size > most_bytes:
                break
            event = self._events.popleft()
            self._bytes -= len(event)
            taken.append(event)
        return taken
