"""The samples of all processes of one machine, summed so that a counter never falls.

A process that is late counts with its last samples. Of a process that has ended, only the counters and histograms are kept,
because what they counted has happened. If the process that is scraped ends, another one continues from what `packed`
returned.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import orjson

from channeld.cluster.wire import pack_samples, unpack_samples
from channeld.telemetry import METRICS, Sample, summed

MOST_GONE: Final = 64
"""How many ended processes are kept apart; beyond this, the oldest two are merged."""


class GroupSamples:
    """The samples in the process that is scraped."""

    def __init__(self) -> None:
        self._last: dict[str, Sequence[Sample]] = {}
        self._gone: dict[str, Sequence[Sample]] = {}

    def take(self, answers: Mapping[str, Sequence[Sample]], alive: Collection[str]) -> list[Sample]:
        """The samples of all processes. `answers` have just arrived; the processes in `alive` may still answer later."""
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
        """All samples, for `go_on`."""
        known = {**self._gone, **self._last}
        return orjson.dumps({node: pack_samples(samples) for node, samples in known.items()})

    def go_on(self, packed: bytes) -> None:
        """Start from another process's samples; the next `take` finds out which processes have ended."""
        for node, rows in orjson.loads(packed).items():
            self._last[node] = list(unpack_samples(rows))


def _stays(sample: Sample) -> bool:
    return METRICS[sample.metric].kind != "gauge"
