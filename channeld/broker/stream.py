"""A bounded history of one topic: frames with positions that grow by one, kept for a size and a time.

A stream knows no clock: `now` is an argument, in seconds that only grow. Its frames are without holes: what is missing is
always at the old end, so one comparison tells whether a reader's position can still be served in full.
"""

from collections import deque
from itertools import islice

from channeld.broker.broker import History, HistoryEntry, Page, Position

__all__ = ["FRAME_COST", "Stream"]

# What a kept frame takes beside its payload, in bytes: the entry, its position, its time.
FRAME_COST = 250


class Stream:
    """The kept frames of one topic. `top` is the latest offset ever given, also when no frame is left; `bytes` what they take."""

    __slots__ = ("_epoch", "_frames", "_keep", "_times", "bytes", "top")

    def __init__(self, epoch: str, top: int = 0) -> None:
        self._epoch = epoch
        self._frames: deque[HistoryEntry] = deque()
        self._times: deque[float] = deque()
        self._keep: History | None = None
        self.top = top
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def expires(self, now: float) -> float | None:
        """When the latest frame will be gone, by the `keep` that it came with; None when no frame is left."""
        if self._keep is None:
            return None
        self.trim(self._keep, now)
        return self._times[-1] + self._keep.ttl if self._times else None

    def append(self, payload: bytes, keep: History, now: float) -> Position:
        """Give a frame the next position and keep it."""
        self.top += 1
        self._keep = keep
        position = Position(self._epoch, self.top)
        self._frames.append(HistoryEntry(position, payload))
        self._times.append(now)
        self.bytes += len(payload) + FRAME_COST
        self.trim(keep, now)
        return position

    def trim(self, keep: History, now: float) -> None:
        """Drop what is beyond the size, and what was appended `ttl` seconds ago or earlier."""
        times = self._times
        while times and (times[0] + keep.ttl <= now or len(times) > keep.size):
            self.drop_oldest()

    def drop_oldest(self) -> int:
        """Drop the oldest frame; how many bytes that frees."""
        freed = len(self._frames.popleft().payload) + FRAME_COST
        self._times.popleft()
        self.bytes -= freed
        return freed

    def since(self, position: Position | None, keep: History, now: float) -> Page:
        """What came after `position`, all or nothing; with None only `top`."""
        top = Position(self._epoch, self.top)
        if position is None:
            return Page((), top)
        self.trim(keep, now)
        missed = self.top - position.offset
        if position.epoch != self._epoch or not 0 <= missed <= len(self._frames):
            return Page((), top, recovered=False)
        return Page(tuple(islice(self._frames, len(self._frames) - missed, None)), top)

    def before(self, position: Position | None, limit: int, keep: History, now: float) -> Page:
        """The latest `limit` frames before `position`, or before the end.

        Returns:
            The page; for a position of another epoch an empty one with `recovered` false.
        """
        self.trim(keep, now)
        top = Position(self._epoch, self.top)
        if position is not None and position.epoch != self._epoch:
            return Page((), top, recovered=False)
        end = len(self._frames)
        if position is not None:
            # The frame at index i has the offset top - len + 1 + i.
            end = min(end, max(0, position.offset - 1 - self.top + end))
        start = max(0, end - max(0, limit))
        return Page(tuple(islice(self._frames, start, end)), top, more=start > 0)
