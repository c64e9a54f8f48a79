"""The contract between nodes: topics and bytes go in, publications come back through a callable.

A broker knows topics, payloads and positions; it knows nothing of connections, sessions or schemas. The verbs return
at once (the memory broker) or an awaitable (a network one): `Later[T]`. The caller decides whether it can wait.

What must be one step is said here: to keep a frame in a topic's history, give it its position and publish it is one
step per topic, so that all members on all nodes see one order. A publication also comes back to the node that made it.
To change a topic's presence and to publish the change is one step as well: changes come in the order in which they
happened, the same on every node that subscribes to the topic.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import attrs

from channeld.broker.once import Once
from channeld.config.model import History
from channeld.later import Later
from channeld.protocol.names import Topic
from channeld.telemetry import Sample

__all__ = [
    "Broker",
    "BrokerFailed",
    "BrokerUnavailable",
    "Bucket",
    "Conflated",
    "Deliver",
    "Delivered",
    "History",
    "HistoryEntry",
    "Later",
    "Networked",
    "Page",
    "Placing",
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
    """The broker is away. `retry_after` is in seconds.

    Nothing was done, unless `is_unknown`: it was asked and did not answer, so it may have been done.
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

    The epoch changes when a history was lost (a restart without persistence), so that an offset of the lost one is
    never taken for one of the new. As text it is fixed width, so it grows in string order too.
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
    """What a broker delivers: a frame's JSON, its position where it is kept, the connection that is to be left out.

    `clears` are keys that a frame of another node has cleared.
    """

    payload: bytes
    position: Position | None = None
    skip: str | None = None
    clears: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class HistoryEntry:
    """A frame out of the history."""

    position: Position
    payload: bytes


@attrs.frozen(slots=True)
class Bucket:
    """An allowance that all nodes share: one token in `interval` seconds, and `slack` seconds ahead of that pace.

    The generic cell rate algorithm (ITU-T I.371), as in a `Rate`. `key` names it.
    """

    key: str
    interval: float
    slack: float


@attrs.frozen(slots=True)
class Conflated:
    """How a frame waits: of a topic's `slot` at most one goes out in `seconds`.

    `age` is how many seconds its node has held it: of several nodes' frames the one that came last counts. `at_once`: it
    goes whatever the time.
    """

    slot: str
    seconds: float
    age: float = 0.0
    at_once: bool = False


@attrs.frozen(slots=True)
class Placing:
    """How a kept frame stands to others of its topic; without one it is kept in a row.

    `key`: it takes the place of the kept frame of this key. `clears` are keys whose kept frames go, and what waits in the
    slots of these names, for at most `waits` seconds. `is_replayed`: whether it is more than a step of recovery.
    `owner`: the user who takes it along when leaving the topic's presence. `conflated`: how it waits.
    """

    key: str | None = None
    clears: tuple[str, ...] = ()
    waits: float = 0.0
    is_replayed: bool = True
    owner: str | None = None
    conflated: Conflated | None = None


@attrs.frozen(slots=True)
class Page:
    """A piece of history, oldest first.

    `top` is the topic's latest position. After `since`: `recovered` says that nothing between `since` and `top` is
    missing (then `frames` is all of it; otherwise those that were asked for as a replay). After `before`: `more` says that there are earlier ones.
    """

    frames: Sequence[HistoryEntry]
    top: Position
    recovered: bool = True
    more: bool = False


@attrs.define(on_setattr=attrs.setters.frozen)
class PresenceEntry:
    """A user in a topic's presence: the latest info, and how many connections (those lingering not counted).

    A broker gives the same object until something in it changes, so who shows it may keep how it looks in `encoded`:
    to encode all of a room of 4,000 for everyone who joins takes 8 ms, to join what was kept 0.3.
    """

    user: str
    info: Mapping[str, Any]
    connections: int
    encoded: bytes | None = attrs.field(
        default=None, init=False, eq=False, repr=False, on_setattr=attrs.setters.NO_OP
    )


@attrs.frozen(slots=True)
class PresenceChange:
    """A user came to a topic's presence, left it (`info` is empty then), or is shown with another `info`.

    `skip` is the connection that did it, which is not told: it is told the whole state.
    """

    event: Literal["join", "leave", "update"]
    user: str
    info: Mapping[str, Any]
    skip: str | None = None


@attrs.frozen(slots=True)
class PresenceMissed:
    """Changes of a topic's presence were missed: its members have to be told the state again."""


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
    """Nobody asks whether it was the first or the last."""


