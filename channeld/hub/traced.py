"""A hub whose publications and deliveries are spans. Used only while tracing is on.

A broker on the network brings a publication back in a task that knows nothing of its sender, so the spans of what this node
published are remembered by their bytes, the latest `MOST`. What other nodes published is delivered without a span.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Final, cast

from channeld.broker.broker import Delivered, History, Placing, Position, Publication, Topic
from channeld.broker.once import Once
from channeld.hub.hub import Hub
from channeld.later import Later, Promise
from channeld.telemetry.tracing import Span, Tracing, current

__all__ = ["MOST", "TracedHub", "TracedPromise"]

MOST: Final = 1024


class TracedPromise:
    """Another promise; its span ends with it."""

    __slots__ = ("_inner", "_span", "_tracing")

    def __init__(self, inner: Awaitable[object], tracing: Tracing, span: Span) -> None:
        self._inner = inner
        self._tracing = tracing
        self._span = span

    def _end(self, error: BaseException | None) -> None:
        self._tracing.end(self._span, type(error).__name__ if error is not None else "")

    def __getattr__(self, name: str) -> object:
        # Only a promise has `then`, and those who wait ask whether it has.
        if name != "then":
            raise AttributeError(name)
        then = cast("Promise", self._inner).then

        def traced(call: Callable[[Exception | None], object]) -> None:
            def answered(error: Exception | None) -> None:
                self._end(error)
                call(error)

            then(answered)

        return traced

    def __await__(self) -> Generator[object, object, object]:
        try:
            result = yield from self._inner.__await__()
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)
        return result


class TracedHub(Hub):
    """See Hub."""

    def trace(self, tracing: Tracing) -> None:
        """Make spans from now on; called once, before anything is published."""
        self.tracing = tracing
        self._sent: dict[bytes, Span] = {}

    def publish(
        self,
        topic: Topic,
        payload: bytes,
        keep: History | None = None,
        skip: str | None = None,
        once: Once | None = None,
        placing: Placing | None = None,
    ) -> Later[Position | None]:
        """See Hub."""
        where: dict[str, str | int] = {
            "channeld.channel": topic.channel,
            "channeld.target": topic.kind,
        }
        span = self.tracing.child("publish", where, "producer")
        if span is None:
            return super().publish(topic, payload, keep, skip, once, placing)
        if len(self._sent) >= MOST:
            del self._sent[next(iter(self._sent))]
        self._sent[payload] = span
        token = current.set(span)
        try:
            later = super().publish(topic, payload, keep, skip, once, placing)
        except BaseException as error:
            self.tracing.end(span, type(error).__name__)
            raise
        finally:
            current.reset(token)
        if hasattr(later, "__await__"):
            promise = TracedPromise(cast("Awaitable[object]", later), self.tracing, span)
            return cast("Awaitable[Position | None]", promise)
        self.tracing.end(span)
        return later

    def deliver(self, topic: Topic, delivered: Delivered) -> None:
        """See Hub."""
        parent = (
            self._sent.pop(delivered.payload, None) if isinstance(delivered, Publication) else None
        )
        if parent is None:
            super().deliver(topic, delivered)
            return
        before = self._deliveries
        where: dict[str, str | int] = {
            "channeld.channel": topic.channel,
            "channeld.target": topic.kind,
        }
        span = self.tracing.child("deliver", where, "consumer", parent)
        super().deliver(topic, delivered)
        where["channeld.recipients"] = self._deliveries - before
        self.tracing.end(span)
