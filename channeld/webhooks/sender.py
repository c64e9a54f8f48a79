"""One webhook's task: sends its events in order, one request at a time, until each is accepted or given up.

`put` never waits: the queue is bounded, and what does not fit is dropped, counted, and logged once a minute. A failed
request is retried with the same `webhook-id` and body and a new signature; later events wait, so order is kept.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import attrs
import trio

from channeld.config.model import Webhook
from channeld.engine.ports import Runtime
from channeld.protocol.standard_webhooks import signed_headers
from channeld.telemetry import Sample, log
from channeld.telemetry.tracing import Tracing
from channeld.webhooks.endpoint import Endpoint, Reply
from channeld.webhooks.queue import EventQueue
from channeld.webhooks.retries import Retries, fate, read_retry_after

TIME_LIMIT: Final = 10.0
"""Seconds that a request may take, from the connection to the answer's end."""
MOST_EVENTS: Final = 100
MOST_BYTES: Final = 256 * 1024
"""Of one request."""
_QUIET: Final = 60.0


class Poster(AbstractAsyncContextManager[object], Protocol):
    """Sends a request: an `Endpoint`, or a stand-in."""

    async def post(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request. Never raises."""


@attrs.define(eq=False)
class WebhookCounters:
    """Events accepted or dropped, and requests by outcome."""

    delivered: int = 0
    dropped: int = 0
    ok: int = 0
    failed: int = 0
    refused: int = 0


class WebhookSender:
    """Sends events while `run` runs.

    Args:
        name: its number in the configuration, for metrics.
        webhook: its URL and secret.
        runtime: its clock and its randomness.
        poster: instead of the webhook's `Endpoint`.
        retries: when to try again.
        queue: what holds the events that wait.

    `tracing`, if it is set, makes a span of each request.
    """

    def __init__(
        self,
        name: str,
        webhook: Webhook,
        runtime: Runtime,
        *,
        poster: Poster | None = None,
        retries: Retries | None = None,
        queue: EventQueue | None = None,
    ) -> None:
        self.tracing: Tracing | None = None
        self.counters = WebhookCounters()
        self._name = name
        self._webhook = webhook
        self._runtime = runtime
        self._poster = poster or Endpoint(webhook.url)
        self._retries = retries or Retries()
        self._queue = queue if queue is not None else EventQueue()
        self._in_flight = 0
        self._draining = trio.Event()
        # An event was queued; don't wait for the batch; the queue is empty.
        self._news, self._hurry, self._rest = trio.Event(), trio.Event(), trio.Event()
        self._unsaid: dict[str, int] = {}
        self._said_at: float | None = None

    def put(self, event: bytes) -> None:
        """Queue an encoded event. Never waits."""
        dropped = self._queue.put(event)
        if dropped:
            self._drop(dropped, "too many events wait")
        self._news.set()
        if len(self._queue) >= MOST_EVENTS:
            self._hurry.set()

    @property
    def waiting(self) -> int:
        """How many events have not been accepted yet."""
        return len(self._queue) + self._in_flight

    def samples(self) -> Iterator[Sample]:
        """Metrics, labelled with the webhook's number."""
        seen, label = self.counters, (self._name,)
        yield Sample("channeld_webhooks_delivered_total", seen.delivered, label)
        yield Sample("channeld_webhooks_dropped_total", seen.dropped, label)
        for result in ("ok", "failed", "refused"):
            count = getattr(seen, result)
            yield Sample("channeld_webhooks_requests_total", count, (self._name, result))
        yield Sample("channeld_webhooks_waiting", self.waiting, label)

    async def run(self) -> None:
        """Send until cancelled."""
        async with self._poster:
            while True:
                await self._wait_for_events()
                await self._deliver(self._queue.take(MOST_EVENTS, MOST_BYTES))

    async def drain(self) -> None:
        """Send everything without waiting for batches or retry pauses; returns when the queue is empty."""
        self._draining.set()
        self._hurry.set()
        while self.waiting:
            self._rest = trio.Event()
            await self._rest.wait()

    def give_up(self) -> None:
        """Drop, count and log what still waits."""
        if self.waiting:
            left = self.waiting
            self._queue.take(left, MOST_BYTES * left)
            self._in_flight = 0
            self._drop(left, "the server stopped")
        self._say_dropped()

    async def _wait_for_events(self) -> None:
        while not self._queue:
            self._rest.set()
            self._news = trio.Event()
            await self._news.wait()
        if self._webhook.batch > 0 and len(self._queue) < MOST_EVENTS:
            await self._wait_for_batch()

    async def _wait_for_batch(self) -> None:
        if not self._draining.is_set():
            self._hurry = trio.Event()
            with trio.move_on_after(self._webhook.batch):
                await self._hurry.wait()

    # ----------------------------------------------------------------------------------------------- one delivery

    async def _deliver(self, events: list[bytes]) -> None:
        self._in_flight = len(events)
        id = self._runtime.random_id()
        head = f'{{"id":"{id}","time":{int(self._runtime.clock.wall() * 1000)},"events":['
        body = head.encode() + b",".join(events) + b"]}"
        began, failures = self._runtime.clock.monotonic(), 0
        while True:
            reply = await self._attempt(id, body)
            outcome = "again" if reply.status is None else fate(reply.status)
            if outcome == "taken":
                self._take(len(events), failures)
                break
            failures += 1
            pause = self._next_pause(reply, failures)
            given_up = self._runtime.clock.monotonic() + pause - began > self._retries.give_up
            if outcome == "refused" or given_up:
                self.counters.refused += 1
                self._drop(len(events), reply.reason)
                break
            self.counters.failed += 1
            log(
                "webhook_failed",
                url=self._webhook.url,
                delivery=id,
                reason=reply.reason,
                attempts=failures,
                retry_in=round(pause, 3),
                waiting=self.waiting,
            )
            await self._wait_to_retry(pause)
        self._in_flight = 0

    async def _attempt(self, id: str, body: bytes) -> Reply:
        moment = int(self._runtime.clock.wall())
        secret = self._webhook.secret.text
        headers = {
            "Content-Type": "application/json",
            **dict(signed_headers(secret, id, moment, body)),
            # Until version 2 of the language, for receivers that know nothing else.
            "Channeld-Delivery": id,
            "Channeld-Signature": sign(secret, moment, body),
        }
        span = None
        if self.tracing is not None:
            span = self.tracing.receive("webhook", None, {"channeld.webhook": self._name})
        if span is not None:
            span.kind, headers["traceparent"] = "client", span.traceparent
        reply = Reply(reason=f"no answer within {TIME_LIMIT:g} s")
        with trio.move_on_after(TIME_LIMIT):
            reply = await self._poster.post(headers, body)
        if span is not None and self.tracing is not None:
            self.tracing.end(span, reply.reason and "no answer")
        return reply

    def _next_pause(self, reply: Reply, failures: int) -> float:
        asked = read_retry_after(reply.retry_after, self._runtime.clock.wall())
        return self._retries.pause(failures, self._runtime.random(), asked)

    async def _wait_to_retry(self, seconds: float) -> None:
        if self._draining.is_set():
            await trio.sleep(seconds)
            return
        # A drain retries a failed receiver at once; new events don't.
        with trio.move_on_after(seconds):
            await self._draining.wait()

    def _take(self, events: int, failures: int) -> None:
        self.counters.ok += 1
        self.counters.delivered += events
        if failures:
            log("webhook_recovered", url=self._webhook.url, attempts=failures + 1)

    def _drop(self, events: int, reason: str) -> None:
        self.counters.dropped += events
        self._unsaid[reason] = self._unsaid.get(reason, 0) + events
        now = self._runtime.clock.monotonic()
        if self._said_at is None or now - self._said_at >= _QUIET:
            self._said_at = now
            self._say_dropped()

    def _say_dropped(self) -> None:
        for reason, events in self._unsaid.items():
            log("webhook_dropped", url=self._webhook.url, events=events, reason=reason)
        self._unsaid.clear()


def sign(secret: str, moment: int, body: bytes) -> str:
    """The signature from before Standard Webhooks, `t=MOMENT,v1=HEX`, which is sent until version 2 of the language.

    Args:
        secret: the key (as UTF-8) of an HMAC-SHA256 (RFC 2104) over the moment, a dot and the body.
        moment: whole seconds since the Unix epoch; it is signed, so an old request cannot be replayed as a new one.
        body: the request's.
    """
    digest = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"
