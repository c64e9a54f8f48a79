from collections.abc import Generator
from typing import Any

import pytest

from channeld.broker.broker import BrokerUnavailable, Delivered, Publication, Topic
from channeld.broker.publish_options import PublishOptions
from channeld.hub.hub import Hub
from channeld.hub.traced import TracedHub, TracedPromise
from channeld.later import run_sync
from channeld.telemetry.tracing import Span, Tracing, attached
from channeld.timers import Timers
from tests.hub.kit import FakeMember, HandClock, Kit, room


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
    return TracedHub(
        tracing,
        lambda _deliver: hub.broker,
        hub._fanout,
        HandClock(),
        Timers(),
        lambda _waits: None,
    )


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


async def test_one_that_succeeds_ends_its_span_and_gives_its_result() -> None:
    async def answers() -> int:
        return 7

    spans: list[Span] = []
    tracing = made(spans)
    span = tracing.receive("publish", None, {})
    assert span is not None
    result: object = await TracedPromise(answers(), tracing, span)
    assert (result, spans, span.error) == (7, [span], "")


def test_a_publication_that_is_refused_at_once_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BrokerUnavailable

    spans: list[Span] = []
    tracing = made(spans)
    hub = traced(Kit(), tracing)
    monkeypatch.setattr(hub.broker, "publish", refuse)
    with attached(tracing.receive("message say", None, {})), pytest.raises(BrokerUnavailable):
        hub.publish(room("x"), b"{}")
    assert [(span.name, span.error) for span in spans] == [("publish", "BrokerUnavailable")]


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
    bob = joined(hub, "bob")
    delivered: Delivered = Publication(b'{"type":"hi"}')
    hub.deliver(room("x"), delivered)
    assert (spans, bob.peer.take()) == ([], [{"type": "hi"}])


def delivered_by(hub: TracedHub) -> Publication:
    """What comes back of a publication, as all nodes get it."""
    taken: list[Publication] = []
    hub.broker.publish = lambda _topic, payload, options: taken.append(  # type: ignore[method-assign, misc, assignment]
        Publication(payload, None, options.skip)
    )
    with attached(hub.tracing.receive("message say", None, {})):
        hub.publish(room("x"), b'{"type":"hi"}', PublishOptions(skip="ann"))
    return taken[0]


def joined(hub: Hub, name: str) -> FakeMember:
    member = FakeMember(name, name)
    run_sync(hub.attach(member, "room"))
    run_sync(hub.join(member, room("x")))
    return member


def test_a_delivery_on_another_node_is_a_part_of_the_publication() -> None:
    here: list[Span] = []
    there: list[Span] = []
    kit = Kit()
    hub = traced(kit, made(there))
    ann, bob = joined(hub, "ann"), joined(hub, "bob")
    hub.deliver(room("x"), delivered_by(traced(Kit(), made(here))))
    [publish], [deliver] = here, there
    assert (deliver.trace, deliver.parent) == (publish.trace, publish.id)
    assert (deliver.name, deliver.kind) == ("deliver", "consumer")
    assert (ann.peer.take(), bob.peer.take()) == ([], [{"type": "hi"}])


def test_a_delivery_counts_the_recipients_of_its_own() -> None:
    spans: list[Span] = []
    hub = traced(Kit(), made(spans))
    joined(hub, "bob")
    for _ in range(2):
        hub.deliver(room("x"), delivered_by(traced(Kit(), made([]))))
    assert [span.attributes["channeld.recipients"] for span in spans] == [1, 1]


def test_a_node_without_tracing_delivers_what_a_traced_one_published() -> None:
    kit = Kit()
    bob = joined(kit.hub, "bob")
    kit.hub.deliver(room("x"), delivered_by(traced(Kit(), made([]))))
    assert bob.peer.take() == [{"type": "hi"}]


def test_nonsense_behind_the_connection_makes_no_span() -> None:
    spans: list[Span] = []
    hub = traced(Kit(), made(spans))
    hub.deliver(room("x"), Publication(b"{}", None, "ann 00-nonsense"))
    assert spans == []


def test_what_nodes_tell_each_other_has_no_span() -> None:
    spans: list[Span] = []
    tracing = made(spans)
    with attached(tracing.receive("message say", None, {})):
        traced(Kit(), tracing).publish(Topic("node", "", "*"), b"{}")
    assert spans == []
