"""The interface of readers of all transports: `feed`, and why it stops. Knows no socket."""

import enum
from collections.abc import Awaitable
from typing import Protocol

import attrs


class Receives(Protocol):
    """Receives a client's messages. A reader keeps the object, since a bound method takes 64 bytes."""

    def receive(self, text: bytes, now: float, /) -> Awaitable[None] | None:
        """Take one message (valid UTF-8) and the monotonic time; returns what must be awaited before the next, or None."""


class Responds(Protocol):
    """Sends a transport's own bytes, such as a pong."""

    def respond(self, data: bytes, /) -> None:
        """Queue them."""


@attrs.frozen(slots=True)
class Closing:
    """Why a connection ends: a code as of a Close frame (RFC 6455 section 7.1.5), 1005 without one, and the reason."""

    code: int
    reason: str


class Stop(enum.Enum):
    """Why a reader stopped; its attributes have the details."""

    MORE = "wants more bytes"
    BUDGET = "has more than one turn may take: feed nothing to go on"
    PENDING = "`pending` must be awaited first; then feed nothing to go on"
    CLOSED = "the session closed the connection: nothing more is for it"
    ANSWERED = "a request was answered as a whole, and another may come"
    CLOSE = "the client closes: `close` is what it says"
    TOO_LARGE = "a message is larger than allowed"
    UNUSUAL = "the rest is for the transport's fallback reader"
    VIOLATION = "the client broke the protocol: `close` is what to answer"


class FrameReader(Protocol):
    """Turns one client's bytes into messages, in order.

    Attributes:
        open: set to False by a session that wants no more messages; it takes effect even within `feed`.
        pending: what the receiver returned, after Stop.PENDING.
        close: after Stop.CLOSE and Stop.VIOLATION.
    """

    open: bool
    pending: Awaitable[None] | None
    close: Closing | None

    def feed(self, data: bytes, now: float, budget: int) -> Stop:
        """Take bytes, and pass on the messages in at most `budget` of the transport's frames."""
