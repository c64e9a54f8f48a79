"""The histories of one process: a stream a room, bounded for each channel in rooms and bytes.

Clients may name rooms, so a channel's histories together have a bound too (`history.rooms`, `history.bytes`). What is over it
goes, from the room that has been idle longest; a room alone over the bytes loses its oldest frames. Every publish costs the
same, however many rooms there are: what it drops was once appended.

Of a history whose last frame has expired, or that was dropped, the top offset stays, so a client at the top still
recovers. Of those leftovers there are at most `LEFTOVERS`; when the oldest goes, its offset raises the floor from which
unknown topics count. So no offset is given twice in one epoch, and a client whose position was forgotten is told
`recovered` false. With a salt each topic has an epoch of its own: a position in one room is good for nothing in another.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from zlib import crc32

import attrs

from channeld.broker.broker import History, Page, Placing, Position, Topic
from channeld.broker.stream import Stream
from channeld.timers import Clock, Timer, Timers

__all__ = ["LEFTOVERS", "Histories", "HistoryStatistics"]

LEFTOVERS = 100_000
# An empty stream with its place in the dictionaries and its timer, in bytes: measured on CPython 3.11 to 3.13.
ROOM_COST = 2_500


@attrs.frozen(slots=True, kw_only=True)
class HistoryStatistics:
    """How many histories are held, their bytes as the bound counts them, and how many were dropped for the bound."""

    histories: int
    bytes: int
    leftovers: int
    dropped: int


@attrs.define(eq=False)
class _Channel:
    """The streams of one channel, the one that has been idle longest first, each with the timer of its expiry."""

    # Ordered ones find their oldest at once, also after many were moved to the end.
    streams: OrderedDict[Topic, tuple[Stream, Timer]] = attrs.field(factory=OrderedDict)
    bytes: int = 0


class Histories:
    """What is kept of every topic. `epoch` must differ from that of any earlier process."""

    def __init__(self, clock: Clock, epoch: str, salt: int | None = None) -> None:
        self._clock = clock
        self._epoch, self._salt = epoch, salt
        self._channels: dict[str, _Channel] = {}
        self._leftovers: OrderedDict[Topic, int] = OrderedDict()
        self._floor = self._dropped = 0
        # Where channels begin whose frames were not kept for a while, if that is higher.
        self._floors: dict[str, int] = {}
        self._expiries = Timers()

    def append(
        self, topic: Topic, payload: bytes, keep: History, placing: Placing | None = None
    ) -> Position:
        """Keep a frame, and drop what is over the bounds then."""
        now = self._clock.monotonic()
        self._expiries.run(now)
        channel = self._channels.setdefault(topic.channel, _Channel())
        entry = channel.streams.pop(topic, None)
        if entry is None:
            stream = self._stream(topic, self._leftovers.pop(topic, None))
            expire = partial(self._expire, topic)
            entry = stream, self._expiries.at(now + keep.ttl, expire)
            channel.bytes += ROOM_COST
        channel.streams[topic] = entry
        stream = entry[0]
        before = stream.bytes
        position = stream.append(payload, keep, now, placing)
        channel.bytes += stream.bytes - before
        self._bound(channel, topic, stream, keep)
        return position

    def forget(self, topic: Topic, owner: str) -> None:
        """Take away the newest frames of somebody who has left."""
        channel = self._channels.get(topic.channel)
        entry = None if channel is None else channel.streams.get(topic)
        if channel is not None and entry is not None:
            before = entry[0].bytes
            entry[0].forget(owner)
            channel.bytes += entry[0].bytes - before

    def take_away(self, topic: Topic, keys: Sequence[str] | None) -> int:
        """Take away the newest frames of keys, or (None) all that is kept; how many there were."""
        channel = self._channels.get(topic.channel)
        entry = None if channel is None else channel.streams.get(topic)
        if channel is None or entry is None:
            return 0
        stream = entry[0]
        size, count = stream.bytes, len(stream)
        stream.take_away(keys)
        channel.bytes += stream.bytes - size
        return count - len(stream)

    def end(self, channel: str) -> None:
        """Frames of a channel's rooms are not kept any more: forget them, and let no position from before be good for anything."""
        for topic in list(self._channels.get(channel, _Channel()).streams):
            self._remove(self._channels[channel], topic)
        left = [topic for topic in self._leftovers if topic.channel == channel]
        tops = [self._leftovers.pop(topic) for topic in left]
        self._floors[channel] = max([self._floor, self._floors.get(channel, 0), *tops]) + 1

    def _stream(self, topic: Topic, top: int | None) -> Stream:
        """An empty one, from the latest offset that was given; None: none is known."""
        if top is None:
            top = max(self._floor, self._floors.get(topic.channel, 0))
        if self._salt is None:
            return Stream(self._epoch, top)
        own = crc32(f"{topic.channel}\0{topic.name}".encode(), self._salt) & 0xFFFF
        return Stream(f"{self._epoch}{own:04x}", top)

    def since(
        self, topic: Topic, position: Position | None, keep: History, replay: int = 0
    ) -> Page:
        """What came after a position, all or nothing; with None, or nothing, the latest `replay` frames."""
        return self._reading(topic, keep).since(position, keep, self._clock.monotonic(), replay)

    def before(self, topic: Topic, position: Position | None, limit: int, keep: History) -> Page:
        """The latest `limit` frames before a position, or before the end."""
        return self._reading(topic, keep).before(position, limit, keep, self._clock.monotonic())

    def statistics(self) -> HistoryStatistics:
        """How much is held now."""
        return HistoryStatistics(
            histories=sum(len(channel.streams) for channel in self._channels.values()),
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

    def _bound(self, channel: _Channel, topic: Topic, stream: Stream, keep: History) -> None:
        while len(channel.streams) > keep.rooms or channel.bytes > keep.bytes:
            idle = next(iter(channel.streams))
            if idle != topic:
                self._dropped += 1
                self._remove(channel, idle)
            elif len(stream) > 1:
                channel.bytes -= stream.drop_oldest()
            else:
                return

    def _reading(self, topic: Topic, keep: History) -> Stream:
        """The topic's stream, trimmed; to read what is not there leaves nothing behind."""
        channel = self._channels.get(topic.channel)
        entry = None if channel is None else channel.streams.get(topic)
        if channel is None or entry is None:
            return self._stream(topic, self._leftovers.get(topic))
        stream = entry[0]
        before = stream.bytes
        stream.trim(keep, self._clock.monotonic())
        channel.bytes += stream.bytes - before
        return stream

    def _expire(self, topic: Topic, now: float) -> None:
        channel = self._channels[topic.channel]
        stream = channel.streams[topic][0]
        before = stream.bytes
        deadline = stream.expires(now)
        channel.bytes += stream.bytes - before
        if deadline is None:
            self._remove(channel, topic)
        else:
            # Replaced where it stands: to look at a history does not make it less idle.
            channel.streams[topic] = (
                stream,
                self._expiries.at(deadline, partial(self._expire, topic)),
            )

    def _remove(self, channel: _Channel, topic: Topic) -> None:
        stream, timer = channel.streams.pop(topic)
        timer.cancel()
        channel.bytes -= stream.bytes + ROOM_COST
        self._leftovers[topic] = stream.top
        if len(self._leftovers) > LEFTOVERS:
            oldest = next(iter(self._leftovers))
            self._floor = max(self._floor, self._leftovers.pop(oldest))
