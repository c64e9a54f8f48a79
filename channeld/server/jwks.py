"""Fetches and caches public keys from a JSON Web Key Set (RFC 7517).

The address comes from the configuration only: no part of a token can change it, redirects are not followed, and unknown
`kid`s cause at most one request a minute, however many tokens name one (CWE-918).

A set is fetched at startup, when its `Cache-Control: max-age` expires (at least every hour, at most every minute), for an
unknown `kid`, and on a reload. It replaces the previous set: a key that is gone is no longer trusted. If the fetch fails,
the old keys stay in force. Each authenticator has keys of its own, so two issuers with the same `kid` never share one.
"""

import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import attrs
import trio

from channeld.auth.authenticator import KeySource
from channeld.auth.jwk import Jwk, read_keys
from channeld.config.scalars import is_loopback
from channeld.groups import words_of
from channeld.telemetry import log
from channeld.timers import Clock

REFRESH_INTERVAL: Final = 60.0
TIME_LIMIT: Final = 5.0
SIZE_LIMIT: Final = 64 * 1024


LONGEST_LIFE: Final = 3600.0
UNREAD_INTERVAL: Final = 5.0
"""Seconds between attempts while no set could be read at all."""

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|[\s,])no-(?:cache|store)\b", re.IGNORECASE)


@attrs.frozen(slots=True)
class _Document:
    """A fetched set, and for how many seconds it is fresh."""

    content: bytes
    lifetime: float = LONGEST_LIFE


class _Unusable(Exception):
    """Why a set could not be fetched, worded for the log."""


class RemoteKeySet:
    """The keys of one authenticator. Empty until the first `refresh()`, which the server's start awaits.

    Args:
        source: an https URL (http for a loopback address) or a file, and the algorithms that the authenticator allows;
            other keys are skipped.
        clock: its monotonic time decides when another fetch is allowed.
        name: the authenticator's, for the log.
        tls: trust for https; the system's by default.

    Raises:
        ValueError: the source is neither, or a URL that must not be fetched.
    """

    def __init__(
        self,
        source: KeySource,
        clock: Clock,
        *,
        name: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        jwks = source.jwks
        if jwks.url is not None and jwks.file is None:
            if not _may_fetch(jwks.url):
                raise ValueError(
                    "a key set is fetched from an https URL, or http on a loopback address"
                )
            self._where, self._read = jwks.url, partial(_fetch, jwks.url, tls)
        elif jwks.file is not None and jwks.url is None:
            self._where, self._read = jwks.file, partial(_read_file, jwks.file)
        else:
            raise ValueError("a key set is at a url or in a file")
        self._algorithms = frozenset(source.algorithms)
        self._clock = clock
        self._name = name
        self._keys: tuple[Jwk, ...] = ()
        self._attempted: float | None = None
        self._lifetime = UNREAD_INTERVAL
        self.is_known = False
        self._one_at_a_time = trio.Lock()

    def find(self, kid: str | None) -> Jwk | None:
        """The key with that id (the first, if repeated); without an id, the only key of the set."""
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.kid == kid), None)

    def may_refresh(self, now: float | None = None) -> bool:
        """Whether `refresh()` would fetch at `now` (monotonic seconds), or has a fetch under way to wait for."""
        if self._attempted is None or self._one_at_a_time.locked():
            return True
        moment = self._clock.monotonic() if now is None else now
        return moment - self._attempted >= self._interval()

    def _interval(self) -> float:
        return REFRESH_INTERVAL if self.is_known else UNREAD_INTERVAL

    def due_in(self) -> float:
        """Seconds until the set expires and has to be fetched again."""
        if self._attempted is None:
            return 0.0
        return max(0.0, self._attempted + self._lifetime - self._clock.monotonic())

    async def refresh(self, *, forced: bool = False) -> None:
        """Fetch the set again, unless that was tried within the last minute. Concurrent callers wait for the same fetch.

        Args:
            forced: fetch even if that was tried within the last minute.

        Never raises: a failure is logged and the old keys stay. A fetch runs to its end (within its time limit) even if its
        caller is cancelled; otherwise a client that connects and leaves could use up the minute's one attempt.
        """
        async with self._one_at_a_time:
            now = self._clock.monotonic()
            last = self._attempted
            if not forced and last is not None and now - last < self._interval():
                return
            self._attempted = now
            with trio.CancelScope(shield=True):
                await self._replace_keys()

    async def _replace_keys(self) -> None:
        try:
            with trio.fail_after(TIME_LIMIT):
                document = await self._read()
            found = read_keys(document.content, self._algorithms)
        except trio.TooSlowError:
            reason = f"no answer within {TIME_LIMIT:g} s"
        except Exception as error:  # the network may raise anything, and the old keys must stay
            reason = words_of(error)
        else:
            self._keys = found.keys
            self.is_known = bool(found.keys)
            self._lifetime = document.lifetime
            if not found.keys:
                reason = f"no key for {', '.join(sorted(self._algorithms))} in the set"
                self._lifetime = UNREAD_INTERVAL
                log("jwks_failed", authenticator=self._name, url=self._where, reason=reason)
                return
            log(
                "jwks_refreshed",
                authenticator=self._name,
                url=self._where,
                keys=len(found.keys),
                skipped=found.skipped,
            )
            return
        self._lifetime = self._interval()
        log("jwks_failed", authenticator=self._name, url=self._where, reason=reason)


