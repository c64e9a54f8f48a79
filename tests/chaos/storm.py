"""Three nodes and the Redis servers between them, what happens to them, and the clients meanwhile; all is written down for the checker."""

import json
import random
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import trio

from channeld.broker.redis.encoding import SLOTS, slot_of
from channeld.broker.redis.layout import of_cluster
from channeld.server.sockets import bind, named
from tests.broker.conftest import Server, _binary
from tests.broker.redis.groups import Cluster, start_cluster
from tests.chaos.client import Diary, Sailor
from tests.chaos.partition import Direction, Partition
from tests.system.kit import SECRET, command, environment

CHANNELS = """
channeld: 1
server: {drain: 500ms}
broker: {redis: BROKER}
auth:
  who: {type: jwt, algorithms: [HS256], secret: "${SECRET}", audience: chat}
channels:
  long:
    path: /long/{room}
    description: A history that no outage is longer than.
    auth: who
    rooms: {join: "{params.room}"}
    presence: {grace: 300ms}
    history: {size: 20000, ttl: 1h}
    messages: {say: {schema: true, route: room, stamp: {from: "{user.id}"}}}
  short:
    path: /short/{room}
    description: A history that is often too short.
    auth: who
    rooms: {join: "{params.room}"}
    presence: {grace: 300ms}
    history: {size: 8, ttl: 1h}
    messages: {say: {schema: true, route: room, stamp: {from: "{user.id}"}}}
"""
PERSISTENT = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")
# Of Debian's package `libfaketime`.
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
PATHS = ("/long/a", "/long/b", "/short/a")
NODES = 3
HELD: dict[str, frozenset[Direction]] = {
    "up": frozenset({"up"}),
    "down": frozenset({"down"}),
    "both": frozenset({"up", "down"}),
}


