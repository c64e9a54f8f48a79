"""The contract between nodes: topics and payloads go in, publications come back through a callable.

A broker knows topics, payloads and positions; it knows nothing of connections, sessions or schemas. Its verbs return
`Later[T]`: the memory broker returns the result itself, a network broker an awaitable. The caller decides whether it can wait.

Two operations are atomic. A broker keeps a frame in its topic's history, gives it its position and publishes it in one
step, so all members on all nodes see the same order; the node that published gets the publication as well. It changes a
topic's presence and publishes the change in one step, so every node that subscribes to the topic sees the changes in the
order in which they happened.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

import attrs

from channeld.broker.once import Once
from channeld.broker.publish_options import NO_OPTIONS, Conflated, PublishOptions
from channeld.config.model import History
from channeld.later import Later
from channeld.protocol.frames import Json
from channeld.protocol.names import Topic
from channeld.telemetry import Sample

__all__ = [
    "Broker",
    "BrokerFailed",
    "BrokerUnavailable",
    "Bucket",
    "Deliver",
    "Delivered",
    "History",
    "HistoryEntry",
    "Later",
    "Networked",
    "Page",
    "Position",
    "PresenceChange",
    "PresenceCount",
    "PresenceEntry",
    "PresenceMissed",
    "PrivateServer",
    "Publication",
    "Started",
    "Told",
    "Topic",
    "tell_nobody",
]


class BrokerUnavailable(Exception):
    """The broker is unreachable. `retry_after` is in seconds.

    Nothing was done, unless `is_unknown`: the broker was asked and did not answer, so it may have been done.
    """

    def __init__(self, retry_after: float = 1.0, *, is_unknown: bool = False) -> None:
        super().__init__("broker unavailable")
        self.retry_after = retry_after
        self.is_unknown = is_unknown


class BrokerFailed(Exception):
    """A broker, or the private server that it needs, cannot start; the message says what to do."""


@attrs.frozen(slots=True)
class Position:
    """Where a frame is in a topic's history.

    The epoch changes when a history is lost (a restart without persistence), so an offset of the lost history is never
    mistaken for one of the new. The text form has a fixed width, so positions also sort correctly as strings.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset:010x}"

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """The position that `str()` wrote, or None."""
        epoch, dash, offset = text.rpartition("-")
        if not dash or not epoch or not 10 <= len(offset) <= 13:
            return None
        try:
            position = cls(epoch, int(offset, 16))
        except ValueError:
            return None
        # Clients send these: `int` also reads signs, spaces, underscores and other digits.
        return position if str(position) == text else None


@attrs.frozen(slots=True)
class Publication:
    """What a broker delivers: a frame's JSON, its position if it is kept, and the connection to leave out.

    `clears` are the keys that a frame from another node cleared.
    """

    payload: bytes
    position: Position | None = None
    skip: str | None = None
    clears: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class HistoryEntry:
    """A kept frame."""

    position: Position
    payload: bytes


@attrs.frozen(slots=True)
class Bucket:
    """An allowance that all nodes share: one token per `interval` seconds, up to `slack` seconds ahead of that pace.

    The generic cell rate algorithm (ITU-T I.371), as in a `Rate`. `key` names it.
    """

    key: str
    interval: float
    slack: float


@attrs.frozen(slots=True)
class Page:
    """A piece of history, oldest first.

    `top` is the topic's latest position. In an answer to `since`, `recovered` means that nothing between `since` and `top` is
    missing, and `frames` begins right after `since`; otherwise `frames` is the replay that was asked for, `replayed` frames in
    all. `rest` requests the next page (whose `top` may be later) and is None on the last one; if that page is not `recovered`,
    frames were dropped before it was read. In an answer to `before`, `more` means that there are earlier frames, possibly
    within the limit.
    """

    frames: Sequence[HistoryEntry]
    top: Position
    recovered: bool = True
    more: bool = False
    replayed: int = 0
    rest: "Callable[[], Later[Page]] | None" = attrs.field(default=None, eq=False, repr=False)


FEW: Final = 8
"""A topic with more users than this keeps their entries: making and encoding them again for each join costs more than 160 bytes."""


