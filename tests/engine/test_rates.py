"""Rates of message types: who shares them, what is answered, what outlives a connection."""

import pytest

from channeld.testing import TestApp
from tests.engine.conftest import Serve

CHANNEL = """
  c:
    path: /c/{room}
    auth: {use: session, optional: true}
    rooms: "{params.room}"
    messages:
      say: {schema: {required: [n]}, route: sender, rate: RATE}
      shout: {schema: true, route: room, rate: RATE}
"""


def channel(rate: str) -> str:
    return CHANNEL.replace("RATE", rate)


async def fates(app: TestApp, *users: str | None, room: str = "a", address: str = "1") -> list[str]:
    """What becomes of one `say` from a new connection of each user, in their order."""
    found = []
    for user in users:
        client = await app.connect(f"/c/{room}", user=user, address=address)
        found.append(await fate(client))
    return found


async def fate(client: object, type: str = "say") -> str:
    await client.send({"type": type, "n": 1, "id": 1})  # type: ignore[attr-defined]
    answers = [f for f in await client.received() if f["type"] in ("ack", "error")]  # type: ignore[attr-defined]
    (answer,) = answers
    if answer["type"] == "error":
        return str(answer["code"])
    return next((k for k in ("dropped", "held", "repeated") if answer.get(k)), "ack")


async def test_a_user_s_connections_share_one_allowance(serve: Serve) -> None:
    async with serve(channel("{limit: 2/s}")) as app:
        assert await fates(app, "ann", "ann", "ann", "bob") == ["ack", "ack", "RATE_LIMITED", "ack"]
        await app.advance(0.5)
        assert await fates(app, "ann") == ["ack"]


async def test_anonymous_connections_share_none_while_they_last(serve: Serve) -> None:
    async with serve(channel("{limit: 1/s}")) as app:
        assert await fates(app, None, None) == ["ack", "ack"]


async def test_the_next_connection_of_an_address_takes_over_what_was_used(serve: Serve) -> None:
    async with serve(channel("{limit: 1/s}")) as app:
        first = await app.connect("/c/a", address="1")
        assert await fate(first) == "ack"
        await first.close()
        assert await fates(app, None) == ["RATE_LIMITED"]
        assert await fates(app, None, address="2") == ["ack"]


async def test_per_connection_takes_over_from_the_user(serve: Serve) -> None:
    async with serve(channel("{limit: 1/s, per: connection}")) as app:
        first = await app.connect("/c/a", user="ann")
        assert await fate(first) == "ack"
        assert await fates(app, "ann") == ["ack"]
        await first.close()
        assert await fates(app, "ann", "ann") == ["RATE_LIMITED", "ack"]


async def test_per_address(serve: Serve) -> None:
    async with serve(channel("{limit: 1/s, per: address}")) as app:
        assert await fates(app, "ann", "bob", None) == ["ack", "RATE_LIMITED", "RATE_LIMITED"]
        assert await fates(app, "ann", address="2") == ["ack"]


async def test_per_room(serve: Serve) -> None:
    text = channel("{limit: 1/s}").replace(
        "route: room, rate: {limit: 1/s}", "route: room, rate: {limit: 1/s, per: room}"
    )
    async with serve(text) as app:
        ann, bob = [await app.connect("/c/a", user=user) for user in ("ann", "bob")]
        assert await fate(ann, "shout") == "ack"
        assert await fate(bob, "shout") == "RATE_LIMITED"
        elsewhere = await app.connect("/c/b", user="ann")
        assert await fate(elsewhere, "shout") == "ack"


async def test_over_drop_says_so(serve: Serve) -> None:
    async with serve(channel("{limit: 1/s, over: drop}")) as app:
        assert await fates(app, "ann", "ann") == ["ack", "dropped"]
        client = await app.connect("/c/a", user="ann")
        await client.send({"type": "say", "n": 1})
        assert [frame["type"] for frame in await client.received()] == ["authenticated"]


async def test_a_rate_comes_before_the_schema(serve: Serve) -> None:
    async with serve(channel("{limit: 1/s}")) as app:
        client = await app.connect("/c/a", user="ann")
        await client.send({"type": "say"})
        await client.send({"type": "say"})
        codes = [frame.get("code") for frame in await client.received()]
        assert codes[-2:] == ["INVALID_MESSAGE", "RATE_LIMITED"]


@pytest.mark.parametrize("rate", ["{limit: 1/s}", "{limit: 1/s, over: drop}"])
async def test_fates_are_counted(serve: Serve, rate: str) -> None:
    async with serve(channel(rate)) as app:
        await fates(app, "ann", "ann")
        counters = app.engine.plan.channels["c"].messages["say"].counters
        assert (counters.accepted, counters.rate_limited + counters.dropped) == (1, 1)
