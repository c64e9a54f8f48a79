"""What an answer to a webhook's request means, and how long to wait before the next attempt."""

import math
from email.utils import parsedate_to_datetime
from typing import Literal, TypeAlias

import attrs

Fate: TypeAlias = Literal["taken", "again", "refused"]

_AGAIN = frozenset({408, 425, 429})
_LONGEST_ASKED = 3600.0


def fate(status: int) -> Fate:
    """Whether a request was accepted (2xx), should be retried (5xx, 408, 425, 429), or has failed (all others).

    A redirect is a failure: what is signed for one address is not sent to another.
    """
    if 200 <= status < 300:
        return "taken"
    return "again" if status >= 500 or status in _AGAIN else "refused"


def read_retry_after(text: str | None, now: float) -> float:
    """The seconds that a `Retry-After` header asks for (RFC 9110 section 10.2.3), at most an hour.

    Args:
        text: the header's value: a number of seconds, or a date. Anything else is ignored.
        now: seconds since the Unix epoch.
    """
    if text is None:
        return 0.0
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_ASKED)
    try:
        wait = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, wait), _LONGEST_ASKED)


@attrs.frozen(slots=True, kw_only=True)
class Retries:
    """When to try again, all in seconds: from `first`, doubled each time, up to `most`; never after `give_up`."""

    first: float = 1.0
    most: float = 60.0
    give_up: float = 86_400.0

    def pause(self, failures: int, random: float, asked: float = 0.0) -> float:
        """How long to wait after that many failures in a row.

        Args:
            failures: at least 1.
            random: in [0, 1); subtracts up to a half, so that simultaneous failures are not retried simultaneously.
            asked: what the receiver asked for; the pause is never shorter.
        """
        doublings = min(failures - 1, math.ceil(math.log2(max(1.0, self.most / self.first))))
        longest = min(self.most, self.first * 2.0**doublings)
        return max(asked, longest * (1 - random / 2))
