"""The keys of `once`: which are taken, until when, and for which owner."""

from collections import OrderedDict
from typing import Final

import attrs

from channeld.timers import Clock

MOST_KEYS: Final = 1000
"""How many keys one owner may have; the oldest goes first."""


class AlreadyTaken(Exception):
    """The key was already taken, so nothing was published."""


@attrs.frozen(slots=True)
class Once:
    """A key that can be taken once within `ttl` seconds. Its `owner` chose it; keys of different owners never collide."""

    owner: str
    key: str
    ttl: float


class OnceKeys:
    """The keys of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._owners: dict[str, OrderedDict[str, float]] = {}
        self._sweep_at = MOST_KEYS

    def is_taken(self, once: Once) -> bool:
        """Whether the key is taken and has not expired."""
        keys = self._owners.get(once.owner)
        ends = keys.get(once.key) if keys is not None else None
        return ends is not None and ends > self._clock.monotonic()

    def take(self, once: Once) -> bool:
        """Take the key. False if it was taken already."""
        if self.is_taken(once):
            return False
        if len(self._owners) >= self._sweep_at:
            self._sweep()
        keys = self._owners.setdefault(once.owner, OrderedDict())
        keys.pop(once.key, None)
        keys[once.key] = self._clock.monotonic() + once.ttl
        if len(keys) > MOST_KEYS:
            keys.popitem(last=False)
        return True

    def clear(self) -> None:
        """Forget every key."""
        self._owners.clear()

    def owners(self) -> int:
        """How many owners are remembered."""
        return len(self._owners)

    def _sweep(self) -> None:
        # Runs only when the table has doubled, so taking a key stays cheap.
        now = self._clock.monotonic()
        for owner, keys in list(self._owners.items()):
            if all(ends <= now for ends in keys.values()):
                del self._owners[owner]
        self._sweep_at = max(MOST_KEYS, 2 * len(self._owners))
