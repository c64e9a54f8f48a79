"""The broker of one process: everything in dictionaries, every verb done when it returns.

Bounds: a history is bounded by its `History`; when its last frame has expired only its top offset stays, so that a client
at the top still recovers. Of those leftovers there are at most `LEFTOVERS`; when the oldest is dropped, its offset raises
the floor from which unknown topics count. An offset is therefore never given twice in one epoch, and a client whose
position was forgotten is told `recovered` false. A presence vanishes with its last user, a subscription when it ends.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs

from channeld.broker.broker import (
    Deliver,
    History,
    Page,
    Position,
    PresenceEntry,
    Publication,
    Topic,
)
from channeld.broker.stream import Stream
from channeld.timers import Clock, Timers

__all__ = ["LEFTOVERS", "MemoryBroker", "MemoryStatistics"]

LEFTOVERS = 100_000


@attrs.define(eq=False)
class _Here:
    """A user who is present; each connection with True while it lives, False while it lingers."""

    info: Mapping[str, Any]
    connections: dict[str, bool] = attrs.field(factory=dict)


@attrs.frozen(slots=True, kw_only=True)
class MemoryStatistics:
    """How much a `MemoryBroker` holds."""

    subscriptions: int
    histories: int
    leftovers: int
    presences: int


class MemoryBroker:
    """Keeps the `Broker` contract within one process; `epoch` must differ from that of any earlier process."""

    def __init__(self, deliver: Deliver, clock: Clock, epoch: str) -> None:
        self._deliver = deliver
        self._clock = clock
        self._epoch = epoch
        self._subscribed: set[Topic] = set()
        self._streams: dict[Topic, Stream] = {}
        self._leftovers: dict[Topic, int] = {}
        self._floor = 0
        self._expiries = Timers()
        self._here: dict[Topic, dict[str, _Here]] = {}

    def publish(
        self, topic: Topic, payload: bytes, keep: History | None = None, skip: str | None = None
    ) -> Position | None:
        """Deliver a frame at once, if the topic is subscribed to; keep it first if `keep` is given."""
        position = None if keep is None else self._append(topic, payload, keep)
        if topic in self._subscribed:
            self._deliver(topic, Publication(payload, position, skip))
        return position

    def subscribe(self, topic: Topic) -> None:
        """Deliver the topic's publications from now on."""
        self._subscribed.add(topic)

    def unsubscribe(self, topic: Topic) -> None:
        """Deliver them no more."""
        self._subscribed.discard(topic)

    def since(self, topic: Topic, position: Position | None, keep: History) -> Page:
        """What came after a position, all or nothing; with None only `top`."""
        return self._reading(topic).since(position, keep, self._clock.monotonic())

    def before(self, topic: Topic, position: Position | None, limit: int, keep: History) -> Page:
        """The latest `limit` frames before a position, or before the end."""
        return self._reading(topic).before(position, limit, keep, self._clock.monotonic())

    def enter(self, topic: Topic, user: str, connection: str, info: Mapping[str, Any]) -> bool:
        """Count a connection. True: the user was not there before, not even lingering."""
        users = self._here.setdefault(topic, {})
        here = users.get(user)
        first = here is None
        if here is None:
            here = users[user] = _Here(info)
        here.info = info
        here.connections[connection] = True
        return first

    def linger(self, topic: Topic, user: str, connection: str) -> None:
        """Count a connection no more, but keep its user until `leave`."""
        here = self._here.get(topic, {}).get(user)
        if here is not None and connection in here.connections:
            here.connections[connection] = False

    def leave(self, topic: Topic, user: str, connection: str) -> bool:
        """Forget a connection. True: it was the user's last one, lingering ones included."""
        users = self._here.get(topic, {})
        here = users.get(user)
        if here is None or here.connections.pop(connection, None) is None or here.connections:
            return False
        del users[user]
        if not users:
            del self._here[topic]
        return True

    def present(self, topic: Topic) -> list[PresenceEntry]:
        """Who is there, in the order they came."""
        return [
            PresenceEntry(user, here.info, sum(here.connections.values()))
            for user, here in self._here.get(topic, {}).items()
        ]

    def statistics(self) -> MemoryStatistics:
        """How much is held now."""
        return MemoryStatistics(
            subscriptions=len(self._subscribed),
            histories=len(self._streams),
            leftovers=len(self._leftovers),
            presences=len(self._here),
        )

    async def aclose(self) -> None:
        """Forget everything."""
        self._subscribed.clear()
        self._streams.clear()
        self._leftovers.clear()
        self._here.clear()
        self._expiries = Timers()

    def _append(self, topic: Topic, payload: bytes, keep: History) -> Position:
        now = self._clock.monotonic()
        self._expiries.run(now)
        stream = self._streams.get(topic)
        if stream is None:
            top = self._leftovers.pop(topic, self._floor)
            stream = self._streams[topic] = Stream(self._epoch, top)
            self._expiries.at(now + keep.ttl, partial(self._expire, topic, stream))
        return stream.append(payload, keep, now)

    def _reading(self, topic: Topic) -> Stream:
        """The topic's stream; to read what is not there leaves nothing behind."""
        stream = self._streams.get(topic)
        if stream is None:
            return Stream(self._epoch, self._leftovers.get(topic, self._floor))
        return stream

    def _expire(self, topic: Topic, stream: Stream, now: float) -> None:
        deadline = stream.expires(now)
        if deadline is not None:
            self._expiries.at(deadline, partial(self._expire, topic, stream))
            return
        del self._streams[topic]
        self._leftovers[topic] = stream.top
        if len(self._leftovers) > LEFTOVERS:
            oldest = next(iter(self._leftovers))
            self._floor = max(self._floor, self._leftovers.pop(oldest))
