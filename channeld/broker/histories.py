"""The histories of one process: one for each room, bounded per channel in rooms and bytes.

Clients may choose room names, so the histories of a channel are bounded together (`history.rooms`, `history.bytes`). Beyond the
bound, the room that has been idle longest loses its history; a room that alone exceeds the bytes loses its oldest frames. The
cost of a publish does not depend on the number of rooms, since each frame is dropped once.

When a history is dropped or its last frame expires, its top offset is kept, so a client at the top still recovers. At most
`LEFTOVERS` of these are kept; when the oldest is dropped, its offset raises the floor at which unknown topics begin. So no
offset is assigned twice in one epoch, and a client whose position was forgotten is told `recovered: false`. With a salt, each
topic has its own epoch, so a position in one room is useless in another.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from zlib import crc32

import attrs

from channeld.broker.broker import History, Page, Position, Topic
from channeld.broker.publish_options import Placing
from channeld.broker.topic_history import TopicHistory
from channeld.timers import Clock, Timer, Timers

LEFTOVERS = 100_000
# An empty history with its place in the dictionaries and its timer, in bytes: measured on CPython 3.11 to 3.13.
ROOM_COST = 2_500


@attrs.frozen(slots=True, kw_only=True)
class HistoryStatistics:
    """How many histories are held, their bytes as the bound counts them, and how many were dropped because of it."""

    histories: int
    bytes: int
    leftovers: int
    dropped: int


@attrs.define(eq=False)
class _Channel:
    """The histories of one channel, the longest idle first, each with the timer of its expiry."""

    # An OrderedDict finds its oldest at once, even after many were moved to the end.
    histories: OrderedDict[Topic, tuple[TopicHistory, Timer]] = attrs.field(factory=OrderedDict)
    bytes: int = 0


class Histories:
    """What is kept of all topics. `epoch` must differ from that of any earlier process."""

    def __init__(self, clock: Clock, epoch: str, salt: int | None = None) -> None:
        self._clock = clock
        self._epoch, self._salt = epoch, salt
        self._channels: dict[str, _Channel] = {}
        self._leftovers: OrderedDict[Topic, int] = OrderedDict()
        self._floor = self._dropped = 0
        # The floor of channels whose frames were not kept for a while, if it is higher.
        self._floors: dict[str, int] = {}
        self._expiries = Timers()

    def append(
        self, topic: Topic, payload: bytes, keep: History, placing: Placing | None = None
    ) -> Position:
        """Keep a frame, then drop what exceeds the bounds."""
        now = self._clock.monotonic()
        self._expiries.run(now)
        channel = self._channels.setdefault(topic.channel, _Channel())
        entry = channel.histories.pop(topic, None)
        if entry is None:
            history = self._new(topic, self._leftovers.pop(topic, None))
            expire = partial(self._expire, topic)
            entry = history, self._expiries.at(now + keep.ttl, expire)
            channel.bytes += ROOM_COST
        channel.histories[topic] = entry
        history = entry[0]
        before = history.bytes
        position = history.append(payload, keep, now, placing)
        channel.bytes += history.bytes - before
        self._bound(channel, topic, history, keep)
        return position

    def forget(self, topic: Topic, owner: str) -> None:
        """Remove the newest frames that belong to a user who has left."""
        found = self._find(topic)
        if found is not None:
            channel, history = found
            before = history.bytes
            history.forget(owner)
            channel.bytes += history.bytes - before

    def take_away(self, topic: Topic, keys: Sequence[str] | None) -> int:
        """Remove the newest frames of these keys, or everything (None). Returns how many there were."""
        found = self._find(topic)
        if found is None:
            return 0
        channel, history = found
        before, count = history.bytes, len(history)
        history.take_away(keys)
        channel.bytes += history.bytes - before
        return count - len(history)

    def end(self, channel: str) -> None:
        """Stop keeping frames of a channel's rooms: forget them, and make positions from before useless."""
        for topic in list(self._channels.get(channel, _Channel()).histories):
            self._remove(self._channels[channel], topic)
        left = [topic for topic in self._leftovers if topic.channel == channel]
        tops = [self._leftovers.pop(topic) for topic in left]
        self._floors[channel] = max([self._floor, self._floors.get(channel, 0), *tops]) + 1

    def _new(self, topic: Topic, top: int | None) -> TopicHistory:
        """An empty history that begins at the latest offset assigned; None: no offset is known."""
        if top is None:
            top = max(self._floor, self._floors.get(topic.channel, 0))
        if self._salt is None:
            return TopicHistory(self._epoch, top)
        own = crc32(f"{topic.channel}\0{topic.name}".encode(), self._salt) & 0xFFFF
        return TopicHistory(f"{self._epoch}{own:04x}", top)

    def since(
        self, topic: Topic, position: Position | None, keep: History, replay: int = 0
    ) -> Page:
        """Everything after a position; if that is not possible or it is None, the latest `replay` frames."""
        return self._reading(topic, keep).since(position, keep, self._clock.monotonic(), replay)

    def before(self, topic: Topic, position: Position | None, limit: int, keep: History) -> Page:
        """The latest `limit` frames before a position, or before the end."""
        return self._reading(topic, keep).before(position, limit, keep, self._clock.monotonic())

    def statistics(self) -> HistoryStatistics:
        """How much is held now."""
        return HistoryStatistics(
            histories=sum(len(channel.histories) for channel in self._channels.values()),
            bytes=sum(channel.bytes for channel in self._channels.values()),
            leftovers=len(self._leftovers),
            dropped=self._dropped,
        )

    def clear(self) -> None:
        """Forget everything."""
        self._channels.clear()
        self._leftovers.clear()
        self._floors.clear()
        self._expiries = Timers()

    def _bound(self, channel: _Channel, topic: Topic, history: TopicHistory, keep: History) -> None:
        while len(channel.histories) > keep.rooms or channel.bytes > keep.bytes:
            idle = next(iter(channel.histories))
            if idle != topic:
                self._dropped += 1
                self._remove(channel, idle)
            elif len(history) > 1:
                channel.bytes -= history.drop_oldest()
            else:
                return

    def _find(self, topic: Topic) -> tuple[_Channel, TopicHistory] | None:
        channel = self._channels.get(topic.channel)
        entry = None if channel is None else channel.histories.get(topic)
        return None if channel is None or entry is None else (channel, entry[0])

    def _reading(self, topic: Topic, keep: History) -> TopicHistory:
        """The topic's history, trimmed. Reading one that does not exist leaves nothing behind."""
        found = self._find(topic)
        if found is None:
            return self._new(topic, self._leftovers.get(topic))
        channel, history = found
        before = history.bytes
        history.trim(keep, self._clock.monotonic())
        channel.bytes += history.bytes - before
        return history

    def _expire(self, topic: Topic, now: float) -> None:
        channel = self._channels[topic.channel]
        history = channel.histories[topic][0]
        before = history.bytes
        deadline = history.expires(now)
        channel.bytes += history.bytes - before
        if deadline is None:
            self._remove(channel, topic)
        else:
            # Replaced in place: looking at a history does not make it less idle.
            channel.histories[topic] = (
                history,
                self._expiries.at(deadline, partial(self._expire, topic)),
            )

    def _remove(self, channel: _Channel, topic: Topic) -> None:
        history, timer = channel.histories.pop(topic)
        timer.cancel()
        channel.bytes -= history.bytes + ROOM_COST
        self._leftovers[topic] = history.top
        if len(self._leftovers) > LEFTOVERS:
            oldest = next(iter(self._leftovers))
            self._floor = max(self._floor, self._leftovers.pop(oldest))