@attrs.define
class PresenceEntry:
    """A user in a topic's presence: the latest info, and the number of connections (without lingering ones).

    Immutable except for `encoded`. For a topic with more than `FEW` users, a broker returns the same object until something
    in it changes, so the encoded form can be kept in it: encoding a room of 4,000 for everyone who joins takes 8 ms, joining
    the kept pieces 0.3 ms.
    """

    user: str
    info: Mapping[str, Json]
    connections: int
    encoded: bytes | None = attrs.field(default=None, init=False, eq=False, repr=False)


@attrs.frozen(slots=True)
class PresenceChange:
    """A user joined a topic's presence, left it (`info` is then the last one, or empty if it is not known), or has a new `info`.

    `skip` is the connection that caused the change; it is sent the whole state instead.
    """

    event: Literal["join", "leave", "update"]
    user: str
    info: Mapping[str, Json]
    skip: str | None = None


@attrs.frozen(slots=True)
class PresenceMissed:
    """Changes of a topic's presence were missed, so its members must be sent the state again."""


@attrs.frozen(slots=True)
class PresenceCount:
    """How many users are in a topic's presence, and how many connections, anonymous ones included."""

    users: int
    connections: int


Delivered: TypeAlias = Publication | PresenceChange | PresenceMissed
Deliver: TypeAlias = Callable[[Topic, Delivered], None]
Told: TypeAlias = Callable[[Position], object]
"""Called with the version of a topic's presence at which a user came or left, before the verb returns or its awaitable is done.

A node hears of its changes in the order in which they happened. A topic's versions grow across all nodes, also as text. A
version with the offset 0 means nothing: the broker had no memory left to count.
"""


def tell_nobody(_version: Position) -> None:
    """Ignore the version."""


class Broker(Protocol):
    """What a hub needs. Each node has one; it is made with the hub's `Deliver`, which it calls on the loop's thread."""

    def publish(
        self, topic: Topic, payload: bytes, options: PublishOptions = NO_OPTIONS
    ) -> Later[Position | None]:
        """Publish a frame's JSON to every node that subscribes to the topic; keep it first, if `options.keep` is given.

        Returns:
            Its position, None if it is not kept. When this (or its awaitable) returns, the broker has the frame.

        Raises:
            AlreadyTaken: the key `options.once` is taken.
            BrokerUnavailable: it was not published, or may have been (`is_unknown`).
        """

    def publish_newest(
        self,
        topic: Topic,
        payload: bytes,
        conflated: Conflated,
        options: PublishOptions = NO_OPTIONS,
    ) -> Later[float]:
        """Publish a conflated frame as `publish` does, or hold it if another node published in the slot within the interval.

        With an empty payload, publish what the slot holds, if it is due. A frame older than one already published is dropped.

        Returns:
            0: it was published. Positive: it is held; ask again after that many seconds. -1: the slot is empty, or a newer frame
            was published.

        Raises:
            AlreadyTaken, BrokerUnavailable: as `publish`.
        """

    def is_taken(self, once: Once) -> Later[bool]:
        """Whether the key is taken and has not expired."""

    def take(self, once: Once) -> Later[bool]:
        """Take a key without publishing anything. False if it was taken already."""

    def subscribe(self, topic: Topic, *, is_numbered: bool = True) -> Later[None]:
        """Subscribe to a topic's publications. Remembered while the broker is unreachable. Idempotent.

        Without `is_numbered`, the room no longer has a history, so its latest position is not looked up.
        """

    def unsubscribe(self, topic: Topic) -> None:
        """End the subscription. Idempotent, never waits."""

    def number(self, channel: str, is_numbered: bool) -> None:
        """Set whether rooms of a channel have a history from now on (by default they do). Idempotent, never waits.

        A history that is turned off and on again is a new one, because a client with an older position has missed what was not
        kept. Remembered while the broker is unreachable.
        """

    def since(
        self, topic: Topic, position: Position | None, keep: History, replay: int = 0
    ) -> Later[Page]:
        """Everything after a position, in pages. If that is not possible or there is no position: `top` and the latest `replay` frames."""

    def before(
        self, topic: Topic, position: Position | None, limit: int, keep: History
    ) -> Later[Page]:
        """The latest `limit` frames before a position, or before the end; perhaps fewer, and then `more`."""

    def clear(self, topic: Topic, keys: Sequence[str] | None = None) -> Later[int]:
        """Remove the kept frames of these keys, or all (None). Returns how many there were.

        After all are removed, a client that had missed one of them is told `recovered: false`. Removing a key's frame is not
        noticed by clients, as when a frame clears the key.
        """

    def enter(
        self,
        topic: Topic,
        user: str,
        connection: str,
        info: Mapping[str, Json],
        told: Told = tell_nobody,
    ) -> Later[None]:
        """Count a connection in a topic's presence. `told` is called if the user was not there before, not even lingering.

        Connections of the user `""` are anonymous: they are counted, but never listed, and their changes are not delivered.
        """

    def linger(self, topic: Topic, user: str, connection: str, seconds: float = 0.0) -> Later[None]:
        """Record that the connection is gone; its user still counts as present until `leave`.

        If this node stops before that, the other nodes let the user leave `seconds` from now.
        """

    def leave(
        self, topic: Topic, user: str, connection: str, told: Told = tell_nobody
    ) -> Later[None]:
        """Forget a connection. `told` is called if it was the user's last one, lingering ones included."""

    def present(self, topic: Topic) -> Later[list[PresenceEntry]]:
        """The users who are present, in the order of arrival.

        For a subscribed topic, the answer is consistent with the deliveries at the moment when this (or its awaitable) returns: it
        includes every change delivered before and none delivered after, and every `enter` and `leave` of this node. Changes are
        delivered from the first call on.
        """

    def entry(self, topic: Topic, user: str) -> Later[PresenceEntry | None]:
        """One user's entry in a topic's presence, or None. The cost does not depend on the number of users."""

    def count(self, topic: Topic) -> Later[PresenceCount]:
        """How many are present. The cost does not depend on the number of users."""

    def samples(self) -> Iterable[Sample]:
        """This broker's measurements, for `/metrics`."""

    async def aclose(self) -> None:
        """Release everything. Idempotent."""


