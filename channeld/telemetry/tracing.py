"""Spans: what took how long, and why. Nothing here is imported or called while tracing is off.

    span = tracing.receive("message say", traceparent, {"channeld.channel": "room"})
    with attached(span):
        …                      # `tracing.child(…)` finds it here
    tracing.end(span)

Rules: a span is a plain value that costs about two microseconds; the exporter converts it for its library, in a thread of
its own. A root is sampled by its trace id, anything below it like its parent, also across the network (W3C Trace Context).
Attributes are names from the configuration and ids of connections: never users, rooms or values from messages.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal, NamedTuple, TypeAlias

import attrs

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_UNTIL: Final = 1 << 64


@attrs.define(eq=False, slots=True)
class Span:
    """One operation. Times are nanoseconds since the Unix epoch; `link` is a span of another trace: its trace and id."""

    trace: int
    id: int
    parent: int | None
    name: str
    kind: Kind
    started: int
    attributes: dict[str, str | int]
    link: tuple[int, int] | None = None
    ended: int = 0
    error: str = ""

    @property
    def traceparent(self) -> str:
        """The `traceparent` header of a request that is made within it."""
        return f"00-{self.trace:032x}-{self.id:016x}-01"


current: Final[ContextVar[Span | None]] = ContextVar("channeld_span", default=None)
"""The span that the code runs within."""


@contextmanager
def attached(span: Span | None) -> Iterator[None]:
    """Run code within a span; both ends must be in one task. With None nothing changes."""
    if span is None:
        yield
        return
    token = current.set(span)
    try:
        yield
    finally:
        current.reset(token)


def traceparent() -> str | None:
    """The current span as a `traceparent` header; None outside of one."""
    span = current.get()
    return None if span is None else span.traceparent


class _Context(NamedTuple):
    """A span's context; `is_sampled` is the caller's decision, if there is a caller."""

    trace: int
    parent: int | None
    is_sampled: bool | None


def _context(caller: object) -> _Context | None:
    """Parse a `traceparent`; None if invalid."""
    found = _TRACEPARENT.fullmatch(caller) if isinstance(caller, str) else None
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return _Context(int(found[1], 16), int(found[2], 16), bool(int(found[3], 16) & 1))


class Tracing:
    """Begins and ends spans.

    Args:
        take: receives each ended span; must not wait or raise.
        now: nanoseconds since the Unix epoch.
        random_bits: a random integer of that many bits.
        ratio: the share of traces to record, among those without a caller's decision.
        follows: whether to respect the caller's decision (`parentbased_…` samplers).
        enter: makes a span the tracing library's current one for hooks; returns the function that undoes it.
    """

    def __init__(
        self,
        take: Callable[[Span], None],
        *,
        now: Callable[[], int],
        random_bits: Callable[[int], int],
        ratio: float = 1.0,
        follows: bool = True,
        enter: Callable[[Span], Callable[[], None]] = lambda _span: lambda: None,
    ) -> None:
        self._take = take
        self._now = now
        self._random_bits = random_bits
        # As OpenTelemetry's TraceIdRatioBased, so that all services choose the same traces.
        self._below = round(ratio * _UNTIL)
        self._follows = follows
        self.enter = enter

    def receive(
        self,
        name: str,
        caller: object,
        attributes: dict[str, str | int],
        link: tuple[int, int] | None = None,
    ) -> Span | None:
        """Begin the span of a client's request; `caller` is its `traceparent`, if any. None: not recorded."""
        if (context := _context(caller)) is None:
            context = _Context(self._random_bits(128) or 1, None, is_sampled=None)
        return self._begin(context, name, "server", attributes, link)

    def follow(
        self, name: str, caller: str, attributes: dict[str, str | int], kind: Kind
    ) -> Span | None:
        """Begin a child of another process's span, by its `traceparent`. None: not recorded, or invalid."""
        context = _context(caller)
        return None if context is None else self._begin(context, name, kind, attributes)

    def _begin(
        self,
        context: "_Context",
        name: str,
        kind: Kind,
        attributes: dict[str, str | int],
        link: tuple[int, int] | None = None,
    ) -> Span | None:
        is_sampled = context.is_sampled if self._follows else None
        if not (self._chooses(context.trace) if is_sampled is None else is_sampled):
            return None
        now, id = self._now(), self._new_id()
        return Span(context.trace, id, context.parent, name, kind, now, attributes, link)

    def child(
        self,
        name: str,
        attributes: dict[str, str | int],
        kind: Kind = "internal",
        parent: Span | None = None,
    ) -> Span | None:
        """Begin a child of `parent`, or of the current span; None if there is none."""
        parent = parent or current.get()
        if parent is None:
            return None
        return Span(parent.trace, self._new_id(), parent.id, name, kind, self._now(), attributes)

    def end(self, span: Span | None, error: str = "") -> None:
        """End a span; `error` is a code or the name of an exception's class."""
        if span is not None:
            span.ended = self._now()
            span.error = span.error or error
            self._take(span)

    def _new_id(self) -> int:
        return self._random_bits(64) or 1

    def _chooses(self, trace: int) -> bool:
        return (trace & 0xFFFF_FFFF_FFFF_FFFF) < self._below
