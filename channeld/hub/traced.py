"""A hub whose publications and deliveries are spans. Used only while tracing is on.

What a broker carries along with a publication for the node of its sender, the connection that is to be left out, carries the
span for all nodes: a space and its `traceparent` behind. A node without tracing has no connection of that name, and delivers to all of its own,
which is right: the sender is not there.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar, cast

from channeld.broker.broker import Delivered, History, Placing, Position, Publication, Topic
from channeld.broker.once import Once
from channeld.hub.hub import Hub
from channeld.later import Later, Promise
from channeld.telemetry.tracing import Span, Tracing, attached

T = TypeVar("T")


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
        publish = super().publish
        return self._spanned(
            topic, skip, lambda skip: publish(topic, payload, keep, skip, once, placing)
        )

    def publish_newest(  # noqa: PLR0913 - see Hub
        self,
        topic: Topic,
        payload: bytes,
        placing: Placing,
        keep: History | None,
        skip: str | None,
        once: Once | None,
        *,
        connection: str = "",
    ) -> Later[bool]:
        """See Hub."""
        publish = super().publish_newest
        return self._spanned(
            topic,
            skip,
            lambda skip: publish(topic, payload, placing, keep, skip, once, connection=connection),
        )

    def _spanned(
        self, topic: Topic, skip: str | None, publish: Callable[[str | None], Later[T]]
    ) -> Later[T]:
        is_for_clients = topic.kind != "node"
        span = self.tracing.child("publish", _about(topic), "producer") if is_for_clients else None
        if span is None:
            return publish(skip)
        try:
            with attached(span):
                later = publish(f"{skip or ''} {span.traceparent}")
        except BaseException as error:
            self.tracing.end(span, type(error).__name__)
            raise
        if hasattr(later, "__await__"):
            promise = TracedPromise(cast("Awaitable[object]", later), self.tracing, span)
            return cast("Awaitable[T]", promise)
        self.tracing.end(span)
        return later

    def deliver(self, topic: Topic, delivered: Delivered) -> None:
        """See Hub."""
        skip = delivered.skip if isinstance(delivered, Publication) else None
        if not isinstance(delivered, Publication) or skip is None or " " not in skip:
            super().deliver(topic, delivered)
            return
        connection, _, caller = skip.partition(" ")
        own = Publication(
            delivered.payload, delivered.position, connection or None, delivered.clears
        )
        span = self.tracing.follow("deliver", caller, _about(topic), "consumer")
        before = self._deliveries
        super().deliver(topic, own)
        if span is not None:
            span.attributes["channeld.recipients"] = self._deliveries - before
        self.tracing.end(span)


def _about(topic: Topic) -> dict[str, str | int]:
    return {"channeld.channel": topic.channel, "channeld.target": topic.kind}
