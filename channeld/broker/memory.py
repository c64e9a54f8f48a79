"""The broker of a single process: everything is in dicts, and every verb is done when it returns.

Histories are bounded (`histories.py`). A presence is removed with its last user.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import attrs

from channeld.broker.broker import (
    FEW,
    Deliver,
    History,
    Page,
    Position,
    PresenceChange,
    PresenceCount,
    PresenceEntry,
    Publication,
    Told,
    Topic,
    tell_nobody,
)
from channeld.broker.histories import Histories, HistoryStatistics
from channeld.broker.once import AlreadyTaken, Once, OnceKeys
from channeld.broker.publish_options import NO_OPTIONS, Conflated, PublishOptions
from channeld.protocol.frames import Json
from channeld.telemetry import Sample
from channeld.timers import Clock


@attrs.define(eq=False, weakref_slot=False)
class _Here:
    """A present user. Nearly all have a single live connection, which is stored without a dict to save 200 bytes."""

    info: Mapping[str, Json]
    _connections: str | dict[str, bool]
    live: int = 1
    kept: PresenceEntry | None = None

    @property
    def is_left(self) -> bool:
        """Whether there is no connection left."""
        return not self._connections

    def alive(self, connection: str) -> bool | None:
        """True: the connection is live; False: it lingers; None: it is not here."""
        if isinstance(self._connections, str):
            return True if connection == self._connections else None
        return self._connections.get(connection)

    def note(self, connection: str, *, alive: bool) -> None:
        """Record that a connection is live, or lingers."""
        if isinstance(self._connections, str):
            if alive and connection == self._connections:
                return
            self._connections = {self._connections: True}
        self._connections[connection] = alive

    def forget(self, connection: str) -> None:
        """Remove a connection."""
        if isinstance(self._connections, str):
            self._connections = ""
        else:
            del self._connections[connection]

    def show(self, info: Mapping[str, Json], live: int) -> None:
        """Change the user's info and number of live connections."""
        self.info, self.live, self.kept = info, live, None

    def entry(self, user: str, *, keeps: bool) -> PresenceEntry:
        """The user's entry; with `keeps` it is the same object until something changes."""
        entry = self.kept or PresenceEntry(user, self.info, self.live)
        if keeps:
            self.kept = entry
        return entry


@attrs.define(eq=False, weakref_slot=False)
class _Presence:
    """A topic's users, in the order of arrival, and the number of live connections. A single user is stored without a dict."""

    _users: tuple[str, _Here] | dict[str, _Here] = attrs.field(factory=dict)
    alive: int = 0

    def find(self, user: str) -> _Here | None:
        """The user, if present."""
        users = self._users
        if isinstance(users, dict):
            return users.get(user)
        return users[1] if users[0] == user else None

    def add(self, user: str, here: _Here) -> None:
        """Add a user who was not present."""
        users = self._users
        if not users:
            self._users = (user, here)
            return
        if isinstance(users, tuple):
            users = self._users = dict([users])
        users[user] = here

    def remove(self, user: str) -> None:
        """Remove a user who is present."""
        if isinstance(self._users, dict):
            del self._users[user]
        else:
            self._users = {}

    def items(self) -> Collection[tuple[str, _Here]]:
        """The users."""
        return self._users.items() if isinstance(self._users, dict) else (self._users,)


@attrs.frozen(slots=True, kw_only=True)
class MemoryStatistics:
    """What a `MemoryBroker` holds."""

    subscriptions: int
    presences: int
    kept: HistoryStatistics


_NOBODY = _Presence()


