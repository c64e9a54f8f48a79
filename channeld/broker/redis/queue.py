"""The send queue: bounded, ordered, taken in batches with many publishes in one script call.

Consecutive publishes to one topic share an envelope, so a busy room costs one Redis message for many frames.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import attrs
import trio

from channeld.broker.broker import BrokerUnavailable, History, Position
from channeld.broker.once import MOST_KEYS, AlreadyTaken, Once
from channeld.broker.publish_options import Conflated, Placing, PublishOptions
from channeld.telemetry import log

T = TypeVar("T")
Argument: TypeAlias = str | bytes | int | float
# What RESP3 carries: bytes, integers and lists of them.
Reply: TypeAlias = Any

MOST_WAITING = 10_000
MOST_BYTES = 16 * 1024 * 1024
BATCH = 256
BATCH_BYTES = 1024 * 1024


class Answer(Generic[T]):
    """A future value; await it any number of times, or never."""

    __slots__ = ("_error", "_then", "_value", "done", "on_failure")
    _value: T

    def __init__(self) -> None:
        self.done = False
        self._then: list[Callable[[Exception | None], object]] | None = None
        self.on_failure: Callable[[], None] | None = None
        self._error: BrokerUnavailable | AlreadyTaken | None = None

    def resolve(self, value: T) -> None:
        """Set the value."""
        self._value, self.done = value, True
        if self._then is not None:
            self._call()

    def fail(self, error: BrokerUnavailable | AlreadyTaken) -> None:
        """Set an error."""
        self._error, self.done = error, True
        if self.on_failure is not None:
            self.on_failure()
        self._call()

    def then(self, call: Callable[[Exception | None], object]) -> None:
        """Call `call(error)` when it is done; the error is None if there is a value."""
        if self.done:
            call(self._error)
        elif self._then is None:
            self._then = [call]
        else:
            self._then.append(call)

    def __await__(self) -> Generator[object, object, T]:
        if not self.done:
            event = trio.Event()
            self.then(lambda _error: event.set())
            yield from event.wait().__await__()
        if self._error is not None:
            error = self._error
            if isinstance(error, AlreadyTaken):
                raise AlreadyTaken
            raise BrokerUnavailable(error.retry_after, is_unknown=error.is_unknown)
        return self._value

    def _call(self) -> None:
        calls, self._then = self._then or (), None
        for call in calls:
            try:
                call(self._error)
            except Exception as error:  # a bug of the caller must not end the connection
                log("task_failed", task="answer", exception=error)


@attrs.frozen
class Conflating:
    """How a publication is conflated; its answer is how long it waits, in seconds.

    `came` is its arrival at the node, by the server's clock; `told` gets the server's time.
    """

    conflated: Conflated
    came: float
    told: Callable[[float], object]


@attrs.define(eq=False)
class Publish:
    """One publication to send. `history` are its topic's keys, `taken_at` is the key at which its `once` is taken, `node` its sender's node.

    A publication with a placing or `conflating` has an envelope of its own.
    """

    channel: bytes
    history: tuple[str, ...]
    payload: bytes
    options: PublishOptions
    taken_at: str = ""
    node: str = ""
    conflating: Conflating | None = None
    answer: Answer[Any] = attrs.field(factory=Answer)

    @property
    def placing(self) -> Placing | None:
        """How it relates to other frames, if it does."""
        if self.conflating is not None:
            return self.options.placing or Placing()
        return self.options.placing if self.options.keep is not None else None

    @property
    def size(self) -> int:
        """Its approximate size in bytes."""
        return len(self.payload) + 100

    @property
    def is_plain(self) -> bool:
        """Whether it only has to be published."""
        options = self.options
        return options.keep is None and options.once is None and self.conflating is None

    def continues(self, other: "Publish") -> bool:
        """Whether both may share an envelope."""
        return self.channel == other.channel and self.options.keep == other.options.keep


class ScriptCall(Protocol):
    """One call of a script."""

    name: str
    keys: Sequence[str]
    arguments: Sequence[Argument]

    def resolve(self, reply: Reply) -> None:
        """Take the reply."""

    def fail(self, error: BrokerUnavailable) -> None:
        """There is none."""


@attrs.define(eq=False)
class Script:
    """A call that is queued; `read` turns the reply into the answer. A `bound` call belongs to one session."""

    name: str
    keys: Sequence[str]
    arguments: Sequence[Argument]
    read: Callable[[Reply], object]
    answer: Answer[Any] = attrs.field(factory=Answer)
    size: int = 100
    bound: bool = False

    def resolve(self, reply: Reply) -> None:
        """See ScriptCall."""
        try:
            value = self.read(reply)
        except (TypeError, ValueError, IndexError, AttributeError):
            # Foreign data under our keys.
            self.answer.fail(BrokerUnavailable())
        else:
            self.answer.resolve(value)

    def fail(self, error: BrokerUnavailable) -> None:
        """See ScriptCall."""
        self.answer.fail(error)


@attrs.define(eq=False)
class Command:
    """A call that answers many publishes, or several scripts."""

    name: str
    keys: Sequence[str]
    arguments: Sequence[Argument]
    resolve: Callable[[Reply], None]
    fail: Callable[[BrokerUnavailable], None]


@attrs.define(eq=False)
class Outgoing:
    """The queue. `put` refuses entries beyond the bound, except urgent ones, and calls `on_filled()`."""

    _waiting: deque[Publish | Script] = attrs.field(factory=deque, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    on_filled: Callable[[], object] = attrs.field(default=lambda: None, init=False)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, entry: Publish | Script, *, urgent: bool = False) -> None:
        """Queue an entry.

        Raises:
            BrokerUnavailable: the queue is full.
        """
        full = len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_BYTES
        if full and not urgent:
            raise BrokerUnavailable(0.5)
        self._waiting.append(entry)
        self._bytes += entry.size
        self.on_filled()

    def take(self) -> list[Publish | Script]:
        """The next entries, at most a batch."""
        batch: list[Publish | Script] = []
        room = BATCH_BYTES
        while self._waiting and len(batch) < BATCH and room > 0:
            entry = self._waiting.popleft()
            self._bytes -= entry.size
            room -= entry.size
            batch.append(entry)
        return batch

    def fail(self, error: BrokerUnavailable, *, bound_only: bool = False) -> None:
        """Fail all waiting entries, or those that belong to the ended session."""
        waiting, self._waiting = self._waiting, deque[Publish | Script]()
        failed: list[Publish | Script] = []
        for entry in waiting:
            stays = bound_only and not (isinstance(entry, Script) and entry.bound)
            (self._waiting if stays else failed).append(entry)
        self._bytes = sum(entry.size for entry in self._waiting)
        # Callbacks may queue new entries at once.
        for entry in failed:
            entry.answer.fail(error)


def plain_runs(batch: Sequence[Publish | Script]) -> list[list[Publish]] | None:
    """The runs of a batch of plain publications, each of which shares an envelope; None for any other batch.

    They need no script, which costs Redis three times as much as `PUBLISH`. Next to scripts, they would overtake those that are refused
    at first and sent again.
    """
    plain = [entry for entry in batch if isinstance(entry, Publish) and entry.is_plain]
    return _runs(plain) if len(plain) == len(batch) else None


def commands(
    batch: Sequence[Publish | Script],
    state: str,
    opening: Sequence[Argument],
) -> list[ScriptCall]:
    """The calls for a batch, in order.

    Args:
        batch: the entries.
        state: the key that all topics share.
        opening: the first arguments of `publish`.
    """
    result: list[ScriptCall] = []
    publishes: list[Publish] = []
    for entry in batch:
        placing = entry.placing if isinstance(entry, Publish) else None
        if isinstance(entry, Publish) and entry.options.once is None and placing is None:
            publishes.append(entry)
            continue
        if publishes:
            result.append(_publish(publishes, state, opening))
            publishes = []
        if isinstance(entry, Script):
            result.append(entry)
            if entry.name == "enter":
                _fold(result)
            continue
        if placing is None:
            command = _publish([entry], state, opening)
        else:
            command = _place(entry, placing, state, opening)
        once = entry.options.once
        result.append(command if once is None else _once(command, entry, once))
    if publishes:
        result.append(_publish(publishes, state, opening))
    return result


def _fold(calls: list[ScriptCall]) -> None:
    """Combine the last call, an `enter`, with the earlier ones of the same join."""
    if len(calls) < 2 or calls[-2].name != "since":
        return
    since, enter = folded = [calls.pop(-2), calls.pop()]
    keys, arguments = [*since.keys, enter.keys[0]], [*since.arguments, *enter.arguments]
    if calls and calls[-1].name == "redeem":
        keys += calls[-1].keys
        folded.append(calls.pop())

    def resolve(reply: Reply) -> None:
        for call, part in zip(folded, reply, strict=True):
            call.resolve(part)

    def fail(error: BrokerUnavailable) -> None:
        for call in folded:
            call.fail(error)

    calls.append(Command("join", keys, arguments, resolve, fail))


def _runs(entries: Sequence[Publish]) -> list[list[Publish]]:
    runs: list[list[Publish]] = []
    for entry in entries:
        if runs and entry.continues(runs[-1][0]):
            runs[-1].append(entry)
        else:
            runs.append([entry])
    return runs


def _publish(entries: list[Publish], state: str, opening: Sequence[Argument]) -> Command:
    runs = _runs(entries)
    keys, arguments = [state], list(opening)
    for run in runs:
        first = run[0]
        keys += first.history
        arguments += (first.channel, *_bounds(first.options.keep), len(run))
        for entry in run:
            arguments += (entry.options.skip or b"", entry.payload)

    def resolve(reply: Reply) -> None:
        for run, epoch, offset in zip(runs, reply[1::2], reply[2::2], strict=True):
            _answer(run, epoch, offset)

    def fail(error: BrokerUnavailable) -> None:
        for entry in entries:
            entry.answer.fail(error)

    return Command("publish", keys, arguments, resolve, fail)


def _place(entry: Publish, placing: Placing, state: str, opening: Sequence[Argument]) -> Command:
    options, answer = entry.options, entry.answer
    arguments = [*opening, entry.channel, *_bounds(options.keep), options.skip or b""]
    arguments += (entry.payload,)
    arguments += (placing.key or b"", placing.owner or b"", int(placing.is_replayed), entry.node)
    arguments += (round(placing.waits * 1000), len(placing.clears), *placing.clears)
    keys, conflating = [state, *entry.history], entry.conflating
    if conflating is None:
        return Command("place", keys, arguments, lambda r: _answer([entry], *r[1:]), answer.fail)
    conflated = conflating.conflated
    arguments += (conflated.slot, max(1, round(conflated.seconds * 1000)))
    arguments += (
        round(conflated.age * 1000),
        int(conflated.at_once),
        f"{conflating.came * 1000:.3f}",
    )

    def resolve(reply: Reply) -> None:
        conflating.told(reply[4] / 1e6)
        if reply[1].startswith(b"!"):
            answer.fail(BrokerUnavailable())
        else:
            answer.resolve(reply[3] / 1000)

    return Command("conflate", keys, arguments, resolve, answer.fail)


def _once(plain: Command, entry: Publish, once: Once) -> Command:
    """A publication's command that takes a key first."""

    def resolve(reply: Reply) -> None:
        if reply[0] < 0:
            entry.answer.fail(AlreadyTaken())
        else:
            plain.resolve(reply)

    keys = [*plain.keys, entry.taken_at]
    arguments = [*plain.arguments, once.key, round(once.ttl * 1000), MOST_KEYS]
    return Command(f"{plain.name}_once", keys, arguments, resolve, plain.fail)


def _bounds(keep: History | None) -> tuple[int, int]:
    """Size and ttl for scripts; size 0 if nothing is kept."""
    if keep is None:
        return 0, 0
    return max(1, keep.size), max(1, round(keep.ttl * 1000))


def _answer(run: list[Publish], epoch: bytes, offset: int) -> None:
    # `!` and the server's message: this run was refused (out of memory), the others were not.
    if epoch.startswith(b"!"):
        for entry in run:
            entry.answer.fail(BrokerUnavailable())
        return
    for number, entry in enumerate(run):
        kept = entry.options.keep is not None
        entry.answer.resolve(Position(epoch.decode(), offset + number) if kept else None)
