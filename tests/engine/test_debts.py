"""What a connection has used up of its limits follows the client, on one node and over nodes."""

import pytest

from channeld.testing import Client, TestApp
from tests.engine.conftest import Serve, share

LIMITS = """
  room:
    path: /rooms/{id}
    auth: {use: session, optional: true}
    limits: {messages: 100/s, errors: 2/m}
    messages: {say: {schema: true, route: sender}}
broker: valkey
"""
USER = "\0room\0uann"


async def flood(app: TestApp, client: Client, seconds: float) -> int | None:
    """Send 2,000 messages a second; the code that the client was closed with, None: it was not."""
    for _ in range(round(seconds * 10)):
        for _ in range(200):
            await client.send({"type": "say"})
        await app.advance(0.1)
        await client.received()
        if client.closed is not None:
            return client.closed[0]
    return None


async def test_who_was_closed_for_a_flood_has_a_second_for_the_next(serve: Serve) -> None:
    async with serve(LIMITS) as app:
        assert await flood(app, await app.connect("/rooms/a", user="ann"), 11) == 4429
        assert await flood(app, await app.connect("/rooms/a", user="ann"), 1.5) == 4429
        assert await flood(app, await app.connect("/rooms/a", user="bob"), 1.5) is None


async def test_leaving_before_the_close_gains_nothing(serve: Serve) -> None:
    async with serve(LIMITS) as app:
        for closed in (None, None, 4429):
            client = await app.connect("/rooms/a", address="1")
            assert await flood(app, client, 4) == closed
            await client.close()


async def test_a_flood_is_forgiven_in_time(serve: Serve) -> None:
    async with serve(LIMITS) as app:
        await flood(app, await app.connect("/rooms/a", user="ann"), 11)
        await app.advance(15)
        assert await flood(app, await app.connect("/rooms/a", user="ann"), 9) is None


async def test_limits_and_floods_follow_to_another_node(serve: Serve) -> None:
    async with serve(LIMITS) as app:
        shared = share(app)
        client = await app.connect("/rooms/a", user="ann")
        await client.send({"type": "unheard-of"})
        assert await flood(app, client, 11) == 4429
        await client.close()
        assert shared.debts[USER].keys() == {"messages", "errors", "flood"}
        left = shared.debts[USER]
        assert left["flood"] > 9
        # Nothing of it is left on this node, so it comes from there.
        assert len(app.engine.budgets) == 0
        again = await app.connect("/rooms/a", user="ann")
        assert await flood(app, again, 1.5) == 4429


async def test_a_client_that_used_up_nothing_leaves_nothing(serve: Serve) -> None:
    async with serve(LIMITS) as app:
        shared = share(app)
        client = await app.connect("/rooms/a", user="ann")
        await client.send({"type": "say"})
        await app.advance(1)
        await client.close()
        assert (shared.redeemed, shared.debts) == ([USER], {})


async def test_a_debt_that_comes_after_the_end_is_left_to_the_next(serve: Serve) -> None:
    async with serve(LIMITS) as app:
        shared = share(app)
        shared.debts[USER] = {"messages": 5.0}
        shared.is_late = True
        client = await app.connect("/rooms/a", user="ann")
        await app.advance(0)
        await client.close()
        assert shared.debts == {}
        shared.late.pop()()
        assert shared.debts == {USER: {"messages": pytest.approx(5.0)}}


async def test_without_the_broker_it_stays_on_the_node(serve: Serve) -> None:
    async with serve(LIMITS) as app:
        shared = share(app)
        shared.is_away = True
        client = await app.connect("/rooms/a", user="ann")
        for _ in range(200):
            await client.send({"type": "say"})
        await client.close()
        again = await app.connect("/rooms/a", user="ann")
        await again.received()
        await again.send({"type": "say"})
        await again.send({"type": "say"})
        assert "RATE_LIMITED" in [frame.get("code") for frame in await again.received()]
        assert shared.debts == {}
