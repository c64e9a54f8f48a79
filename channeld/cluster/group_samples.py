"""What the processes of one machine measure, summed up so that a counter never falls.

A process that is late is shown as it was the last time. One that is gone no longer has connections or rooms, but what it
counted has happened: its counters and histograms stay.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

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


def _stays(sample: Sample) -> bool:
    return METRICS[sample.metric].kind != "gauge"
