from collections.abc import Generator
from typing import Any

import pytest

from channeld.broker.broker import BrokerUnavailable, Delivered, Publication
from channeld.hub.traced import MOST, TracedHub, TracedPromise
from channeld.later import run_sync
from channeld.telemetry.tracing import Span, Tracing, attached
from channeld.timers import Timers
from tests.hub.kit import HandClock, Kit, room


class Promised:
    """An answer on its way, as a broker on the network gives it."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def then(self, call: object) -> None:
        self.calls.append(call)

    def __await__(self) -> Generator[Any, Any, Any]:
        return fails().__await__()


async def fails() -> None:
    raise BrokerUnavailable


def made(spans: list[Span]) -> Tracing:
    numbers = iter(range(1, 100_000))
    return Tracing(spans.append, now=lambda: 0, random_bits=lambda _bits: next(numbers))


def traced(kit: Kit, tracing: Tracing) -> TracedHub:
    hub = kit.hub
    made_hub = TracedHub(
        lambda _deliver: hub.broker,
        hub._fanout,
        HandClock(),
        Timers(),
        lambda _waits: None,
    )
    made_hub.trace(tracing)
    return made_hub


def test_a_publication_that_waits_ends_its_span_with_its_answer() -> None:
    spans: list[Span] = []
    tracing = made(spans)
    promise = Promised()
    span = tracing.receive("publish", None, {})
    assert span is not None
    later = TracedPromise(promise, tracing, span)
    answers: list[object] = []
    then: Any = later.then
    then(answers.append)
    assert spans == []
    promise.calls[0](None)  # type: ignore[operator]
    assert (spans, answers) == ([span], [None])


async def test_one_that_fails_says_how() -> None:
    spans: list[Span] = []
    tracing = made(spans)
    span = tracing.receive("publish", None, {})
    assert span is not None
    with pytest.raises(BrokerUnavailable):
        await TracedPromise(Promised(), tracing, span)
    assert spans[0].error == "BrokerUnavailable"


def test_what_only_waits_is_no_promise() -> None:
    async def waits() -> None:
        pass

    coroutine = waits()
    span = made([]).receive("publish", None, {})
    assert span is not None
    assert not hasattr(TracedPromise(coroutine, made([]), span), "then")
    run_sync(coroutine)


def test_what_was_published_elsewhere_is_delivered_without_a_span() -> None:
    spans: list[Span] = []
    hub = traced(Kit(), made(spans))
    delivered: Delivered = Publication(b'{"type":"hi"}')
    hub.deliver(room("x"), delivered)
    assert spans == []


def test_a_delivery_that_never_comes_is_forgotten() -> None:
    tracing = made([])
    hub = traced(Kit(), tracing)
    hub.broker.publish = lambda *_: Promised()  # type: ignore[method-assign]
    with attached(tracing.receive("message say", None, {})):
        for number in range(MOST + 10):
            hub.publish(room("x"), b"%d" % number)
    assert len(hub._sent) == MOST
