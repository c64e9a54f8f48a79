"""Watches a blocked peer: one that takes nothing at all for `STALLED_S` seconds has stopped reading."""

from typing import Protocol

from channeld.server.flow import Flow
from channeld.timers import Timer, Timers

STALLED_S, LOOK_S = 30.0, 5.0
"""Seconds without progress after which a peer is too slow, and seconds between two looks at it."""


class Blocked(Protocol):
    """A connection whose outbox waits for its peer; `moved`: the peer has taken some of it."""

    moved: bool

    @property
    def is_stuck(self) -> bool:
        """Whether it is open and still blocked."""

    def flow(self) -> Flow:
        """See `Driver.flow`."""

    def overflowed(self) -> None:
        """Called when the peer has stopped reading."""


class Stall:
    """One watch, from the moment an outbox was blocked; the connection drops it once `is_over`."""

    __slots__ = ("_connection", "_since", "_taken", "_timer", "_timers", "is_over")

    def __init__(self, connection: Blocked, timers: Timers, now: float) -> None:
        self._connection = connection
        self._timers = timers
        self._since = now
        self._taken = connection.flow().taken
        self._timer: Timer = timers.at(now + LOOK_S, self._look)
        self.is_over = False
        connection.moved = False

    def cancel(self) -> None:
        """Stop watching."""
        self.is_over = True
        self._timer.cancel()

    def _look(self, now: float) -> None:
        connection = self._connection
        if not connection.is_stuck:
            self.is_over = True
            return
        taken = connection.flow().taken
        if connection.moved or taken != self._taken:
            connection.moved, self._since, self._taken = False, now, taken
        if now - self._since >= STALLED_S:
            self.is_over = True
            connection.overflowed()
        else:
            self._timer = self._timers.at(now + LOOK_S, self._look)
