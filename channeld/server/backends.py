"""Calls backends that answer hooks over HTTP: pooled connections, signed requests, and a circuit breaker.

A call waits for one of the `concurrency` places for at most the backend's `timeout`, and then has as long again for its
answer; together they take at most the channel's `hook_timeout`. After `FAILURES` calls in a row that got no connection, no
answer in time, or 502, 503 or 504, the breaker opens: for a second, doubling up to `LONGEST`, every call fails at once;
then one call tries. A call that waited and so had less than its full time does not count. Requests are signed as in
Standard Webhooks (id, timestamp and body), so that the backend can verify the sender and refuse replays.
"""

import ssl
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

import trio

from channeld.config.model import Backend
from channeld.engine.ports import BackendAnswer, BackendUnavailable
from channeld.plan.plan import RemoteHook
from channeld.protocol.standard_webhooks import signed_headers
from channeld.server.http_client import AnswerRead, HttpConnection, NotAnswered, open_connection
from channeld.telemetry import log
from channeld.telemetry.metrics import Sample
from channeld.telemetry.tracing import traceparent
from channeld.timers import Clock

FAILURES: Final = 5
LONGEST: Final = 30.0
IDLE: Final = 30.0
"""Seconds after which an idle connection is not used again."""

LARGEST: Final = 1024 * 1024
_AWAY: Final = frozenset({502, 503, 504})
_UNREACHABLE: Final = (
    NotAnswered, OSError, ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError,
)  # fmt: skip


class _Late(Exception):
    """A call timed out. `is_sent`: the request was sent; `is_whole`: it had its full time."""

    def __init__(self, *, is_sent: bool, is_whole: bool) -> None:
        super().__init__()
        self.is_sent = is_sent
        self.is_whole = is_whole


class BackendPool:
    """Implements `channeld.engine.ports.Backends`.

    Args:
        clock: both clocks.
        random_id: ids of requests.
    """

    def __init__(self, clock: Clock, random_id: Callable[[], str]) -> None:
        self._clock = clock
        self._random_id = random_id
        self._known: dict[tuple[str, Backend], _BackendLink] = {}

    async def ask(self, remote: RemoteHook, body: bytes, seconds: float) -> BackendAnswer:
        """POST a request, signed, and read the answer within that many seconds, or the backend's `timeout` if that is less.

        Raises:
            BackendUnavailable: it was not asked, or did not answer in time (`is_unknown`: it may have handled the request).
        """
        key = (remote.name, remote.backend)
        asked = self._known.get(key)
        if asked is None:
            # After a reload that changed it, the old one is no longer called.
            outdated = [known for known in self._known if known[0] == remote.name]
            replaced = [self._known.pop(known) for known in outdated]
            asked = self._known[key] = _BackendLink(remote.name, remote.backend, self._clock)
            for one in replaced:
                await one.aclose()
        id, moment = self._random_id(), int(self._clock.wall())
        # The first secret is the one that signs.
        headers = signed_headers(remote.backend.secrets[0].text, id, moment, body)
        if (caller := traceparent()) is not None:
            headers.append(("traceparent", caller))
        answer = await asked.call(remote.path, headers, body, seconds)
        return BackendAnswer(answer.status, answer.body, answer.problem)

    def note_bad(self, hook: str, reason: str) -> None:
        """Count an answer that could not be used. The backend did answer, so its health does not change."""

    async def aclose(self) -> None:
        """Close the idle connections of all backends."""
        for asked in self._known.values():
            await asked.aclose()

    def samples(self) -> Iterator[Sample]:
        """Metrics of all backends that have been called."""
        for asked in self._known.values():
            yield from asked.samples()


