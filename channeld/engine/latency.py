"""Measures how long frames and hooks take: every hook, and one frame in sixteen, so that the others cost only a countdown."""

from collections.abc import Callable
from typing import Final, TypeAlias

from channeld.later import Continuation, Pending
from channeld.telemetry import Histogram
from channeld.timers import Clock

EVERY: Final = 16

Receive: TypeAlias = Callable[[bytes, float], Pending[None] | Continuation | None]


class Timing:
    """One per engine.

    Attributes:
        until_next: counted down by every frame; the frame that brings it to zero calls `receive`.
        handling: from a frame's arrival to its last delivery being queued.
        hooks: by the hook's name.
    """

    __slots__ = ("_began", "_clock", "handling", "hooks", "until_next")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: float | None = None  # of the frame that is being measured
        self.until_next = EVERY
        self.handling = Histogram()
        self.hooks: dict[str, Histogram] = {}

    def receive(self, receive: Receive, text: bytes, now: float) -> Pending[None] | None:
        """Let a session receive a frame, and measure it."""
        self.until_next, self._began = EVERY, now
        pending = receive(text, now)
        if self._take() is None:
            return None
        if pending is not None:
            return Pending(self._finish(pending, now))
        self.handling.observe(self._clock.monotonic() - now)
        return None

    def taken_over(
        self, finish: Callable[[Exception | None], object]
    ) -> Callable[[Exception | None], object]:
        """Wrap `finish` of a frame that is answered later, while others are received, so that it is measured if it is the chosen one."""
        began = self._take()
        if began is None:
            return finish

        def measured(error: Exception | None) -> None:
            finish(error)
            self.handling.observe(self._clock.monotonic() - began)

        return measured

    def _take(self) -> float | None:
        began, self._began = self._began, None
        return began

    async def _finish(self, pending: Pending[None] | Continuation, now: float) -> None:
        await pending
        self.handling.observe(self._clock.monotonic() - now)

    def hook(self, name: str) -> Histogram:
        """A hook's histogram."""
        known = self.hooks.get(name)
        if known is None:
            known = self.hooks[name] = Histogram()
        return known
