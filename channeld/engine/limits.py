"""Token buckets without allocation: one float each, by the generic cell rate algorithm (ITU-T I.371).

The float is the *theoretical arrival time*: when the bucket would be full again. A token is there while that time is no
further than `rate.slack` ahead of now.
"""

from typing import Final, TypeAlias

from channeld.config.model import Rate

REFUSED = -1.0

FLOOD_SECONDS: Final = 10.0
_FACTOR: Final = 10
# A second's messages may come in one burst, and the next ones this much late.
_BURST_S, _LATE_S = 1.0, 0.25
_LEAST_S = 1.0

MOST_BUCKETS: Final = 100_000
"""How many buckets are remembered; of more, the one that was used longest ago is full again."""

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
    # A nanosecond forgives what floats lose when a client is exactly on time.
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
    """A client that goes on at ten times its rate for ten seconds, told from one that is only over it.

    `size` counts the refused messages of the flood that goes on, if one does.

    Who comes back after a flood has as many seconds less for the next one as it went on for; they are forgiven at a second
    each second, and one is always left.
    """

    __slots__ = ("_began", "_repaid_at", "_until", "size")

    def __init__(self, repaid_at: float = 0.0) -> None:
        self._began = self._until = 0.0
        self._repaid_at = repaid_at
        self.size = 0

    def repaid_at(self) -> float:
        """When a connection that comes after this one has the whole time again."""
        return max(self._repaid_at, self._until + (self._until - self._began))

    def grows(self, now: float, rate: Rate) -> bool:
        """One more message is refused.

        Returns:
            Whether the flood has gone on for `FLOOD_SECONDS`.
        """
        if now > self._until + _LATE_S:
            self._until = now
            self._began = now - min(max(0.0, self._repaid_at - now), FLOOD_SECONDS - _LEAST_S)
            self.size = 0
        self.size += 1
        # As in a token bucket: at ten times the rate, what is refused keeps it up with now; less of it falls behind.
        self._until = min(self._until + rate.interval / (_FACTOR - 1), now + _BURST_S)
        return now - self._began >= FLOOD_SECONDS


class Allowances:
    """Buckets by what shares them. One that is full again is as good as none, and is forgotten in time."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._arrivals: dict[BucketKey, float] = {}
        self._sweep_at = 1024

    def __len__(self) -> int:
        return len(self._arrivals)

    def take(self, key: BucketKey, now: float, rate: Rate) -> float:
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

    def left(self, key: BucketKey, now: float) -> float:
        """Seconds until a bucket that was closed is open again; 0 if it is."""
        ends = self._arrivals.get(key, 0.0)
        return retry_until(ends, now) if ends > now else 0.0

    def close(self, key: BucketKey, now: float, until: float) -> None:
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
