"""What the server asks of those it works with: the engine above its sockets, and the driver that waits for them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import attrs

from channeld.config.model import Limits
from channeld.engine.ports import Peer
from channeld.hooks import Request
from channeld.plan.plan import ChannelPlan
from channeld.protocol.frames import Json
from channeld.server.flow import Flow


class Session(Protocol):
    """The engine's view of one connection. Its calls never overlap: a returned awaitable is awaited before the next."""

    @property
    def connection_id(self) -> str:
        """The connection's id."""

    @property
    def user_id(self) -> str | None:
        """Its user, once it was let in; None for an anonymous connection."""

    @property
    def channel(self) -> ChannelPlan:
        """Whose connection it is."""

    @property
    def limits(self) -> Limits:
        """Of them, `message_size` and `outbox` are kept by the server."""

    def redirect(self, to: Callable[[bytes], None] | None, /) -> None:
        """Give what answers a frame to this instead of the peer, until it is told otherwise."""

    def open(self, now: float, /) -> Awaitable[None] | None:
        """The 101 is on its way. Called once, first."""

    def receive(self, payload: bytes, now: float, /) -> Awaitable[None] | None:
        """One text message, valid UTF-8. While an awaitable is pending nothing more is read from the client.

        Without one the next message may come, even if the answer to this one is still to come.
        """

    def receive_again(self, text: bytes, now: float, /) -> Awaitable[None] | None:
        """Likewise of what a client that comes back had asked for before."""

    def settled(self) -> Awaitable[None] | None:
        """Wait until every message that was taken has been answered; None: it has been."""

    def too_large(self, now: float, /) -> None:
        """A message is over `limits.message_size`: say so, and close with 1009."""

    def retire(self) -> None:
        """The connection is as old as it may get: ask the client to come back at once, and close with 1012."""

    def closed(self, code: int, reason: str, now: float, /) -> Awaitable[None] | None:
        """The connection has ended. Called exactly once, last, whatever ended it."""


class Engine(Protocol):
    """Makes sessions."""

    def connect(
        self, channel: ChannelPlan, params: Mapping[str, Json], request: Request, peer: Peer, /
    ) -> Session:
        """A session for a good handshake. Does no I/O, and does not use the peer yet."""


@attrs.frozen(slots=True)
class Owner:
    """Whose a stream is: the user (None: nobody known) of a channel. Only a POST that is theirs reaches it."""

    channel: str
    user: str | None

    @classmethod
    def of(cls, session: Session) -> "Owner":
        """The client of this session."""
        return cls(session.channel.name, session.user_id)


class StreamClient(Protocol):
    """A connection whose client reads a stream of events, and sends by POST."""

    @property
    def owner(self) -> Owner | None:
        """Whose it is; None once it has ended."""

    async def post(self, texts: list[bytes]) -> list[bytes]:
        """Take these messages in order, as if they had come over the connection; what answered them."""


class Driver(Protocol):
    """Waits for one connection's bytes: the lane for plain sockets, a task for any other stream.

    It hands what arrives to `Connection.feed`, unless the connection is `paused`, and never waits for one connection in
    another's time.
    """

    @property
    def hears(self) -> bool:
        """Whether a connection that waits for an answer may be left unpaused, so that it hears its peer leave."""

    def want_write(self) -> None:
        """The connection's outbox has more than could be written: write on as soon as the peer takes more."""

    def resume(self) -> None:
        """The connection is no longer paused: call its `proceed` soon, and read on."""

    def half_close(self) -> None:
        """All is said: tell the peer that nothing more comes, and go on reading."""

    def flow(self) -> Flow:
        """How far the peer has come with what was written."""

    def release(self, *, abort: bool) -> None:
        """Let go of the socket, now; with `abort`, of what the kernel still holds for the peer too. Idempotent."""
