"""The contract between nodes: topics and bytes go in, publications come back through a callable.

A broker knows topics, payloads and positions; it knows nothing of connections, sessions or schemas. The verbs return
at once (the memory broker) or an awaitable (a network one): `Later[T]`. The caller decides whether it can wait.

Some things must be a single step. Keeping a frame in a topic's history, giving it its position and publishing it is one
step per topic, so that all members on all nodes see one order. A publication also comes back to the node that made it.
Changing a topic's presence and publishing the change is one step as well: changes arrive in the order in which they
happened, the same on every node that subscribes to the topic.
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

    The epoch changes when a history is lost (a restart without persistence), so that an offset of the lost history is
    never taken for one of the new. Its text has a fixed width, so positions grow in string order as well.
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

    `clears` are keys that a frame of another node cleared.
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

    `top` is the topic's latest position. After `since`, `recovered` says that nothing between `since` and `top` is missing: `frames`
    then begins with what came next, and otherwise it is the replay that was asked for, of `replayed` frames in all. `rest` asks for the
    next page, up to a `top` that may be later; it is None for the last one, and a page that is not `recovered` says that frames were dropped
    before it was read. After `before`, `more` says that there are earlier frames, possibly within the limit.
    """

    frames: Sequence[HistoryEntry]
    top: Position
    recovered: bool = True
    more: bool = False
    replayed: int = 0
    rest: "Callable[[], Later[Page]] | None" = attrs.field(default=None, eq=False, repr=False)


FEW: Final = 8
"""Of more users a topic keeps the entries that it has shown: making and encoding them for each who joins costs more than 160 bytes."""


@attrs.define
class PresenceEntry:
    """A user in a topic's presence: the latest info, and the number of connections (without lingering ones).

    Not changed once it is made, except for `encoded`. Of many users a broker returns the same object until something in it changes, so its encoded form may be kept in `encoded`: encoding a room
    of 4,000 for everyone who joins takes 8 ms, joining what was kept 0.3.
    """

    user: str
    info: Mapping[str, Json]
    connections: int
    encoded: bytes | None = attrs.field(default=None, init=False, eq=False, repr=False)


@attrs.frozen(slots=True)
class PresenceChange:
    """A user came to a topic's presence, left it (`info` is the last one then, empty if it is not known), or is shown with another `info`.

    `skip` is the connection that caused it, which is not told, because it is told the whole state.
    """

    event: Literal["join", "leave", "update"]
    user: str
    info: Mapping[str, Json]
    skip: str | None = None


@attrs.frozen(slots=True)
class PresenceMissed:
    """Changes of a topic's presence were missed, so its members have to be told the state again."""


@attrs.frozen(slots=True)
class PresenceCount:
    """How many users are in a topic's presence, and how many connections, anonymous ones included."""

    users: int
    connections: int


Delivered: TypeAlias = Publication | PresenceChange | PresenceMissed
Deliver: TypeAlias = Callable[[Topic, Delivered], None]
Told: TypeAlias = Callable[[Position], object]
"""Gets the version of a topic's presence at which a user came or left, before the verb returns or its awaitable is done.

A node's changes are told in the order in which they happened. Versions of a topic grow, also as text, over all nodes; one with
the offset 0 says nothing: the broker had no memory left to count.
"""


def tell_nobody(_version: Position) -> None:
    """Ignore whether it was the first or the last."""


