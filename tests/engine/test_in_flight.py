"""Messages in flight: published side by side, answered one after the other."""

from collections.abc import Callable
from typing import Any

import pytest
from trio.testing import MockClock

from channeld.broker.broker import BrokerUnavailable
from channeld.engine.in_flight import MOST
from channeld.testing import Client, TestApp
from tests.engine.conftest import Serve

CHANNELS = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    messages:
      say: {schema: {type: object, properties: {n: {type: integer}}, additionalProperties: false}, route: room}
      both: {schema: true, route: [room, sender]}
"""


class LatePromise:
    """The broker's answer, given when the test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[Exception | None], object]] = []

    def then(self, call: Callable[[Exception | None], object]) -> None:
        self.calls.append(call)

    def keep(self, error: Exception | None = None) -> None:
        for call in self.calls:
            call(error)

    def __await__(self) -> Any:
        raise AssertionError("nobody has to wait for it")


class LateBroker:
    """Notes what is published; nothing is answered by itself."""

    def __init__(self, app: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
        self.promises: list[LatePromise] = []
        monkeypatch.setattr(app.engine.hub.broker, "publish", self.publish)

    def publish(self, *_arguments: Any) -> LatePromise:
        self.promises.append(LatePromise())
        return self.promises[-1]


async def say(client: Client, *numbers: object) -> None:
    for number in numbers:
        await client.send({"type": "say", "n": number, "id": number})


async def answers(client: Client) -> list[tuple[object, object]]:
    return [(frame["type"], frame.get("id")) for frame in await client.received()]


async def test_messages_in_a_row_are_published_at_once_and_acknowledged_in_order(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        broker = LateBroker(app, monkeypatch)
        await say(client, 1, 2, 3)
        assert len(broker.promises) == 3
        broker.promises[2].keep()
        broker.promises[1].keep(BrokerUnavailable(2.0))
        assert await answers(client) == []
        broker.promises[0].keep()
        assert await answers(client) == [("ack", 1), ("error", 2), ("ack", 3)]
        counters = app.plan.channels["room"].messages["say"].counters
        assert counters.accepted == 2


async def test_a_refusal_is_told_in_its_turn(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        broker = LateBroker(app, monkeypatch)
        await say(client, 1, "two", 3)
        await client.send_raw("no JSON")
        broker.promises[1].keep()
        assert await answers(client) == []
        broker.promises[0].keep()
        assert await answers(client) == [("ack", 1), ("error", "two"), ("ack", 3), ("error", None)]


@pytest.mark.parametrize("frame", [{"type": "ping"}, {"type": "nope"}, {"type": "both"}])
async def test_what_needs_more_than_to_be_published_waits_for_those_before_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, frame: dict[str, Any]
) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        broker = LateBroker(app, monkeypatch)
        await say(client, 1, 2)
        await client.send({**frame, "id": 3})
        await say(client, 4)
        await app.rest()
        assert len(broker.promises) == 2
        monkeypatch.undo()
        for promise in broker.promises:
            promise.keep()
        found = await answers(client)
        assert [id for type, id in found if id is not None] == [1, 2, 3, 4]


async def test_so_many_are_in_flight_at_most(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        broker = LateBroker(app, monkeypatch)
        await say(client, *range(MOST + 2))
        await app.rest()
        assert len(broker.promises) == MOST
        for promise in broker.promises[:]:
            promise.keep()
        await app.rest()
        assert len(broker.promises) == MOST + 2


async def test_who_is_put_into_a_room_is_told_so_before_answers_that_are_to_come(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(CHANNELS.replace('"{params.id}"', '"{params.id}"\n    presence: true')) as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        broker = LateBroker(app, monkeypatch)
        await say(client, 1)
        await app.server.subscribe("ann", "room", "b")
        await app.server.unsubscribe("ann", "room", "b")
        told = [type for type, _ in await answers(client)]
        assert told == ["subscribed", "presence", "unsubscribed"]
        broker.promises[0].keep()
        assert ("ack", 1) in await answers(client)


async def test_who_is_gone_was_answered_to_the_end_before_it_is_forgotten(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/rooms/a", user="ann")
        session = client.session
        broker = LateBroker(app, monkeypatch)
        await say(client, 1)
        settled = session.settled()
        assert settled is not None
        settled.close()
        pending = session.closed(1000, "", 0.0)
        assert pending is not None
        app.runtime.spawn(pending)
        await app.rest()
        assert (app.engine.leaving, len(session.rooms)) == (1, 1)
        broker.promises[0].keep()
        await app.rest()
        assert (app.engine.leaving, len(session.rooms)) == (0, 0)
        assert session.settled() is None


async def test_who_is_sent_away_has_all_answers_before_the_goodbye(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        broker = LateBroker(app, monkeypatch)
        await say(client, 1, 2)
        app.engine.drain(4.0)
        # Nothing more is read.
        await say(client, 3)
        assert await answers(client) == []
        assert len(broker.promises) == 2
        broker.promises[0].keep()
        broker.promises[1].keep(BrokerUnavailable(2.0))
        assert await answers(client) == [("ack", 1), ("error", 2), ("disconnect", None)]
        assert client.closed is not None


async def test_a_goodbye_waits_for_answers_no_longer_than_there_is_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with serve(CHANNELS) as app:
        clients = [await app.connect("/rooms/a", user=user) for user in ("ann", "bob")]
        for client in clients:
            await client.received()
        broker = LateBroker(app, monkeypatch)
        for client in clients:
            await say(client, 1)
        clients[1].session.retire()
        await app.advance(0.9)
        assert await answers(clients[1]) == []
        await app.advance(0.2)
        assert await answers(clients[1]) == [("disconnect", None)]
        app.engine.drain(0.5)
        await app.advance(0.3)
        assert await answers(clients[0]) == [("disconnect", None)]
        # What comes too late is for nobody.
        broker.promises[0].keep()
        await app.rest()
