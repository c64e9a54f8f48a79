"""Conflation limits frames about one thing in one room: the first goes out at once, then at most the newest per interval. The last always goes out.

The node whose frame went out holds the slot's newest frame until the interval ends, and then gives it to the broker. If another
node's frame went out, the broker holds the newest frame instead: each frame goes to the broker, which says how long it will hold it.
When that time is over, this node asks the broker again. When a sender leaves, its held frames go out at once. A slot is forgotten
after an interval without a frame, so there are never more slots than frames in one interval.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import attrs

from channeld.broker.broker import BrokerUnavailable
from channeld.broker.once import AlreadyTaken, Once
from channeld.broker.publish_options import Conflated
from channeld.later import Later
from channeld.protocol.names import Topic
from channeld.timers import Clock, Timers

Publish: TypeAlias = Callable[[Conflated, Once | None, bool], Later[float]]
"""Gives a frame to the broker: how it may wait, the `once` key, and whether to ask only for the frame that the broker already holds."""

_Place: TypeAlias = tuple[Topic, str]


@attrs.define(eq=False)
class _Slot:
    """The interval of one slot. `publish` sends its latest frame, which waits here (`is_held`) or in the broker (`is_lent`)."""

    seconds: float
    connection: str
    publish: Publish
    since: float
    is_held: bool = False
    is_lent: bool = False


class Conflation:
    """The frames that one node holds. `spawn` runs coroutines that nobody awaits."""

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
        """Publish a frame, or hold it until its interval ends or a newer frame replaces it.

        Returns:
            Whether it waits. A frame with `conflated.at_once` never does.

        Raises:
            AlreadyTaken, BrokerUnavailable: it was not published; raised by this or by the awaitable.
        """
        place = topic, conflated.slot
        slot = self._slots.get(place)
        if slot is not None and not conflated.at_once:
            self._own(place, slot, connection)
            slot.publish, slot.since = publish, self._clock.monotonic()
            if slot.is_lent:
                # The interval is another node's, which needs the newest frame when the interval ends.
                return self._forward(slot, publish(conflated, once, False))
            slot.is_held = True
            return True
        if slot is not None:
            return self._replace(slot, partial(publish, conflated, once, False))
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

    def holds(self, topic: Topic, conflated: Conflated) -> bool:
        """Whether a frame that is offered now would wait here rather than go to the broker."""
        slot = self._slots.get((topic, conflated.slot))
        return slot is not None and not slot.is_lent and not conflated.at_once

    def forget(self, topic: Topic, slot: str) -> None:
        """Drop the frame held in a slot, because it was cleared."""
        waiting = self._slots.get((topic, slot))
        if waiting is not None:
            waiting.is_held = False

    def flush(self, connection: str, topic: Topic | None = None) -> None:
        """Publish a connection's held frames at once, because it has ended or left the room."""
        for place in list(self._of.get(connection, ())):
            slot = self._slots[place]
            if topic in (None, place[0]) and (slot.is_held or slot.is_lent):
                self._send(place, slot, at_once=True)

    def flush_all(self) -> None:
        """Publish all held frames at once, because the rules change."""
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

    def _replace(self, slot: _Slot, publish: Callable[[], Later[float]]) -> Later[bool]:
        """Publish a frame that does not wait; the one held in its slot is dropped, unless this one is not published."""
        was_held, slot.is_held = slot.is_held, False
        try:
            later = publish()
        except (AlreadyTaken, BrokerUnavailable):
            slot.is_held = was_held
            raise
        forwarded = self._forward(slot, later)
        return (
            self._replaced(slot, forwarded)
            if was_held and isinstance(forwarded, Awaitable)
            else forwarded
        )

    async def _replaced(self, slot: _Slot, forwarded: Awaitable[bool]) -> bool:
        try:
            return await forwarded
        except AlreadyTaken:
            slot.is_held = True
            raise
        except BrokerUnavailable as error:
            # A frame that may have gone out is not followed by an older one.
            slot.is_held = slot.is_held or not error.is_unknown
            raise

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
        # Its sender has long been answered. A frame that may have gone out is not sent again; any other is still held.
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
        """Note which connection sent the latest frame of a slot."""
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
