from collections.abc import Callable
from typing import Any

import pytest
import trio

from channeld.broker.broker import BrokerUnavailable, Bucket, History, Topic
from channeld.broker.redis import broker

ROOM = Topic("room", "lobby", "general")
MakeServer = Callable[[str], Any]


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_nothing_of_a_history_stays_for_ever(
    kind: str, make_server: MakeServer, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "TOPS_OUTLIVE", 0)
    server = make_server(kind)
    node = await one_node(server.url)
    await node.broker.publish(ROOM, b"1", History(size=5, ttl=0.05))
    await node.broker.since(Topic("room", "lobby", "looked at"), None, History(size=5, ttl=0.05))
    with trio.fail_after(5):
        while b":h:" in (keys := await server.command("KEYS", "*")) or b":m:" in keys:
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert b":state" in keys


async def test_a_top_that_is_forgotten_is_another_epoch(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    keep = History(size=5, ttl=60.0)
    before = await node.broker.publish(ROOM, b"1", keep)
    await server.command("DEL", node.broker._names.history(ROOM)[1])
    after = await node.broker.publish(ROOM, b"2", keep)
    assert after.epoch != before.epoch
    page = await node.broker.before(ROOM, None, 5, keep)
    assert [kept.payload for kept in page.frames] == [b"2"]
    assert not (await node.broker.since(ROOM, before, keep)).recovered


async def test_an_evicted_list_is_a_gap(make_server: MakeServer, one_node: Any) -> None:
    server = make_server("redis")
    node = await one_node(server.url)
    keep = History(size=5, ttl=60.0)
    first = await node.broker.publish(ROOM, b"1", keep)
    await node.broker.publish(ROOM, b"2", keep)
    await server.command("DEL", node.broker._names.history(ROOM)[0])
    assert not (await node.broker.since(ROOM, first, keep)).recovered


async def test_offsets_beyond_32_bits_travel(make_server: MakeServer, one_node: Any) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    keep = History(size=5, ttl=60.0)
    await node.broker.publish(ROOM, b"1", keep)
    await server.command("HSET", node.broker._names.history(ROOM)[1], "o", str(2**40))
    await node.broker.subscribe(ROOM)
    position = await node.broker.publish(ROOM, b"2", keep)
    await node.until(lambda: bool(node.delivered))
    assert position.offset == 2**40 + 1
    assert node.delivered[0][1].position == position


async def test_somebody_elses_data_under_our_keys_is_unavailable(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    await server.command("SET", node.broker._names.history(ROOM)[1], "not a hash")
    with pytest.raises(BrokerUnavailable):
        await node.broker.publish(ROOM, b"1", History(size=5, ttl=60.0))
    assert await node.broker.publish(ROOM, b"1") is None
    assert node.broker.healthy


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_an_allowance_is_one_over_all_nodes(
    kind: str, make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server(kind)
    one, two = await two_nodes(server.url)
    bucket = Bucket("user\0ann\0é", 3600.0, 2 * 3600.0)
    waits = [await node.broker.spend(bucket) for node in (one, two, one, two)]
    assert waits[:3] == [0, 0, 0]
    assert 3599 < waits[3] <= 3600
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
    with trio.fail_after(5):
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
