"""What hook authors see: the context protocols, `User`, `Request` and `Reject`.

Nothing here does anything: the engine implements `Context` and `SyncContext` (engine/context.py), the server makes
`Request`. A hook module imports these names from `channeld` itself.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

import attrs

from channeld.protocol.codes import may_close_with

__all__ = ["Context", "Reject", "Request", "Server", "SyncContext", "ThreadServer", "User"]


class Reject(Exception):
    """Raised by a hook to refuse what the client asked for.

    Making one raises `TypeError` where `message` or `code` is not a string, `ValueError` for a `close` that a hook may
    not use.

    Args:
        message: what the client reads in the error frame.
        code: the error frame's `code`; upper case by convention, `REJECTED` unless given.
        close: a close code, usually from 4900 to 4999 (4900-4949: the client comes back; 4950-4999: it does not).
            Only `hooks.connect` closes; without it the connection is closed with 4403.
        fields: extra fields of the error frame.
    """

    def __init__(
        self, message: str, code: str = "REJECTED", close: int | None = None, **fields: object
    ) -> None:
        super().__init__(message)
        for name, text in (("message", message), ("code", code)):
            if type(text) is not str:
                raise TypeError(f"the {name} of a Reject is a string, not {type(text).__name__}")
        if close is not None and not may_close_with(close):
            raise ValueError(f"{close!r} is not a close code that a hook may use (4900-4999)")
        self.message = message
        self.code = code
        self.close = close
        self.fields = fields


@attrs.frozen(slots=True)
class User:
    """Who a connection belongs to: a stable id of 1-128 characters, and verified claims.

    With `expires` (Unix seconds) the connection ends then as it does with a token: `token_expiring` a minute before, a
    renewal by `authenticate`, else `TOKEN_EXPIRED` and 4401.
    """

    id: str
    claims: Mapping[str, Any] = attrs.field(factory=dict)
    expires: float | None = attrs.field(default=None, kw_only=True)


@attrs.frozen(slots=True, kw_only=True)
class Request:
    """The opening handshake, as authenticator hooks get it.

    `headers` have lower-case names, repeated ones joined by a comma (RFC 9110 section 5.3). `query` and `cookies` keep
    the first value of a repeated name. `address` is the client's, seen through `trusted_proxies`. `token` is given where
    an `authenticate` frame renews a live connection: then there are no query, headers and cookies, and `path` is the channel's.
    `state` is what the lifespan hook yielded. `transport` is `websocket` or `sse`.
    """

    path: str
    channel: str = ""
    params: Mapping[str, Any] = attrs.field(factory=dict)
    query: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    cookies: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    subprotocols: Sequence[str] = attrs.field(default=(), repr=False)
    address: str = ""
    token: str | None = attrs.field(default=None, repr=False)
    state: Any = attrs.field(default=None, repr=False, eq=False)
    transport: str = "websocket"


class _Connection(Protocol):
    """What sync and async hooks can both read."""

    @property
    def connection(self) -> str:
        """The connection's id."""

    @property
    def channel(self) -> str:
        """The channel's name."""

    @property
    def params(self) -> Mapping[str, Any]:
        """The path's parameters, converted."""

    @property
    def user(self) -> User | None:
        """The user, or None for an anonymous connection."""

    @property
    def claims(self) -> Mapping[str, Any]:
        """The user's verified claims; empty for an anonymous connection."""

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms that the connection is in."""

    @property
    def room(self) -> str | None:
        """The room that the message is routed to, or the channel's one `join` room."""

    @property
    def state(self) -> Any:
        """What the lifespan of the hook's loop yielded, or the only lifespan there is; None without one."""

    @property
    def store(self) -> MutableMapping[str, Any]:
        """The hook's own notes, which live as long as the connection."""

    @property
    def server(self) -> "Server":
        """The server, to act on others and without a message. In a sync hook: `start_soon`; its other verbs are awaited."""

    @property
    def log(self) -> Any:
        """A structlog logger bound to the connection."""


