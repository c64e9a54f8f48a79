"""Frames that are about one thing in one room: at most one in a time, the first at once, then the newest, always the last.

What waits is published when its time comes, or at once when its sender's connection ends. A key is forgotten when its
time passes without another frame, so there are never more of them than frames came in that time.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import attrs

from channeld.protocol.names import Topic
from channeld.timers import Clock, Timers

__all__ = ["Conflation"]

Publish: TypeAlias = Callable[[], None]


@attrs.define(eq=False)
class _Waiting:
    """The time of one key, and what waits for its end; `connection` sent it."""

    seconds: float
    publish: Publish | None = None
    connection: str = ""


class Conflation:
    """What one node holds back."""

    def __init__(self, clock: Clock, timers: Timers) -> None:
        self._clock = clock
        self._timers = timers
        self._keys: dict[tuple[Topic, str], _Waiting] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def holds(
        self, topic: Topic, key: str, seconds: float, connection: str, publish: Publish
    ) -> bool:
        """Whether a frame has to wait; then `publish` is called when its time comes, unless a newer one takes its place."""
        waiting = self._keys.get((topic, key))
        if waiting is None:
            self._keys[topic, key] = _Waiting(seconds)
            self._wake(topic, key, seconds)
            return False
        waiting.publish, waiting.connection = publish, connection
        return True

    def forget(self, topic: Topic, key: str) -> None:
        """What waits under a key was cleared."""
        waiting = self._keys.get((topic, key))
        if waiting is not None:
            waiting.publish = None

    def flush(self, connection: str) -> None:
        """A connection has ended: what it sent last goes at once."""
        for waiting in self._keys.values():
            publish = waiting.publish
            if publish is not None and waiting.connection == connection:
                waiting.publish = None
                publish()

    def _wake(self, topic: Topic, key: str, seconds: float) -> None:
        self._timers.at(self._clock.monotonic() + seconds, partial(self._due, topic, key))

    def _due(self, topic: Topic, key: str, now: float) -> None:
        waiting = self._keys[topic, key]
        publish = waiting.publish
        if publish is None:
            del self._keys[topic, key]
            return
        waiting.publish = None
        self._wake(topic, key, waiting.seconds)
        publish()
