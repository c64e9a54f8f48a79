"""A hub whose publications and deliveries are spans. Used only while tracing is on.

A broker passes on `skip`, the connection that does not get the publication. The span travels in it: a space and the `traceparent`
follow the connection's id. A node without tracing knows no connection of that name and delivers to all of its members, which is
right, because the sender is not one of them.
"""

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import TypeVar, cast

import attrs

from channeld.broker.broker import Broker, Deliver, Delivered, Position, Publication, Topic
from channeld.broker.publish_options import NO_OPTIONS, Conflated, PublishOptions
from channeld.hub.fanout import Fanout
from channeld.hub.hub import Hub
from channeld.later import Later, Promise
from channeld.telemetry.tracing import Span, Tracing, attached
from channeld.timers import Clock, Timers

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
        # Callers check for `then`, which only a promise has.
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

    def __init__(
        self,
        tracing: Tracing,
        make_broker: Callable[[Deliver], Broker],
        fanout: Fanout,
        clock: Clock,
        timers: Timers,
        spawn: Callable[[Awaitable[object]], None],
    ) -> None:
        self.tracing = tracing
        super().__init__(make_broker, fanout, clock, timers, spawn)

    def publish(
        self, topic: Topic, payload: bytes, options: PublishOptions = NO_OPTIONS
    ) -> Later[Position | None]:
        """See Hub."""
        return self._spanned(topic, options, partial(super().publish, topic, payload))

    def publish_newest(
        self,
        topic: Topic,
        payload: bytes,
        conflated: Conflated,
        options: PublishOptions,
        connection: str = "",
    ) -> Later[bool]:
        """See Hub."""
        publish = super().publish_newest
        return self._spanned(
            topic, options, lambda traced: publish(topic, payload, conflated, traced, connection)
        )

    def _spanned(
        self, topic: Topic, options: PublishOptions, publish: Callable[[PublishOptions], Later[T]]
    ) -> Later[T]:
        is_for_clients = topic.kind != "node"
        span = self.tracing.child("publish", _about(topic), "producer") if is_for_clients else None
        if span is None:
            return publish(options)
        try:
            with attached(span):
                skip = f"{options.skip or ''} {span.traceparent}"
                later = publish(attrs.evolve(options, skip=skip))
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
