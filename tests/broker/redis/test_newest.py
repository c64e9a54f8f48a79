import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import trio

from channeld.broker.broker import BrokerUnavailable, History, Position, Topic
from channeld.broker.once import AlreadyTaken, Once
from channeld.broker.publish_options import Conflated, Placing, PublishOptions
from channeld.broker.redis import broker, outlet
from channeld.broker.topic_history import TopicHistory

ROOM = Topic("room", "board", "b")
KEEP = History(size=5, ttl=60.0)
MakeServer = Callable[[str], Any]
KINDS = pytest.mark.parametrize("kind", ["valkey", "redis"])


async def pages(node: Any, since: Position | None = None) -> tuple[bool, list[bytes]]:
    page = await node.broker.since(ROOM, since, KEEP, 0 if since else 50)
    return page.recovered, [kept.payload for kept in page.frames]


@KINDS
async def test_a_plain_history_becomes_a_mixed_one(
    kind: str, shared_servers: MakeServer, one_node: Any
) -> None:
    node = await one_node(shared_servers(kind).url)
    positions = [await node.broker.publish(ROOM, b"%d" % n, PublishOptions(KEEP)) for n in range(7)]
    await node.broker.publish(ROOM, b"a", PublishOptions(KEEP, placing=Placing(key="k")))
    assert await pages(node) == (True, [b"2", b"3", b"4", b"5", b"6", b"a"])
    assert await pages(node, positions[1]) == (True, [b"2", b"3", b"4", b"5", b"6", b"a"])
    assert await pages(node, positions[0]) == (False, [])
    await node.broker.publish(ROOM, b"7", PublishOptions(KEEP))
    assert await pages(node, positions[4]) == (True, [b"5", b"6", b"a", b"7"])


@pytest.mark.parametrize("seed", range(4))
async def test_a_replay_is_what_the_memory_broker_replays(
    seed: int, shared_servers: MakeServer, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "PAGE_FRAMES", 3)
    node, chance = await one_node(shared_servers("valkey").url), random.Random(seed)
    keep = History(size=chance.choice([8, 40]), ttl=60.0)
    stream = TopicHistory("e")
    for number in range(120):
        kind = chance.choices(
            ["plain", "hidden", "keyed", "clears"], [2, chance.choice([1, 9]), 2, 1]
        )
        key = f"k{chance.randrange(chance.choice([3, 50]))}"
        placing = {
            "plain": None,
            "hidden": Placing(is_replayed=False),
            "keyed": Placing(key=key),
            "clears": Placing(clears=(key,)),
        }[kind[0]]
        stream.append(b"%d" % number, keep, 0.0, placing)
        await node.broker.publish(ROOM, b"%d" % number, PublishOptions(keep, placing=placing))
        if number % 10:
            continue
        for replay in (1, 2, 3, 5, 7, keep.size):
            page, found = await node.broker.since(ROOM, None, keep, replay), list[bytes]()
            count = page.replayed
            while page is not None:
                found += [kept.payload for kept in page.frames]
                page = page.rest and await page.rest()
            wanted = [kept.payload for kept in stream.since(None, keep, 0.0, replay).frames]
            assert (found, count) == (wanted, len(wanted))


