"""The last ten minutes' numbers, kept in the process, so that a console opened late can show the past.

One moment every `EVERY` seconds, at most `KEPT` of them; each has a few numbers and one per channel, so the ring's size
depends on the configuration only, not on clients.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import attrs
import trio

from channeld.protocol.frames import Json
from channeld.telemetry import BUCKETS, Histogram, Sample, totals

EVERY: Final = 5.0
KEPT: Final = 120

Samples = Callable[[], Awaitable[Iterable[Sample]]]


@attrs.frozen(slots=True, kw_only=True)
class Totals:
    """The totals of one moment's samples: counters since the start; `connections` and `outbox_bytes` are current."""

    connections: float = 0
    outbox_bytes: float = 0
    messages: float = 0
    deliveries: float = 0
    refused: float = 0
    latency: Sequence[int] = ()
    channels: dict[str, float] = attrs.field(factory=dict)


def totals_of(samples: Iterable[Sample]) -> Totals:
    """The sums that the charts need."""
    found = list(samples)
    sums = totals(found)
    latency: list[int] = [0] * (len(BUCKETS) + 1)
    for metric, value, _ in found:
        if isinstance(value, Histogram) and metric == "channeld_handling_seconds":
            latency = [left + right for left, right in zip(latency, value.counts, strict=True)]
    return Totals(
        connections=sums.get("channeld_connections", 0.0),
        outbox_bytes=sums.get("channeld_outbox_bytes", 0.0),
        messages=sums.get("channeld_messages_total", 0.0),
        deliveries=sums.get("channeld_deliveries_total", 0.0),
        refused=sum(totals(found, _refused).values()),
        latency=latency,
        channels=totals(
            found, lambda one: one.labels[0] if one.metric == "channeld_messages_total" else None
        ),
    )


def _refused(sample: Sample) -> str | None:
    taken = {
        "channeld_messages_total": ("accepted", "held", "repeated"),
        "channeld_handshakes_total": ("accepted",),
    }.get(sample.metric)
    return None if taken is None or sample.labels[-1] in taken else sample.metric


class Past:
    """The ring of moments."""

    def __init__(self) -> None:
        self._last: tuple[float, Totals] | None = None
        self._moments: deque[dict[str, Json]] = deque(maxlen=KEPT)

    def take(self, at: float, samples: Iterable[Sample]) -> None:
        """Add a moment (Unix seconds), with rates since the previous one; the first has none."""
        now, before = totals_of(samples), self._last
        self._last = at, now
        if before is None or at <= before[0]:
            return
        seconds, old = at - before[0], before[1]

        def rate(new: float, former: float) -> float:
            # If a process ended between two moments, its last counts may be missing; avoid a negative rate.
            return round(max(0.0, new - former) / seconds, 3)

        counts = [
            max(0, new - former) for new, former in zip(now.latency, old.latency, strict=True)
        ]
        self._moments.append(
            {
                "at": round(at, 3),
                "connections": now.connections,
                "outbox_bytes": now.outbox_bytes,
                "messages": rate(now.messages, old.messages),
                "deliveries": rate(now.deliveries, old.deliveries),
                "refused": rate(now.refused, old.refused),
                "p50": quantile(counts, 0.5),
                "p99": quantile(counts, 0.99),
                "channels": {
                    name: rate(count, old.channels.get(name, 0.0))
                    for name, count in now.channels.items()
                },
            }
        )

    def moments(self) -> list[Json]:
        """Oldest first."""
        return list(self._moments)


def quantile(counts: Sequence[int], share: float) -> float | None:
    """A quantile as the upper bound of its bucket in seconds; None if nothing was counted."""
    left = share * sum(counts)
    if not left:
        return None
    for bound, count in zip((*BUCKETS, BUCKETS[-1]), counts, strict=True):
        left -= count
        if left <= 0:
            return bound
    return BUCKETS[-1]


async def watch(past: Past, samples: Samples, now: Callable[[], float]) -> None:
    """Fill it until cancelled."""
    while True:
        past.take(now(), await samples())
        await trio.sleep(EVERY)
