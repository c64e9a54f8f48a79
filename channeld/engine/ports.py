"""What the engine needs from its surroundings: a peer to send to, a runtime that can wait, other nodes, an observer.

All are protocols: `server/`, `cluster/`, `webhooks/` and `testing/` implement them. `Surroundings` is the engine itself
as its sessions see it. The engine never waits, sleeps or touches a socket.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Protocol, TypeAlias, TypeVar, TypeVarTuple

import attrs

from channeld.auth.authenticator import Denied, Grant, Verifier
from channeld.broker.broker import BrokerUnavailable, Networked, Position, Topic
from channeld.broker.once import Once
from channeld.config.model import Limits
from channeld.engine.budgets import Budgets
from channeld.engine.latency import Timing
from channeld.engine.limits import Allowances
from channeld.hooks import Request, Server
from channeld.hub.hub import Hub
from channeld.later import Later
from channeld.plan.plan import ChannelPlan, MessagePlan, Plan, RemoteHook
from channeld.protocol.frames import Frame, Json
from channeld.telemetry.tracing import Tracing
from channeld.timers import Clock, Timers

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Peer(Protocol):
    """The other end of a connection, as its session sees it."""

    def send(self, frame: bytes) -> None:
        """Queue one frame, given as its JSON. Never blocks or raises."""

    def ready(self) -> Later[None]:
        """None while little waits for the peer; otherwise await it before sending anything that may be large."""

    def close(self, code: int, reason: str = "") -> None:
        """Flush what is queued, then close with a Close frame. Idempotent: the first code counts."""


class Event(Protocol):
    """Something that happens once, and can be waited for."""

    def set(self) -> object:
        """Let it happen. Idempotent."""

    async def wait(self) -> None:
        """Wait until it has."""


class Runtime(Protocol):
    """Does whatever has to wait; implemented by the owner of the loop. Everything here is called on the loop's thread."""

    @property
    def clock(self) -> Clock:
        """Both clocks."""

    @property
    def timers(self) -> Timers:
        """The one heap of deadlines."""

    def random_id(self) -> str:
        """A new random id of 22 URL-safe characters; seeded in tests."""

    def uuid(self) -> str:
        """A random UUID (RFC 9562 version 4) as text; seeded in tests."""

    def random(self) -> float:
        """A number in [0, 1)."""

    async def within(self, seconds: float, call: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """`await call(*args)`, cancelled after that many seconds.

        Raises:
            TimeoutError: it took longer.
        """

    async def in_asyncio(
        self, seconds: float, call: Callable[[*Ts], Awaitable[T]], *args: *Ts
    ) -> T:
        """`await call(*args)` on the asyncio loop, cancelled after that many seconds.

        Raises:
            TimeoutError: it took longer.
        """

    async def from_asyncio(self, call: Callable[[], Awaitable[T]]) -> T:
        """`await call()` on the engine's own loop, asked for by a task of the asyncio loop."""

    async def in_thread(self, seconds: float, call: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call a sync function in a worker thread; given up (not stopped) after that many seconds.

        Raises:
            TimeoutError: it took longer.
        """

    def is_own_thread(self) -> bool:
        """Whether the caller runs on the loop's thread; callable from any."""

    def make_event(self) -> Event:
        """An event that has not happened yet."""

    async def give_way(self) -> None:
        """Let all other tasks have a turn."""

    def spawn(self, pending: Awaitable[object]) -> None:
        """Await it in a task of its own, `in_task`; an exception in it is logged, never let out."""


@attrs.frozen(slots=True)
class BackendAnswer:
    """What a backend answered: its status, and the body, or None and the `problem` why it could not be read."""

    status: int
    body: bytes | None
    problem: str = "cannot be read"


class BackendUnavailable(BrokerUnavailable):
    """A backend could not be called or did not answer in time. As with an unreachable broker, trying again helps."""

    def __init__(self, reason: str, retry_after: float = 1.0, *, is_unknown: bool = False) -> None:
        super().__init__(retry_after, is_unknown=is_unknown)
        self.args = (reason,)


class Backends(Protocol):
    """The HTTP servers that answer hooks."""

    async def ask(self, remote: RemoteHook, body: bytes, seconds: float) -> BackendAnswer:
        """POST a request, signed, and read the answer within that many seconds, or the backend's `timeout` if that is less.

        Raises:
            BrokerUnavailable: it was not asked, or did not answer in time (`is_unknown`).
        """

    def note_bad(self, hook: str, reason: str) -> None:
        """Count a malformed answer to a hook (named as in the log), which has been logged."""


class NoBackends:
    """Stands in where backends cannot be called, as in tests: every call fails."""

    async def ask(self, remote: RemoteHook, body: bytes, seconds: float) -> BackendAnswer:
        """Refuse.

        Raises:
            BrokerUnavailable: always.
        """
        raise BackendUnavailable(f"backend {remote.name} cannot be reached from here")

    def note_bad(self, hook: str, reason: str) -> None:
        """Never called: nobody answers."""


class Observed(Protocol):
    """What an observer may know about a session."""

    @property
    def connection_id(self) -> str:
        """The connection's id."""

    @property
    def user_id(self) -> str | None:
        """Its user; None for an anonymous connection."""

    @property
    def channel(self) -> ChannelPlan:
        """The channel that it is on."""

    @property
    def params(self) -> Mapping[str, Json]:
        """Those of its path."""

    @property
    def address(self) -> str:
        """Its client's address."""

    @property
    def away(self) -> float | None:
        """Seconds after which it was asked to reconnect, if it was closed for that."""


class Observer(Protocol):
    """Hears what happens to connections and rooms (webhooks). Never waits, never raises."""

    def connected(self, session: Observed) -> None:
        """A client was admitted; its rooms are joined next."""

    def disconnected(self, session: Observed, code: int, reason: str) -> None:
        """A connection has ended, whether or not it was admitted."""

    def joining(self, session: Observed, room: Topic) -> None:
        """A connection is about to be put into a room, before its user is counted there; `left` follows even if that fails."""

    def joined(self, session: Observed, room: Topic) -> None:
        """A connection was put into a room, and is still in it."""

    def left(self, session: Observed, room: Topic) -> None:
        """A connection has left a room, or did not get into it."""

    def room_changed(self, topic: Topic, is_occupied: bool, version: Position) -> None:
        """The broker corrected a room's members because a node died or was cut off; the topic is of kind `occupied`."""


class OtherNodes(Protocol):
    """The nodes that share the broker, as far as the engine itself asks them (`cluster/`)."""

    @property
    def is_shared(self) -> bool:
        """Whether there may be other nodes."""

    @property
    def is_another_ready(self) -> bool:
        """Whether another node is ready for clients that are closed now."""

    async def online(self, channel: str, user: str) -> bool:
        """Whether a user has a connection on a channel, on any node.

        Raises:
            BrokerUnavailable: the others could not be asked.
        """

    def replace_oldest(self, channel: str, user: str, most: int) -> None:
        """Close a user's oldest connections beyond `most`, on any node. Does not wait."""


class _Alone:
    """There are no other nodes."""

    is_shared = is_another_ready = False

    async def online(self, channel: str, user: str) -> bool:
        """False: there are no other nodes."""
        return False

    def replace_oldest(self, channel: str, user: str, most: int) -> None:
        """Nothing: this node has closed its own."""


ALONE: OtherNodes = _Alone()
"""What an engine has until it is given a cluster."""


Waiting: TypeAlias = tuple[MessagePlan, Frame, Once | None]
"""A message that waits for its rate, and the key `once` that it came with."""


class Held(Protocol):
    """Messages of a session that wait for their rate."""

    async def replace(self, slot: tuple[str, Topic | None, str], newer: Waiting) -> bool:
        """Replace a held message with a newer one; False if none is held."""

    def hold(self, slot: tuple[str, Topic | None, str], held: Waiting, at: float) -> bool:
        """Hold a message until `at` (monotonic seconds); False if no more can be held."""

    async def flush(self) -> None:
        """Handle everything that is held."""


class OverHttp(Protocol):
    """A connection or a read over plain HTTP: it is counted, and can be closed."""

    channel: ChannelPlan
    transport: str
    user_id: str | None
    claims: Mapping[str, Json]

    def disconnect(
        self, code: int, reason: str, *, reconnect: bool, retry_after: float | None = None
    ) -> None:
        """Close it, for a reason of the server's own."""


class Surroundings(Protocol):
    """The engine as the modules between `session` and `engine` see it.

    `over_http` are the connections and reads that were admitted over plain HTTP.
    """

    runtime: Runtime
    hub: Hub
    plan: Plan
    allowances: Allowances
    spent: Allowances
    shared: Networked | None
    verifiers: Mapping[str, Verifier]
    timing: Timing
    budgets: Budgets
    backends: Backends
    cluster: OtherNodes
    observer: Observer | None
    tracing: Tracing | None
    leaving: int
    over_http: "set[OverHttp]"

    def state_of(self, loop: str) -> object:
        """What the lifespan of a loop yielded, or the only one there is; None without one."""

    def server_of(self, loop: str) -> Server:
        """The server for hooks of a loop."""

    @property
    def find_user(self) -> "FindUser":
        """Who the client of a handshake is."""

    def forget(self, connection_id: str) -> None:
        """A connection has ended. Idempotent."""

    def time_to_part(self) -> float:
        """Seconds that closing may wait for publications in flight."""

    def time_to_finish(self, limits: Limits) -> float:
        """Seconds that closing for a restart may wait for the frame that is being handled."""

    def replace_oldest(self, channel: str, user: str, most: int) -> None:
        """Close a user's oldest connections on this node, so that one more makes `most`."""

    def online(self, channel: str, user: str) -> Later[bool]:
        """Whether a user has a connection on a channel, on any node."""

    async def show(self, connection_id: str, room: str | None, state: object) -> bool:
        """Set a presence state of the user of a connection of this node, for a hook or the control API."""

    async def join(self, connection_id: str, room: str) -> None:
        """Put a connection of this node into a room, for a hook or the control API."""

    async def leave(self, connection_id: str, room: str, reason: str | None = None) -> None:
        """Take a connection of this node out of a room and tell its client."""


FindUser: TypeAlias = Callable[
    [Surroundings, ChannelPlan, Request, str], Coroutine[object, object, Grant | Denied | None]
]