async def keep_fresh(key_sets: Callable[[], Iterable[RemoteKeySet]]) -> None:
    """Refresh each set when it has expired. Runs until cancelled; `key_sets` returns the current ones."""
    while True:
        waits = [key_set.due_in() for key_set in key_sets()]
        # A new configuration's sets are noticed within a minute.
        await trio.sleep(min([*waits, REFRESH_INTERVAL]))
        async with trio.open_nursery() as nursery:
            for key_set in key_sets():
                if not key_set.due_in():
                    nursery.start_soon(key_set.refresh)


def _lifetime(headers: Mapping[str, str]) -> float:
    """How long an answer is fresh (RFC 9111 section 5.2.2): a minute to an hour; an hour by default."""
    control = headers.get("cache-control", "")
    if _NOT_KEPT.search(control):
        return REFRESH_INTERVAL
    found = _MAX_AGE.search(control)
    if found is None:
        return LONGEST_LIFE
    age = headers.get("age", "")
    left = int(found[1]) - (int(age) if re.fullmatch(r"\d{1,9}", age, re.ASCII) else 0)
    return float(min(max(left, REFRESH_INTERVAL), LONGEST_LIFE))


async def _read_file(path: str) -> _Document:
    async with await trio.open_file(path, "rb") as file:
        return _Document(_within_limit(await file.read(SIZE_LIMIT + 1)))


async def _fetch(url: str, tls: ssl.SSLContext | None) -> _Document:
    import httpx2  # noqa: PLC0415 - 80 ms and 20 MiB that most configurations do not need

    # Use the environment's proxy, but not for this machine itself.
    client = httpx2.AsyncClient(
        verify=tls if tls is not None else True,
        follow_redirects=False,
        trust_env=not is_loopback(urlsplit(url).hostname or ""),
        # Compressed content could expand past any limit within one chunk.
        headers={
            "Accept": "application/jwk-set+json, application/json",
            "Accept-Encoding": "identity",
        },
    )
    async with client, client.stream("GET", url) as answer:
        if answer.status_code != 200:
            raise _Unusable(f"the answer was HTTP {answer.status_code}")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise _Unusable("the answer is compressed, which was not asked for")
        content = bytearray()
        # Cancelled rather than left: httpx2's nested generators are finished from the inside then, not by the garbage
        # collector.
        with trio.CancelScope() as too_large:
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > SIZE_LIMIT:
                    too_large.cancel()
        lifetime = _lifetime(answer.headers)
    return _Document(_within_limit(bytes(content)), lifetime)


def _within_limit(content: bytes) -> bytes:
    if len(content) > SIZE_LIMIT:
        raise _Unusable(f"the set is larger than {SIZE_LIMIT // 1024} KiB")
    return content


def _may_fetch(url: str) -> bool:
    parts = urlsplit(url)
    if not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
