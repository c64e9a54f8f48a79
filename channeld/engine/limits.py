"""Token buckets without allocation: one float each, by the generic cell rate algorithm (ITU-T I.371).

The float is the *theoretical arrival time*: when the bucket would be full again. There is a token while that time is at most
`rate.slack` ahead of now.
"""

from typing import Final, TypeAlias

from channeld.config.model import Rate

REFUSED = -1.0

FLOOD_SECONDS: Final = 10.0
_FACTOR: Final = 10
# Seconds of messages that may arrive in one burst, and how late the next ones may be.
_BURST_S, _LATE_S = 1.0, 0.25
_LEAST_S = 1.0

MOST_BUCKETS: Final = 100_000
"""Buckets that are remembered; above this, the least recently used one counts as full."""

BucketKey: TypeAlias = tuple[str, ...]


def take(arrival: float, now: float, rate: Rate) -> float:
    """Take one token.

    Args:
        arrival: what the last call returned, 0 at first.
        now: monotonic seconds.
        rate: the bucket.

    Returns:
        The new arrival time, or REFUSED: then keep the old one.
    """
    if arrival < now:
        return now + rate.interval
    # A nanosecond of tolerance, because floats are inexact for a client that is exactly on time.
    if arrival - now > rate.slack + 1e-9:
        return REFUSED
    return arrival + rate.interval


def retry_after(arrival: float, now: float, rate: Rate) -> float:
    """Seconds until the next token, rounded up to a millisecond."""
    return retry_until(arrival - rate.slack, now)


def retry_until(moment: float, now: float) -> float:
    """Seconds until a moment, rounded up to a millisecond."""
    return max(1, -int(-(moment - now) * 1000 // 1)) / 1000


class Flood:
    """Detects a client that sends ten times its rate for ten seconds, as opposed to one that is only over its rate.

    `size` counts the refused messages of the current flood, if there is one.

    After a flood, a client has fewer seconds for the next one, by the flood's length. The deduction shrinks by a second each second, and
    at least one second is always left.
    """

    __slots__ = ("_began", "_repaid_at", "_until", "size")

    def __init__(self, repaid_at: float = 0.0) -> None:
        self._began = self._until = 0.0
        self._repaid_at = repaid_at
        self.size = 0

    def repaid_at(self) -> float:
        """When a later connection has all ten seconds again."""
        return max(self._repaid_at, self._until + (self._until - self._began))

    def grows(self, now: float, rate: Rate) -> bool:
        """Count a refused message.

        Returns:
            Whether the flood has lasted for `FLOOD_SECONDS`.
        """
        if now > self._until + _LATE_S:
            self._until = now
            self._began = now - min(max(0.0, self._repaid_at - now), FLOOD_SECONDS - _LEAST_S)
            self.size = 0
        self.size += 1
        # Like a token bucket: at ten times the rate, refused messages keep `_until` up with now; with fewer, it falls behind.
        self._until = min(self._until + rate.interval / (_FACTOR - 1), now + _BURST_S)
        return now - self._began >= FLOOD_SECONDS


class Allowances:
    """Buckets by key. A full bucket is the same as none, and is forgotten eventually."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._arrivals: dict[BucketKey, float] = {}
        self._sweep_at = 1024

    def __len__(self) -> int:
        return len(self._arrivals)

    def take(self, key: BucketKey, now: float, rate: Rate) -> float:
        """Take a token of a bucket.

        Returns:
            0 if there was one, else the seconds until there is one.
        """
        before = self._arrivals.get(key, 0.0)
        arrival = take(before, now, rate)
        if arrival == REFUSED:
            return retry_after(before, now, rate)
        # Moved to the end: the table is in the order of last use.
        self._arrivals.pop(key, None)
        self._arrivals[key] = arrival
        if len(self._arrivals) > self._sweep_at:
            self._sweep(now)
        return 0.0

    def left(self, key: BucketKey, now: float) -> float:
        """Seconds until a closed bucket is open again; 0 if it is open."""
        ends = self._arrivals.get(key, 0.0)
        return retry_until(ends, now) if ends > now else 0.0

    def close(self, key: BucketKey, now: float, until: float) -> None:
        """Empty a bucket until then."""
        self._arrivals.pop(key, None)
        self._arrivals[key] = until
        if len(self._arrivals) > self._sweep_at:
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        # Done when the table has doubled, so the cost per message is constant.
        self._arrivals = {key: end for key, end in self._arrivals.items() if end > now}
        while len(self._arrivals) > self._most:
            del self._arrivals[next(iter(self._arrivals))]
        self._sweep_at = min(max(1024, 2 * len(self._arrivals)), self._most + 1)
