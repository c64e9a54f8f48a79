from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from channeld.broker.broker import BrokerUnavailable, Topic
from channeld.broker.memory import MemoryBroker
from channeld.testing import VirtualRuntime
from channeld.webhooks.occupancy import Occupancy

A, B = Topic("room", "chat", "a"), Topic("room", "chat", "b")


class LateBroker(MemoryBroker):
    """Answers in the next turn of the loop; `is_away`: not at all."""

    is_away = False

    def enter(self, *entry: Any) -> Any:
        return self._later(super().enter, entry)

    def leave(self, *entry: Any) -> Any:
        return self._later(super().leave, entry)

    def _later(self, verb: Any, entry: tuple[Any, ...]) -> Awaitable[bool]:
        if self.is_away:
            raise BrokerUnavailable(retry_after=1.0)
        return _after_a_while(verb(*entry))


async def _after_a_while(answer: bool) -> bool:
    await trio.sleep(0.1)
    return answer


@attrs.define(eq=False)
class Rig:
    broker: LateBroker | MemoryBroker
    told: list[tuple[str, bool]]
    nodes: list[Occupancy]
    runtime: VirtualRuntime

    def take(self) -> list[tuple[str, bool]]:
        told, self.told[:] = list(self.told), []
        return told

    async def advance(self, seconds: float) -> None:
        end = self.runtime.clock.monotonic() + seconds
        while (due := self.runtime.timers.next_deadline()) is not None and due <= end:
            await trio.sleep(max(0.0, due - self.runtime.clock.monotonic()))
            self.runtime.timers.run(self.runtime.clock.monotonic())
            await wait_all_tasks_blocked()
        await trio.sleep(end - self.runtime.clock.monotonic())


@asynccontextmanager
async def rig(kind: type[MemoryBroker], count: int = 1) -> AsyncIterator[Rig]:
    told: list[tuple[str, bool]] = []
    async with trio.open_nursery() as nursery:
        runtime = VirtualRuntime(nursery, 0)
        broker = kind(lambda _topic, _publication: None, runtime.clock, "e")
        nodes = [
            Occupancy(
                broker, runtime, lambda topic, is_in, _version: told.append((topic.name, is_in))
            )
            for _ in range(count)
        ]
        yield Rig(broker, told, nodes, runtime)
        assert runtime.failures == []
        nursery.cancel_scope.cancel()


async def test_the_first_and_the_last_are_told_at_once_by_a_broker_in_memory() -> None:
    async with rig(MemoryBroker) as here:
        [node] = here.nodes
        node.enter(A, "1")
        node.enter(A, "2")
        node.leave(A, "1")
        node.enter(B, "1")
        node.leave(A, "2")
        assert here.take() == [("a", True), ("b", True), ("a", False)]


async def test_to_come_or_to_go_twice_is_once() -> None:
    async with rig(MemoryBroker) as here:
        [node] = here.nodes
        for _ in range(2):
            node.enter(A, "1")
        for _ in range(2):
            node.leave(A, "1")
        node.leave(B, "7")
        assert here.take() == [("a", True), ("a", False)]


async def test_a_room_is_one_over_all_nodes() -> None:
    async with rig(MemoryBroker, 2) as here:
        one, other = here.nodes
        one.enter(A, "1")
        other.enter(A, "2")
        one.leave(A, "1")
        assert here.take() == [("a", True)]
        other.leave(A, "2")
        assert here.take() == [("a", False)]


async def test_grace_delays_the_end_and_a_return_cancels_it(autojump_clock: MockClock) -> None:
    async with rig(MemoryBroker) as here:
        [node] = here.nodes
        node.enter(A, "1")
        node.leave(A, "1", grace=5)
        await here.advance(4)
        node.enter(A, "2")
        await here.advance(10)
        assert here.take() == [("a", True)]
        node.leave(A, "2", grace=5)
        await here.advance(4)
        assert here.take() == []
        await here.advance(2)
        assert here.take() == [("a", False)]


async def test_all_grace_can_end_at_once() -> None:
    async with rig(MemoryBroker) as here:
        [node] = here.nodes
        node.enter(A, "1")
        node.leave(A, "1", grace=5)
        node.end_grace()
        node.end_grace()
        assert here.take() == [("a", True), ("a", False)]


async def test_answers_that_come_late_are_told_in_order(autojump_clock: MockClock) -> None:
    async with rig(LateBroker) as here:
        [node] = here.nodes
        for number in range(250):
            node.enter(Topic("room", "chat", str(number)), "1")
        await node.settle()
        assert here.take() == [(str(number), True) for number in range(250)]


async def test_what_changed_while_the_broker_was_asked_is_told_after(
    autojump_clock: MockClock,
) -> None:
    async with rig(LateBroker) as here:
        [node] = here.nodes
        node.enter(A, "1")
        node.leave(A, "1")
        await node.settle()
        assert here.take() == [("a", True), ("a", False)]


async def test_while_the_broker_is_away_wishes_wait(autojump_clock: MockClock) -> None:
    async with rig(LateBroker) as here:
        [node] = here.nodes
        assert isinstance(here.broker, LateBroker)
        here.broker.is_away = True
        node.enter(A, "1")
        node.enter(B, "1")
        node.leave(B, "1")
        await here.advance(3)
        assert here.take() == []
        assert len(here.runtime.timers) == 1
        here.broker.is_away = False
        await here.advance(2)
        assert here.take() == [("a", True)]


async def test_a_room_left_while_the_broker_is_away_is_its_to_tell(
    autojump_clock: MockClock,
) -> None:
    async with rig(LateBroker) as here:
        [node] = here.nodes
        node.enter(A, "1")
        await node.settle()
        assert isinstance(here.broker, LateBroker)
        here.broker.is_away = True
        node.leave(A, "1")
        await node.settle()
        assert here.take() == [("a", True)]
        assert len(here.runtime.timers) == 0


async def test_who_stops_leaves_the_rest_of_a_rooms_grace_to_the_others(
    autojump_clock: MockClock,
) -> None:
    lingering: list[tuple[Topic, str, float]] = []

    class Heirs(MemoryBroker):
        def linger(self, topic: Topic, user: str, connection: str, seconds: float = 0.0) -> None:
            lingering.append((topic, user, seconds))

    async with rig(Heirs) as here:
        [node] = here.nodes
        node.enter(A, "1")
        node.enter(B, "2")
        node.leave(A, "1", 10.0)
        await here.advance(4.0)
        await node.bequeath()
        # A second more than the last user has, who is to leave before.
        [(topic, user, seconds)] = lingering
        assert (topic, user) == (Topic("occupied", "chat", "a"), "")
        assert seconds == pytest.approx(7.0)
        assert here.take() == [("a", True), ("b", True)]
