from collections.abc import Callable
from typing import Any

import pytest
import trio

from channeld.broker.broker import History, Placing, Position, Topic
from channeld.broker.redis import broker

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
    positions = [await node.broker.publish(ROOM, b"%d" % n, KEEP) for n in range(7)]
    await node.broker.publish(ROOM, b"a", KEEP, placing=Placing(key="k"))
    assert await pages(node) == (True, [b"2", b"3", b"4", b"5", b"6", b"a"])
    assert await pages(node, positions[1]) == (True, [b"2", b"3", b"4", b"5", b"6", b"a"])
    assert await pages(node, positions[0]) == (False, [])
    await node.broker.publish(ROOM, b"7", KEEP)
    assert await pages(node, positions[4]) == (True, [b"5", b"6", b"a", b"7"])


@KINDS
async def test_a_node_that_was_cut_off_gets_what_is_left(
    kind: str, make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server(kind)
    one, two = await two_nodes(server.url)
    await one.broker.subscribe(ROOM)
    await two.broker.publish(ROOM, b"0", KEEP)
    await one.until(lambda: one.payloads == [b"0"])
    one.broker._inbox.connect(numbers_go_on=True)
    for payload, key in ((b"1", "a"), (b"2", "b"), (b"3", "a"), (b"4", "c")):
        await two.broker.publish(ROOM, payload, KEEP, placing=Placing(key=key, owner="ann"))
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
    await one.broker.publish(ROOM, b"1", KEEP, placing=Placing(key="a", owner="ann"))
    await two.broker.publish(ROOM, b"2", KEEP, placing=Placing(key="b", owner="bob"))
    session = two.broker._current
    assert session is not None
    await two.broker._leases._reap(session, one.broker._entries.lease)
    assert await pages(two) == (True, [b"2"])


@KINDS
async def test_nothing_of_it_stays_for_ever(
    kind: str, make_server: MakeServer, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "TOPS_OUTLIVE", 0)
    server = make_server(kind)
    node = await one_node(server.url)
    short = History(size=5, ttl=0.05)
    await node.broker.publish(ROOM, b"0", short)
    for key in "ab":
        await node.broker.publish(ROOM, b"1", short, placing=Placing(key=key, owner="ann"))
    with trio.fail_after(5):
        while b":h:" in (keys := await server.command("KEYS", "*")) or b":m:" in keys:
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert b":state" in keys


async def test_a_replaced_frame_is_its_new_owners(
    shared_servers: MakeServer, one_node: Any
) -> None:
    node = await one_node(shared_servers("valkey").url)
    for user in ("ann", "bob"):
        await node.broker.enter(ROOM, user, "c", {})
        await node.broker.publish(ROOM, user.encode(), KEEP, placing=Placing(key="k", owner=user))
    await node.broker.leave(ROOM, "ann", "c")
    assert await pages(node) == (True, [b"bob"])
    await node.broker.leave(ROOM, "bob", "c")
    assert await pages(node) == (True, [])


async def test_evicted_keys_are_a_gap(make_server: MakeServer, one_node: Any) -> None:
    server = make_server("redis")
    node = await one_node(server.url)
    first = await node.broker.publish(ROOM, b"1", KEEP, placing=Placing(key="a"))
    await node.broker.publish(ROOM, b"2", KEEP, placing=Placing(key="b"))
    await server.command("DEL", node.broker._names.history(ROOM)[0] + ":k")
    assert not (await node.broker.since(ROOM, first, KEEP)).recovered
