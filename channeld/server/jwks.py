"""Public keys that somebody else publishes: a JSON Web Key Set (RFC 7517), fetched, kept and asked for again.

The address comes from the configuration and from nowhere else: no part of a token can change it, no redirect is
followed, and an unknown `kid` makes at most one request a minute, however many tokens name one (threats: CWE-918). A set
that cannot be read leaves the old keys in force. Keys are kept for one authenticator, so two issuers that use the same
`kid` never share one.
"""

import ssl
from typing import Final
from urllib.parse import urlsplit

import trio

from channeld.auth.authenticator import KeySource
from channeld.auth.jwk import Jwk, KeysFound, read_keys
from channeld.config.scalars import is_loopback
from channeld.telemetry import log
from channeld.timers import Clock

__all__ = ["KeySet"]

REFRESH_INTERVAL: Final = 60.0
TIME_LIMIT: Final = 5.0
SIZE_LIMIT: Final = 64 * 1024


class _Unusable(Exception):
    """Why a set could not be had, in words for the log."""


class KeySet:
    """The keys of one authenticator. Empty until the first `refresh()`, which whoever starts the server awaits.

    Args:
        source: an https URL (http for a loopback address) or a file, and the algorithms that the authenticator allows;
            other keys are skipped.
        clock: its monotonic half says when another fetch is allowed.
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
        if (jwks.url is None) == (jwks.file is None):
            raise ValueError("a key set is at a url or in a file")
        if jwks.url is not None and not _may_fetch(jwks.url):
            raise ValueError(
                "a key set is fetched from an https URL, or http on a loopback address"
            )
        self._source = jwks
        self._algorithms = frozenset(source.algorithms)
        self._clock = clock
        self._name = name
        self._tls = tls
        self._keys: tuple[Jwk, ...] = ()
        self._attempted: float | None = None
        self._one_at_a_time = trio.Lock()

    def find(self, kid: str | None) -> Jwk | None:
        """The key of that id, the first if the set repeats it; without an id the only key there is."""
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.kid == kid), None)

    def may_refresh(self, now: float | None = None) -> bool:
        """Whether `refresh()` would fetch at `now` (monotonic seconds), or has a fetch under way to wait for."""
        if self._attempted is None or self._one_at_a_time.locked():
            return True
        moment = self._clock.monotonic() if now is None else now
        return moment - self._attempted >= REFRESH_INTERVAL

    async def refresh(self) -> None:
        """Read the set again, unless that was tried within the last minute; whoever comes meanwhile waits for it.

        Never raises; a failure is logged and keeps the old keys. A fetch that began ends (within its time limit) even
        when its caller is cancelled: else a client that connects and leaves could use up the minute's one attempt.
        """
        async with self._one_at_a_time:
            now = self._clock.monotonic()
            if self._attempted is not None and now - self._attempted < REFRESH_INTERVAL:
                return
            self._attempted = now
            with trio.CancelScope(shield=True):
                await self._replace_keys()

    async def _replace_keys(self) -> None:
        where = self._source.url or self._source.file
        try:
            with trio.fail_after(TIME_LIMIT):
                content = await self._read()
            found = self._usable(content)
        except trio.TooSlowError:
            reason = f"no answer within {TIME_LIMIT:g} s"
        except Exception as error:  # the network may raise anything, and the old keys must stay
            reason = _words(error)
        else:
            self._keys = found.keys
            log(
                "jwks_refreshed",
                authenticator=self._name,
                url=where,
                keys=len(found.keys),
                skipped=found.skipped,
            )
            return
        log("jwks_failed", authenticator=self._name, url=where, reason=reason)

    def _usable(self, content: bytes) -> KeysFound:
        found = read_keys(content, self._algorithms)
        if not found.keys:
            raise _Unusable(f"no key for {', '.join(sorted(self._algorithms))} in the set")
        return found

    async def _read(self) -> bytes:
        if self._source.url is not None:
            return await _fetch(self._source.url, self._tls)
        assert self._source.file is not None  # noqa: S101 - the constructor checked
        async with await trio.open_file(self._source.file, "rb") as file:
            return _within_limit(await file.read(SIZE_LIMIT + 1))


def _words(error: BaseException) -> str:
    """What an error says; httpx often leaves that to the one underneath."""
    deeper: BaseException | None = error
    while deeper is not None:
        if str(deeper):
            return str(deeper)
        deeper = deeper.__cause__ or deeper.__context__
    return type(error).__name__


async def _fetch(url: str, tls: ssl.SSLContext | None) -> bytes:
    import httpx  # noqa: PLC0415 - 80 ms and 20 MiB that most configurations do not need

    # A proxy from the environment is the operator's wish, but not for this machine itself.
    client = httpx.AsyncClient(
        verify=tls if tls is not None else True,
        follow_redirects=False,
        trust_env=not is_loopback(urlsplit(url).hostname or ""),
        # Compressed content could grow past any limit within one chunk.
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
        # Cancelled rather than left: httpx's nested generators are finished from the inside then, not by the garbage
        # collector.
        with trio.CancelScope() as too_large:
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > SIZE_LIMIT:
                    too_large.cancel()
    return _within_limit(bytes(content))


def _within_limit(content: bytes) -> bytes:
    if len(content) > SIZE_LIMIT:
        raise _Unusable(f"the set is larger than {SIZE_LIMIT // 1024} KiB")
    return content


def _may_fetch(url: str) -> bool:
    parts = urlsplit(url)
    if not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
