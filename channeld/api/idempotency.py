"""Idempotency keys: remembers the result for each key for five minutes, for a bounded number of keys.

One table per process. A repetition gets the answer of the first (and waits for it, if that is still under way); a
request that failed is forgotten, so that it can be tried again. Over all nodes it is the broker that takes a key, in one
step with publishing (`publishing.once_for`); a repetition that comes to another node publishes nothing, and that node asks
the others for the first answer.
"""

from collections import OrderedDict
from collections.abc import Awaitable
from typing import Final, TypeAlias

import attrs
import trio

from channeld.api.problems import Problem
from channeld.protocol.frames import Json
from channeld.timers import Clock

WINDOW: Final = 300.0
MOST_KEYS: Final = 10_000

Result: TypeAlias = dict[str, Json]


@attrs.define(eq=False)
class KeptAnswer:
    """The entry of one key: the request's fingerprint, its time, and its outcome once there is one.

    `is_elsewhere`: the first request went to another node, which knows the outcome.
    """

    fingerprint: str
    since: float
    outcome: Result | Problem | None = None
    is_done: trio.Event = attrs.field(factory=trio.Event)
    is_elsewhere: bool = False

    async def result(self) -> Result:
        """The first request's answer.

        Raises:
            Problem: the first request's problem.
        """
        await self.is_done.wait()
        if isinstance(self.outcome, dict):
            return self.outcome
        raise self.outcome or Problem(503, "the first request was given up; try again")


def demand_same(first: str, now: str) -> None:
    """Refuse a request whose fingerprint is not that of the first one with its key.

    Raises:
        Problem: 422.
    """
    if first != now:
        raise Problem(422, "this idempotency_key was used for something else")


class Idempotency:
    """The table of keys. Keys are per channel."""

    def __init__(self, clock: Clock, most: int = MOST_KEYS) -> None:
        self._clock = clock
        self._most = most
        self._entries: OrderedDict[tuple[str, str], KeptAnswer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, channel: str, key: str, fingerprint: str) -> KeptAnswer | None:
        """The entry of a key, if there is one.

        Raises:
            Problem: 422: it was used for another event.
        """
        self._expire()
        entry = self._entries.get((channel, key))
        if entry is not None:
            demand_same(entry.fingerprint, fingerprint)
        return entry

    async def published(self, channel: str, key: str) -> tuple[str, str | None] | None:
        """For other nodes: the fingerprint of the request that took a key here, and the position in its answer."""
        self._expire()
        entry = self._entries.get((channel, key))
        if entry is None or entry.is_elsewhere:
            return None
        try:
            position = (await entry.result()).get("pos")
        except Problem:
            return None
        return entry.fingerprint, None if position is None else str(position)

    def add(self, channel: str, key: str, fingerprint: str) -> KeptAnswer:
        """Add a key. Beyond the maximum, the oldest one is dropped."""
        if len(self._entries) >= self._most:
            self._entries.popitem(last=False)
        entry = self._entries[channel, key] = KeptAnswer(fingerprint, self._clock.monotonic())
        return entry

    async def settle(
        self, channel: str, key: str, entry: KeptAnswer, outcome: Awaitable[Result]
    ) -> Result:
        """Await the outcome of an added key and keep it; a failure is forgotten.

        Raises:
            Problem: the outcome's own.
        """
        try:
            entry.outcome = result = await outcome
        except Problem as problem:
            entry.outcome = problem
            raise
        finally:
            if not isinstance(entry.outcome, dict) and self._entries.get((channel, key)) is entry:
                del self._entries[channel, key]
            entry.is_done.set()
        return result

    def _expire(self) -> None:
        oldest = self._clock.monotonic() - WINDOW
        while self._entries:
            name, entry = next(iter(self._entries.items()))
            if entry.since > oldest:
                return
            del self._entries[name]
