"""What the processes of one machine measure, summed up so that a counter never falls.

A process that is late is shown as it was the last time. One that is gone no longer has connections or rooms, but what it
counted has happened: its counters and histograms stay. The process that is scraped may end as well: what `packed` returned
lets another one go on.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import orjson

from channeld.cluster.wire import pack_samples, unpack_samples
from channeld.telemetry import METRICS, Sample, summed

__all__ = ["MOST_GONE", "GroupSamples"]

MOST_GONE: Final = 64
"""Of more processes that are gone the oldest two are kept as one."""


class GroupSamples:
    """One per process that is scraped."""

    def __init__(self) -> None:
        self._last: dict[str, Sequence[Sample]] = {}
        self._gone: dict[str, Sequence[Sample]] = {}

    def take(self, answers: Mapping[str, Sequence[Sample]], alive: Collection[str]) -> list[Sample]:
        """The samples of all, where `answers` came now and `alive` may still answer; those with the same labels add up."""
        for node in [node for node in self._last if node not in answers and node not in alive]:
            self._gone[node] = [one for one in self._last.pop(node) if _stays(one)]
        for node, samples in answers.items():
            self._last[node] = samples
            self._gone.pop(node, None)
        while len(self._gone) > MOST_GONE:
            (first, one), (second, other) = list(self._gone.items())[:2]
            del self._gone[first]
            self._gone[second] = summed([*one, *other])
        return [
            one for group in (self._last, self._gone) for each in group.values() for one in each
        ]

    def packed(self) -> bytes:
        """All that is known, for `go_on`."""
        known = {**self._gone, **self._last}
        return orjson.dumps({node: pack_samples(samples) for node, samples in known.items()})

    def go_on(self, packed: bytes) -> None:
        """Begin with what another process knew; who of it is gone, the next `take` finds out."""
        for node, rows in orjson.loads(packed).items():
            self._last[node] = list(unpack_samples(rows))


def _stays(sample: Sample) -> bool:
    return METRICS[sample.metric].kind != "gauge"
