"""Topics over several servers: where each is, what happens when one server is away, and what nodes say to each other."""

import json
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from channeld.broker.broker import BrokerUnavailable, Bucket, History, Position, Topic
from channeld.broker.once import AlreadyTaken, Once
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis.shards import ShardedBroker
from tests.broker.conftest import Node, Server, turnout

KEEP = History(size=100, ttl=60.0)
EVERYBODY = Topic("node", "", "*")
MakeServer = Callable[[str], Server]
ROOMS = [Topic("room", "lobby", f"r{number}") for number in range(40)]


@pytest.fixture
def servers(make_server: MakeServer) -> list[Server]:
    return [make_server("valkey") for _ in range(3)]


def urls(servers: list[Server]) -> list[str]:
    return [server.url for server in servers]


def at(node: Node, server: Server) -> list[Topic]:
    """The rooms whose home is a server."""
    number = node.broker._names.index(str(server.socket))
    return [room for room in ROOMS if node.broker._at(room) is node.broker._shards[number]]


async def test_nodes_find_a_topic_at_the_same_server_whatever_the_order(
    servers: list[Server], new_node: Any, nursery: trio.Nursery
) -> None:
    one = await new_node(urls(servers)).start(nursery)
    two = await new_node(urls(servers[::-1]), one.prefix).start(nursery)
    await one.until(lambda: all(one.broker.states().values()))
    await two.until(lambda: all(two.broker.states().values()))
    for room in ROOMS:
        await one.broker.subscribe(room)
        await two.broker.publish(room, room.name.encode(), PublishOptions(KEEP))
    await one.until(lambda: len(one.delivered) == len(ROOMS))
    assert {topic for topic, _ in one.delivered} == set(ROOMS)
    assert all(at(one, server) for server in servers)
    assert [at(one, server) for server in servers] == [at(two, server) for server in servers]
    await one.broker.aclose()
    await two.broker.aclose()


