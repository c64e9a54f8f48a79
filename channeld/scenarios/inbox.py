"""A client's inbox: frames wait in order until steps consume them.

Rules: routed messages, events, replies and errors are consumed in order, so an unexpected one is a mismatch. The server's
own frames (`SPOKEN`) are skipped unless a pattern names their `type`, and frames that the scenario ignores unless they are
expected. Nothing is consumed unless everything that a step expects has arrived, so a step can try again later.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from channeld.protocol.frames import Frame, Json
from channeld.protocol.reserved import FRAMES
from channeld.scenarios.instrumentation import FrameOrigin
from channeld.scenarios.matching import Deviation, Env, compare, shown
from channeld.scenarios.model import Pattern
from channeld.scenarios.outcome import TimelineEntry

SPOKEN: Final = frozenset({one.type for one in FRAMES if one.side == "server"} - {"reply", "error"})
"""The types that the server itself speaks. Not `reply`, whose fields are a hook's, and not `error`."""


@attrs.define(eq=False, kw_only=True)
class Received:
    """A received frame: when, from whom, its line of the timeline, and what happened to it."""

    time: float
    frame: Frame
    origin: FrameOrigin | None
    entry: TimelineEntry
    fate: str = ""


@attrs.frozen(kw_only=True, eq=False)
class Taken:
    """Everything expected has arrived and was consumed."""

    frames: tuple[Received, ...]


@attrs.frozen(kw_only=True, eq=False)
class Mismatch:
    """A frame that has to be consumed is not the expected one."""

    pattern: Pattern
    received: Received
    differences: list[Deviation]


@attrs.frozen(kw_only=True, eq=False)
class Nothing:
    """No frame is left for a pattern. `nearest` is the most similar one that was skipped."""

    pattern: Pattern
    nearest: Received | None = None
    differences: Sequence[Deviation] = ()


Verdict: TypeAlias = Taken | Mismatch | Nothing


