"""Servers that belong together: a primary and its replicas, a cluster."""

import re
from collections.abc import Awaitable, Callable

import attrs
import trio

from channeld.broker.broker import BrokerUnavailable, History, Topic
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis.encoding import SLOTS, slot_of
from tests.broker.conftest import Node, Server
from tests.ports import free_port

ROOM = Topic("room", "lobby", "general")
KEEP = History(size=10, ttl=60)
MakeServer = Callable[[str], Server]


def start(
    make_server: MakeServer, kind: str, *options: str, port_option: str = "--port"
) -> tuple[Server, int]:
    """A server on a TCP port of this machine, and the port."""
    server, port = make_server(kind), free_port()
    server.kill()
    server.start(port_option, str(port), "--bind", "127.0.0.1", *options)
    return server, port


async def published(node: Node, payload: bytes) -> None:
    """Publish until it is taken, for at most a minute."""
    with trio.fail_after(60):
        while True:
            try:
                await node.broker.publish(ROOM, payload, PublishOptions(KEEP))
            except BrokerUnavailable:
                await trio.sleep(0.1)
            else:
                return


async def has(server: Server, words: bytes) -> bool:
    return words in await server.command("INFO", "replication")


async def is_level(primary: Server, replica: Server) -> bool:
    """Whether a replica has all that its primary has: WAIT knows only of what its own connection wrote."""
    offsets = [
        re.search(rb"master_repl_offset:(\d+)", await server.command("INFO", "replication"))
        for server in (primary, replica)
    ]
    return all(offsets) and len({found[1] for found in offsets if found}) == 1


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    with trio.fail_after(60):
        while not await true():  # noqa: ASYNC110 - it is other processes that are watched
            await trio.sleep(0.05)


@attrs.define(eq=False)
class Cluster:
    """Primaries that share the slots, and spares without any."""

    members: list[tuple[Server, int]]

    @property
    def url(self) -> str:
        """Two of its nodes are named."""
        (_, first), *_, (_, last) = self.members
        return f"redis+cluster://127.0.0.1:{first},127.0.0.1:{last}"

    async def owner(self, key: str) -> int:
        """The number of the primary of a key."""
        for number, (server, _) in enumerate(self.members):
            reply = await server.command("EXISTS", key)
            if not reply.startswith((b"-MOVED", b"-ASK", b"-CLUSTERDOWN")):
                return number
        raise AssertionError("nobody owns it")

    async def id_of(self, number: int) -> str:
        return (await self.members[number][0].command("CLUSTER", "MYID")).split(b"\r\n")[1].decode()

    async def notice_deaths_after(self, milliseconds: str) -> None:
        """How long one of them may be silent before the others take it for dead."""
        for server, _ in self.members:
            await server.command("CONFIG", "SET", "cluster-node-timeout", milliseconds)

    async def begin_move(self, slot: int, source: int, target: int) -> None:
        """The slot is on its way; its keys are where they were."""
        one, two = self.members[source][0], self.members[target][0]
        await two.command("CLUSTER", "SETSLOT", str(slot), "IMPORTING", await self.id_of(source))
        await one.command("CLUSTER", "SETSLOT", str(slot), "MIGRATING", await self.id_of(target))

    async def move_keys(self, slot: int, source: int, target: int, most: int = 10_000) -> int:
        """Move some of its keys; how many were moved."""
        one, port = self.members[source][0], self.members[target][1]
        reply = await one.command("CLUSTER", "GETKEYSINSLOT", str(slot), str(most))
        keys = [line.decode() for line in reply.split(b"\r\n")[2::2]]
        for key in keys:
            moved = await one.command("MIGRATE", "127.0.0.1", str(port), key, "0", "30000")
            assert moved.startswith((b"+OK", b"+NOKEY")), moved
        return len(keys)

    async def end_move(self, slot: int, target: int) -> None:
        """The slot is the target's, and everybody is told."""
        name = await self.id_of(target)
        for number in (target, *(n for n in range(len(self.members)) if n != target)):
            await self.members[number][0].command("CLUSTER", "SETSLOT", str(slot), "NODE", name)


async def start_cluster(
    make_server: MakeServer,
    kind: str,
    primaries: int = 3,
    spares: int = 0,
    *options: str,
    port_option: str = "--port",
) -> Cluster:
    """A cluster on this machine."""
    count = primaries + spares
    wanted = ("--cluster-enabled", "yes", "--cluster-node-timeout", "700", "--save", "", *options)
    buses = [free_port() for _ in range(count)]
    members = [
        start(make_server, kind, *wanted, "--cluster-port", str(bus), port_option=port_option)
        for bus in buses
    ]
    for number in range(primaries):
        first, last = (SLOTS * n // primaries for n in (number, number + 1))
        await members[number][0].command("CLUSTER", "ADDSLOTSRANGE", str(first), str(last - 1))
    for (_, port), bus in zip(members, buses, strict=True):
        await members[0][0].command("CLUSTER", "MEET", "127.0.0.1", str(port), str(bus))
    await until(lambda: _all_ok([server for server, _ in members]))
    cluster = Cluster(members)
    # A short one is quick to meet in; from now on a busy machine must not look like a dead primary.
    await cluster.notice_deaths_after("60000")
    return cluster


async def _all_ok(servers: list[Server]) -> bool:
    known = b"cluster_known_nodes:%d\r" % len(servers)
    for server in servers:
        words = await server.command("CLUSTER", "INFO")
        if b"cluster_state:ok" not in words or known not in words:
            return False
    return True


def shard_slots(node: Node) -> dict[str, int]:
    """The slot of each shard of a node, by name."""
    return {shard.name: slot_of(shard.name) for shard in node.broker._layout.shards}
