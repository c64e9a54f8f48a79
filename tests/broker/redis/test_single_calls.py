from collections.abc import Callable
from typing import Any

import pytest
import trio

from channeld.broker.broker import BrokerUnavailable, Bucket, Topic
from channeld.broker.once import Once
from channeld.broker.redis.broker import RedisBroker

ROOM = Topic("room", "lobby", "general")
MakeServer = Callable[[str], Any]


async def test_while_redis_is_away_nothing_is_asked(new_node: Any) -> None:
    broker: RedisBroker = new_node("unix:///nowhere/s").broker
    once = Once("ann", "k", 60.0)
    asks: list[Callable[[], object]] = [
        lambda: broker.spend(Bucket("k", 1.0, 0.0)),
        lambda: broker.is_taken(once),
        lambda: broker.take(once),
        lambda: broker.clear(ROOM),
        lambda: broker.count(ROOM),
    ]
    for ask in asks:
        with pytest.raises(BrokerUnavailable):
            ask()
    assert broker.clear(ROOM, []) == 0


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_an_allowance_is_one_over_all_nodes(
    kind: str, make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server(kind)
    one, two = await two_nodes(server.url)
    bucket = Bucket("user\0ann\0é", 3600.0, 2 * 3600.0)
    waits = [await node.broker.spend(bucket) for node in (one, two, one, two)]
    assert waits[:3] == [0, 0, 0]
    assert 3500 < waits[3] <= 3600
    assert await two.broker.spend(Bucket("user\0bob", 3600.0, 0.0)) == 0
    kept = (await server.command("KEYS", "*:r:*")).decode()
    assert "ann" not in kept
    names = [line for line in kept.splitlines() if ":r:" in line]
    lives = [int((await server.command("TTL", name))[1:]) for name in names]
    assert sorted(round(life / 3600) for life in lives) == [1, 3]


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_an_allowance_fills_and_is_forgotten(
    kind: str, make_server: MakeServer, one_node: Any
) -> None:
    server = make_server(kind)
    node = await one_node(server.url)
    assert await node.broker.spend(Bucket("k", 0.05, 0.0)) == 0
    with trio.fail_after(60):
        while b":r:" in await server.command("KEYS", "*"):
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert await node.broker.spend(Bucket("k", 0.05, 0.0)) == 0


async def test_no_more_than_the_allowance_goes_however_many_ask(
    shared_servers: MakeServer, two_nodes: Any
) -> None:
    nodes = await two_nodes(shared_servers("valkey").url, 3)
    bucket = Bucket("busy", 3600.0, 9 * 3600.0)
    answers = [node.broker.spend(bucket) for _ in range(20) for node in nodes]
    assert sum([await answer == 0 for answer in answers]) == 10


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_a_debt_is_taken_over_once_the_largest_first(
    kind: str, make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server(kind)
    one, two = await two_nodes(server.url)
    for left in (600.0, 3600.0, 1200.0):
        await one.broker.owe("c\0a1", {"say": left, "hum": 1.0})
    found = [await two.broker.redeem("c\0a1") for _ in range(4)]
    assert [debt and round(debt["say"], -2) for debt in found] == [3600, 1200, 600, {}]
    assert await two.broker.redeem("c\0a2") == {}
    await one.broker.owe("c\0a2", {"say": 0.01})
    with trio.fail_after(60):
        while b":r:" in await server.command("KEYS", "*"):
            await trio.testing.wait_all_tasks_blocked(0.01)


async def test_an_account_has_so_many_debts_at_most(
    shared_servers: MakeServer, one_node: Any
) -> None:
    node = await one_node(shared_servers("valkey").url)
    for number in range(120):
        await node.broker.owe("c\0a1", {"say": 1000.0 * number})
    found = [await node.broker.redeem("c\0a1") for _ in range(101)]
    assert found[100] == {}
    assert round(found[99]["say"], -3) == 20_000
