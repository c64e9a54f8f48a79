"""Frames that are about one thing in one room: at most one in a time, the first at once, then the newest, always the last.

A node whose frame went out holds the newest of its slot while the slot's time lasts, and then gives it to the broker. Where
another node's frame went out, a broker between nodes holds the newest: it gets each one, says for how long, and is asked again
then. What is held goes at once when its sender leaves. A slot is forgotten when its time passes without another frame, so there are
never more of them than frames came in that time.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import attrs

from channeld.broker.broker import BrokerUnavailable, Conflated
from channeld.broker.once import Once
from channeld.later import Later
from channeld.protocol.names import Topic
from channeld.timers import Clock, Timers

__all__ = ["Conflation", "Publish"]

Publish: TypeAlias = Callable[[Conflated, Once | None, bool], Later[float]]
"""Give a frame to the broker: how it waits, the key it takes, and whether it is only asked for what it holds already."""

_Place: TypeAlias = tuple[Topic, str]


@attrs.define(eq=False)
class _Slot:
    """The time of one slot. `publish` is of the latest frame, which waits here (`is_held`) or in the broker (`is_lent`)."""

    seconds: float
    connection: str
    publish: Publish
    since: float
    is_held: bool = False
    is_lent: bool = False


class Conflation:
    """What one node holds back. `spawn` runs what nobody waits for."""

    def __init__(
        self, clock: Clock, timers: Timers, spawn: Callable[[Awaitable[object]], None]
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._spawn = spawn
        self._slots: dict[_Place, _Slot] = {}
        self._of: dict[str, set[_Place]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def offer(
        self,
        topic: Topic,
        conflated: Conflated,
        connection: str,
        publish: Publish,
        once: Once | None = None,
    ) -> Later[bool]:
        """Publish a frame, or hold it until its time comes, unless a newer one takes its place.

        Returns:
            Whether it has to wait. With `conflated.at_once` nothing has to.

        Raises:
            AlreadyTaken, BrokerUnavailable: this or the awaitable; it was not published.
        """
        place = topic, conflated.slot
        slot = self._slots.get(place)
        if slot is not None and not conflated.at_once:
            self._own(place, slot, connection)
            slot.publish, slot.since = publish, self._clock.monotonic()
            if slot.is_lent:
                # Another node's time: it has to know the newest when that ends.
                return self._forward(slot, publish(conflated, once, False))
            slot.is_held = True
            return True
        if slot is not None:
            slot.is_held = False
            return self._forward(slot, publish(conflated, once, False))
        slot = _Slot(conflated.seconds, "", publish, self._clock.monotonic())
        self._slots[place] = slot
        self._own(place, slot, connection)
        try:
            later = publish(conflated, once, False)
        except BaseException:
            self._forget(place, slot)
            raise
        if isinstance(later, Awaitable):
            return self._wait(place, slot, later)
        self._sent(place, slot, later)
        return later > 0

    def forget(self, topic: Topic, slot: str) -> None:
        """What waits in a slot was cleared."""
        waiting = self._slots.get((topic, slot))
        if waiting is not None:
            waiting.is_held = False

    def flush(self, connection: str, topic: Topic | None = None) -> None:
        """A connection has ended, or has left a room: what it sent last goes at once."""
        for place in list(self._of.get(connection, ())):
            slot = self._slots[place]
            if topic in (None, place[0]) and (slot.is_held or slot.is_lent):
                self._send(place, slot, at_once=True)

    def flush_all(self) -> None:
        """The rules change: what waits goes at once, as it would have gone."""
        for place, slot in list(self._slots.items()):
            if slot.is_held or slot.is_lent:
                self._send(place, slot, at_once=True)

    def _send(self, place: _Place, slot: _Slot, *, at_once: bool = False) -> None:
        now = self._clock.monotonic()
        conflated = Conflated(place[1], slot.seconds, now - slot.since, at_once=at_once)
        is_asking, slot.is_held = not slot.is_held, False
        try:
            later = slot.publish(conflated, None, is_asking)
        except BrokerUnavailable as error:
            self._failed(place, slot, error, wakes=not at_once)
            return
        if isinstance(later, Awaitable):
            self._spawn(self._finish(place, slot, later, wakes=not at_once))
        elif not at_once:
            self._sent(place, slot, later)

    def _forward(self, slot: _Slot, later: Later[float]) -> Later[bool]:
        if isinstance(later, Awaitable):
            return self._wait_for(slot, later)
        return later > 0

    async def _wait_for(self, slot: _Slot, later: Awaitable[float]) -> bool:
        slot.is_lent = await later > 0
        return slot.is_lent

    async def _wait(self, place: _Place, slot: _Slot, later: Awaitable[float]) -> bool:
        try:
            wait = await later
        except BaseException:
            self._sent(place, slot, 0.0)
            raise
        self._sent(place, slot, wait)
        return wait > 0

    async def _finish(
        self, place: _Place, slot: _Slot, later: Awaitable[float], *, wakes: bool
    ) -> None:
        try:
            wait = await later
        except BrokerUnavailable as error:
            self._failed(place, slot, error, wakes=wakes)
        else:
            if wakes:
                self._sent(place, slot, wait)
            else:
                slot.is_lent = wait > 0

    def _failed(self, place: _Place, slot: _Slot, error: BrokerUnavailable, *, wakes: bool) -> None:
        # Its sender was answered long ago. If it may have gone out it is not sent twice; else it waits on.
        if wakes:
            slot.is_held = slot.is_held or not error.is_unknown
            self._wake(place, max(error.retry_after, slot.seconds))

    def _sent(self, place: _Place, slot: _Slot, wait: float) -> None:
        slot.is_lent = wait > 0
        if slot.is_held and wait:
            self._send(place, slot)
        elif wait < 0:
            self._forget(place, slot)
        else:
            self._wake(place, wait or slot.seconds)

    def _wake(self, place: _Place, seconds: float) -> None:
        self._timers.at(self._clock.monotonic() + seconds, partial(self._due, place))

    def _due(self, place: _Place, now: float) -> None:
        slot = self._slots[place]
        if slot.is_held or slot.is_lent:
            self._send(place, slot)
        else:
            self._forget(place, slot)

    def _own(self, place: _Place, slot: _Slot, connection: str) -> None:
        """Note whose the latest frame of a slot is."""
        if slot.connection:
            self._disown(place, slot)
        slot.connection = connection
        if connection:
            self._of.setdefault(connection, set()).add(place)

    def _disown(self, place: _Place, slot: _Slot) -> None:
        places = self._of[slot.connection]
        places.discard(place)
        if not places:
            del self._of[slot.connection]

    def _forget(self, place: _Place, slot: _Slot) -> None:
        del self._slots[place]
        if slot.connection:
            self._disown(place, slot)