@attrs.define(eq=False, kw_only=True)
class ClientInbox:
    """One client's frames. `ignore` are patterns of frames that need not be consumed."""

    captured: dict[str, Json]
    schemas: Mapping[str, Json]
    ignore: Sequence[Pattern] = ()
    waiting: list[Received] = attrs.field(factory=list)
    past: list[Received] = attrs.field(factory=list)

    def put(self, received: Received) -> None:
        """Add a received frame."""
        self.waiting.append(received)

    def may_pass(self, received: Received) -> bool:
        """Whether a frame need not be consumed."""
        if received.frame.get("type") in SPOKEN:
            return True
        return any(not compare(one.value, received.frame, Env()) for one in self.ignore)

    def left_over(self) -> list[Received]:
        """The frames that should have been consumed and were not."""
        return [received for received in self.waiting if not self.may_pass(received)]

    def first_like(self, pattern: Pattern | None) -> Received | None:
        """The first waiting frame that matches, or without a pattern, that has to be consumed."""
        if pattern is None:
            return next(iter(self.left_over()), None)
        return next((one for one in self.waiting if not self._differ(pattern, one)), None)

    def take(self, patterns: Sequence[Pattern], *, ordered: bool) -> Verdict:
        """Consume a frame for each pattern, or say why not."""
        return self._take_ordered(patterns) if ordered else self._take_unordered(patterns)

    # --------------------------------------------------------------------------------------------------- in order

    def _take_ordered(self, patterns: Sequence[Pattern]) -> Verdict:
        taken: dict[str, Json] = {}
        matched: list[Received] = []
        at = 0
        for pattern in patterns:
            passed: list[tuple[Received, list[Deviation]]] = []
            while at < len(self.waiting):
                received = self.waiting[at]
                at += 1
                tried: dict[str, Json] = dict(taken)
                differences = self._differ(pattern, received, tried)
                if not differences:
                    taken = tried
                    matched.append(received)
                    break
                if not self.may_pass(received):
                    return Mismatch(pattern=pattern, received=received, differences=differences)
                passed.append((received, differences))
            else:
                return _nothing(pattern, passed)
        return self._consume(matched, at, taken)

    # ---------------------------------------------------------------------------------------------------- in any

    def _take_unordered(self, patterns: Sequence[Pattern]) -> Verdict:
        """Match frames to patterns, reassigning earlier frames if that helps (augmenting paths)."""
        owner: dict[int, int] = {}
        fits: Callable[[int, int], bool] = self._table(patterns)
        for at, received in enumerate(self.waiting):
            if _augment(at, len(patterns), fits, owner, set()):
                if len(owner) == len(patterns):
                    frames = [self.waiting[owner[n]] for n in range(len(patterns))]
                    return self._consume_unordered(patterns, frames, at + 1)
            elif not self.may_pass(received):
                left = [one for n, one in enumerate(patterns) if n not in owner]
                pattern = min(left, key=lambda one: len(self._differ(one, received)))
                differences = self._differ(pattern, received)
                return Mismatch(pattern=pattern, received=received, differences=differences)
        pattern = next(one for n, one in enumerate(patterns) if n not in owner)
        free = [r for at, r in enumerate(self.waiting) if at not in owner.values()]
        return _nothing(pattern, [(one, self._differ(pattern, one)) for one in free])

    def _table(self, patterns: Sequence[Pattern]) -> Callable[[int, int], bool]:
        known: dict[tuple[int, int], bool] = {}

        def fits(frame: int, pattern: int) -> bool:
            key = (frame, pattern)
            if key not in known:
                known[key] = not self._differ(patterns[pattern], self.waiting[frame])
            return known[key]

        return fits

    def _consume_unordered(
        self, patterns: Sequence[Pattern], frames: list[Received], count: int
    ) -> Verdict:
        taken: dict[str, Json] = {}
        for pattern, received in zip(patterns, frames, strict=True):
            self._differ(pattern, received, taken)
        return self._consume(frames, count, taken)

    # ----------------------------------------------------------------------------------------------------- both

    def _differ(
        self, pattern: Pattern, received: Received, taken: dict[str, Json] | None = None
    ) -> list[Deviation]:
        env = Env(
            captured=self.captured, taken={} if taken is None else taken, schemas=self.schemas
        )
        kind = received.frame.get("type")
        if kind in SPOKEN and not _names_type(pattern.value):
            # `{pos: $any}` is meant for a message, though `subscribed` has a `pos` as well.
            return [Deviation("", "a frame that is not the server's own", shown(kind))]
        return compare(pattern.value, received.frame, env)

    def _consume(self, matched: list[Received], count: int, taken: dict[str, Json]) -> Taken:
        for received in self.waiting[:count]:
            received.fate = "passed over"
        for received in matched:
            received.fate = "consumed"
        self.past += self.waiting[:count]
        del self.waiting[:count]
        self.captured.update(taken)
        return Taken(frames=tuple(matched))


def _names_type(pattern: Json) -> bool:
    if not isinstance(pattern, dict):
        return False
    return "type" in pattern or _names_type(pattern.get("$exact"))


def _augment(
    frame: int,
    count: int,
    fits: Callable[[int, int], bool],
    owner: dict[int, int],
    seen: set[int],
) -> bool:
    for pattern in range(count):
        if pattern in seen or not fits(frame, pattern):
            continue
        seen.add(pattern)
        if pattern not in owner or _augment(owner[pattern], count, fits, owner, seen):
            owner[pattern] = frame
            return True
    return False


def _nothing(pattern: Pattern, passed: Sequence[tuple[Received, list[Deviation]]]) -> Nothing:
    """Only a frame of the expected type is shown as the nearest."""
    kind = pattern.value.get("type") if isinstance(pattern.value, dict) else None
    alike = [one for one in passed if one[0].frame.get("type") == kind]
    if not alike:
        return Nothing(pattern=pattern)
    nearest, differences = min(alike, key=lambda one: len(one[1]))
    return Nothing(pattern=pattern, nearest=nearest, differences=differences)