@attrs.define(eq=False)
class Storm:
    """One run. `networks` lie between each node and the server, or between all nodes and each shard; `faults` counts what was done."""

    folder: Path
    chance: random.Random
    servers: list[Server]
    ports: list[int]
    networks: list[Partition]
    skew: float = 0.0
    cluster: Cluster | None = None
    # Where the cluster's slots are that hold our shards.
    slots: dict[int, int] = attrs.field(factory=dict)
    nodes: list[subprocess.Popen[bytes]] = attrs.field(factory=list)
    sailors: list[Sailor] = attrs.field(factory=list)
    faults: dict[str, int] = attrs.field(factory=dict)

    # ----------------------------------------------------------------------------------------------------- parts

    def start_node(self, number: int) -> None:
        arguments = command("run", "--bind", f"127.0.0.1:{self.ports[number]}")
        # With one server each node has a network of its own to it; else the configuration says it all.
        front = self.networks[number].front if len(self.servers) == 1 else ""
        environ = environment(SECRET=SECRET, REDIS_URL=f"unix://{front}")
        if self.skew:
            # One node's clock is behind, one's is ahead; time goes on as fast on all.
            environ |= {
                "LD_PRELOAD": FAKETIME,
                "FAKETIME": f"{(number - 1) * self.skew:+g}s",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        with self.folder.joinpath(f"node{number}.log").open("ab") as log:
            node = subprocess.Popen(arguments, cwd=self.folder, env=environ, stdout=log, stderr=log)
        if number < len(self.nodes):
            self.nodes[number] = node
        else:
            self.nodes.append(node)

    async def until_up(self, number: int) -> None:
        with trio.fail_after(60):
            while True:
                # It listens before it serves: only an answer says that it is up.
                try:
                    async with await trio.open_tcp_stream("127.0.0.1", self.ports[number]) as one:
                        await one.send_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        if await one.receive_some():
                            return
                except (OSError, trio.BrokenResourceError):
                    await trio.sleep(0.1)

    def descriptors(self) -> list[int]:
        return [len(list(Path(f"/proc/{node.pid}/fd").iterdir())) for node in self.nodes]

    # ---------------------------------------------------------------------------------------------------- faults

    async def kill_node(self) -> None:
        number = self.chance.randrange(NODES)
        self.nodes[number].kill()
        self.nodes[number].wait()
        await trio.sleep(self.chance.uniform(0, 1))
        self.start_node(number)
        await self.until_up(number)

    async def drain_node(self) -> None:
        number = self.chance.randrange(NODES)
        self.nodes[number].send_signal(signal.SIGTERM)
        await trio.to_thread.run_sync(self.nodes[number].wait)
        self.start_node(number)
        await self.until_up(number)

    async def freeze_node(self) -> None:
        node = self.chance.choice(self.nodes)
        node.send_signal(signal.SIGSTOP)
        await trio.sleep(self.chance.uniform(0.2, 4))
        node.send_signal(signal.SIGCONT)

    async def freeze_redis(self) -> None:
        server = self.chance.choice(self.servers)
        server.signal(signal.SIGSTOP)
        await trio.sleep(self.chance.choice((0.2, 1.5, 4.5)))
        server.signal(signal.SIGCONT)

    async def restart_redis(self) -> None:
        server = self.chance.choice(self.servers)
        server.kill()
        await trio.sleep(self.chance.uniform(0, 1.5))
        await trio.to_thread.run_sync(server.start)

    async def move_slot(self) -> None:
        """A slot with a shard's keys moves to another primary of the cluster, a few keys at a time."""
        assert self.cluster is not None
        slot, source = self.chance.choice(sorted(self.slots.items()))
        target = self.slots[slot] = (source + 1) % len(self.servers)
        await self.cluster.begin_move(slot, source, target)
        while await self.cluster.move_keys(slot, source, target, most=3):  # noqa: ASYNC110 - it is other processes that are watched
            await trio.sleep(self.chance.uniform(0, 0.05))
        await self.cluster.end_move(slot, target)

    async def part_network(self) -> None:
        """A node and Redis hear each other late, in one direction, not at all, or have to connect again."""
        network = self.chance.choice(self.networks)
        kind = self.chance.choice(("late", "up", "down", "both", "half", "cut"))
        if kind == "late":
            network.delay = self.chance.uniform(0.01, 0.3)
        elif kind == "cut":
            network.cut()
        elif kind == "half":
            await network.half_close()
        else:
            network.held = HELD[kind]
        await trio.sleep(self.chance.choice((0.3, 2, 5)))
        network.heal()

    async def cut_clients(self) -> None:
        for sailor in self.chance.sample(self.sailors, len(self.sailors) // 2):
            sailor.cut()
        await trio.lowlevel.checkpoint()

    async def rage(self, seconds: float) -> None:
        """One fault after the other, for so long."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.kill_node,
            self.drain_node,
            self.freeze_node,
            self.freeze_redis,
            self.restart_redis,
            self.cut_clients,
            self.part_network if self.networks else self.move_slot,
        ]
        end = trio.current_time() + seconds
        order: list[Callable[[], Awaitable[None]]] = []
        while trio.current_time() < end:
            order = order or self.chance.sample(kinds, len(kinds))
            fault = order.pop()
            self.faults[fault.__name__] = self.faults.get(fault.__name__, 0) + 1
            await fault()
            await trio.sleep(self.chance.uniform(0.1, 1.5))

    # --------------------------------------------------------------------------------------------------- the run

    async def run(self, seconds: float, count: int) -> None:
        async with trio.open_nursery() as nursery:
            for network in self.networks:
                await nursery.start(network.run)
            await self._run(seconds, count)
            nursery.cancel_scope.cancel()

    async def _run(self, seconds: float, count: int) -> None:
        for number in range(NODES):
            self.start_node(number)
        for number in range(NODES):
            await self.until_up(number)
        before = self.descriptors()
        for number in range(count):
            name = f"u{number}"
            chance = random.Random(self.chance.random())
            path = PATHS[number % len(PATHS)]
            diary = Diary.of(self.folder, name)
            diary.note("sails", path=path)
            self.sailors.append(Sailor(name, path, self.ports, chance, diary))
        async with trio.open_nursery() as nursery:
            for sailor in self.sailors:
                nursery.start_soon(sailor.sail)
            await self.rage(seconds)
            with trio.fail_after(120):
                truth = await self._truth()
            nursery.cancel_scope.cancel()
        truth["descriptors"] = [before, await self._settled_descriptors(before)]
        self.folder.joinpath("truth.json").write_text(json.dumps(truth))
        for sailor in self.sailors:
            sailor.diary.file.close()

    async def _truth(self) -> dict[str, Any]:
        """What is so once all is quiet: each room's whole history, and who is said to be there."""
        for sailor in self.sailors:
            sailor.is_calm = True
        await trio.sleep(3)
        rooms: dict[str, Any] = {}
        for path in PATHS:
            inside = [sailor for sailor in self.sailors if sailor.path == path]
            frames = await self._history(inside[0])
            top = frames[-1]["pos"] if frames else ""
            for sailor in inside:
                while sailor.position < top or sailor.socket is None:
                    await sailor.changed.wait()
            rooms[path] = {
                "frames": frames,
                "present": await self._present(inside),
                "inside": {sailor.name: 1 for sailor in inside},
            }
        return {"rooms": rooms, "faults": self.faults}

    async def _history(self, sailor: Sailor) -> list[dict[str, Any]]:
        frames: list[dict[str, Any]] = []
        more = True
        while more:
            before = {"before": frames[0]["pos"]} if frames else {}
            page = await sailor.ask(type="history", limit=1000, **before)
            frames = page["frames"] + frames
            more = page["more"]
        return frames

    async def _present(self, inside: list[Sailor]) -> dict[str, int]:
        """The presence, once it is right; after the time that a dead node's users may stay, as it is."""
        expected = {sailor.name: 1 for sailor in inside}
        present: dict[str, int] = {}
        with trio.move_on_after(100):
            while present != expected:
                users = (await inside[0].ask(type="presence"))["users"]
                present = {user["user"]: user["connections"] for user in users}
                await trio.sleep(0.2)
        return present

    async def _settled_descriptors(self, before: list[int]) -> list[int]:
        now = self.descriptors()
        with trio.move_on_after(60):
            while any(one > other for one, other in zip(now, before, strict=True)):
                await trio.sleep(0.2)
                now = self.descriptors()
        return now

    def end(self) -> None:
        for node in self.nodes:
            if node.poll() is None:
                node.send_signal(signal.SIGCONT)
                node.kill()
            node.wait()


@attrs.frozen
class Between:
    """What is between the nodes: one server, several `shards`, or a cluster of three primaries; `skew`: seconds of their clocks."""

    shards: int = 1
    is_cluster: bool = False
    skew: float = 0.0


async def raise_storm(
    folder: Path, place: Path, seed: int, seconds: float, count: int, between: Between
) -> None:
    """Let it rage in a folder that gets all histories; `place` is a short path for the servers' sockets."""
    sockets = bind(["127.0.0.1:0"] * NODES)
    ports = [int(named(sock).rpartition(":")[2]) for sock in sockets]
    for sock in sockets:
        sock.close()
    storm = Storm(folder, random.Random(seed), [], ports, [], skew=between.skew)

    def make_server(kind: str) -> Server:
        home = place / str(len(storm.servers))
        home.mkdir()
        storm.servers.append(Server(_binary(kind), home))
        storm.servers[-1].start(*PERSISTENT)
        return storm.servers[-1]

    try:
        settings = await _build(storm, make_server, place, between)
        folder.joinpath("channels.yaml").write_text(CHANNELS.replace("BROKER", settings))
        await storm.run(seconds, count)
    finally:
        storm.end()
        for server in storm.servers:
            if server.process is not None:
                server.signal(signal.SIGCONT)
                server.kill()


async def _build(
    storm: Storm, make_server: Callable[[str], Server], place: Path, between: Between
) -> str:
    """Start the servers; what the configuration says of them."""
    if between.is_cluster:
        storm.cluster = await start_cluster(make_server, "valkey", 3, 0, *PERSISTENT[2:])
        for shard in of_cluster(storm.cluster.url, "channeld", 64).shards:
            slot = slot_of(shard.name)
            storm.slots[slot] = next(n for n in range(3) if slot < SLOTS * (n + 1) // 3)
        return f'{{url: "{storm.cluster.url}"}}'
    backs = [str(make_server("valkey").socket) for _ in range(between.shards)]
    if between.shards == 1:
        storm.networks += [Partition(str(place / f"n{n}"), backs[0]) for n in range(NODES)]
        return '{url: "${REDIS_URL}"}'
    # A shard is its address, which must be the same for all nodes.
    storm.networks += [Partition(str(place / f"n{n}"), back) for n, back in enumerate(backs)]
    fronts = ", ".join(f'"unix://{network.front}"' for network in storm.networks)
    return f"{{urls: [{fronts}]}}"