async def test_frames_that_are_not_replayed_do_not_make_a_replay_longer(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("valkey")
    node, keep = await one_node(server.url), History(size=5000, ttl=60.0)
    hidden = PublishOptions(keep, placing=Placing(is_replayed=False))
    for payload, options in ((b"k", PublishOptions(keep, placing=Placing(key="k"))), (b"1", None)):
        await node.broker.publish(ROOM, payload, options or PublishOptions(keep))
    for last in [node.broker.publish(ROOM, b"h", hidden) for _ in range(3000)]:
        await last
    await server.command("CONFIG", "RESETSTAT")
    page = await node.broker.since(ROOM, None, keep, 10)
    assert [kept.payload for kept in page.frames] == [b"k", b"1"]
    told = re.search(rb"cmdstat_lindex:calls=(\d+)", await server.command("INFO", "commandstats"))
    assert told is not None
    assert int(told[1]) < 60


@KINDS
async def test_a_node_that_was_cut_off_gets_what_is_left(
    kind: str, make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server(kind)
    one, two = await two_nodes(server.url)
    await one.broker.subscribe(ROOM)
    await two.broker.publish(ROOM, b"0", PublishOptions(KEEP))
    await one.until(lambda: one.payloads == [b"0"])
    one.broker._inbox.connect(numbers_go_on=True)
    for payload, key in ((b"1", "a"), (b"2", "b"), (b"3", "a"), (b"4", "c")):
        await two.broker.publish(
            ROOM, payload, PublishOptions(KEEP, placing=Placing(key=key, owner="ann"))
        )
    await two.broker.enter(ROOM, "ann", "c", {})
    await one.until(lambda: b"4" in one.payloads)
    assert one.payloads[-2:] == [b"3", b"4"]
    assert one.broker.statistics().gaps == 0


@KINDS
async def test_who_dies_with_a_node_leaves_nothing(
    kind: str, shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers(kind).url)
    await one.broker.enter(ROOM, "ann", "c", {})
    await one.broker.publish(
        ROOM, b"1", PublishOptions(KEEP, placing=Placing(key="a", owner="ann"))
    )
    await two.broker.publish(
        ROOM, b"2", PublishOptions(KEEP, placing=Placing(key="b", owner="bob"))
    )
    session = two.broker._outlet.session
    assert session is not None
    await two.broker._leases._reap(session, one.broker._entries.lease)
    assert await pages(two) == (True, [b"2"])


@KINDS
async def test_nothing_of_it_stays_for_ever(
    kind: str, make_server: MakeServer, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (broker, outlet):
        monkeypatch.setattr(module, "TOPS_OUTLIVE", 0)
    server = make_server(kind)
    node = await one_node(server.url)
    short = History(size=5, ttl=0.05)
    await node.broker.publish(ROOM, b"0", PublishOptions(short))
    for key in "ab":
        await node.broker.publish(
            ROOM, b"1", PublishOptions(short, placing=Placing(key=key, owner="ann"))
        )
    with trio.fail_after(60):
        while b":h:" in (keys := await server.command("KEYS", "*")) or b":m:" in keys:
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert b":state" in keys


async def test_a_replaced_frame_is_its_new_owners(
    shared_servers: MakeServer, one_node: Any
) -> None:
    node = await one_node(shared_servers("valkey").url)
    for user in ("ann", "bob"):
        await node.broker.enter(ROOM, user, "c", {})
        await node.broker.publish(
            ROOM, user.encode(), PublishOptions(KEEP, placing=Placing(key="k", owner=user))
        )
    await node.broker.leave(ROOM, "ann", "c")
    assert await pages(node) == (True, [b"bob"])
    await node.broker.leave(ROOM, "bob", "c")
    assert await pages(node) == (True, [])


async def test_evicted_keys_are_a_gap(make_server: MakeServer, one_node: Any) -> None:
    server = make_server("redis")
    node = await one_node(server.url)
    first = await node.broker.publish(ROOM, b"1", PublishOptions(KEEP, placing=Placing(key="a")))
    await node.broker.publish(ROOM, b"2", PublishOptions(KEEP, placing=Placing(key="b")))
    await server.command("DEL", node.broker._names.history(ROOM)[0] + ":k")
    assert not (await node.broker.since(ROOM, first, KEEP)).recovered


def conflated(slot: str = "k", seconds: float = 3600.0, **more: Any) -> Conflated:
    return Conflated(slot, seconds, **more)


async def offer(
    node: Any,
    payload: bytes,
    conflated: Conflated = conflated(),  # noqa: B008 - frozen
    owner: str | None = None,
    once: Once | None = None,
) -> float:
    options = PublishOptions(KEEP, None, once, Placing(key=conflated.slot, owner=owner))
    return float(await node.broker.publish_newest(ROOM, payload, conflated, options))


@KINDS
async def test_a_slot_has_one_time_over_all_nodes(
    kind: str, shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers(kind).url)
    await one.broker.subscribe(ROOM)
    assert await offer(one, b"1") == 0
    assert 3500 < await offer(two, b"2") <= 3600
    assert 3500 < await offer(one, b"3") <= 3600
    assert await offer(two, b"other", conflated("l")) == 0
    assert 3500 < await offer(two, b"") <= 3600
    assert await offer(two, b"", conflated(at_once=True)) == -1
    assert await offer(one, b"", conflated(at_once=True)) == 0
    assert await offer(one, b"", conflated(at_once=True)) == -1
    await one.until(lambda: len(one.delivered) == 3)
    assert one.payloads == [b"1", b"other", b"3"]
    assert [pub.position.offset for _, pub in one.delivered] == [1, 2, 3]
    assert await pages(two) == (True, [b"other", b"3"])


@KINDS
async def test_of_two_nodes_frames_the_one_that_came_last_counts(
    kind: str, shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers(kind).url)
    await offer(one, b"first", conflated(age=200.0))
    assert await offer(two, b"two", conflated(age=50.0)) > 0
    assert await offer(one, b"older", conflated(age=90.0)) > 0
    assert await offer(two, b"", conflated(at_once=True)) == 0
    assert (await pages(one))[1] == [b"two"]
    # It came before what has gone out, so nobody waits for it.
    assert await offer(one, b"late", conflated(age=90.0)) == -1
    assert (await pages(one))[1] == [b"two"]


async def test_a_nodes_own_frames_keep_their_order(
    shared_servers: MakeServer, one_node: Any
) -> None:
    node = await one_node(shared_servers("valkey").url)
    await offer(node, b"1")
    assert await offer(node, b"2", conflated(age=1.0)) > 0
    assert await offer(node, b"3", conflated(age=2.0)) > 0
    assert await offer(node, b"", conflated(at_once=True)) == 0
    assert (await pages(node))[1] == [b"3"]


@KINDS
async def test_a_slots_time_ends(kind: str, shared_servers: MakeServer, two_nodes: Any) -> None:
    one, two = await two_nodes(shared_servers(kind).url)
    short = conflated(seconds=0.05)
    await offer(one, b"1", short)
    await offer(two, b"2", short)
    with trio.fail_after(60):
        # A machine that took longer than the slot's time has let it out at once: -1, nothing waits.
        while await offer(two, b"", short) > 0:
            await trio.testing.wait_all_tasks_blocked(0.005)
    assert (await pages(one))[1] == [b"2"]


@KINDS
async def test_what_clears_reaches_what_waits_anywhere(
    kind: str, shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers(kind).url)
    await one.broker.subscribe(ROOM)
    await two.broker.subscribe(ROOM)
    await offer(one, b"1")
    await offer(one, b"2")
    clearing = Placing(clears=("k", "l"), waits=3600.0, is_replayed=False)
    await two.broker.publish(ROOM, b"clear", PublishOptions(KEEP, placing=clearing))
    # Held by the other node since before the clearing, and on its way.
    assert await offer(one, b"3", conflated(age=50.0)) == -1
    assert await offer(one, b"", conflated(at_once=True)) == -1
    await one.until(lambda: len(one.delivered) == 2)
    await two.until(lambda: len(two.delivered) == 2)
    assert [pub.clears for _, pub in one.delivered] == [(), ("k", "l")]
    assert [pub.clears for _, pub in two.delivered] == [(), ()]
    assert await offer(one, b"4", conflated(at_once=True)) == 0
    assert (await pages(one))[1] == [b"4"]


@KINDS
async def test_who_leaves_takes_what_waits_along(
    kind: str, shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers(kind).url)
    await one.broker.enter(ROOM, "ann", "c", {})
    await offer(one, b"1", owner="ann")
    await offer(one, b"2", owner="ann")
    await offer(one, b"a", conflated("l"), "ann")
    await offer(two, b"b", conflated("l"), "bob")
    await one.broker.leave(ROOM, "ann", "c")
    for slot in "kl":
        await offer(two, b"", conflated(slot, at_once=True))
    assert (await pages(one))[1] == [b"b"]


async def test_what_waits_takes_its_key_once(shared_servers: MakeServer, one_node: Any) -> None:
    node = await one_node(shared_servers("valkey").url)
    once = Once("ann", "key", 60.0)
    assert await offer(node, b"1", once=once) == 0
    with pytest.raises(AlreadyTaken):
        await offer(node, b"1", once=once)
    placing = Placing(key="m")
    await node.broker.publish(
        ROOM, b"2", PublishOptions(KEEP, None, Once("ann", "other", 60.0), placing)
    )
    with pytest.raises(AlreadyTaken):
        await node.broker.publish(
            ROOM, b"2", PublishOptions(KEEP, None, Once("ann", "other", 60.0), placing)
        )
    assert (await pages(node))[1] == [b"1", b"2"]


async def test_a_topic_without_history_conflates(
    shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers("valkey").url)
    await one.broker.subscribe(ROOM)
    for node, payload in ((one, b"1"), (two, b"2"), (two, b"3")):
        await node.broker.publish_newest(ROOM, payload, conflated())
    await two.broker.publish_newest(ROOM, b"", conflated(at_once=True))
    await one.until(lambda: len(one.delivered) == 2)
    assert [(pub.payload, pub.position) for _, pub in one.delivered] == [(b"1", None), (b"3", None)]


async def test_no_memory_is_unavailable(make_server: MakeServer, one_node: Any) -> None:
    server = make_server("redis")
    node = await one_node(server.url)
    await offer(node, b"1")
    await server.command("CONFIG", "SET", "maxmemory", "1")
    for slot in ("k", "l"):
        with pytest.raises(BrokerUnavailable):
            await offer(node, b"2", conflated(slot))
    with pytest.raises(BrokerUnavailable):
        await node.broker.publish(ROOM, b"2", PublishOptions(KEEP, placing=Placing(key="k")))
    await server.command("CONFIG", "SET", "maxmemory", "0")
    assert (await pages(node))[1] == [b"1"]
