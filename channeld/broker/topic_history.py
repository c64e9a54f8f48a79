"""The history of one topic: frames whose positions grow by one, bounded in number and time.

It has no clock: `now` is an argument, in monotonic seconds. Besides the sequence of frames it keeps the newest frame
of each key. A frame that was replaced or cleared does not count as missed, because a newer one supersedes it. A frame that
is dropped because of size or age raises the floor, so one comparison tells whether a reader can still be served in full.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

import attrs

from channeld.broker.broker import History, HistoryEntry, Page, Position
from channeld.broker.publish_options import Placing

# The overhead of a kept frame in bytes: its entry, position and time.
FRAME_COST = 250


@attrs.frozen(slots=True)
class _Newest:
    """The newest frame of a key, when it was kept, and its owner."""

    entry: HistoryEntry
    time: float
    owner: str | None


class TopicHistory:
    """The kept frames of one topic. `top` is the latest offset ever assigned, even if no frame is left; `bytes` is the total size."""

    __slots__ = (
        "_epoch", "_floor", "_frames", "_hidden", "_keep", "_newest", "_times", "bytes", "top",
    )  # fmt: skip

    def __init__(self, epoch: str, top: int = 0) -> None:
        self._epoch = epoch
        self._frames: deque[HistoryEntry] = deque()
        self._times: deque[float] = deque()
        self._newest: dict[str, _Newest] = {}
        self._hidden: set[int] = set()  # offsets of frames that are kept for recovery only
        self._keep: History | None = None
        self._floor = self.top = top
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._frames) + len(self._newest)

    def expires(self, now: float) -> float | None:
        """When the latest frame expires, according to the latest `keep`; None if no frame is left."""
        if self._keep is None:
            return None
        self.trim(self._keep, now)
        times = [self._times[-1]] if self._times else []
        if self._newest:
            times.append(self._newest[next(reversed(self._newest))].time)
        return max(times) + self._keep.ttl if times else None

    def append(
        self, payload: bytes, keep: History, now: float, placing: Placing | None = None
    ) -> Position:
        """Give a frame the next position and keep it."""
        self.top += 1
        self._keep = keep
        position = Position(self._epoch, self.top)
        entry = HistoryEntry(position, payload)
        self.bytes += len(payload) + FRAME_COST
        if placing is not None:
            for key in placing.clears:
                self._forget(key)
            if placing.key is not None:
                # Move the key to the end: keys are in the order of their frames.
                self._forget(placing.key)
                self._newest[placing.key] = _Newest(entry, now, placing.owner)
                self.trim(keep, now)
                return position
            if not placing.is_replayed:
                self._hidden.add(self.top)
        self._frames.append(entry)
        self._times.append(now)
        self.trim(keep, now)
        return position

    def forget(self, owner: str) -> None:
        """Remove the newest frames that belong to a user who has left."""
        for key in [key for key, newest in self._newest.items() if newest.owner == owner]:
            self._forget(key)

    def take_away(self, keys: Sequence[str] | None) -> None:
        """Remove the newest frames of these keys, or everything (None); a reader that had not seen everything has then missed something."""
        for key in self._newest.copy() if keys is None else keys:
            self._forget(key)
        if keys is None:
            while self._frames:
                self._drop_frame()
            self._floor = self.top

    def trim(self, keep: History, now: float) -> None:
        """Drop what exceeds the size, and what was appended `ttl` seconds ago or earlier."""
        times = self._times
        while times and (times[0] + keep.ttl <= now or len(times) > keep.size):
            self._drop_frame()
        while self._newest:
            oldest = self._newest[next(iter(self._newest))]
            if oldest.time + keep.ttl > now and len(self._newest) <= keep.size:
                break
            self._drop_newest()

    def drop_oldest(self) -> int:
        """Drop the oldest frame; returns how many bytes that frees."""
        before = self.bytes
        if not self._newest:
            self._drop_frame()
        elif not self._frames:
            self._drop_newest()
        else:
            oldest = self._newest[next(iter(self._newest))].entry.position.offset
            if self._frames[0].position.offset < oldest:
                self._drop_frame()
            else:
                self._drop_newest()
        return before - self.bytes

    def since(self, position: Position | None, keep: History, now: float, replay: int = 0) -> Page:
        """Everything after `position`; if that is not possible or it is None, the latest `replay` frames."""
        if position is not None or replay:
            self.trim(keep, now)
        top = Position(self._epoch, self.top)
        served = (
            position is not None
            and position.epoch == self._epoch
            and self._floor <= position.offset <= self.top
        )
        if position is not None and served:
            return Page(tuple(reversed([*self._after(position.offset)])), top)
        frames = self._replayed(replay)
        return Page(frames, top, recovered=position is None, replayed=len(frames))

    def before(self, position: Position | None, limit: int, keep: History, now: float) -> Page:
        """The latest `limit` frames before `position`, or before the end.

        Returns:
            The page; an empty one with `recovered` false for a position of another epoch.
        """
        self.trim(keep, now)
        top = Position(self._epoch, self.top)
        if position is not None and position.epoch != self._epoch:
            return Page((), top, recovered=False)
        end = self.top + 1 if position is None else position.offset
        earlier = (entry for entry in self._backwards() if entry.position.offset < end)
        found = list(islice(earlier, max(0, limit) + 1))
        more = len(found) > limit
        return Page(tuple(reversed(found[: max(0, limit)])), top, more=more)

    def _backwards(self) -> Iterator[HistoryEntry]:
        """All frames, the latest first."""
        if not self._newest:
            return reversed(self._frames)
        return _merged(
            reversed(self._frames), (newest.entry for newest in reversed(self._newest.values()))
        )

    def _after(self, offset: int) -> Iterator[HistoryEntry]:
        for entry in self._backwards():
            if entry.position.offset <= offset:
                return
            yield entry

    def _replayed(self, count: int) -> tuple[HistoryEntry, ...]:
        if not count:
            return ()
        shown = (e for e in self._backwards() if e.position.offset not in self._hidden)
        return tuple(reversed([*islice(shown, count)]))

    def _drop_frame(self) -> None:
        entry = self._frames.popleft()
        self._times.popleft()
        self._hidden.discard(entry.position.offset)
        self._dropped(entry)

    def _drop_newest(self) -> None:
        self._dropped(self._newest.pop(next(iter(self._newest))).entry)

    def _dropped(self, entry: HistoryEntry) -> None:
        self._floor = max(self._floor, entry.position.offset)
        self.bytes -= len(entry.payload) + FRAME_COST

    def _forget(self, key: str) -> None:
        newest = self._newest.pop(key, None)
        if newest is not None:
            self.bytes -= len(newest.entry.payload) + FRAME_COST


def _merged(one: Iterator[HistoryEntry], other: Iterator[HistoryEntry]) -> Iterator[HistoryEntry]:
    """Merge two runs of entries, each the latest first."""
    left, right = next(one, None), next(other, None)
    while left is not None and right is not None:
        if left.position.offset > right.position.offset:
            yield left
            left = next(one, None)
        else:
            yield right
            right = next(other, None)
    for rest, run in ((left, one), (right, other)):
        if rest is not None:
            yield rest
            yield from run
