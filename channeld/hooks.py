"""The API for hook authors: the context protocols, `User`, `Request` and `Reject`.

These are interfaces and values only: the engine implements `Context` and `SyncContext` (engine/context.py), and the server makes
`Request`. Hook modules import these names from `channeld` itself.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

import attrs

from channeld.protocol.codes import may_close_with

__all__ = ["Context", "Reject", "Request", "Server", "SyncContext", "ThreadServer", "User"]


class Reject(Exception):
    """Raised by a hook to refuse what the client asked for.

    The constructor raises `TypeError` if `message` or `code` is not a string, and `ValueError` for a `close` that hooks may
    not use.

    Args:
        message: what the client reads in the error frame.
        code: the error frame's `code`, in upper case by convention; by default `REJECTED`.
        close: a close code, usually from 4900 to 4999 (4900-4949: clients reconnect; 4950-4999: they do not).
            Only `hooks.connect` closes the connection; without this, with 4403.
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
    """The user of a connection: a stable id of 1-128 characters, and verified claims.

    With `expires` (Unix seconds), the connection ends at that time as with a token: `token_expiring` a minute before, then a
    renewal by `authenticate`, or else `TOKEN_EXPIRED` and 4401.
    """

    id: str
    claims: Mapping[str, Any] = attrs.field(factory=dict)
    expires: float | None = attrs.field(default=None, kw_only=True)


