"""Holds messages of types with `over: latest`: the newest of each room and key waits until its rate allows it.

A session holds at most `MOST` messages. They are routed when the type's allowance permits, in the order in which the first message of
each key arrived, or at once when the connection ends. The `once` key of a message is taken when the message is routed or when a newer
one replaces it.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

from channeld.broker.once import Once
from channeld.engine import rates
from channeld.engine.ports import Waiting
from channeld.engine.session import Session, State
from channeld.later import resolved
from channeld.plan.plan import MessagePlan
from channeld.protocol.frames import Frame
from channeld.protocol.names import Topic
from channeld.timers import Timer

MOST: Final = 64
"""Messages that one connection may hold; further ones are refused."""

Slot: TypeAlias = tuple[str, Topic | None, str]
Deliver: TypeAlias = Callable[[Session, MessagePlan, Frame, Once | None], Awaitable[None]]


class Holding:
    """The held messages of one session. `deliver` handles a message whose time has come."""

    def __init__(self, session: Session, deliver: Deliver) -> None:
        self._session = session
        self._deliver = deliver
        self._held: dict[Slot, Waiting] = {}
        self._timers: dict[str, Timer] = {}
        self._asked: set[str] = set()

    async def replace(self, slot: Slot, newer: Waiting) -> bool:
        """Replace a held message with a newer one; False if none is held.

        Raises:
            BrokerUnavailable: the older message's key could not be taken. The newer message is held nevertheless.
        """
        if slot not in self._held:
            return False
        once = self._held[slot][2]
        self._held[slot] = newer
        if once is not None and once != newer[2]:
            # If the older message is sent again, it must not replace the newer one.
            await resolved(self._session.engine.hub.broker.take(once))
        return True

    def hold(self, slot: Slot, held: Waiting, at: float) -> bool:
        """Hold a message until `at` (monotonic seconds); False if no more can be held."""
        if len(self._held) >= MOST:
            return False
        self._held[slot] = held
        self._session.engine.hub.holders.add(self)
        self._wake(slot[0], at)
        return True

    def forget(self, topic: Topic, key: str) -> None:
        """Drop the message held for a topic under a key (its delivered type and its own key). Idempotent."""
        for slot, (message, _, _) in list(self._held.items()):
            newest = message.newest
            if newest is not None and slot[1] == topic and newest.named(slot[2]) == key:
                self._take(slot)

    async def flush(self) -> None:
        """Handle all held messages, regardless of rates."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._held:
            held = self._take(next(iter(self._held)))
            await self._deliver(self._session, *held)

    def _take(self, slot: Slot) -> Waiting:
        held = self._held.pop(slot)
        if not self._held:
            self._session.engine.hub.holders.discard(self)
        return held

    def _wake(self, type: str, at: float) -> None:
        if type not in self._timers and type not in self._asked:
            timers = self._session.engine.runtime.timers
            self._timers[type] = timers.at(at, partial(self._due, type))

    def _due(self, type: str, now: float) -> None:
        self._timers.pop(type, None)
        slots = [slot for slot in self._held if slot[0] == type]
        if not slots or not self._session.is_in(State.OPEN):
            return None
        slot = slots[0]
        message = self._held[slot][0]
        if rates.is_shared(self._session, message):
            # Until the broker answers, no other message of the type is asked for.
            self._asked.add(type)
            return self._session.engine.runtime.spawn(self._ask(slot, message, now))
        wait = rates.take_allowance(self._session, message, slot[1], now)
        if wait:
            return self._wake(type, now + wait)
        return self._session.engine.runtime.spawn(self._release(slot, now))

    async def _ask(self, slot: Slot, message: MessagePlan, now: float) -> None:
        wait = await rates.admit(self._session, message, slot[1], now)
        self._asked.discard(slot[0])
        if wait or slot not in self._held:
            self._wake(slot[0], now + wait)
        else:
            await self._release(slot, now)

    async def _release(self, slot: Slot, now: float) -> None:
        held = self._take(slot)
        if any(other[0] == slot[0] for other in self._held):
            self._wake(slot[0], now)
        await self._deliver(self._session, *held)