class MemoryBroker:
    """Implements `Broker` within one process. `epoch` must differ from that of any earlier process.

    With a `salt`, a random number, each topic's history has an epoch derived from both.
    """

    def __init__(self, deliver: Deliver, clock: Clock, epoch: str, salt: int | None = None) -> None:
        self._deliver = deliver
        self._histories = Histories(clock, epoch, salt)
        self._keys = OnceKeys(clock)
        # A dict, because a set of this size would be three times as large.
        self._subscribed: dict[Topic, None] = {}
        self._here: dict[Topic, _Presence] = {}
        self._epoch, self._turnouts = epoch, 0

    def publish(
        self, topic: Topic, payload: bytes, options: PublishOptions = NO_OPTIONS
    ) -> Position | None:
        """Deliver a frame at once if the topic is subscribed to; keep it first if `options.keep` is given.

        Raises:
            AlreadyTaken: the key `options.once` is taken.
        """
        if options.once is not None and not self._keys.take(options.once):
            raise AlreadyTaken
        position, keep = None, options.keep
        if keep is not None:
            position = self._histories.append(topic, payload, keep, options.placing)
        if topic in self._subscribed:
            self._deliver(topic, Publication(payload, position, options.skip))
        return position

    def publish_newest(
        self,
        topic: Topic,
        payload: bytes,
        _conflated: Conflated,
        options: PublishOptions = NO_OPTIONS,
    ) -> float:
        """Publish a frame. In a single process, the hub does the conflating.

        Raises:
            AlreadyTaken: the key `options.once` is taken.
        """
        if payload:
            self.publish(topic, payload, options)
        return 0.0

    def is_taken(self, once: Once) -> bool:
        """Whether the key is taken."""
        return self._keys.is_taken(once)

    def take(self, once: Once) -> bool:
        """Take a key without publishing anything."""
        return self._keys.take(once)

    def subscribe(self, topic: Topic, *, is_numbered: bool = True) -> None:
        """Deliver the topic's publications from now on."""
        self._subscribed[topic] = None

    def unsubscribe(self, topic: Topic) -> None:
        """Stop delivering them."""
        self._subscribed.pop(topic, None)

    def number(self, channel: str, is_numbered: bool) -> None:
        """Set whether rooms of a channel have a history; if not, what was kept is removed."""
        if not is_numbered:
            self._histories.end(channel)

    def since(
        self, topic: Topic, position: Position | None, keep: History, replay: int = 0
    ) -> Page:
        """Everything after a position; if that is not possible or it is None, the latest `replay` frames."""
        return self._histories.since(topic, position, keep, replay)

    def before(self, topic: Topic, position: Position | None, limit: int, keep: History) -> Page:
        """The latest `limit` frames before a position, or before the end."""
        return self._histories.before(topic, position, limit, keep)

    def clear(self, topic: Topic, keys: Sequence[str] | None = None) -> int:
        """Remove the kept frames of these keys, or all (None). Returns how many there were."""
        return self._histories.take_away(topic, keys)

    def enter(
        self,
        topic: Topic,
        user: str,
        connection: str,
        info: Mapping[str, Json],
        told: Told = tell_nobody,
    ) -> None:
        """Count a connection; `told` is called if the user was not there before, not even lingering."""
        presence = self._here.get(topic)
        if presence is None:
            presence = self._here[topic] = _Presence()
        here = presence.find(user)
        if here is None:
            presence.add(user, _Here(info, connection))
            presence.alive += 1
            self._tell(topic, PresenceChange("join", user, info, connection))
            told(self._next_version())
            return
        differs, is_new = here.info != info, not here.alive(connection)
        if differs or is_new:
            here.show(info, here.live + is_new)
        presence.alive += is_new
        here.note(connection, alive=True)
        if differs:
            self._tell(topic, PresenceChange("update", user, info, connection))

    def linger(self, topic: Topic, user: str, connection: str, seconds: float = 0.0) -> None:
        """Stop counting a connection, but keep its user until `leave`."""
        presence = self._here.get(topic)
        here = None if presence is None else presence.find(user)
        if presence is not None and here is not None and here.alive(connection):
            here.note(connection, alive=False)
            here.show(here.info, here.live - 1)
            presence.alive -= 1

    def leave(self, topic: Topic, user: str, connection: str, told: Told = tell_nobody) -> None:
        """Forget a connection; `told` is called if it was the user's last one, lingering ones included."""
        presence = self._here.get(topic)
        here = None if presence is None else presence.find(user)
        lived = None if here is None else here.alive(connection)
        if presence is None or here is None or lived is None:
            return
        here.forget(connection)
        presence.alive -= lived
        if not here.is_left:
            here.show(here.info, here.live - lived)
            return
        self._histories.forget(topic, user)
        presence.remove(user)
        if not presence.items():
            del self._here[topic]
        self._tell(topic, PresenceChange("leave", user, here.info))
        told(self._next_version())

    def present(self, topic: Topic) -> list[PresenceEntry]:
        """The users who are present, in the order of arrival."""
        users = self._here.get(topic, _NOBODY).items()
        keeps = len(users) > FEW
        # `here.kept` is read directly because thousands of calls would cost more than the list.
        return [here.kept or here.entry(user, keeps=keeps) for user, here in users if user]

    def entry(self, topic: Topic, user: str) -> PresenceEntry | None:
        """One user's entry, or None."""
        here = self._here.get(topic, _NOBODY).find(user)
        return None if here is None else here.entry(user, keeps=False)

    def count(self, topic: Topic) -> PresenceCount:
        """How many are present."""
        presence = self._here.get(topic, _NOBODY)
        return PresenceCount(
            len(presence.items()) - (presence.find("") is not None), presence.alive
        )

    def _next_version(self) -> Position:
        self._turnouts += 1
        return Position(self._epoch, self._turnouts)

    def _tell(self, topic: Topic, change: PresenceChange) -> None:
        if change.user and topic in self._subscribed:
            self._deliver(topic, change)

    def statistics(self) -> MemoryStatistics:
        """What the broker holds now."""
        return MemoryStatistics(
            subscriptions=len(self._subscribed),
            presences=len(self._here),
            kept=self._histories.statistics(),
        )

    def samples(self) -> Iterator[Sample]:
        """The size of the histories, and how many were dropped because of their bound."""
        kept = self._histories.statistics()
        yield Sample("channeld_history_bytes", kept.bytes)
        yield Sample("channeld_histories_dropped_total", kept.dropped)

    async def aclose(self) -> None:
        """Forget everything."""
        self._subscribed.clear()
        self._histories.clear()
        self._keys.clear()
        self._here.clear()
