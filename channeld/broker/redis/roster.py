"""This node's copy of who is present in a topic, maintained from the numbered changes that Redis publishes.

A roster is read once, in pages, after the node has subscribed; changes that arrive meanwhile are held. Pages may have different
versions: everything that changed after the first page is among the held changes, and applying a change twice is harmless, because each
contains its user's state. After that, every change must follow the last one. If one does not, or after a new session with Redis, the
roster is read again, and members are sent the whole state. Nothing here uses the network: the broker sends what `question` says and
passes in the replies.
"""

from collections.abc import Callable, Generator

import attrs
import orjson

from channeld.broker.broker import (
    BrokerUnavailable,
    Position,
    PresenceChange,
    PresenceEntry,
    PresenceMissed,
    Topic,
)
from channeld.broker.redis.encoding import NumberedChange, topic_key
from channeld.broker.redis.queue import Answer, Argument, Reply, Script

PAGE = 500
# If more changes arrive while a roster is being read, it is read again.
MOST_HELD = 10_000


def read_page(reply: Reply) -> tuple[Position, bytes, list[PresenceEntry]]:
    """Parse the reply of `present`: the version, where the next page begins, and the users."""
    epoch, version, after, *rows = reply
    triples = zip(rows[::3], rows[1::3], rows[2::3], strict=True)
    entries = [
        PresenceEntry(user.decode(), orjson.loads(info), count) for user, info, count in triples
    ]
    return Position(epoch.decode(), version), after, entries


@attrs.define(eq=False)
class Roster:
    """The users of a topic. `version` is None until it has been read; `is_current`: whether it may be shown."""

    topic: Topic
    version: Position | None = None
    is_reading: bool = False
    # The number of readings so far: replies to an earlier one are ignored.
    readings: int = 0
    _entries: dict[str, PresenceEntry] = attrs.field(factory=dict, init=False)
    _floor: Position | None = attrs.field(default=None, init=False)
    _is_torn: bool = attrs.field(default=True, init=False)
    _is_ended: bool = attrs.field(default=False, init=False)
    _known: Position | None = attrs.field(default=None, init=False)
    _held: list[NumberedChange] = attrs.field(factory=list, init=False)
    _read: dict[str, PresenceEntry] = attrs.field(factory=dict, init=False)
    _read_from: Position | None = attrs.field(default=None, init=False)
    _after: bytes = attrs.field(default=b"", init=False)
    _changed: Answer[None] | None = attrs.field(default=None, init=False)
    _error: BrokerUnavailable | None = attrs.field(default=None, init=False)

    @property
    def needs_reading(self) -> bool:
        """Whether it has to be read and no reading is under way."""
        return self._is_torn and not self.is_reading

    @property
    def is_current(self) -> bool:
        """Whether it is complete and includes this node's own changes."""
        version, floor = self.version, self._floor
        if self._is_torn or version is None:
            return False
        # Names of epochs grow with time, and a later epoch includes everything of an earlier one.
        return floor is None or (version.epoch, version.offset) >= (floor.epoch, floor.offset)

    def entries(self) -> list[PresenceEntry]:
        """Who is present, in order of arrival."""
        return list(self._entries.values())

    def entry(self, user: str) -> PresenceEntry | None:
        """One user's entry."""
        return self._entries.get(user)

    def require(self, epoch: bytes, version: int) -> None:
        """From now on, show nothing older than this version, of a change by this node."""
        made = Position(epoch.decode(), version)
        # Names of epochs begin with their time, and a later epoch includes what was before it.
        if version and (self.version is None or self.version.epoch <= made.epoch):
            self._floor = made

    def tear(self, *, numbers_go_on: bool) -> None:
        """A session has ended, so the next change may not follow. `numbers_go_on`: equal versions mean equal content."""
        self._known = self.version if numbers_go_on and not self._is_torn else None
        self._is_torn, self.is_reading, self._floor = True, False, None
        self._held.clear()

    def give_up(self, error: BrokerUnavailable) -> None:
        """Fail those who wait: it could not be read."""
        self.is_reading = False
        self._error = error
        self._wake()

    def begin(self) -> None:
        """Start to read from the first page, which includes all changes that this node has made by now."""
        self.is_reading, self._error, self._floor = True, None, None
        self.readings += 1
        self._read, self._read_from, self._after = {}, None, b""

    def question(self) -> tuple[Argument, ...]:
        """Arguments of the `present` script for the next page."""
        known = self._known or Position("", 0)
        return (topic_key(self.topic), self._after, PAGE, known.epoch, known.offset)

    def answer(self, reply: Reply) -> list[PresenceChange | PresenceMissed]:
        """Take a page; returns the changes to deliver now. `is_reading` says whether there is another page."""
        version, after, entries = read_page(reply)
        if after == b"same":
            return self._finish(self._entries, version, is_same=True)
        self._read_from = self._read_from or version
        self._read.update((entry.user, entry) for entry in entries)
        self._after, self._known = after, None
        return [] if after else self._finish(self._read, self._read_from, is_same=False)

    def take(
        self, change: NumberedChange, *, is_live: bool = True
    ) -> list[PresenceChange | PresenceMissed]:
        """Take a change; returns what to deliver: nothing if the change is known, or if it shows that changes were missed.

        `is_live`: all changes after it arrive here as well.
        """
        if is_live and self._is_first_of_all(change):
            # Nobody was present before, so there is nothing to read.
            self._is_torn, self.version = False, Position(change.version.epoch, 0)
            self._held.clear()
        version = self.version
        if self._is_torn or version is None:
            self._held.append(change)
            if len(self._held) > MOST_HELD:
                # Read again, from after all of these.
                self._held.clear()
                self.is_reading = False
            return []
        epoch, offset = change.version.epoch, change.version.offset
        is_same = epoch == version.epoch
        if is_same and 0 < offset <= version.offset:
            return []
        if offset == (version.offset + 1 if is_same else self._is_ended):
            return self._apply(change)
        self._is_torn, self._known, self._held = True, None, [change] if offset else []
        return []

    def _is_first_of_all(self, change: NumberedChange) -> bool:
        is_unread = self.version is None and not self.is_reading
        return is_unread and change.event == "join" and change.version.offset == 1

    def _finish(
        self, entries: dict[str, PresenceEntry], version: Position, *, is_same: bool
    ) -> list[PresenceChange | PresenceMissed]:
        has_missed = (
            self.version is not None and not is_same and _shown(entries) != _shown(self._entries)
        )
        held, self._held = self._held, []
        self._entries, self.version, self._read = entries, version, {}
        self._is_torn = self.is_reading = False
        self._is_ended = not version.epoch or (is_same and self._is_ended)
        delivered: list[PresenceChange | PresenceMissed] = [PresenceMissed()] if has_missed else []
        for change in held[self._first_after(held, version.epoch) :]:
            delivered += self.take(change)
        self._wake()
        return delivered

    def _first_after(self, held: list[NumberedChange], epoch: str) -> int:
        """The index of the first held change that may follow what was read; those before it are of earlier epochs."""
        for at, change in enumerate(held):
            is_next = self._is_ended and change.version.offset == 1
            if is_next or change.version.epoch == epoch or not change.version.offset:
                return at
        return len(held)

    def _apply(self, change: NumberedChange) -> list[PresenceChange | PresenceMissed]:
        self.version, self._is_ended = change.version, change.is_end
        user, info, known = change.user, change.info, self._entries.get(change.user)
        if change.event == "leave":
            if known is not None:
                info = self._entries.pop(user).info
        elif change.event == "count":
            if known is not None:
                self._entries[user] = attrs.evolve(known, connections=change.connections)
        else:
            self._entries[user] = PresenceEntry(user, info, change.connections)
        self._wake()
        if change.event == "count":
            return []
        return [PresenceChange(change.event, user, info, change.skip)]

    def _wake(self) -> None:
        is_current = self.is_current
        if is_current:
            # Later versions include it, also those of another epoch.
            self._floor = None
        changed = self._changed
        if changed is not None and (is_current or self._error is not None):
            self._changed = None
            changed.resolve(None)

    def _next_change(self) -> Answer[None]:
        if self._changed is None:
            self._changed = Answer()
        return self._changed

    @property
    def done(self) -> bool:
        """Whether it is current, or could not be read."""
        return self.is_current or self._error is not None

    def then(self, call: Callable[[Exception | None], object]) -> None:
        """Call `call(error)` when it is done."""
        if self.done:
            call(None if self.is_current else self._error)
        else:
            self._next_change().then(lambda _error: self.then(call))

    def __await__(self) -> Generator[object, object, list[PresenceEntry]]:
        """Wait until it is current; returns who is present when the waiting task continues.

        Raises:
            BrokerUnavailable: it could not be read.
        """
        while not self.is_current:
            if self._error is not None:
                raise BrokerUnavailable(self._error.retry_after)
            yield from self._next_change().__await__()
        return self.entries()


