"""The histories of one process: a stream for each room, bounded per channel in rooms and bytes.

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
from channeld.broker.stream import Stream
from channeld.timers import Clock, Timer, Timers

LEFTOVERS = 100_000
# An empty stream with its place in the dictionaries and its timer, in bytes: measured on CPython 3.11 to 3.13.
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
    """The streams of one channel, the longest idle first, each with the timer of its expiry."""

    # An OrderedDict finds its oldest at once, even after many were moved to the end.
    streams: OrderedDict[Topic, tuple[Stream, Timer]] = attrs.field(factory=OrderedDict)
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
        """Remove the newest frames that belong to a user who has left."""
        found = self._find(topic)
        if found is not None:
            channel, stream = found
            before = stream.bytes
            stream.forget(owner)
            channel.bytes += stream.bytes - before

    def take_away(self, topic: Topic, keys: Sequence[str] | None) -> int:
        """Remove the newest frames of these keys, or everything (None). Returns how many there were."""
        found = self._find(topic)
        if found is None:
            return 0
        channel, stream = found
        before, count = stream.bytes, len(stream)
        stream.take_away(keys)
        channel.bytes += stream.bytes - before
        return count - len(stream)

    def end(self, channel: str) -> None:
        """Stop keeping frames of a channel's rooms: forget them, and make positions from before useless."""
        for topic in list(self._channels.get(channel, _Channel()).streams):
            self._remove(self._channels[channel], topic)
        left = [topic for topic in self._leftovers if topic.channel == channel]
        tops = [self._leftovers.pop(topic) for topic in left]
        self._floors[channel] = max([self._floor, self._floors.get(channel, 0), *tops]) + 1

    def _stream(self, topic: Topic, top: int | None) -> Stream:
        """An empty stream that begins at the latest offset given; None: no offset is known."""
        if top is None:
            top = max(self._floor, self._floors.get(topic.channel, 0))
        if self._salt is None:
            return Stream(self._epoch, top)
        own = crc32(f"{topic.channel}\0{topic.name}".encode(), self._salt) & 0xFFFF
        return Stream(f"{self._epoch}{own:04x}", top)

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

    def _find(self, topic: Topic) -> tuple[_Channel, Stream] | None:
        channel = self._channels.get(topic.channel)
        entry = None if channel is None else channel.streams.get(topic)
        return None if channel is None or entry is None else (channel, entry[0])

    def _reading(self, topic: Topic, keep: History) -> Stream:
        """The topic's stream, trimmed; reading one that does not exist leaves nothing behind."""
        found = self._find(topic)
        if found is None:
            return self._stream(topic, self._leftovers.get(topic))
        channel, stream = found
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
            # Replaced in place: looking at a history does not make it less idle.
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
