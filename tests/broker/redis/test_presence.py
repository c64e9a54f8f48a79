from collections.abc import Callable
from typing import Any

import trio

from channeld.broker.broker import History, PresenceChange, Topic
from channeld.broker.redis.encoding import topic_key
from tests.broker.conftest import settle

ROOM = Topic("room", "lobby", "general")
MakeServer = Callable[[str], Any]
KEEP = History(size=10, ttl=60.0)


async def test_everybody_at_once_is_first_once(shared_servers: MakeServer, two_nodes: Any) -> None:
    one, two = await two_nodes(shared_servers("valkey").url)
    came: list[Any] = []
    left: list[Any] = []
    answers = [
        node.broker.enter(ROOM, "ann", f"c{number}", {}, came.append)
        for number in range(20)
        for node in (one, two)
    ]
    for answer in answers:
        await answer
    assert len(came) == 1
    leaving = [
        node.broker.leave(ROOM, "ann", f"c{number}", left.append)
        for number in range(20)
        for node in (one, two)
    ]
    for answer in leaving:
        await answer
    assert len(left) == 1


async def test_to_enter_brings_who_is_there(shared_servers: MakeServer, two_nodes: Any) -> None:
    one, two = await two_nodes(shared_servers("valkey").url)
    for answer in [one.broker.enter(ROOM, f"u{n:03}", "c", {"n": n}) for n in range(600)]:
        await answer
    two.broker.subscribe(ROOM)
    page, entered = two.broker.since(ROOM, None, KEEP), two.broker.enter(ROOM, "v", "d", {})
    await entered
    assert page.done
    # The first five hundred came with it; more are read at once.
    assert len(await settle(two.broker.present(ROOM))) == 601
    topic = Topic("room", "lobby", "small")
    await one.broker.enter(topic, "ann", "c", {"n": 1})
    two.broker.subscribe(topic)
    await two.broker.enter(topic, "bob", "d", {})
    listed = two.broker.present(topic)
    assert [(one.user, one.info) for one in listed] == [("ann", {"n": 1}), ("bob", {})]
    await one.broker.leave(topic, "ann", "c")
    await two.until(lambda: len(two.broker.present(topic)) == 1)


async def test_who_is_first_of_all_is_listed_at_once_and_told_once(
    shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers("valkey").url)
    for node in (one, two):
        await settle(node.broker.subscribe(ROOM))
    await one.broker.enter(ROOM, "ann", "c", {"n": 1})
    assert [(entry.user, entry.info) for entry in one.broker.present(ROOM)] == [("ann", {"n": 1})]
    await two.broker.enter(ROOM, "bob", "d", {})
    ann = PresenceChange("join", "ann", {"n": 1}, "c")
    bob = PresenceChange("join", "bob", {}, "d")
    for node in (one, two):
        await node.until(lambda node=node: (ROOM, bob) in node.delivered)
        assert [change for _, change in node.delivered] == [ann, bob]


async def test_who_comes_is_listed_however_rooms_empty_and_fill(
    shared_servers: MakeServer, two_nodes: Any
) -> None:
    (one,) = await two_nodes(shared_servers("valkey").url, 1)
    broker, inside = one.broker, dict.fromkeys(range(3), 0)

    async def come_and_go(number: int) -> None:
        for turn in range(60):
            at = (number * 7 + turn * turn) % 3
            topic, user = Topic("room", "lobby", f"busy{at}"), f"u{number % 4}"
            inside[at] += 1
            broker.subscribe(topic)
            await broker.since(topic, None, KEEP)
            await broker.enter(topic, user, f"{number}-{turn}", {})
            assert user in [entry.user for entry in await settle(broker.present(topic))]
            inside[at] -= 1
            if not inside[at]:
                broker.unsubscribe(topic)
            await settle(broker.linger(topic, user, f"{number}-{turn}"))
            await settle(broker.leave(topic, user, f"{number}-{turn}"))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(come_and_go, number)


async def test_nothing_is_left_behind(make_server: MakeServer, two_nodes: Any) -> None:
    server = make_server("valkey")
    one, two = await two_nodes(server.url)
    for node in (one, two):
        await node.broker.enter(ROOM, "ann", "c1", {})
        await node.broker.linger(ROOM, "ann", "c1")
        await node.broker.leave(ROOM, "ann", "c1")
    keys = await server.command("KEYS", "*")
    assert topic_key(ROOM).encode() not in keys
    assert b":n:" not in keys
