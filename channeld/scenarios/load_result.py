"""What was measured of a load: how many messages and deliveries, what was refused, and latencies."""

import math
from collections import Counter
from typing import Final

import attrs

_STEP: Final = math.log(1.05)


@attrs.define
class Latency:
    """Latencies in buckets of five percent, so that memory does not grow with time."""

    buckets: Counter[int] = attrs.field(factory=Counter)

    def add(self, seconds: float) -> None:
        """Count one."""
        self.buckets[round(math.log(max(seconds, 1e-6)) / _STEP)] += 1

    def percentile(self, share: float) -> float | None:
        """In seconds; None if nothing was counted."""
        left = self.buckets.total() * share
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return math.exp(bucket * _STEP)
        return None

    def histogram(self) -> list[tuple[float, int]]:
        """Pairs of a bound in seconds and how many values lie between it and the bound before; bounds go 1, 2, 5, 10."""
        found: Counter[float] = Counter()
        for bucket, count in self.buckets.items():
            seconds = math.exp(bucket * _STEP)
            decade = 10.0 ** math.floor(math.log10(seconds))
            found[next(b for b in (1, 2, 5, 10) if seconds <= b * decade * 1.0001) * decade] += (
                count
            )
        if not found:
            return []
        bounds = [b * 10.0**e for e in range(-7, 4) for b in (1, 2, 5)]
        least, most = min(found), max(found)
        counts = {round(bound, 9): count for bound, count in found.items()}
        return [
            (bound, counts.get(round(bound, 9), 0))
            for bound in bounds
            if least * 0.999 <= bound <= most * 1.001
        ]


@attrs.define
class LoadResult:
    """The result of a load: `errors` are refusals by code, `closed` are ends by close code or HTTP status.

    `is_away`: the server has ended every connection; `is_interrupted`: it was stopped early.
    """

    clients: int = 0
    connected: int = 0
    seconds: float = 0.0
    messages: int = 0
    deliveries: int = 0
    lost: int = 0
    is_away: bool = False
    is_interrupted: bool = False
    errors: Counter[str] = attrs.field(factory=Counter)
    closed: Counter[str] = attrs.field(factory=Counter)
    delivery: Latency = attrs.field(factory=Latency)
    answer: Latency = attrs.field(factory=Latency)

    @property
    def is_good(self) -> bool:
        """Whether the server was reachable and nothing was lost."""
        return self.connected > 0 and not self.is_away and not self.lost
