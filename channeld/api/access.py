"""Access control: keys, compared in constant time, the browser's origin, and which refused requests are logged."""

import hmac
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from channeld.timers import Clock

_SCHEME = b"bearer "
# RFC 6761, 6762, 8375, and what Kubernetes and ICANN keep for private use.
_PRIVATE = (".localhost", ".local", ".internal", ".home.arpa", ".test", ".svc", ".cluster.local")

WINDOW: Final = 60.0
"""Seconds, from the first refusal on."""
MOST_ADDRESSES: Final = 1024
MOST_LINES: Final = 100
"""Lines of the log in that time, for all addresses together."""


def has_key(authorization: bytes | None, keys: Iterable[str]) -> bool:
    """Whether an `Authorization` header has one of the keys (RFC 6750 section 2.1).

    All keys are compared in constant time, so that timing reveals nothing about any of them.
    """
    given = authorization or b""
    token = given[len(_SCHEME) :].strip() if given[: len(_SCHEME)].lower() == _SCHEME else b""
    found = False
    for key in keys:
        # An empty key is a secret that was not set, and grants nothing.
        found |= hmac.compare_digest(token, key.encode()) and bool(key)
    return found


def is_own_origin(origin: str, host: str | None) -> bool:
    """Whether a browser's `Origin` is this site itself, as for the console's pages."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname or host is None:
        return False
    standard = 443 if parts.scheme == "https" else 80
    named = _authority(host, standard)
    return named == (parts.hostname, port or standard)


def is_private_host(host: str | None) -> bool:
    """Whether a `Host` is safe from DNS rebinding: a web site can't have such a name.

    Addresses, names of one label (`localhost`, a container's) and names below reserved domains are private; so is a request
    without `Host`, which no browser sends.
    """
    if host is None:
        return True
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_PRIVATE)
    return True


def _authority(host: str, standard: int) -> tuple[str | None, int] | None:
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port or standard
    except ValueError:
        return None
    return parts.hostname, port


class Refusals:
    """Decides which refusals are logged: for each address and reason, the first in a minute.

    Somebody who guesses keys, or an application with a rotated-out key, must not fill the log. The table is bounded: when it
    is full, the entry whose minute began first is dropped, and there is a total limit of lines per minute. All clients of a
    Unix socket have the address `""`, so they count as one.
    """

    def __init__(self, clock: Clock, most: int = MOST_ADDRESSES) -> None:
        self._clock = clock
        self._most = most
        self._ends: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lines, self._lines_end = 0, -math.inf

    def __len__(self) -> int:
        return len(self._ends)

    def is_news(self, address: str, reason: str) -> bool:
        """Record a refusal; returns whether to log it."""
        now = self._clock.monotonic()
        self._expire(now)
        if (address, reason) in self._ends:
            return False
        if len(self._ends) >= self._most:
            self._ends.popitem(last=False)
        self._ends[address, reason] = now + WINDOW
        return self._takes_line(now)

    def _expire(self, now: float) -> None:
        while self._ends:
            oldest, ends = next(iter(self._ends.items()))
            if ends > now:
                return
            del self._ends[oldest]

    def _takes_line(self, now: float) -> bool:
        if now >= self._lines_end:
            self._lines, self._lines_end = 0, now + WINDOW
        self._lines += 1
        return self._lines <= MOST_LINES
