"""Estimates the Redis server's clock as an offset from the node's own.

The server reads its clock after the request was sent, so each difference includes a delay, and the smallest one seen is the
best. Clocks drift, so the estimate may grow by 50 parts per million. A clock that was reset is accepted at once.
"""

DRIFT = 5e-5
STEP = 1.0


class ServerClock:
    """Nodes that use the same server agree on the time to within the shortest round trip."""

    def __init__(self) -> None:
        self._ahead: float | None = None
        self._noted = 0.0

    def note(self, asked: float, said: float) -> None:
        """Record that the server, asked at this time of the node's clock, returned its own time; both in seconds."""
        ahead = said - asked
        if self._ahead is None or not self._ahead - STEP <= ahead <= self._ahead + STEP:
            self._ahead = ahead
        else:
            grown = self._ahead + max(0.0, asked - self._noted) * DRIFT
            self._ahead = min(ahead, grown)
        self._noted = asked

    def at(self, moment: float) -> float | None:
        """The server's time at a time of this node's clock; None if not known yet."""
        return None if self._ahead is None else moment + self._ahead
