import trio

from channeld.engine.latency import EVERY, Timing
from channeld.later import Pending


class Clock:
    now = 10.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class Session:
    """Takes a second for each frame: at once, or by waiting."""

    def __init__(self, clock: Clock, *, waits: bool) -> None:
        self.clock = clock
        self.waits = waits
        self.seen: list[bytes] = []

    def receive(self, text: bytes, _now: float) -> Pending[None] | None:
        self.seen.append(text)
        if self.waits:
            return Pending(self._wait())
        self.clock.now += 1
        return None

    async def _wait(self) -> None:
        await trio.lowlevel.checkpoint()
        self.clock.now += 3


def test_a_frame_is_handed_on_and_measured() -> None:
    clock = Clock()
    timing, session = Timing(clock), Session(clock, waits=False)
    timing.until_next = 0
    assert timing.receive(session.receive, b"x", 9.5) is None
    assert (session.seen, timing.until_next) == ([b"x"], EVERY)
    assert (sum(timing.handling.counts), timing.handling.total) == (1, 1.5)


async def test_one_that_waits_is_measured_to_its_end() -> None:
    clock = Clock()
    timing, session = Timing(clock), Session(clock, waits=True)
    pending = timing.receive(session.receive, b"x", 10.0)
    assert pending is not None
    assert sum(timing.handling.counts) == 0
    await pending
    assert timing.handling.total == 3


def test_each_hook_has_its_own() -> None:
    timing = Timing(Clock())
    assert timing.hook("a:b") is timing.hook("a:b")
    assert timing.hook("a:c") is not timing.hook("a:b")
    assert list(timing.hooks) == ["a:b", "a:c"]
