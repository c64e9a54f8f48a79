"""A client that goes on at ten times its rate for ten seconds, told from one that is only over it."""

from typing import Final

from channeld.config.model import Rate

FLOOD_SECONDS: Final = 10.0
_FACTOR: Final = 10
# A second's messages may come in one burst, and the next ones this much late.
_BURST_S, _LATE_S = 1.0, 0.25
_LEAST_S = 1.0


class Flood:
    """The refused messages of one connection. `size` counts those of the flood that goes on, if one does.

    Who comes back after a flood has as many seconds less for the next one as it went on for; they are forgiven at a second
    each second, and one is always left.
    """

    __slots__ = ("_began", "_repaid_at", "_until", "size")

    def __init__(self, repaid_at: float = 0.0) -> None:
        self._began = self._until = 0.0
        self._repaid_at = repaid_at
        self.size = 0

    def repaid_at(self) -> float:
        """When a connection that comes after this one has the whole time again."""
        return max(self._repaid_at, self._until + (self._until - self._began))

    def grows(self, now: float, rate: Rate) -> bool:
        """One more message is refused.

        Returns:
            Whether the flood has gone on for `FLOOD_SECONDS`.
        """
        if now > self._until + _LATE_S:
            self._until = now
            self._began = now - min(max(0.0, self._repaid_at - now), FLOOD_SECONDS - _LEAST_S)
            self.size = 0
        self.size += 1
        # As in a token bucket: at ten times the rate, what is refused keeps it up with now; less of it falls behind.
        self._until = min(self._until + rate.interval / (_FACTOR - 1), now + _BURST_S)
        return now - self._began >= FLOOD_SECONDS
