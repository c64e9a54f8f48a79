"""What the engine asks of those above it: a peer to speak to, and a runtime that can wait.

Both are protocols: `server/` and `testing.py` implement them. The engine itself never waits, sleeps or touches a socket.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from channeld.timers import Clock, Timers

if TYPE_CHECKING:
    from channeld.broker.broker import Topic
    from channeld.engine.session import Session

__all__ = ["Event", "Observer", "Peer", "Pending", "Runtime"]

Pending: TypeAlias = Awaitable[None]
"""What `Session.open`, `receive` and `closed` return when they must wait: await it before the next frame."""


class Peer(Protocol):
    """The other end of a connection, as its session sees it."""

    def send(self, frame: bytes) -> None:
        """Queue one frame, given as its JSON. Never blocks or raises."""

    def close(self, code: int, reason: str = "") -> None:
        """Flush what is queued, then close with a Close frame. Idempotent: the first code counts."""


class Event(Protocol):
    """Something that happens once, and can be waited for."""

    def set(self) -> object:
        """It has happened. Idempotent."""

    async def wait(self) -> None:
        """Wait until it has."""


class Runtime(Protocol):
    """What must wait is done by the loop's owner. Everything here is called on the loop's thread."""

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

    async def within(
        self, seconds: float, call: Callable[..., Awaitable[Any]], *args: object
    ) -> Any:
        """`await call(*args)`, cancelled after so many seconds.

        Raises:
            TimeoutError: it took longer.
        """

    async def in_thread(self, seconds: float, call: Callable[..., Any], *args: object) -> Any:
        """Call a sync function in a worker thread; given up (not stopped) after so many seconds.

        Raises:
            TimeoutError: it took longer.
        """

    def make_event(self) -> Event:
        """An event that has not happened yet."""

    def spawn(self, pending: Awaitable[object]) -> None:
        """Await it in a task of its own; an exception in it is logged, never let out."""


class Observer(Protocol):
    """Who is told what happens to connections and rooms (webhooks). Never waits, never raises."""

    def connected(self, session: "Session") -> None:
        """A client was let in; its rooms are joined next."""

    def disconnected(self, session: "Session", code: int, reason: str) -> None:
        """A connection has ended, also one that was never let in."""

    def joined(self, session: "Session", room: "Topic") -> None:
        """A connection was put into a room; it may have left meanwhile."""

    def left(self, session: "Session", room: "Topic") -> None:
        """A connection has left a room, also one that it was not yet said to have joined."""

    def room_changed(self, topic: "Topic", is_occupied: bool) -> None:
        """The broker has counted this, of a node that died or was cut off: a topic of kind `occupied`."""