async def test_a_shard_that_is_away_takes_its_own_topics_alone(
    servers: list[Server],
    one_node: Any,
    notices_freezes: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    node = await one_node(urls(servers))
    await node.until(lambda: all(node.broker.states().values()))
    told: list[tuple[bool, str]] = []
    node.broker.on_health = lambda healthy, reason: told.append((healthy, reason))
    frozen, *others = servers
    frozen.signal(signal.SIGSTOP)
    await node.until(lambda: not node.broker.states()[str(frozen.socket)])
    assert node.broker.healthy
    assert str(frozen.socket) in node.broker.reason
    await trio.sleep(0.3)
    for room in at(node, frozen):
        for verb, *arguments in (
            ("publish", b"1", PublishOptions(KEEP)),
            ("since", None, KEEP),
            ("enter", "ann", "c1", {}),
            ("present",),
        ):
            with pytest.raises(BrokerUnavailable):
                await getattr(node.broker, verb)(room, *arguments)
    for server in others:
        for room in at(node, server):
            await node.broker.publish(room, b"1", PublishOptions(KEEP))
            assert await turnout(node.broker.enter, room, "ann", "c1", {})
    samples = {tuple(sample.labels): sample.value for sample in node.broker.samples()}
    assert samples[str(frozen.socket),] == 0
    assert samples[str(others[0].socket),] == 1
    frozen.signal(signal.SIGCONT)
    await node.until(lambda: all(node.broker.states().values()))
    assert not [entry for entry in told if not entry[0]]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == [
        "broker_shard_unavailable",
        "broker_shard_recovered",
    ]
    assert {line["shard"] for line in lines} == {str(frozen.socket)}


async def test_it_is_down_when_all_are(
    servers: list[Server], one_node: Any, notices_freezes: None
) -> None:
    node = await one_node(urls(servers))
    told: list[bool] = []
    node.broker.on_health = lambda healthy, _reason: told.append(healthy)
    for server in servers:
        server.signal(signal.SIGSTOP)
    await node.until(lambda: not node.broker.healthy)
    for server in servers:
        server.signal(signal.SIGCONT)
    await node.until(lambda: all(node.broker.states().values()))
    assert told[0] is False
    assert all(told[1:])


async def test_nodes_hear_each_other_while_one_of_their_two_servers_is_away(
    servers: list[Server], two_nodes: Any, notices_freezes: None
) -> None:
    one, two = await two_nodes(urls(servers))
    for node in (one, two):
        await node.until(lambda node=node: all(node.broker.states().values()))
        await node.broker.subscribe(EVERYBODY)
    await one.broker.publish(EVERYBODY, b"both", PublishOptions(KEEP))
    await one.broker.publish(EVERYBODY, b"hello")
    await one.broker.publish(EVERYBODY, b"hello")
    await two.until(lambda: len(two.payloads) == 3)
    # Cut off from one of the two, a node hears the other.
    two.broker._carriers[0].unsubscribe(EVERYBODY)
    await one.broker.publish(EVERYBODY, b"to one that is deaf on one side")
    await two.until(lambda: len(two.payloads) == 4)
    await two.broker.subscribe(EVERYBODY)
    two.delivered.pop()
    first = next(server for server in servers if home_of_control(one, server))
    first.signal(signal.SIGSTOP)
    await one.until(lambda: not one.broker.states()[str(first.socket)])
    await one.broker.publish(EVERYBODY, b"kept", PublishOptions(KEEP))
    await one.broker.publish(EVERYBODY, b"now")
    await two.until(lambda: len(two.payloads) == 5)
    first.signal(signal.SIGCONT)
    await one.until(lambda: all(one.broker.states().values()))
    await two.until(lambda: all(two.broker.states().values()))
    await one.broker.publish(EVERYBODY, b"again", PublishOptions(KEEP))
    await two.until(lambda: len(two.payloads) >= 6)
    assert sorted(two.payloads) == [b"again", b"both", b"hello", b"hello", b"kept", b"now"]
    one.broker.unsubscribe(EVERYBODY)


def home_of_control(node: Node, server: Server) -> bool:
    number = node.broker._names.index(str(server.socket))
    return node.broker._carriers[0] is node.broker._shards[number]


async def test_what_nodes_keep_is_read_from_every_server(
    servers: list[Server], two_nodes: Any, impatient: None
) -> None:
    log = Topic("node", "", "revocations")
    (node,) = await two_nodes(urls(servers), 1)
    await node.until(lambda: all(node.broker.states().values()))
    home, successor = node.broker._carriers
    for number in range(3):
        await node.broker.publish(log, b"both %d" % number, PublishOptions(KEEP))
    await home.publish(log, b"home", PublishOptions(KEEP))
    await successor.publish(log, b"successor", PublishOptions(KEEP))
    found = await read_all(node, log)
    assert Counter(found) == Counter(
        [*(2 * [b"both %d" % number for number in range(3)]), b"home", b"successor"]
    )


async def read_all(node: Node, topic: Topic) -> list[bytes]:
    """What is kept of a topic, page by page."""
    found: list[bytes] = []
    position: Position | None = None
    more = True
    while more:
        page = await node.broker.before(topic, position, 2, KEEP)
        found += [kept.payload for kept in page.frames]
        more = page.more and bool(page.frames)
        position = page.frames[0].position if page.frames else None
    return found


async def test_a_key_holds_over_rooms_at_different_servers(
    servers: list[Server], one_node: Any
) -> None:
    node = await one_node(urls(servers))
    await node.until(lambda: all(node.broker.states().values()))
    once = Once("lobby\0uann", "say\0k", 60.0)
    owner = node.broker._home(once.owner)
    first, second = (
        rooms[0]
        for server in servers
        if node.broker._at((rooms := at(node, server))[0]) is not owner
    )
    await node.broker.publish(first, b"1", PublishOptions(KEEP, None, once))
    assert await node.broker.is_taken(once)
    for room in (first, second):
        with pytest.raises(AlreadyTaken):
            await node.broker.publish(room, b"2", PublishOptions(KEEP, None, once))


async def test_the_home_of_a_topic_finds_out_what_its_owner_s_was_not_told(
    servers: list[Server], one_node: Any
) -> None:
    node = await one_node(urls(servers))
    await node.until(lambda: all(node.broker.states().values()))
    once = Once("lobby\0uann", "say\0k", 60.0)
    room = next(
        room for room in ROOMS if node.broker._at(room) is not node.broker._home(once.owner)
    )
    # The node that took it died before it told the owner's server.
    await node.broker._at(room).publish(room, b"1", PublishOptions(KEEP, None, once))
    assert not await node.broker.is_taken(once)
    with pytest.raises(AlreadyTaken):
        await node.broker.publish(room, b"2", PublishOptions(KEEP, None, once))


async def test_away_from_the_start_it_starts_all_the_same(
    servers: list[Server], new_node: Any, nursery: trio.Nursery
) -> None:
    node = new_node([servers[0].url, "unix:///nowhere/s"])
    assert isinstance(node.broker, ShardedBroker)
    await nursery.start(node.broker.run)
    await node.until(lambda: node.broker.healthy)
    assert node.broker.states() == {str(servers[0].socket): True, "/nowhere/s": False}
    assert "/nowhere/s" in node.broker.reason
    await node.broker.aclose()


async def stopped(node: Node) -> None:
    await node.broker.aclose()


async def test_a_node_with_other_servers_waits_until_the_others_have_stopped(
    servers: list[Server], new_node: Any, nursery: trio.Nursery, impatient: None
) -> None:
    old = await new_node(urls(servers[:2])).start(nursery)
    await old.until(lambda: all(old.broker.states().values()))
    room = at(old, servers[0])[0]
    position = await old.broker.publish(room, b"1", PublishOptions(KEEP))
    new = new_node(urls(servers), old.prefix)
    told: list[tuple[bool, str]] = []
    new.broker.on_health = lambda healthy, reason: told.append((healthy, reason))
    await nursery.start(new.broker.run)
    assert not new.broker.healthy
    assert "give all nodes the same `urls`" in new.broker.reason
    for room_ in ROOMS:
        with pytest.raises(BrokerUnavailable):
            new.broker.publish(room_, b"x", PublishOptions(KEEP))
    assert new.broker.subscribe(room) is None or new.broker.states()
    await old.broker.publish(room, b"2", PublishOptions(KEEP))
    await stopped(old)
    await new.until(lambda: new.broker.healthy and all(new.broker.states().values()))
    assert told[-1][0]
    for room_ in ROOMS:
        page = await new.broker.since(room_, position, KEEP)
        assert not page.recovered
        await new.broker.publish(room_, b"x", PublishOptions(KEEP))
    await stopped(new)


async def test_a_history_from_before_is_not_found_when_the_servers_are_the_old_ones_again(
    servers: list[Server], new_node: Any, nursery: trio.Nursery, impatient: None
) -> None:
    old = await new_node(urls(servers[:2])).start(nursery)
    await old.until(lambda: all(old.broker.states().values()))
    positions = {room: await old.broker.publish(room, b"1", PublishOptions(KEEP)) for room in ROOMS}
    await stopped(old)
    new = await new_node(urls(servers), old.prefix).start(nursery)
    await new.until(lambda: all(new.broker.states().values()))
    for room in at(new, servers[2]):
        await new.broker.publish(room, b"missed by who has the old position", PublishOptions(KEEP))
    await stopped(new)
    back = await new_node(urls(servers[:2]), old.prefix).start(nursery)
    await back.until(lambda: all(back.broker.states().values()))
    for room, position in positions.items():
        assert not (await back.broker.since(room, position, KEEP)).recovered
        # What is kept from now on counts from one, in an epoch of its own.
        again = await back.broker.publish(room, b"2", PublishOptions(KEEP))
        assert again.offset == 1
        assert again.epoch > position.epoch
    await stopped(back)
    # With the same servers as before everything is found.
    same = await new_node(urls(servers[1::-1]), old.prefix).start(nursery)
    await same.until(lambda: all(same.broker.states().values()))
    for room in ROOMS:
        assert (await same.broker.since(room, None, KEEP)).top.offset == 1
    await stopped(same)


async def test_what_nodes_keep_for_each_other_outlives_a_change_of_servers(
    servers: list[Server], new_node: Any, nursery: trio.Nursery, impatient: None
) -> None:
    log = Topic("node", "", "revocations")
    prefix = None
    said: set[bytes] = set()
    for count in (1, 2, 3):
        node = await new_node(urls(servers[:count]), prefix).start(nursery)
        prefix = node.prefix
        if count > 1:
            await node.until(lambda node=node: all(node.broker.states().values()))
        await node.broker.publish(log, b"%d" % len(said), PublishOptions(KEEP))
        said.add(b"%d" % len(said))
        assert set(await read_all(node, log)) == said
        await stopped(node)


async def test_one_server_is_a_layout_as_well(
    servers: list[Server], new_node: Any, nursery: trio.Nursery, impatient: None
) -> None:
    alone = await new_node(servers[0].url).start(nursery)
    several = new_node(urls(servers), alone.prefix)
    await nursery.start(several.broker.run)
    assert "spread this prefix over one server, and this one over /" in several.broker.reason
    await stopped(alone)
    await several.until(lambda: several.broker.healthy)
    back = new_node(servers[0].url, alone.prefix)
    await nursery.start(back.broker.run)
    assert "and this one over one server" in back.broker.reason
    await stopped(several)
    await back.until(lambda: back.broker.healthy)
    await stopped(back)


async def test_closing_while_it_starts_ends_it(servers: list[Server], new_node: Any) -> None:
    for url in (servers[0].url, urls(servers)):
        node = new_node(url)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nursery.start, node.broker.run)
            await trio.testing.wait_all_tasks_blocked()
            await node.broker.aclose()


async def test_an_allowance_is_at_one_server(
    servers: list[Server], new_node: Any, nursery: trio.Nursery
) -> None:
    one = await new_node(urls(servers)).start(nursery)
    two = await new_node(urls(servers[::-1]), one.prefix).start(nursery)
    await one.until(lambda: all(one.broker.states().values()))
    await two.until(lambda: all(two.broker.states().values()))
    for user in range(8):
        bucket = Bucket(f"user\0{user}", 3600.0, 3600.0)
        waits = [await node.broker.spend(bucket) for node in (one, two, one)]
        assert [wait > 0 for wait in waits] == [False, False, True]
    await one.broker.aclose()
    await two.broker.aclose()
