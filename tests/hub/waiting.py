"""A hub on a broker that answers when it is told to, or not at all; members act in tasks of their own."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import attrs
import trio

from channeld.broker.broker import BrokerUnavailable, Deliver
from channeld.broker.memory import MemoryBroker
from channeld.hub.fanout import DirectFanout
from channeld.hub.hub import Hub
from channeld.later import Pending
from channeld.timers import Timers
from tests.hub.kit import CHANNEL, FakeMember, HandClock

WAITING = frozenset(
    {"publish", "subscribe", "since", "before", "enter", "linger", "leave", "present", "entry"}
)


@attrs.define(eq=False)
class SlowBroker:
    """The memory broker behind a door. While `is_slow` each verb (of `slow`) waits until `open`; while `is_away` it raises.

    `away_for` are verbs that raise alone. What is asked is done at once, as by one that answers late.
    """

    core: MemoryBroker
    is_slow: bool = False
    slow: frozenset[str] = WAITING
    is_away: bool = False
    away_for: frozenset[str] = frozenset()
    asked: list[str] = attrs.field(factory=list)
    _door: trio.Event = attrs.field(factory=trio.Event)

    def open(self) -> None:
        """Let everything through that waits."""
        self.is_slow = False
        self._door.set()
        self._door = trio.Event()

    def __getattr__(self, verb: str) -> Any:
        call: Callable[..., Any] = getattr(self.core, verb)
        return partial(self._ask, verb, call) if verb in WAITING else call

    def _ask(self, verb: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self.asked.append(verb)
        if verb != "subscribe" and (self.is_away or verb in self.away_for):
            raise BrokerUnavailable
        if not self.is_slow or verb not in self.slow:
            return call(*arguments, **options)
        return self._later(verb, self._door, call(*arguments, **options))

    async def _later(self, verb: str, door: trio.Event, answer: Any) -> Any:
        await door.wait()
        if verb != "subscribe" and (self.is_away or verb in self.away_for):
            raise BrokerUnavailable
        return answer


class WaitingKit:
    """A hub whose broker must be waited for."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.clock, self.timers, self.nursery = HandClock(), Timers(), nursery
        self.hub = Hub(self._make, DirectFanout(), self.clock, self.timers, self._spawn)

    def _make(self, deliver: Deliver) -> Any:
        self.broker = SlowBroker(MemoryBroker(deliver, self.clock, "e" * 11))
        return self.broker

    def _spawn(self, pending: Awaitable[object]) -> None:
        async def run() -> None:
            await pending

        self.nursery.start_soon(run)

    async def attach(self, connection: str, user: str | None) -> FakeMember:
        member = FakeMember(connection, user)
        await Pending(self.hub.attach(member, CHANNEL))
        return member

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run it in a task: a list that gets its result, or the error BrokerUnavailable."""
        outcome: list[Any] = []

        async def run() -> None:
            try:
                outcome.append(await Pending(coroutine))
            except BrokerUnavailable as error:
                outcome.append(error)

        self.nursery.start_soon(run)
        return outcome