class Broker(Protocol):
    """What a hub needs. There is one per node; it is made with the hub's `Deliver`, which it calls on the loop's thread."""

    def publish(
        self, topic: Topic, payload: bytes, options: PublishOptions = NO_OPTIONS
    ) -> Later[Position | None]:
        """Publish a frame's JSON to every node that subscribes to the topic; keep it first, if `options.keep` is given.

        Returns:
            Its position, None if it is not kept. When this (or its awaitable) returns, the broker has the frame.

        Raises:
            AlreadyTaken: somebody has the key `options.once`.
            BrokerUnavailable: it was not published, or may have been (`is_unknown`).
        """

    def publish_newest(
        self,
        topic: Topic,
        payload: bytes,
        conflated: Conflated,
        options: PublishOptions = NO_OPTIONS,
    ) -> Later[float]:
        """Publish a conflated frame as `publish` does, or hold it while its slot's interval is not over on another node.

        With an empty payload, publish what is held in the slot, if its time has come. A frame that is older than one that has
        gone out is dropped.

        Returns:
            0: it went out. Positive: it is held; ask again after that many seconds. -1: there is nothing, or a newer frame went out.

        Raises:
            AlreadyTaken, BrokerUnavailable: as `publish`.
        """

    def is_taken(self, once: Once) -> Later[bool]:
        """Whether the key is taken and its time is not over."""

    def take(self, once: Once) -> Later[bool]:
        """Take a key without publishing anything; False if it is taken already."""

    def subscribe(self, topic: Topic, *, is_numbered: bool = True) -> Later[None]:
        """Subscribe to a topic's publications. Remembered while the broker is unreachable. Idempotent.

        Not `is_numbered`: a room that has no history by now, so that its top need not be looked up.
        """

    def unsubscribe(self, topic: Topic) -> None:
        """End the subscription. Idempotent, never waits."""

    def number(self, channel: str, is_numbered: bool) -> None:
        """Say whether rooms of a channel have a history from now on. Idempotent, never waits.

        By default they have one. If they have one again later, it is another history: a client with an older position has missed
        what was not kept. Remembered while the broker is unreachable.
        """

    def since(
        self, topic: Topic, position: Position | None, keep: History, replay: int = 0
    ) -> Later[Page]:
        """What came after a position, all or nothing; with None, or nothing, `top` and the latest `replay` frames. In pages."""

    def before(
        self, topic: Topic, position: Position | None, limit: int, keep: History
    ) -> Later[Page]:
        """The latest `limit` frames before a position, or before the end; or fewer of them, and `more`."""

    def clear(self, topic: Topic, keys: Sequence[str] | None = None) -> Later[int]:
        """Remove kept frames: those of these keys, or (None) all; returns how many there were.

        After removing all, a client that had not seen one of them is told `recovered: false`. A key's frame counts as seen by everybody, as
        when a frame clears it.
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
        """Record that the connection is gone, although its user still counts as present until `leave`.

        If this node stops before that, the others do it `seconds` from now.
        """

    def leave(
        self, topic: Topic, user: str, connection: str, told: Told = tell_nobody
    ) -> Later[None]:
        """Forget a connection. `told` is called if it was the user's last one, lingering ones included."""

    def present(self, topic: Topic) -> Later[list[PresenceEntry]]:
        """Who is present, in the order of arrival.

        For a subscribed topic, the answer agrees with what is delivered, at the moment when this (or its awaitable) returns: it
        includes every change delivered before and none delivered after, and everything that this node itself has entered and left.
        Changes are delivered from the first call on.
        """

    def entry(self, topic: Topic, user: str) -> Later[PresenceEntry | None]:
        """How one user is shown in a topic's presence, or None. The cost does not depend on how many are there."""

    def count(self, topic: Topic) -> Later[PresenceCount]:
        """How many are present, without looking at each."""

    def samples(self) -> Iterable[Sample]:
        """What this kind of broker measures, for `/metrics`."""

    async def aclose(self) -> None:
        """Release everything. Idempotent."""


class Started(Protocol):
    """trio's `TaskStatus`: how a task tells its starter that it is ready."""

    def started(self) -> None:
        """It is ready."""


@runtime_checkable
class Networked(Broker, Protocol):
    """A broker between nodes: it may be away, and it reports what happened on other nodes. Nothing works until `run` runs.

    The callables are set before `run`. `on_gap(topic, top)`: frames of a topic were missed and its history no longer has
    them. `on_presence_lost(topic, user, version)`: a user's last connection was on a node that died. `on_presence_back(topic,
    user, info, version)`: a user was counted out while this node was cut off, but is here. `on_health(healthy, reason)`.
    `on_versions(own, others)`: of which version this node is, and of which others those are that use the same prefix.
    `begin_turn` and `end_turn` are called around the deliveries and answers that one read brings. `when_turn_ends(call)`:
    what is asked of the broker within a turn may be sent together at its end.
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
        """Pass what a connection has used up on to the next one of its account, as seconds until each allowance is full again."""

    def redeem(
        self, account: str, told: Callable[[Mapping[str, float]], object] | None = None
    ) -> Later[Mapping[str, float]]:
        """Take over the largest open debt of an account, as of now. `told` gets it as well, if there is one, so that no task has to wait."""

    @property
    def healthy(self) -> bool:
        """Whether what this node publishes comes back to it, at least for some topics. `reason` says why not."""

    def states(self) -> Mapping[str, bool]:
        """For each of the servers that topics are spread over, by name, whether it answers; empty if there is only one."""

    async def run(self, *, task_status: Started = ...) -> None:
        """Keep in touch with the other nodes until cancelled; started after the first attempt, good or not."""


class PrivateServer(Protocol):
    """A server for the processes of one machine, which lives as long as the process that runs it."""

    url: str

    async def run(self, *, task_status: Started = ...) -> None:
        """Keep it running until cancelled; started when it answers.

        Raises:
            BrokerFailed: it did not start the first time.
        """