class Server(Protocol):
    """The server as lifespans (`lifespan(server)`) and hooks (`ctx.server`) act through it: what the control API can do.

    It covers all nodes. On the asyncio loop the same verbs are awaited there. They raise `ValueError` for what may not
    be done (an unknown channel, an event that its channel refuses), and fail like a hook's own verbs while the broker is away.
    """

    @property
    def from_thread(self) -> "ThreadServer":
        """The same verbs for threads of your own: they wait for the result."""

    async def publish(
        self,
        channel: str,
        event: Mapping[str, object],
        *,
        room: str | None = None,
        user: str | None = None,
        everyone: bool = False,
    ) -> str | None:
        """Publish an event to a room, a user, or everyone on the channel (`*`: on all); its position in a history."""

    async def disconnect(
        self,
        *,
        user: str | None = None,
        connection: str | None = None,
        code: int = 4410,
        reason: str = "",
    ) -> int:
        """Close a user's connections, or one; how many."""

    async def revoke(
        self,
        *,
        user: str | None = None,
        token_id: str | None = None,
        before: float | None = None,
        lifetime: float = 86400.0,
        until: float | None = None,
    ) -> int:
        """Refuse JWTs of a user, or the one with that `jti`, from now on, and close their connections; how many.

        `before` is Unix seconds (now), `lifetime` for how long in seconds; `until` the end of the one token.
        """

    async def subscribe(
        self, user: str | None, channel: str, room: str, *, connection: str | None = None
    ) -> int:
        """Put a user's connections on a channel (or one, with `user` None) into a room; how many."""

    async def unsubscribe(
        self, user: str | None, channel: str, room: str, *, connection: str | None = None
    ) -> int:
        """Take them out of it; how many."""

    async def online(self, user: str, channel: str) -> bool:
        """Whether a user has a connection on a channel."""

    async def presence(self, channel: str, room: str) -> list[dict[str, Any]]:
        """Who is in a room: `{user, info, connections}` each."""

    async def set_presence(
        self, user: str, channel: str, room: str | None, state: Mapping[str, object] | None
    ) -> bool:
        """Show a presence state of a user in a room (None with `scope: channel`); None takes it away.

        It goes with the user's newest connection there. Returns whether the user is there.
        """

    async def history(self, channel: str, room: str, limit: int = 50) -> list[dict[str, Any]]:
        """The latest frames of a room, oldest first."""

    async def clear(self, channel: str, room: str, *, key: str | None = None) -> int:
        """Take the kept frames of a room away, or the newest of one key; how many. Its members hear nothing."""

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run `await function(*args)` in a task that is cancelled when the lifespan ends; what it raises is logged."""


class ThreadServer(Protocol):
    """The verbs of `Server` for threads other than the server's own: each waits for its result."""

    def publish(
        self,
        channel: str,
        event: Mapping[str, object],
        *,
        room: str | None = None,
        user: str | None = None,
        everyone: bool = False,
    ) -> str | None:
        """As `Server.publish`."""

    def disconnect(
        self,
        *,
        user: str | None = None,
        connection: str | None = None,
        code: int = 4410,
        reason: str = "",
    ) -> int:
        """As `Server.disconnect`."""

    def revoke(
        self,
        *,
        user: str | None = None,
        token_id: str | None = None,
        before: float | None = None,
        lifetime: float = 86400.0,
        until: float | None = None,
    ) -> int:
        """As `Server.revoke`."""

    def subscribe(
        self, user: str | None, channel: str, room: str, *, connection: str | None = None
    ) -> int:
        """As `Server.subscribe`."""

    def unsubscribe(
        self, user: str | None, channel: str, room: str, *, connection: str | None = None
    ) -> int:
        """As `Server.unsubscribe`."""

    def online(self, user: str, channel: str) -> bool:
        """As `Server.online`."""

    def presence(self, channel: str, room: str) -> list[dict[str, Any]]:
        """As `Server.presence`."""

    def set_presence(
        self, user: str, channel: str, room: str | None, state: Mapping[str, object] | None
    ) -> bool:
        """As `Server.set_presence`."""

    def history(self, channel: str, room: str, limit: int = 50) -> list[dict[str, Any]]:
        """As `Server.history`."""

    def clear(self, channel: str, room: str, *, key: str | None = None) -> int:
        """As `Server.clear`."""


class SyncContext(_Connection, Protocol):
    """What a sync hook gets: verbs that return at once."""

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame to this connection."""

    def reply(self, frame: Mapping[str, Any]) -> None:
        """Answer the message: a `reply` frame with its `id`, in place of the `ack`; nothing without an `id`."""

    def to_room(self, room: str, frame: Mapping[str, Any], *, channel: str | None = None) -> None:
        """Publish a frame to a room of this channel, or of another."""

    def to_user(self, user: str, frame: Mapping[str, Any], *, channel: str | None = None) -> None:
        """Publish a frame to every connection of a user on this channel, or on another."""

    def to_all(self, frame: Mapping[str, Any], *, channel: str | None = None) -> None:
        """Publish a frame to every connection of this channel, of another, or of every one (`*`)."""

    def join(self, room: str) -> None:
        """Put this connection into a room."""

    def leave(self, room: str) -> None:
        """Take this connection out of a room."""

    def set_presence(self, room: str | None, state: Mapping[str, object] | None) -> None:
        """Show a presence state of this connection's user in a room (None with `scope: channel`); None takes it away."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close this connection."""


class Context(_Connection, Protocol):
    """What an async hook gets: the same verbs, awaited, and three that may wait for the broker."""

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame to this connection."""

    async def reply(self, frame: Mapping[str, Any]) -> None:
        """Answer the message: a `reply` frame with its `id`, in place of the `ack`; nothing without an `id`."""

    async def to_room(
        self, room: str, frame: Mapping[str, Any], *, channel: str | None = None
    ) -> None:
        """Publish a frame to a room of this channel, or of another."""

    async def to_user(
        self, user: str, frame: Mapping[str, Any], *, channel: str | None = None
    ) -> None:
        """Publish a frame to every connection of a user on this channel, or on another."""

    async def to_all(self, frame: Mapping[str, Any], *, channel: str | None = None) -> None:
        """Publish a frame to every connection of this channel, of another, or of every one (`*`)."""

    async def join(self, room: str) -> None:
        """Put this connection into a room."""

    async def leave(self, room: str) -> None:
        """Take this connection out of a room."""

    async def set_presence(self, room: str | None, state: Mapping[str, object] | None) -> None:
        """Show a presence state of this connection's user in a room (None with `scope: channel`); None takes it away."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close this connection."""

    async def presence(self, room: str) -> list[dict[str, Any]]:
        """Who is in a room: `{user, info, connections}` each."""

    async def online(self, user: str) -> bool:
        """Whether a user has a connection on this channel."""

    async def history(self, room: str, limit: int = 50) -> list[dict[str, Any]]:
        """The latest frames of a room, oldest first."""