class Started(Protocol):
    """trio's `TaskStatus`: how a task tells its starter that it is ready."""

    def started(self) -> None:
        """It is ready."""


@runtime_checkable
class Networked(Broker, Protocol):
    """A broker between nodes: it may be unreachable, and it reports what happened on other nodes. It works only while `run` runs.

    The callables are set before `run`. `on_gap(topic, top)`: frames of a topic were missed, and its history no longer has
    them. `on_presence_lost(topic, user, version)`: a user's last connection was on a node that died. `on_presence_back(topic,
    user, info, version)`: the other nodes removed a user while this node was cut off, but the user is here. `on_health(healthy,
    reason)`. `on_versions(own, others)`: this node's version, and the different versions of other nodes with the same prefix.
    `begin_turn` and `end_turn` are called before and after the deliveries and answers of one read. `when_turn_ends(call)` lets
    the broker send the requests of one turn together at its end.
    """

    on_gap: Callable[[Topic, Position | None], None]
    on_presence_lost: Callable[[Topic, str, Position], None]
    on_presence_back: Callable[[Topic, str, Mapping[str, Json], Position], None]
    on_health: Callable[[bool, str], None]
    on_versions: Callable[[str, frozenset[str]], None]
    begin_turn: Callable[[], None]
    end_turn: Callable[[], None]
    when_turn_ends: Callable[[Callable[[], None]], None]
    reason: str

    def spend(self, bucket: Bucket) -> Later[float]:
        """Take one token of an allowance that all nodes share.

        Returns:
            0 if there was one, otherwise the seconds until there will be.

        Raises:
            BrokerUnavailable: it was not asked, or may have been.
        """

    def owe(self, account: str, debt: Mapping[str, float]) -> Later[None]:
        """Leave a connection's debt to the next connection of its account, as seconds until each allowance is full again."""

    def redeem(
        self, account: str, told: Callable[[Mapping[str, float]], object] | None = None
    ) -> Later[Mapping[str, float]]:
        """Take over the largest open debt of an account, as of now. `told`, if given, is called with it too, so no task has to wait for it."""

    @property
    def healthy(self) -> bool:
        """Whether this node receives what it publishes, at least for some topics. `reason` says why not."""

    def states(self) -> Mapping[str, bool]:
        """Whether each server answers, by name, if topics are spread over several; otherwise empty."""

    async def run(self, *, task_status: Started = ...) -> None:
        """Stay in contact with the other nodes until cancelled. Started after the first attempt, successful or not."""


class PrivateServer(Protocol):
    """A server for the processes of one machine. It ends with the process that runs it."""

    url: str

    async def run(self, *, task_status: Started = ...) -> None:
        """Keep it running until cancelled. Started once it answers.

        Raises:
            BrokerFailed: it did not start the first time.
        """
