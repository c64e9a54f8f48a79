"""A receiver whose handshake and messages are spans. Used only while tracing is on, so that the usual path pays nothing.

A message's span lasts until the rest of it has run: `Pending` and `Continuation` are wrapped, and the rest of a `Pending`
runs within the span again.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias, cast

from channeld.engine.ports import Peer, Surroundings
from channeld.engine.receive import Receiver
from channeld.engine.session import NO_FIELDS
from channeld.hooks import Request
from channeld.hub.traced import TracedPromise
from channeld.later import Continuation, Pending, Promise
from channeld.plan.plan import Match, MessagePlan
from channeld.protocol.frames import Frame
from channeld.telemetry.tracing import Span, Tracing, attached, current

Rest: TypeAlias = Pending[None] | Continuation | None


class TracedReceiver(Receiver):
    """See Receiver."""

    __slots__ = ("_handshake", "_tracing")

    _handshake: tuple[int, int] | None

    def __init__(
        self,
        tracing: Tracing,
        engine: Surroundings,
        match: Match,
        request: Request,
        peer: Peer,
    ) -> None:
        super().__init__(engine, match, request, peer)
        self._tracing = tracing

    def open(self, now: float) -> Pending[None] | None:
        """See Receiver."""
        asked = self.request.headers.get("traceparent") if self.request is not None else None
        span = self._tracing.receive("handshake", asked, _about(self))
        self._handshake = None if span is None else (span.trace, span.id)
        rest = self._within(span, partial(super().open, now))
        return cast("Pending[None] | None", rest)

    def refuse(
        self,
        code: str,
        message: str,
        id: str | int | None = None,
        fields: Mapping[str, object] = NO_FIELDS,
    ) -> None:
        """See Session."""
        span = current.get()
        if span is not None:
            span.error = str(code)
        super().refuse(code, message, id, fields)

    def _receive_message(
        self, message: MessagePlan, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | Continuation | None:
        span = self._begin(message, frame)
        return self._within(span, partial(super()._receive_message, message, frame, id, now))

    def _take_steps(
        self, message: MessagePlan, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | None:
        span = self._begin(message, frame)
        rest = self._within(span, partial(super()._take_steps, message, frame, id, now))
        return cast("Pending[None] | None", rest)

    def _begin(self, message: MessagePlan, frame: Frame) -> Span | None:
        # The field is the protocol's own: it is neither validated nor routed.
        asked = frame.pop("traceparent", None)
        about = _about(self) | {"channeld.message": message.type}
        return self._tracing.receive(f"message {message.type}", asked, about, self._handshake)

    def _within(self, span: Span | None, take: Callable[[], Rest]) -> Rest:
        """What a call returns; its span ends when that is over, now or later."""
        if span is None:
            return take()
        with attached(span):
            rest = take()
        tracing = self._tracing
        if rest is None:
            tracing.end(span)
            return None
        if isinstance(rest, Continuation):
            promise = TracedPromise(rest.promise, tracing, span)
            return Continuation(cast("Promise", promise), rest.finish)
        return _TracedPending(rest, tracing, span)


def _about(session: Receiver) -> dict[str, str | int]:
    return {
        "channeld.channel": session.channel.name,
        "channeld.connection": session.connection_id,
    }


async def _finish(rest: Pending[None], tracing: Tracing, span: Span) -> None:
    try:
        with attached(span):
            await rest
    finally:
        tracing.end(span)


class _TracedPending(Pending[None]):
    __slots__ = ("_rest",)

    def __init__(self, rest: Pending[None], tracing: Tracing, span: Span) -> None:
        super().__init__(_finish(rest, tracing, span))
        self._rest = rest

    def close(self) -> None:
        self._rest.close()
        super().close()
