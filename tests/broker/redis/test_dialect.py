"""A cluster's shards: real clusters whose primaries fail and whose slots move, with clients on them."""

import itertools
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from channeld.broker.broker import BrokerFailed, BrokerUnavailable, Topic
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis.dialect import PLAIN, of_cluster
from tests.broker.conftest import Node, settle
from tests.broker.redis.groups import (
    KEEP,
    ROOM,
    Cluster,
    MakeServer,
    has,
    is_level,
    published,
    shard_slots,
    start_cluster,
    until,
)

KINDS = pytest.mark.parametrize("kind", ["valkey", "redis"])
ROOMS = [Topic("room", "lobby", f"r{number}") for number in range(30)]
MakeNode = Callable[..., Node]


def test_each_call_names_a_key_that_is_never_there() -> None:
    dialect = of_cluster("chat:{x}")
    assert dialect.words("count", ("chat:{x}",), ("t",))[2:] == (
        2,
        "chat:{x}",
        "chat:{x}:nothing",
        "t",
    )
    assert PLAIN.words("count", ("chat",), ("t",))[2:] == (1, "chat", "t")
    assert dialect.digests["publish"] != PLAIN.digests["publish"]
    assert all("'PUBLISH'" not in text for text in dialect.scripts.values())


async def in_cluster(
    cluster: Cluster, new_node: MakeNode, nursery: trio.Nursery, **more: Any
) -> Node:
    node = new_node(cluster.url, shards=8, **more)
    await node.start(nursery)
    await node.until(lambda: all(node.broker.states().values()))
    return node


def number_of(node: Node, topic: Topic) -> int:
    return int(node.broker._shards.index(node.broker._at(topic)))


@KINDS
async def test_rooms_are_spread_over_the_primaries(
    kind: str, make_server: MakeServer, new_node: MakeNode, nursery: trio.Nursery
) -> None:
    cluster = await start_cluster(make_server, kind)
    one = await in_cluster(cluster, new_node, nursery)
    two = await in_cluster(cluster, new_node, nursery, prefix=one.prefix)
    for room in ROOMS:
        await one.broker.subscribe(room)
        await two.broker.enter(room, "ann", "c1", {})
        await two.broker.publish(room, room.name.encode(), PublishOptions(KEEP))
    await one.until(lambda: len(one.payloads) == len(ROOMS))
    assert [entry.user for entry in await settle(one.broker.present(ROOMS[0]))] == ["ann"]
    one.broker.unsubscribe(ROOMS[0])
    await one.broker.subscribe(ROOMS[0])
    await two.broker.publish(ROOMS[0], b"again")
    await one.until(lambda: b"again" in one.payloads)
    for server, _ in cluster.members:
        # Each has histories of some, and hears nothing that is published elsewhere.
        assert b":h:" in await server.command("KEYS", "*:h:*")
    assert [shard.statistics().sessions for shard in one.broker._shards] == [1] * 8
    for node in (one, two):
        await node.broker.aclose()


@attrs.define(eq=False)
class Stream:
    """Publications to a room, one after the other."""

    node: Node
    acknowledged: list[bytes] = attrs.field(factory=list)
    refused: int = 0
    _progress: trio.Event = attrs.field(factory=trio.Event)

    async def publish_on(self) -> None:
        for number in itertools.count(1):
            payload = b"%d" % number
            try:
                await self.node.broker.publish(ROOM, payload, PublishOptions(KEEP_ALL))
            except BrokerUnavailable:
                self.refused += 1
            else:
                self.acknowledged.append(payload)
            self._progress.set()
            await trio.sleep(0.01)

    async def goes_on(self) -> None:
        count = len(self.acknowledged) + 20
        await self._until(lambda: len(self.acknowledged) > count)

    async def is_refused(self) -> None:
        count = self.refused
        await self._until(lambda: self.refused > count)

    async def _until(self, true: Callable[[], bool]) -> None:
        with trio.fail_after(60):
            while not true():
                await self._progress.wait()
                self._progress = trio.Event()