def _shown(entries: dict[str, PresenceEntry]) -> dict[str, object]:
    return {user: entry.info for user, entry in entries.items()}


def present_page(base: str, topic: Topic, after: bytes) -> Script:
    """The call for a page of a topic's users, independent of a roster; `after`: where the page begins."""
    return Script("present", (base,), (topic_key(topic), after, PAGE, "", 0), read_page)


@attrs.define(eq=False)
class RosterReading:
    """One reading of a roster, from its first page on: `put` sends the calls, and `deliver` gets the results.

    `came` is the change of the call that brings the first page, which contains it already.
    """

    _roster: Roster
    _base: str
    _put: Callable[[Script], object]
    _deliver: Callable[[Roster, list[PresenceChange | PresenceMissed]], object]
    _came: PresenceChange | None = None
    _number: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._roster.begin()
        self._number = self._roster.readings

    def ask(self) -> None:
        """Call for the next page."""
        question = self._roster.question()
        script = Script("present", (self._base,), question, self.take, bound=True)
        script.answer.on_failure = self.give_up
        self._put(script)

    def take(self, reply: Reply, *, has_come: bool = False) -> None:
        """Take a page. `has_come`: the change `came` has happened."""
        if self._roster.readings != self._number or not self._roster.is_reading:
            return  # the roster is being read again, or is no longer needed
        changes = self._roster.answer(reply)
        if has_come and self._came is not None:
            changes.insert(0, self._came)
        if self._roster.is_reading:
            self.ask()
        self._deliver(self._roster, changes)

    def give_up(self) -> None:
        """Fail those who wait: the roster could not be read."""
        if self._roster.readings == self._number:
            self._roster.give_up(BrokerUnavailable())