class _BackendLink:
    """One backend: its connections, its concurrency slots and its health."""

    def __init__(self, name: str, backend: Backend, clock: Clock) -> None:
        self._name = name
        self._backend = backend
        self._url = urlsplit(backend.url)
        self._clock = clock
        self._places = trio.CapacityLimiter(backend.concurrency)
        self._idle: list[tuple[HttpConnection, float]] = []
        self._failures = 0
        self._away_until = 0.0
        self._pause = 0.0
        self._is_tried = False
        self._counts = dict.fromkeys(("ok", "failed", "late", "away"), 0)

    def samples(self) -> Iterator[Sample]:
        """Metrics: how calls ended, and whether the breaker is open."""
        for result, count in self._counts.items():
            yield Sample("channeld_backend_calls_total", count, (self._name, result))
        away = self._clock.monotonic() < self._away_until
        yield Sample("channeld_backend_away", int(away), (self._name,))

    async def aclose(self) -> None:
        """Close this backend's idle connections."""
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.aclose()

    async def call(
        self, path: str, headers: list[tuple[str, str]], body: bytes, seconds: float
    ) -> AnswerRead:
        """One call, within that many seconds or the time that the backend has."""
        now = self._clock.monotonic()
        is_trial = self._pause > 0
        if is_trial and (now < self._away_until or self._is_tried):
            self._counts["away"] += 1
            left = max(1.0, round(self._away_until - now, 1))
            raise BackendUnavailable(f"backend {self._name} is unreachable", left)
        self._is_tried = self._is_tried or is_trial
        try:
            answer = await self._in_turn(path, headers, body, seconds)
        except _Late as late:
            self._counts["late"] += 1
            words = "did not answer in time" if late.is_sent else "has no free place"
            log("backend_failed", backend=self._name, path=path, reason=words)
            if late.is_whole:
                self._note_failure(words, is_trial=is_trial)
            raise BackendUnavailable(
                f"backend {self._name} {words}", is_unknown=late.is_sent
            ) from None
        except _UNREACHABLE as error:
            self._counts["failed"] += 1
            words = str(error) or type(error).__name__
            log("backend_failed", backend=self._name, path=path, reason=words)
            self._note_failure(words, is_trial=is_trial)
            is_unknown = isinstance(error, NotAnswered)
            raise BackendUnavailable(
                f"backend {self._name}: {words}", is_unknown=is_unknown
            ) from error
        finally:
            if is_trial:
                self._is_tried = False
        if answer.status in _AWAY:
            self._counts["failed"] += 1
            self._note_failure(f"HTTP {answer.status}", is_trial=is_trial)
        else:
            self._counts["ok"] += 1
            self._note_success()
        return answer

    async def _in_turn(
        self, path: str, headers: list[tuple[str, str]], body: bytes, seconds: float
    ) -> AnswerRead:
        """Wait for a slot, then send the request.

        Raises:
            _Late: no slot, or no answer, in time.
        """
        most = left = min(seconds, self._backend.timeout)
        try:
            self._places.acquire_nowait()
        except trio.WouldBlock:
            started = self._clock.monotonic()
            with trio.move_on_after(most) as waiting:
                await self._places.acquire()
            if waiting.cancelled_caught:
                raise _Late(is_sent=False, is_whole=False) from None
            left = min(self._backend.timeout, seconds - (self._clock.monotonic() - started))
        try:
            # As `trio.fail_after` does it, in half the time.
            with trio.CancelScope(deadline=trio.current_time() + left):
                return await self._post(path, headers, body)
        finally:
            self._places.release()
        raise _Late(is_sent=True, is_whole=left >= most)

    async def _post(self, path: str, headers: list[tuple[str, str]], body: bytes) -> AnswerRead:
        connection = await self._idle_connection()
        if connection is not None:
            try:
                return await self._exchange(connection, path, headers, body)
            except NotAnswered:
                # The backend closed it just as it was taken from the pool; the retry has the same request id.
                pass
        return await self._exchange(await open_connection(self._url), path, headers, body)

    async def _exchange(
        self,
        connection: HttpConnection,
        path: str,
        headers: list[tuple[str, str]],
        body: bytes,
    ) -> AnswerRead:
        target = self._url.path.rstrip("/") + path
        try:
            answer = await connection.post(target, headers, body, LARGEST)
        except BaseException:
            with trio.CancelScope(shield=True):
                await connection.aclose()
            raise
        if connection.is_reusable:
            self._idle.append((connection, self._clock.monotonic()))
        else:
            await connection.aclose()
        return answer

    async def _idle_connection(self) -> HttpConnection | None:
        while self._idle:
            connection, since = self._idle.pop()
            if self._clock.monotonic() - since < IDLE and not connection.is_stale:
                return connection
            await connection.aclose()
        return None

    def _note_failure(self, reason: str, *, is_trial: bool) -> None:
        self._failures += 1
        # Calls that were under way when the breaker opened do not count.
        if not is_trial and (self._pause or self._failures < FAILURES):
            return
        self._pause = min(LONGEST, self._pause * 2) if self._pause else 1.0
        self._away_until = self._clock.monotonic() + self._pause
        log("backend_away", backend=self._name, reason=reason, seconds=self._pause)

    def _note_success(self) -> None:
        if self._pause:
            log("backend_recovered", backend=self._name)
        self._failures, self._pause = 0, 0.0
