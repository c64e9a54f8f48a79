"""Interfaces of what the server works with: the engine above its sockets, and the driver that waits for them."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs

from channeld.config.model import Limits
from channeld.engine.ports import Peer
from channeld.hooks import Request
from channeld.plan.plan import ChannelPlan, Match
from channeld.server.flow import Flow


class Session(Protocol):
    """The engine's view of one connection. Calls never overlap: a returned awaitable is awaited before the next call."""

    @property
    def connection_id(self) -> str:
        """The connection's id."""

    @property
    def user_id(self) -> str | None:
        """Its user, once accepted; None for an anonymous connection."""

    @property
    def channel(self) -> ChannelPlan:
        """Its channel."""

    @property
    def limits(self) -> Limits:
        """Its limits; the server enforces `message_size` and `outbox`."""

    def redirect(self, to: Callable[[bytes], None] | None, /) -> None:
        """Send answers here instead of to the peer, until called again."""

    def open(self, now: float, /) -> Awaitable[None] | None:
        """Called once, first, when the 101 has been queued."""

    def receive(self, payload: bytes, now: float, /) -> Awaitable[None] | None:
        """Take one text message, valid UTF-8. While a returned awaitable is pending, nothing more is read from the client.

        After None the next message may follow, even if this one has not been answered yet.
        """

    def receive_again(self, text: bytes, now: float, /) -> Awaitable[None] | None:
        """The same for a frame that repeats an earlier request of a client that has reconnected."""

    def settled(self) -> Awaitable[None] | None:
        """Wait until every message that was taken has been answered; None: already so."""

    def too_large(self, now: float, /) -> None:
        """A message is over `limits.message_size`: say so, and close with 1009."""

    def retire(self) -> None:
        """The connection has reached its maximum age: ask the client to reconnect at once, and close with 1012."""

    def closed(self, code: int, reason: str, now: float, /) -> Awaitable[None] | None:
        """Called exactly once, last, when the connection has ended for whatever reason."""


class Engine(Protocol):
    """Makes sessions."""

    def connect(self, match: Match, request: Request, peer: Peer, /) -> Session:
        """Make a session for an accepted handshake. Does no I/O, and does not use the peer yet."""


@attrs.frozen(slots=True)
class Owner:
    """A stream's owner: the user of a channel (None: anonymous). Only the owner's POSTs reach it."""

    channel: str
    user: str | None

    @classmethod
    def of(cls, session: Session) -> "Owner":
        """The client of this session."""
        return cls(session.channel.name, session.user_id)


class StreamClient(Protocol):
    """A connection whose client reads a stream of events and sends by POST."""

    @property
    def owner(self) -> Owner | None:
        """Its owner; None once it has ended."""

    async def post(self, texts: list[bytes]) -> list[bytes]:
        """Take these messages in order, as if received over the connection; returns their answers."""


class Driver(Protocol):
    """Waits for one connection's bytes: the lane for plain sockets, a task for any other stream.

    It passes what arrives to `Connection.feed` unless the connection is `paused`, and no connection makes another one wait.
    """

    @property
    def hears(self) -> bool:
        """Whether a connection that waits for an answer can stay unpaused, so that it notices its peer leaving."""

    def want_write(self) -> None:
        """Continue writing as soon as the peer accepts more, because the outbox could not be written completely."""

    def resume(self) -> None:
        """Call the connection's `proceed` soon and read on: it is no longer paused."""

    def half_close(self) -> None:
        """Shut the sending side down, and continue reading."""

    def flow(self) -> Flow:
        """How much of what was written the peer has taken."""

    def release(self, *, abort: bool) -> None:
        """Close the socket now; with `abort`, also discard what the kernel still holds for the peer. Idempotent."""