@attrs.frozen(slots=True, kw_only=True)
class Request:
    """The opening handshake, as passed to authenticator hooks.

    `headers` have lower-case names, repeated ones joined by a comma (RFC 9110 section 5.3). `query` and `cookies` keep
    the first value of a repeated name. `address` is the client's, seen through `trusted_proxies`. `token` is set when an
    `authenticate` frame renews a live connection; query, headers and cookies are then empty, and `path` is the channel's.
    `state` is what the lifespan hook yielded. `transport` is `websocket` or `sse`. `connection` is the connection's
    id; it is empty if the request is a POST over HTTP.
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
    connection: str = ""


class _Connection(Protocol):
    """What both sync and async hooks can read."""

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
        """The user; None for an anonymous connection."""

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
        """What the lifespan yielded (with two, the one of the hook's loop); None without a lifespan."""

    @property
    def store(self) -> MutableMapping[str, Any]:
        """A dict for hooks to keep things in as long as the connection lives."""

    @property
    def server(self) -> "Server":
        """The server, to act on other connections. A sync hook can only use its `start_soon`; the other verbs are awaited."""

    @property
    def log(self) -> Any:
        """A structlog logger bound to the connection."""


class Server(Protocol):
    """The server, for lifespans (`lifespan(server)`) and hooks (`ctx.server`): everything that the control API can do.

    It acts on all nodes. From asyncio, the same verbs are awaited on the asyncio loop. They raise `ValueError` for what is not
    allowed (an unknown channel, an event that its channel refuses), and fail like a hook's own verbs while the broker is
    unreachable.
    """

    @property
    def from_thread(self) -> "ThreadServer":
        """The same verbs for your own threads; each waits for its result."""

    async def publish(
        self,
        channel: str,
        event: Mapping[str, object],
        *,
        room: str | None = None,
        user: str | None = None,
        everyone: bool = False,
    ) -> str | None:
        """Publish an event to a room, a user, or everyone on the channel (`*`: on all channels); returns its position in a history."""

    async def disconnect(
        self,
        *,
        user: str | None = None,
        connection: str | None = None,
        code: int = 4410,
        reason: str = "",
    ) -> int:
        """Close a user's connections, or one connection; returns how many."""

    async def revoke(
        self,
        *,
        user: str | None = None,
        token_id: str | None = None,
        before: float | None = None,
        lifetime: float = 86400.0,
        until: float | None = None,
    ) -> int:
        """Refuse JWTs of a user, or the one with that `jti`, from now on; returns how many connections were closed.

        `before`: issued until then (Unix seconds; default: now). `lifetime`: for how many seconds. `until`: when the one token ends.
        """

    async def subscribe(
        self, user: str | None, channel: str, room: str, *, connection: str | None = None
    ) -> int:
        """Put a user's connections on a channel (or one connection, with `user` None) into a room; returns how many."""

    async def unsubscribe(
        self, user: str | None, channel: str, room: str, *, connection: str | None = None
    ) -> int:
        """Take them out of the room; returns how many."""

    async def online(self, user: str, channel: str) -> bool:
        """Whether a user has a connection on a channel."""

    async def presence(self, channel: str, room: str) -> list[dict[str, Any]]:
        """The users in a room, each as `{user, info, connections}`."""

    async def set_presence(
        self, user: str, channel: str, room: str | None, state: Mapping[str, object] | None
    ) -> bool:
        """Set the presence state of a user in a room (None with `scope: channel`); None removes it.

        It belongs to the user's newest connection there. Returns whether the user is there.
        """

    async def history(self, channel: str, room: str, limit: int = 50) -> list[dict[str, Any]]:
        """The latest frames of a room, oldest first."""

    async def clear(self, channel: str, room: str, *, key: str | None = None) -> int:
        """Remove the kept frames of a room, or those of one key; returns how many. Members are not told."""

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
    """The context of a sync hook: its verbs return at once."""

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame to this connection."""

    def reply(self, frame: Mapping[str, Any]) -> None:
        """Answer the message with a `reply` frame that carries its `id`, instead of the `ack`. The first one counts. Does nothing for a message without an `id`."""

    def to_room(self, room: str, frame: Mapping[str, Any], *, channel: str | None = None) -> None:
        """Publish a frame to a room of this channel, or of another."""

    def to_user(self, user: str, frame: Mapping[str, Any], *, channel: str | None = None) -> None:
        """Publish a frame to every connection of a user on this channel, or on another."""

    def to_all(self, frame: Mapping[str, Any], *, channel: str | None = None) -> None:
        """Publish a frame to every connection of this channel, of another one, or of all channels (`*`)."""

    def join(self, room: str) -> None:
        """Put this connection into a room."""

    def leave(self, room: str) -> None:
        """Take this connection out of a room."""

    def set_presence(self, room: str | None, state: Mapping[str, object] | None) -> None:
        """Set the presence state of this connection's user in a room (None with `scope: channel`); None removes it."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close this connection."""


class Context(_Connection, Protocol):
    """The context of an async hook: the same verbs, awaited, and three that may wait for the broker."""

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame to this connection."""

    async def reply(self, frame: Mapping[str, Any]) -> None:
        """Answer the message with a `reply` frame that carries its `id`, instead of the `ack`. The first one counts. Does nothing for a message without an `id`."""

    async def to_room(
        self, room: str, frame: Mapping[str, Any], *, channel: str | None = None
    ) -> None:
        """Publish a frame to a room of this channel, or of another."""

    async def to_user(
        self, user: str, frame: Mapping[str, Any], *, channel: str | None = None
    ) -> None:
        """Publish a frame to every connection of a user on this channel, or on another."""

    async def to_all(self, frame: Mapping[str, Any], *, channel: str | None = None) -> None:
        """Publish a frame to every connection of this channel, of another one, or of all channels (`*`)."""

    async def join(self, room: str) -> None:
        """Put this connection into a room."""

    async def leave(self, room: str) -> None:
        """Take this connection out of a room."""

    async def set_presence(self, room: str | None, state: Mapping[str, object] | None) -> None:
        """Set the presence state of this connection's user in a room (None with `scope: channel`); None removes it."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close this connection."""

    async def presence(self, room: str) -> list[dict[str, Any]]:
        """The users in a room, each as `{user, info, connections}`."""

    async def online(self, user: str) -> bool:
        """Whether a user has a connection on this channel."""

    async def history(self, room: str, limit: int = 50) -> list[dict[str, Any]]:
        """The latest frames of a room, oldest first."""
