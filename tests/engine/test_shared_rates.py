"""Rates that nodes share: the broker is asked, and each node counts alone while it is away."""

from typing import Any

import pytest

from channeld.broker.broker import BrokerUnavailable
from tests.engine.conftest import Serve, share

CHANNEL = """
  c:
    path: /c/{room}
    auth: {use: session, optional: true}
    rooms: "{params.room}"
    messages:
      say: {schema: {required: [n]}, route: sender, rate: {limit: 2/m}}
      shout: {schema: true, route: room, rate: {limit: 2/m, per: room, over: drop}}
      call: {schema: true, route: room, rate: {limit: 2/m, per: address}}
      hum: {schema: true, route: room, rate: {limit: 2/m, per: connection}}
      move: {schema: true, route: room, rate: {limit: 1/m, over: latest}}
broker: valkey
"""


async def fate(client: Any, type: str, **fields: object) -> str:
    await client.send({"type": type, "n": 1, "id": 1} | fields)
    (answer,) = [f for f in await client.received() if f["type"] in ("ack", "error")]
    fates = [fate for fate in ("dropped", "held") if answer.get(fate)]
    return fates[0] if fates else str(answer.get("code", "ack"))


async def test_it_is_asked_for_those_who_share(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        shared = share(app)
        client = await app.connect("/c/a", user="ann", address="1")
        for type in ("say", "shout", "call", "hum"):
            assert await fate(client, type) == "ack"
        assert [one.key.split("\0") for one in shared.asked] == [
            ["user", "c", "say", "ann"],
            ["room", "c", "shout", "a"],
            ["address", "c", "call", "1"],
        ]
        assert (shared.asked[0].interval, shared.asked[0].slack) == (30.0, 30.0)


async def test_nobody_shares_with_an_anonymous_connection(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        shared = share(app, 9.0)
        client = await app.connect("/c/a")
        assert [await fate(client, "say") for _ in range(3)] == ["ack", "ack", "RATE_LIMITED"]
        assert shared.asked == []


async def test_what_a_connection_used_up_follows_it_to_another_node(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        shared = share(app)
        first = await app.connect("/c/a", address="1")
        assert [await fate(first, "say") for _ in range(2)] == ["ack"] * 2
        await first.close()
        assert shared.debts["c\0a1"] == {"say": pytest.approx(60.0)}
        # Here nothing of it is left, so it comes from there.
        next_one = await app.connect("/c/a", address="1")
        assert await fate(next_one, "say") == "RATE_LIMITED"
        other = await app.connect("/c/a", address="2")
        assert [await fate(other, "say") for _ in range(2)] == ["ack"] * 2
        assert shared.redeemed == ["\0c\0a1", "c\0a1"] * 2 + ["\0c\0a2", "c\0a2"]


async def test_a_users_connection_leaves_its_own_rates(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        shared = share(app)
        for fates in (["ack"] * 2, ["RATE_LIMITED"]):
            client = await app.connect("/c/a", user="ann")
            assert [await fate(client, "hum") for _ in fates] == fates
            await client.close()
        assert shared.redeemed == ["\0c\0uann", "c\0uann"] * 2


async def test_what_cannot_be_left_there_stays_here(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        shared = share(app)
        shared.is_away = True
        for fates in (["ack"] * 2, ["RATE_LIMITED"]):
            client = await app.connect("/c/a", address="1")
            assert [await fate(client, "say") for _ in fates] == fates
            await client.close()
        assert shared.debts == {}


async def test_what_it_refuses_is_not_asked_again_before_its_time(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        shared = share(app, 5.0)
        client = await app.connect("/c/a", user="ann")
        await client.send({"type": "say", "n": 1})
        assert (await client.receive("error"))["retry_after"] == 5.0
        await app.advance(2)
        await client.send({"type": "say", "n": 1})
        assert (await client.receive("error"))["retry_after"] == 3.0
        assert len(shared.asked) == 1
        await app.advance(3)
        assert await fate(client, "say") == "ack"
        assert len(shared.asked) == 2


async def test_a_rate_is_asked_before_the_schema(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        shared = share(app)
        client = await app.connect("/c/a", user="ann")
        await client.send({"type": "say"})
        assert (await client.receive("error"))["code"] == "INVALID_MESSAGE"
        assert len(shared.asked) == 1


async def test_over_drop_and_latest(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        share(app, 5.0, 7.0)
        client, other = await app.connect("/c/a", user="ann"), await app.connect("/c/a")
        assert await fate(client, "shout") == "dropped"
        assert [await fate(client, "move", n=n) for n in (1, 2)] == ["held", "held"]
        await app.advance(6.9)
        assert await other.received() == []
        await app.advance(0.2)
        assert [f["n"] for f in await other.received()] == [2]


async def test_what_is_held_waits_until_the_nodes_have_one_left(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        shared = share(app, 5.0, 5.0)
        client, other = await app.connect("/c/a", user="ann"), await app.connect("/c/a")
        await fate(client, "move", n=1)
        await app.advance(5.1)
        assert len(shared.asked) == 2
        await fate(client, "move", n=2)
        assert await other.received() == []
        await app.advance(5.1)
        assert [f["n"] for f in await other.received()] == [2]


async def test_while_it_is_away_each_node_counts_alone(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        share(app, *[BrokerUnavailable() for _ in range(3)])
        client = await app.connect("/c/a", user="ann")
        assert [await fate(client, "say") for _ in range(4)] == [
            "ack",
            "ack",
            "RATE_LIMITED",
            "ack",
        ]


async def test_with_one_process_nobody_is_asked(serve: Serve) -> None:
    async with serve(CHANNEL.replace("broker: valkey", "")) as app:
        shared = share(app, 9.0)
        client = await app.connect("/c/a", user="ann")
        assert await fate(client, "say") == "ack"
        assert shared.asked == []
