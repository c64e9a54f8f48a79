"""Allowances that an address or a room shares: one float a bucket, as many as are in use."""

from typing import Final, TypeAlias

from channeld.config.model import Rate
from channeld.engine.limits import REFUSED, retry_after, retry_until, take

MOST: Final = 100_000
"""How many buckets are remembered; of more, the one that was used longest ago is full again."""

Key: TypeAlias = tuple[str, ...]


class Allowances:
    """Buckets by what shares them. One that is full again is as good as none, and is forgotten in time."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._arrivals: dict[Key, float] = {}
        self._sweep_at = 1024

    def __len__(self) -> int:
        return len(self._arrivals)

    def take(self, key: Key, now: float, rate: Rate) -> float:
        """Take one of a bucket.

        Returns:
            0 if there was one, else the seconds until there is.
        """
        before = self._arrivals.get(key, 0.0)
        arrival = take(before, now, rate)
        if arrival == REFUSED:
            return retry_after(before, now, rate)
        # The order of the table is that of use.
        self._arrivals.pop(key, None)
        self._arrivals[key] = arrival
        if len(self._arrivals) > self._sweep_at:
            self._sweep(now)
        return 0.0

    def left(self, key: Key, now: float) -> float:
        """Seconds until a bucket that was closed is open again; 0 if it is."""
        ends = self._arrivals.get(key, 0.0)
        return retry_until(ends, now) if ends > now else 0.0

    def close(self, key: Key, now: float, until: float) -> None:
        """Nothing is left in a bucket until then."""
        self._arrivals.pop(key, None)
        self._arrivals[key] = until
        if len(self._arrivals) > self._sweep_at:
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        # Done as often as the table doubles, so that a message pays for two of its own.
        self._arrivals = {key: end for key, end in self._arrivals.items() if end > now}
        while len(self._arrivals) > self._most:
            del self._arrivals[next(iter(self._arrivals))]
        self._sweep_at = min(max(1024, 2 * len(self._arrivals)), self._most + 1)
