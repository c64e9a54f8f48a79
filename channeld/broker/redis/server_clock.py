"""What the server's clock says, as a node knows it: its own clock, and how far ahead of that the server's is.

A question takes time to arrive, so what the server said is later than when it was asked; the least difference seen is the
nearest. Clocks drift, so it may grow by 50 parts in a million; a server whose clock was set is believed at once.
"""

DRIFT = 5e-5
STEP = 1.0


class ServerClock:
    """Nodes that ask one server agree on a moment to within what the shortest question takes."""

    def __init__(self) -> None:
        self._ahead: float | None = None
        self._noted = 0.0

    def note(self, asked: float, said: float) -> None:
        """The server was asked at a moment of this node's clock, and has said its own time; both in seconds."""
        ahead = said - asked
        if self._ahead is None or not self._ahead - STEP <= ahead <= self._ahead + STEP:
            self._ahead = ahead
        else:
            grown = self._ahead + max(0.0, asked - self._noted) * DRIFT
            self._ahead = min(ahead, grown)
        self._noted = asked

    def at(self, moment: float) -> float | None:
        """The server's time at a moment of this node's clock; None while it has not been heard."""
        return None if self._ahead is None else moment + self._ahead
