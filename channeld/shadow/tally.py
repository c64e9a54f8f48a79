"""What the shadow would have refused: counts, one example a minute for each, and a summary.

A key is a channel, a type and a reason. All three come from the two configurations, never from a client, so there are
few of them however long the server runs.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import attrs

from channeld.telemetry import Sample, log
from channeld.timers import Clock

EVERY: Final = 60.0
"""Seconds between two examples of one key."""
MOST_REASONS: Final = 10
HANDSHAKE: Final = ""
"""Stands for the type where a handshake was refused; no message type is called so."""


class TallyKey(NamedTuple):
    """What was refused, and why: an error code, or the HTTP status of a handshake."""

    channel: str
    type: str
    reason: str


@attrs.define(eq=False)
class Tally:
    """One per process.

    Attributes:
        messages: how many were evaluated; `handshakes` likewise.
        refused: how many the other configuration would have refused, of those that were taken.
        since: Unix seconds at which counting began.
    """

    clock: Clock
    since: float
    messages: int = 0
    handshakes: int = 0
    refused: dict[TallyKey, int] = attrs.field(factory=dict)
    _quiet_until: dict[TallyKey, float] = attrs.field(factory=dict)

    def count(self, key: TallyKey) -> bool:
        """Count one; returns whether to log it as an example."""
        self.refused[key] = self.refused.get(key, 0) + 1
        now = self.clock.monotonic()
        if now < self._quiet_until.get(key, now):
            return False
        self._quiet_until[key] = now + EVERY
        return True

    def samples(self) -> Iterator[Sample]:
        """The metrics."""
        yield Sample("channeld_shadow_asked_total", self.handshakes, ("handshake",))
        yield Sample("channeld_shadow_asked_total", self.messages, ("message",))
        for key, count in self.refused.items():
            yield Sample("channeld_shadow_refused_total", count, tuple(key))

    def summarize(self) -> None:
        """Write the summary to the log."""
        log(
            "shadow_summary",
            since=datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds"),
            messages=self.messages,
            handshakes=self.handshakes,
            refused=sum(self.refused.values()),
            reasons=self.reasons(),
        )

    def reasons(self) -> list[str]:
        """What was refused, the most frequent first: `17 note in room: INVALID_MESSAGE`."""
        most = sorted(self.refused.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_REASONS]
        return [
            f"{count:,} {key.type or 'handshake'} in {key.channel}: {key.reason}"
            for key, count in most
        ]
