"""Limits log lines per event and client address or hook, so that a client cannot cheaply fill a disk.

The limit is a rate that only a flood exceeds. Each address may cause 5,000 lines per event and then 50 a second (an IPv6 /64
counts as one address, since one client usually has all of it). Each hook may cause 500 lines and then 5 a second, since its
lines contain tracebacks. Lines that are left out are counted and reported once a minute.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import attrs

Source: TypeAlias = Literal["address", "hook"]
"""The field of a line that says because of whom it is written."""

MOST_SOURCES: Final = 10_000
_TELL_S: Final = 60.0
# Lines per second, and the burst before the rate applies.
_RATES: Final[dict[Source, tuple[float, int]]] = {"address": (50.0, 5000), "hook": (5.0, 500)}


@attrs.define(slots=True)
class _LineAccount:
    """`full_at`: when the whole burst is available again. `left_out` lines have not been reported; they may be from `tell_at` on."""

    full_at: float = 0.0
    left_out: int = 0
    tell_at: float = 0.0


class LineRates:
    """The accounts. When there are too many, the one that has been quiet longest is dropped.

    Args:
        tick: a monotonic clock, in seconds.

    Attributes:
        left_out: lines that were not written.
    """

    def __init__(self, tick: Callable[[], float]) -> None:
        self.left_out = 0
        self._tick = tick
        self._accounts: OrderedDict[tuple[str, str], _LineAccount] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    def take(self, event: str, source: Source, who: str) -> int | None:
        """None if a line may be written, else how many lines were left out since the last report; 0: don't report."""
        rate, burst = _RATES[source]
        now, key = self._tick(), (event, _network(who))
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= MOST_SOURCES:
                self._accounts.popitem(last=False)
            account = self._accounts[key] = _LineAccount()
        else:
            self._accounts.move_to_end(key)
        full_at = max(account.full_at, now) + 1 / rate
        if full_at - now <= burst / rate:
            account.full_at = full_at
            return None
        self.left_out += 1
        account.left_out += 1
        if now < account.tell_at:
            return 0
        account.tell_at, told, account.left_out = now + _TELL_S, account.left_out, 0
        return told


def _network(who: str) -> str:
    """The /64 of an IPv6 address; anything else unchanged."""
    if who.count(":") < 2:
        return who
    groups = who.partition("::")[0].split(":")
    return ":".join(groups[:4])
