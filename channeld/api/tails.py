"""Lets operators watch a room: a bounded buffer of its frames that drops the oldest first."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from channeld.api.problems import Problem
from channeld.broker.broker import Topic
from channeld.hub.hub import Hub
from channeld.later import Pending

MOST_TAILS: Final = 32
KEPT: Final = 256


class Tail:
    """One watcher: a recipient in the hub that is not a member."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque(maxlen=KEPT)
        self._missed = 0
        self._has_news = trio.Event()

    def send(self, frame: bytes) -> None:
        """Buffer one frame's JSON. Never blocks or raises."""
        self._missed += len(self._frames) == KEPT
        self._frames.append(frame)
        self._has_news.set()

    async def take(self, seconds: float) -> tuple[list[bytes], int]:
        """The frames since the last call and how many were lost before them, within that many seconds."""
        with trio.move_on_after(seconds):
            await self._has_news.wait()
        frames, missed = list(self._frames), self._missed
        self._frames.clear()
        self._missed, self._has_news = 0, trio.Event()
        return frames, missed


class Tails:
    """All watchers of this process's rooms."""

    def __init__(self, hub: Hub, most: int = MOST_TAILS) -> None:
        self._hub = hub
        self._most = most
        self._open = 0

    def demand_place(self) -> None:
        """Check that one more may watch.

        Raises:
            Problem: 503: there are too many watchers.
        """
        if self._open >= self._most:
            raise Problem(503, f"{self._most} are watching already", headers={"retry-after": "5"})

    @asynccontextmanager
    async def open(self, topic: Topic) -> AsyncIterator[Tail]:
        """Watch a topic for a while.

        Raises:
            Problem: 503: there are too many watchers.
        """
        self.demand_place()
        self._open += 1
        tail = Tail()
        try:
            await Pending(self._hub.watch(topic, tail))
            yield tail
        finally:
            self._open -= 1
            self._hub.unwatch(topic, tail)
