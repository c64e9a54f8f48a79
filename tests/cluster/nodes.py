"""Several engines in one process, with one memory broker between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from channeld.broker.broker import BrokerUnavailable, Deliver, Delivered, Topic
from channeld.broker.memory import MemoryBroker
from channeld.cluster.cluster import Cluster
from channeld.engine.engine import Engine
from channeld.hub.fanout import DirectFanout
from channeld.plan.load import load_plan
from channeld.plan.plan import Plan
from channeld.testing import TestApp, VirtualRuntime
from channeld.testing.app import find_test_user


class Bus:
    """What lies between the nodes; `is_away`: nobody reaches it."""

    def __init__(self, runtime: VirtualRuntime) -> None:
        self.core = MemoryBroker(self.spread, runtime.clock, "0" * 11)
        self.ends: list[End] = []
        self.is_away = False

    def spread(self, topic: Topic, delivered: Delivered) -> None:
        for end in self.ends:
            if topic in end.topics and not end.is_deaf:
                end.deliver(topic, delivered)
            elif topic in end.topics and getattr(delivered, "position", None) is not None:
                end.missed.append((topic, delivered))

    def attach(self, deliver: Deliver) -> "End":
        end = End(self, deliver)
        self.ends.append(end)
        return end


class End:
    """One node's broker. `is_deaf`: nothing comes to it; what the broker keeps comes when it hears again."""

    def __init__(self, bus: Bus, deliver: Deliver) -> None:
        self.bus, self.deliver = bus, deliver
        self.topics: set[Topic] = set()
        self.is_deaf = False
        self.missed: list[tuple[Topic, Delivered]] = []

    def hear(self) -> None:
        """It is no longer deaf."""
        self.is_deaf = False
        missed, self.missed = self.missed, []
        for topic, delivered in missed:
            self.deliver(topic, delivered)

    def subscribe(self, topic: Topic, *, is_numbered: bool = True) -> None:
        self.topics.add(topic)
        self.bus.core.subscribe(topic)

    def unsubscribe(self, topic: Topic) -> None:
        self.topics.discard(topic)

    def __getattr__(self, verb: str) -> Any:
        if self.bus.is_away:
            raise BrokerUnavailable
        return getattr(self.bus.core, verb)


class Node(TestApp):
    """An app of a cluster."""

    def __init__(self, plan: Plan, bus: Bus, runtime: VirtualRuntime, name: str) -> None:
        super().__init__(plan, runtime)
        self.name = name
        self.engine = Engine(plan, bus.attach, DirectFanout(), runtime, find_user=find_test_user)
        self.end = bus.ends[-1]
        self.cluster = Cluster(self.engine, name, group="g")
        self.engine.cluster = self.cluster


@asynccontextmanager
async def cluster_of(file: Path, count: int) -> AsyncIterator[tuple[Bus, list[Node]]]:
    """Nodes named n0, n1, … that know each other."""
    plan = load_plan(str(file))
    async with trio.open_nursery() as nursery:
        bus = Bus(VirtualRuntime(nursery, 0))
        runtimes = [VirtualRuntime(nursery, number + 1) for number in range(count)]
        nodes = [Node(plan, bus, runtime, f"n{n}") for n, runtime in enumerate(runtimes)]
        for node in nodes:
            await node.cluster.open()
        yield bus, nodes
        await nodes[0].rest()
        assert [failure for node in nodes for failure in node.runtime.failures] == []
        nursery.cancel_scope.cancel()
