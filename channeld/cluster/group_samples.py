"""The samples of all processes of one machine, added up so that a counter never falls.

A process that is late is shown with its last samples. One that is gone has no connections or rooms any more, but its counters and
histograms stay, because what they counted has happened. The process that is scraped may end as well: another one goes on from
what `packed` returned.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import orjson

from channeld.cluster.wire import pack_samples, unpack_samples
from channeld.telemetry import METRICS, Sample, summed

MOST_GONE: Final = 64
"""Of more processes that are gone the oldest two are kept as one."""


class GroupSamples:
    """The samples in the process that is scraped."""

    def __init__(self) -> None:
        self._last: dict[str, Sequence[Sample]] = {}
        self._gone: dict[str, Sequence[Sample]] = {}

    def take(self, answers: Mapping[str, Sequence[Sample]], alive: Collection[str]) -> list[Sample]:
        """The samples of all processes, with those of the same labels added up; `answers` came now, and `alive` may still answer."""
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
        """Everything that is known, for `go_on`."""
        known = {**self._gone, **self._last}
        return orjson.dumps({node: pack_samples(samples) for node, samples in known.items()})

    def go_on(self, packed: bytes) -> None:
        """Begin with what another process knew; the next `take` finds out which processes are gone."""
        for node, rows in orjson.loads(packed).items():
            self._last[node] = list(unpack_samples(rows))


def _stays(sample: Sample) -> bool:
    return METRICS[sample.metric].kind != "gauge"