class Broker(Protocol):
    """What a hub needs. One per node; made with the hub's `Deliver`, which it calls on the loop's thread."""

    def publish(
        self,
        topic: Topic,
        payload: bytes,
        keep: History | None = None,
        skip: str | None = None,
        once: Once | None = None,
        placing: Placing | None = None,
    ) -> Later[Position | None]:
        """Publish a frame's JSON to every node that subscribes to the topic; keep it first if `keep` is given.

        With `once` the key is taken and the frame published in one step, or neither is done.

        Returns:
            Its position, None without `keep`. When this (or its awaitable) returns, the broker has the frame.

        Raises:
            AlreadyTaken: somebody has the key `once`.
            BrokerUnavailable: it was not published, or may have been (`is_unknown`).
        """

    def publish_newest(
        self,
        topic: Topic,
        payload: bytes,
        placing: Placing,
        keep: History | None = None,
        skip: str | None = None,
        once: Once | None = None,
    ) -> Later[float]:
        """Publish a frame that is conflated as `publish` does, or hold it where its slot's time is not over on another node.

        With an empty payload: publish what is held in the slot, if its time has come. A frame that came before one that has
        gone out is nothing any more.

        Returns:
            0: it went. In how many seconds to ask again: it is held. -1: there is nothing, or something newer went.

        Raises:
            AlreadyTaken, BrokerUnavailable: as `publish`.
        """

    def is_taken(self, once: Once) -> Later[bool]:
        """Whether somebody has the key, and its time is not over."""

    def take(self, once: Once) -> Later[bool]:
        """Take a key without publishing anything. False: somebody has it already."""

    def subscribe(self, topic: Topic) -> Later[None]:
        """Ask for a topic's publications. Remembered while the broker is away. Idempotent."""

    def unsubscribe(self, topic: Topic) -> None:
        """No more of them. Idempotent, never waits."""

    def number(self, channel: str, is_numbered: bool) -> None:
        """Whether rooms of a channel have a history from now on, or are published to without. Idempotent, never waits.

        Without a word they have one. When they have one again it is another: who comes with a position from before has missed
        what was not kept. Remembered while the broker is away.
        """

    def since(
        self, topic: Topic, position: Position | None, keep: History, replay: int = 0
    ) -> Later[Page]:
        """What came after a position, all or nothing; with None, or nothing, `top` and the latest `replay` frames."""

    def before(
        self, topic: Topic, position: Position | None, limit: int, keep: History
    ) -> Later[Page]:
        """The latest `limit` frames before a position, or before the end."""

    def clear(self, topic: Topic, keys: Sequence[str] | None = None) -> Later[int]:
        """Take kept frames away: the newest of these keys, or (None) all; how many there were.

        Who has not seen one of all is told `recovered` false; of a key's, as with a frame that clears it, nobody misses it.
        """

    def enter(
        self,
        topic: Topic,
        user: str,
        connection: str,
        info: Mapping[str, Any],
        told: Told = tell_nobody,
    ) -> Later[None]:
        """Count a connection in a topic's presence. `told` is called if the user was not there before, not even lingering.

        Connections of the user `""` are anonymous: counted, never listed, their changes not delivered.
        """

    def linger(self, topic: Topic, user: str, connection: str, seconds: float = 0.0) -> Later[None]:
        """The connection is gone but its user still counts as there until `leave`.

        Should this node stop before, the others see to that after `seconds` from now.
        """

    def leave(
        self, topic: Topic, user: str, connection: str, told: Told = tell_nobody
    ) -> Later[None]:
        """Forget a connection. `told` is called if it was the user's last one, lingering ones included."""

    def present(self, topic: Topic) -> Later[list[PresenceEntry]]:
        """Who is there, in the order they came.

        For a topic that is subscribed to this agrees with what is delivered, at the moment when it returns (or its
        awaitable does): every change delivered before is in it, every one delivered after is not. And what this node
        has entered and left itself is in it. Changes are delivered from the first time it is asked for on.
        """

    def entry(self, topic: Topic, user: str) -> Later[PresenceEntry | None]:
        """How one user is shown in a topic's presence; None: not at all. Costs the same however many are there."""

    def count(self, topic: Topic) -> Later[PresenceCount]:
        """How many are there, without looking at each."""

    def samples(self) -> Iterable[Sample]:
        """What this kind of broker measures, for `/metrics`."""

    async def aclose(self) -> None:
        """Let go of everything. Idempotent."""


class Started(Protocol):
    """trio's `TaskStatus`: how a task tells its starter that it is ready."""

    def started(self) -> None:
        """It is ready."""


@runtime_checkable
class Networked(Broker, Protocol):
    """A broker between nodes: it may be away, and it tells of what happened on others. Nothing works until `run` runs.

    The callables are set before `run`. `on_gap(topic, top)`: frames of a topic were missed and its history cannot give
    them. `on_presence_lost(topic, user, version)`: a user's last connection was on a node that died. `on_presence_back(topic,
    user, info, version)`: a user was counted out while this node was cut off, and is here. `on_health(healthy, reason)`.
    `begin_turn` and `end_turn` are called around the deliveries and answers that one read brings. `when_turn_ends(call)`:
    what is asked of the broker within a turn may leave together at its end.
    """

    on_gap: Callable[[Topic, Position | None], None]
    on_presence_lost: Callable[[Topic, str, Position], None]
    on_presence_back: Callable[[Topic, str, Mapping[str, Any], Position], None]
    on_health: Callable[[bool, str], None]
    begin_turn: Callable[[], None]
    end_turn: Callable[[], None]
    when_turn_ends: Callable[[Callable[[], None]], None]
    reason: str

    def spend(self, bucket: Bucket) -> Later[float]:
        """Take one of an allowance of all nodes together.

        Returns:
            0 if there was one, else the seconds until there is.

        Raises:
            BrokerUnavailable: it was not asked, or may have been.
        """

    def owe(self, account: str, debt: Mapping[str, float]) -> Later[None]:
        """Leave what a connection has used up to the next one of its account: seconds until each is full again."""

    def redeem(
        self, account: str, told: Callable[[Mapping[str, float]], object] | None = None
    ) -> Later[Mapping[str, float]]:
        """Take over the largest debt of an account that nobody has taken over, as it is now. `told` gets it as well: no task need wait."""

    @property
    def healthy(self) -> bool:
        """Whether what this node publishes comes back to it, of some topics at least. `reason` says why not."""

    def states(self) -> Mapping[str, bool]:
        """Whether each of the servers that topics are spread over answers, by name; empty where there is one."""

    async def run(self, *, task_status: Started = ...) -> None:
        """Keep in touch with the other nodes until cancelled; started after the first attempt, good or not."""


class PrivateServer(Protocol):
    """A server between the processes of one machine, which comes and goes with the process that runs it."""

    url: str

    async def run(self, *, task_status: Started = ...) -> None:
        """Keep it running until cancelled; started when it answers.

        Raises:
            BrokerFailed: it did not start the first time.
        """
