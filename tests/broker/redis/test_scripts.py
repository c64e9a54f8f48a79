from collections.abc import Callable
from typing import Any

import pytest
import trio

from channeld.broker.broker import BrokerUnavailable, History, Topic
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis import broker, outlet

ROOM = Topic("room", "lobby", "general")
MakeServer = Callable[[str], Any]


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_nothing_of_a_history_stays_for_ever(
    kind: str, make_server: MakeServer, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (broker, outlet):
        monkeypatch.setattr(module, "TOPS_OUTLIVE", 0)
    server = make_server(kind)
    node = await one_node(server.url)
    await node.broker.publish(ROOM, b"1", PublishOptions(History(size=5, ttl=0.05)))
    await node.broker.since(Topic("room", "lobby", "looked at"), None, History(size=5, ttl=0.05))
    with trio.fail_after(60):
        while b":h:" in (keys := await server.command("KEYS", "*")) or b":m:" in keys:
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert b":state" in keys


async def test_a_top_that_is_forgotten_is_another_epoch(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    keep = History(size=5, ttl=60.0)
    before = await node.broker.publish(ROOM, b"1", PublishOptions(keep))
    await server.command("DEL", node.broker._names.history(ROOM)[1])
    after = await node.broker.publish(ROOM, b"2", PublishOptions(keep))
    assert after.epoch != before.epoch
    page = await node.broker.before(ROOM, None, 5, keep)
    assert [kept.payload for kept in page.frames] == [b"2"]
    assert not (await node.broker.since(ROOM, before, keep)).recovered


async def test_an_evicted_list_is_a_gap(make_server: MakeServer, one_node: Any) -> None:
    server = make_server("redis")
    node = await one_node(server.url)
    keep = History(size=5, ttl=60.0)
    first = await node.broker.publish(ROOM, b"1", PublishOptions(keep))
    await node.broker.publish(ROOM, b"2", PublishOptions(keep))
    await server.command("DEL", node.broker._names.history(ROOM)[0])
    assert not (await node.broker.since(ROOM, first, keep)).recovered


async def test_offsets_beyond_32_bits_travel(make_server: MakeServer, one_node: Any) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    keep = History(size=5, ttl=60.0)
    await node.broker.publish(ROOM, b"1", PublishOptions(keep))
    await server.command("HSET", node.broker._names.history(ROOM)[1], "o", str(2**40))
    await node.broker.subscribe(ROOM)
    position = await node.broker.publish(ROOM, b"2", PublishOptions(keep))
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
        await node.broker.publish(ROOM, b"1", PublishOptions(History(size=5, ttl=60.0)))
    assert await node.broker.publish(ROOM, b"1") is None
    assert node.broker.healthy


async def test_a_time_without_history_on_one_node_is_one_for_all_and_told_after_an_outage(
    make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server("valkey")
    one, two = await two_nodes(server.url)
    keep = History(size=5, ttl=60.0)
    await two.broker.subscribe(ROOM)
    before = await one.broker.publish(ROOM, b"1", PublishOptions(keep))
    one.broker.number("lobby", False)
    await one.broker.publish(ROOM, b"not kept")
    for node in (one, two):
        node.broker.number("lobby", True)
    assert not (await two.broker.since(ROOM, before, keep)).recovered
    after = await one.broker.publish(ROOM, b"2", PublishOptions(keep))
    await two.until(lambda: two.payloads[-1:] == [b"2"])
    # Who was there all the time has missed nothing.
    assert (two.payloads, two.told) == ([b"1", b"not kept", b"2"], [])
    # Another session says again what holds, and changes nothing by it.
    one.broker._outlet.session.connection.fail("cut")
    await one.until(lambda: one.broker.healthy and one.broker.statistics().sessions == 2)
    assert (await one.broker.since(ROOM, after, keep)).recovered
    # What is said while Redis is away is said when it is back.
    one.broker._outlet.session.connection.fail("cut")
    one.broker.number("lobby", False)
    one.broker.number("lobby", True)
    one.broker.number("lobby", False)
    await one.until(lambda: one.broker.healthy and one.broker.statistics().sessions == 3)
    two.broker.number("lobby", False)
    two.broker.number("lobby", True)
    assert not (await two.broker.since(ROOM, after, keep)).recovered


async def test_a_channel_without_history_leaves_no_mark_and_needs_no_memory_to_end_one(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    keep, mark = History(size=5, ttl=60.0), node.broker._names.mark("lobby")
    before = await node.broker.publish(ROOM, b"1", PublishOptions(keep))
    assert await server.command("EXISTS", mark) == b":1\r\n"
    await server.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(BrokerUnavailable):
        await node.broker.publish(ROOM, b"refused", PublishOptions(keep))
    node.broker.number("lobby", False)
    await node.broker.publish(ROOM, b"not kept")
    assert await server.command("EXISTS", mark) == b":0\r\n"
    await server.command("CONFIG", "SET", "maxmemory", "0")
    node.broker.number("lobby", True)
    assert not (await node.broker.since(ROOM, before, keep)).recovered


async def test_a_failover_that_lost_the_end_of_histories_hears_of_it_again(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    keep, mark = History(size=5, ttl=60.0), node.broker._names.mark("lobby")
    before = await node.broker.publish(ROOM, b"1", PublishOptions(keep))
    letters = (await server.command("GET", mark)).split()[1].decode()
    node.broker.number("lobby", False)
    await node.broker.publish(ROOM, b"not kept")
    # What a replica had that did not hear of it; and then the nodes come.
    await server.command("SET", mark, letters)
    node.broker._outlet.session.connection.fail("failover")
    await node.until(lambda: node.broker.healthy and node.broker.statistics().sessions == 2)
    node.broker.number("lobby", True)
    assert not (await node.broker.since(ROOM, before, keep)).recovered


async def test_a_mark_that_is_lost_ends_histories_but_not_what_nodes_keep(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    keep, control = History(size=5, ttl=60.0), Topic("node", "", "log")
    before = [
        await node.broker.publish(topic, b"1", PublishOptions(keep)) for topic in (ROOM, control)
    ]
    for topic in (ROOM, control):
        await server.command("DEL", node.broker._names.mark(topic.channel))
    assert not (await node.broker.since(ROOM, before[0], keep)).recovered
    assert (await node.broker.since(control, before[1], keep)).recovered
    after = await node.broker.publish(ROOM, b"2", PublishOptions(keep))
    await node.broker.publish(ROOM, b"3", PublishOptions(keep))
    assert [one.payload for one in (await node.broker.since(ROOM, after, keep)).frames] == [b"3"]