@KINDS
async def test_a_slot_moves_with_everybody_on_it(
    kind: str, make_server: MakeServer, new_node: MakeNode, nursery: trio.Nursery
) -> None:
    cluster = await start_cluster(make_server, kind)
    node = await in_cluster(cluster, new_node, nursery)
    slot = list(shard_slots(node).values())[number_of(node, ROOM)]
    source = await cluster.owner(f"{{{node.broker._names[number_of(node, ROOM)]}}}")
    target = (source + 1) % 3
    await node.broker.subscribe(ROOM)
    await node.broker.enter(ROOM, "ann", "c1", {"n": 1})
    stream = Stream(node)
    async with trio.open_nursery() as busy:
        busy.start_soon(stream.publish_on)
        await stream.goes_on()
        await cluster.begin_move(slot, source, target)
        # Half of the keys are there and half are here: nothing may be done by halves.
        assert await cluster.move_keys(slot, source, target, 3)
        await stream.is_refused()
        while await cluster.move_keys(slot, source, target):
            pass
        await cluster.end_move(slot, target)
        await stream.goes_on()
        busy.cancel_scope.cancel()
    acknowledged = stream.acknowledged
    await node.until(lambda: set(acknowledged) <= set(node.payloads))
    assert len(set(node.payloads)) == len(node.payloads)
    offsets = [pub.position.offset for _, pub in node.delivered if getattr(pub, "position", None)]
    assert offsets == list(range(1, len(offsets) + 1))
    assert stream.refused
    assert [entry.user for entry in await settle(node.broker.present(ROOM))] == ["ann"]
    assert not [told for told in node.told if told[0] in {"gap", "lost"}]
    await node.broker.aclose()


KEEP_ALL = KEEP.__class__(size=100_000, ttl=600)


@KINDS
async def test_a_primary_fails_over(
    kind: str, make_server: MakeServer, new_node: MakeNode, nursery: trio.Nursery
) -> None:
    cluster = await start_cluster(make_server, kind, 3, 1)
    node = await in_cluster(cluster, new_node, nursery)
    home = node.broker._names[number_of(node, ROOM)]
    owner = await cluster.owner(f"{{{home}}}")
    spare = cluster.members[3][0]
    await spare.command("CLUSTER", "REPLICATE", await cluster.id_of(owner))
    await until(lambda: has(spare, b"master_link_status:up"))
    await node.broker.subscribe(ROOM)
    await published(node, b"1")
    await until(lambda: is_level(cluster.members[owner][0], spare))
    await cluster.notice_deaths_after("700")
    cluster.members[owner][0].kill()
    await node.until(lambda: not node.broker.states()[home])
    assert node.broker.healthy
    await published(node, b"2")
    await node.until(lambda: node.payloads == [b"1", b"2"])
    assert b"role:master" in await spare.command("INFO", "replication")
    await node.broker.aclose()


async def test_another_number_of_shards_is_refused(
    make_server: MakeServer, new_node: MakeNode, nursery: trio.Nursery
) -> None:
    cluster = await start_cluster(make_server, "valkey")
    node = await in_cluster(cluster, new_node, nursery)
    await node.broker.publish(ROOM, b"1", PublishOptions(KEEP))
    other = new_node(cluster.url, node.prefix, shards=16)
    why = "in 8 shards, and this node has 16 shards: `shards` is fixed"
    with pytest.raises(BrokerFailed, match=why):
        await nursery.start(other.broker.run)
    await node.broker.aclose()
    # Also when nobody is there any more, and nothing was spoilt by asking.
    with pytest.raises(BrokerFailed):
        await new_node(cluster.url, node.prefix, shards=16).broker.run()
    again = await in_cluster(cluster, new_node, nursery, prefix=node.prefix)
    page = await again.broker.before(ROOM, None, 5, KEEP)
    assert [kept.payload for kept in page.frames] == [b"1"]
    await again.broker.aclose()


async def test_the_number_of_shards_is_changed_by_hand(
    make_server: MakeServer, new_node: MakeNode, nursery: trio.Nursery
) -> None:
    cluster = await start_cluster(make_server, "valkey")
    log = Topic("node", "", "revocations")
    node = await in_cluster(cluster, new_node, nursery)
    positions = {
        room: await node.broker.publish(room, b"1", PublishOptions(KEEP)) for room in ROOMS
    }
    await node.broker.publish(log, b"revoked", PublishOptions(KEEP))
    await node.broker.aclose()
    for shards in (16, 8):
        state = f"{node.prefix}:{{1bz}}:state"
        server, _ = cluster.members[await cluster.owner(state)]
        assert await server.command("HDEL", state, "layout") == b":1\r\n"
        again = new_node(cluster.url, node.prefix, shards=shards)
        await again.start(nursery)
        for room, position in positions.items():
            assert not (await again.broker.since(room, position, KEEP)).recovered
            positions[room] = await again.broker.publish(room, b"2", PublishOptions(KEEP))
        page = await again.broker.before(log, None, 5, KEEP)
        assert [kept.payload for kept in page.frames] == [b"revoked"]
        await again.broker.aclose()
