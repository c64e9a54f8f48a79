"""Statements of the wire protocol that no other test shows: see `docs/wire-tests.md`, the table of all of them."""

from typing import Any

import pytest

from channeld.broker.broker import BrokerUnavailable
from channeld.protocol.frames import Frame
from channeld.protocol.reserved import RESERVED, RESERVED_CLIENT
from channeld.testing import Client, NotReceived, TestApp
from tests.engine.conftest import Serve

ROOM = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: {join: "{params.id}", subscribe: {allow: ["side-*"]}}
    presence: true
    history: {size: 5, ttl: 60s}
    messages:
      say: {schema: {type: object, properties: {text: {type: string}}, additionalProperties: false}, route: room}
"""

PLAIN = """
  plain:
    path: /plain
    auth: none
    rooms: lobby
    limits: {messages: {limit: 1/s, burst: 3}}
    messages:
      say: {schema: true, route: room, rate: 2/m}
      tell: {schema: {type: object, propertyNames: {maxLength: 3}}, route: sender}
"""

CHANNEL_WIDE = """
  hall:
    path: /hall/{id}
    auth: session
    rooms: "{params.id}"
    presence: {scope: channel, grace: 0s}
"""


async def enter(app: TestApp, user: str, **options: Any) -> Client:
    """A connection whose first frames have been read."""
    client = await app.connect("/rooms/a", user=user, **options)
    await client.received()
    return client


@pytest.mark.parametrize("id", ["x", "y" * 64, 0, -7, 2**53])
@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        ({"type": "say"}, "ack"),
        ({"type": "say", "text": 5}, "error"),
        ({"type": "unknown"}, "error"),
        ({"type": "ping"}, "pong"),
        ({"type": "subscribe", "room": "side-1"}, "subscribed"),
        ({"type": "subscribe", "room": "elsewhere"}, "error"),
        ({"type": "subscribe"}, "error"),
        ({"type": "unsubscribe", "room": "a"}, "unsubscribed"),
        ({"type": "presence", "room": "a"}, "presence"),
        ({"type": "presence", "room": "a", "only": "count"}, "presence"),
        ({"type": "history", "room": "a"}, "history"),
        ({"type": "authenticate", "token": "bad"}, "error"),
    ],
)
async def test_every_answer_repeats_the_id(
    serve: Serve, frame: Frame, answer: str, id: str | int
) -> None:
    async with serve(ROOM) as app:
        ann = await enter(app, "ann")
        await ann.send({**frame, "id": id})
        assert [one["type"] for one in await ann.received() if one.get("id") == id] == [answer]


@pytest.mark.parametrize(
    "type",
    sorted(RESERVED - RESERVED_CLIENT),
)
async def test_a_client_may_not_say_what_servers_say(serve: Serve, type: str) -> None:
    async with serve(ROOM) as app:
        ann = await enter(app, "ann")
        await ann.send({"type": type})
        error = await ann.receive()
        assert (error["code"], "types" in error) == ("UNKNOWN_TYPE", False)


async def test_only_a_channel_with_history_tells_the_position_on_connecting(serve: Serve) -> None:
    async with serve(ROOM + PLAIN) as app:
        ann = await app.connect("/rooms/a", user="ann")
        assert (await ann.receive("subscribed")).keys() == {"type", "room", "pos"}
        assert await (await app.connect("/plain")).received() == []


async def test_subscribing_with_since_recovers_like_connecting_with_it(serve: Serve) -> None:
    async with serve(ROOM) as app:
        bob = await enter(app, "bob")
        await bob.send({"type": "subscribe", "room": "side-1", "id": 1})
        before = (await bob.receive("subscribed"))["pos"]
        await bob.send({"type": "unsubscribe", "room": "side-1"})
        for number in (1, 2):
            await app.publish("room", {"type": "told", "n": number}, room="side-1")
        await bob.received()
        await bob.send({"type": "subscribe", "room": "side-1", "since": before, "id": 2})
        subscribed, first, second, *_ = await bob.received()
        assert (subscribed["type"], subscribed["recovered"]) == ("subscribed", True)
        assert [first["n"], second["n"]] == [1, 2]
        assert before < first["pos"] < second["pos"] == subscribed["pos"]


async def test_without_history_nothing_is_recovered_and_that_is_said(serve: Serve) -> None:
    side = PLAIN.replace("rooms: lobby", 'rooms: {join: lobby, subscribe: {allow: ["*"]}}')
    async with serve(side) as app:
        client = await app.connect("/plain")
        await client.send({"type": "subscribe", "room": "side", "since": "anything"})
        assert await client.receive() == {"type": "subscribed", "room": "side", "recovered": False}


async def test_who_is_taken_out_of_a_room_is_told_so(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann, bob = await enter(app, "ann"), await enter(app, "bob")
        await app.engine.leave(ann.session.connection_id, "a", "moved on")
        frame = await ann.receive("unsubscribed")
        assert frame == {"type": "unsubscribed", "room": "a", "reason": "moved on"}
        await bob.send({"type": "say"})
        with pytest.raises(NotReceived):
            await ann.receive("say")


async def test_presence_of_a_channel_names_no_room(serve: Serve) -> None:
    async with serve(CHANNEL_WIDE) as app:
        ann = await app.connect("/hall/a", user="ann")
        await ann.received()
        bob = await app.connect("/hall/b", user="bob")
        assert await ann.receive("presence") == {
            "type": "presence", "event": "join", "user": "bob", "info": {},
        }  # fmt: skip
        await bob.close()
        assert await ann.receive("presence") == {
            "type": "presence",
            "event": "leave",
            "user": "bob",
            "info": {},
        }
        await ann.send({"type": "presence"})
        assert (await ann.receive()).keys() == {"type", "event", "users"}


async def test_who_is_kicked_is_told_and_does_not_come_back(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await enter(app, "ann")
        ann.session.disconnect(4410, "be gone", reconnect=False)
        assert await ann.receive() == {
            "type": "disconnect", "code": 4410, "reason": "be gone", "reconnect": False,
        }  # fmt: skip
        assert await ann.wait_closed() == (4410, "be gone")


async def test_both_rates_refuse_with_the_time_to_wait_and_the_connection_stays(
    serve: Serve,
) -> None:
    async with serve(PLAIN) as app:
        client = await app.connect("/plain")
        for _ in range(4):
            await client.send({"type": "say"})
        *said, own, all = await client.received()
        assert [frame["type"] for frame in said] == ["say", "say"]
        assert own["code"] == all["code"] == "RATE_LIMITED"
        assert (own["retry_after"] > 1, all["retry_after"] <= 1) == (True, True)
        await app.advance(all["retry_after"])
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


async def test_violations_are_at_most_ten_and_long_values_are_cut(serve: Serve) -> None:
    async with serve(PLAIN) as app:
        client = await app.connect("/plain")
        await client.send({"type": "tell", **{f"{'long' * 40}{number}": 1 for number in range(12)}})
        error = await client.receive()
        assert (error["code"], len(error["errors"])) == ("INVALID_MESSAGE", 10)
        assert all(set(one) == {"path", "message", "keyword"} for one in error["errors"])
        assert all("long" * 17 not in one["message"] for one in error["errors"])


class _Away:
    """A broker that does what the other does, but for what it should not reach anybody with."""

    def __init__(self, broker: object) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def publish(self, *_args: object, **_options: object) -> None:
        raise BrokerUnavailable(2.5)

    subscribe = publish


async def test_while_the_broker_is_away_messages_are_refused_and_the_connection_stays(
    serve: Serve,
) -> None:
    async with serve(ROOM) as app:
        ann = await enter(app, "ann")
        here, app.engine.hub.broker = app.engine.hub.broker, _Away(app.engine.hub.broker)
        await ann.send({"type": "say", "id": 1})
        error = await ann.receive()
        assert (error["code"], error["id"], error["retry_after"]) == ("UNAVAILABLE", 1, 2.5)
        app.engine.hub.broker = here
        await ann.send({"type": "say", "id": 2})
        assert [frame["type"] for frame in await ann.received()] == ["say", "ack"]


class _Silent(_Away):
    """It is asked, and does not answer the second time."""

    times = 0

    def publish(self, *args: object, **_options: object) -> None:
        self.times += 1
        if self.times % 2 == 0:
            raise BrokerUnavailable(1.0, is_unknown=self.times == 2)
        self._broker.publish(*args)  # type: ignore[attr-defined]


async def test_a_message_that_may_have_been_routed_is_said_so(serve: Serve) -> None:
    async with serve(ROOM.replace("route: room", "route: [room, global]")) as app:
        ann = await enter(app, "ann")
        app.engine.hub.broker = _Silent(app.engine.hub.broker)
        for id in (1, 2):
            await ann.send({"type": "say", "id": id})
            error = await ann.receive("error")
            assert (error["code"], error["id"], error["outcome"]) == ("UNAVAILABLE", id, "unknown")


async def test_who_connects_while_the_broker_is_away_is_sent_away_with_1013(serve: Serve) -> None:
    async with serve(ROOM) as app:
        app.engine.hub.broker = _Away(app.engine.hub.broker)
        ann = await app.connect("/rooms/a", user="ann")
        error = await ann.receive("error")
        assert (error["code"], error["retry_after"]) == ("UNAVAILABLE", 2.5)
        assert (await ann.wait_closed())[0] == 1013


async def test_acknowledged_means_kept(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await enter(app, "ann")
        await ann.send({"type": "say", "text": "one", "id": 1})
        said, ack = await ann.received()
        assert (said["type"], ack) == ("say", {"type": "ack", "id": 1})
        await ann.send({"type": "history"})
        assert (await ann.receive())["frames"] == [said]


async def test_all_members_see_one_order_which_is_that_of_positions(serve: Serve) -> None:
    async with serve(ROOM) as app:
        clients = [await enter(app, user) for user in ("ann", "bob", "eve")]
        for client in clients:
            await client.received()
        for number in range(12):
            await clients[number % 3].send({"type": "say", "text": str(number)})
        heard = [[f for f in await client.received() if f["type"] == "say"] for client in clients]
        assert heard[0] == heard[1] == heard[2]
        assert [frame["text"] for frame in heard[0]] == [str(number) for number in range(12)]
        positions = [frame["pos"] for frame in heard[0]]
        assert positions == sorted(set(positions))


async def test_a_channel_named_room_is_other_rooms(serve: Serve) -> None:
    async with serve(
        ROOM + ROOM.replace("room:", "other:", 1).replace("/rooms/", "/others/")
    ) as app:
        ann = await enter(app, "ann")
        eve = await app.connect("/others/a", user="eve")
        await eve.received()
        await ann.send({"type": "say"})
        assert await eve.received() == []
        assert [frame["type"] for frame in await ann.received()] == ["say"]
