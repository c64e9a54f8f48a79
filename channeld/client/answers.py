"""The values that the client sends and receives, and the errors that it raises."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

# An application's events are its own; the server checks them.
Event: TypeAlias = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Violation:
    """One reason why a schema refuses something: a JSON pointer, words, the keyword."""

    path: str
    message: str
    keyword: str


@attrs.frozen(kw_only=True)
class Problem:
    """A problem document (RFC 9457). `errors` says where; `ref` is also in the server's log line."""

    status: int
    title: str = ""
    detail: str = ""
    errors: tuple[Violation, ...] = ()
    ref: str | None = None


class ApiError(Exception):
    """The server refused a request; `problem` says why. `retry_after` is in seconds, if the server gave it."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}")
        self.problem = problem
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status


class Unreachable(Exception):
    """The server did not answer; it may or may not have acted."""


@attrs.frozen(kw_only=True)
class Publish:
    """One event of a batch: to a `room`, to a `user`, or (without either) to everyone on the channel."""

    channel: str
    event: Event
    room: str | None = None
    user: str | None = None
    idempotency_key: str | None = None
    except_connection: str | None = None

    def body(self) -> dict[str, Any]:
        """The event as the API takes it.

        Raises:
            ValueError: both a room and a user.
        """
        if self.room is not None and self.user is not None:
            raise ValueError("publish to a room or to a user, not to both")
        to = "room" if self.room is not None else "user" if self.user is not None else "global"
        fields = {
            "channel": self.channel,
            "to": to,
            "room": self.room,
            "user": self.user,
            "event": dict(self.event),
            "idempotency_key": self.idempotency_key,
            "except": self.except_connection,
        }
        return {name: value for name, value in fields.items() if value is not None}


@attrs.frozen(kw_only=True)
class Published:
    """A published event: its position in the room's history, if the room has one, and how many nodes it went to."""

    pos: str | None = None
    nodes: int = 1


@attrs.frozen(kw_only=True)
class Revocation:
    """A revocation: the tokens of a user that were issued at `before` or earlier, or one token. Times are RFC 3339."""

    id: str
    until: str
    user: str | None = None
    before: str | None = None
    token_id: str | None = None


@attrs.frozen(kw_only=True)
class Revocations:
    """A page of revocations, by id."""

    revocations: list[Revocation]
    next: str | None = None


@attrs.frozen(kw_only=True)
class Revoked:
    """Tokens are refused until `until` (RFC 3339): the revocation's id, and how many connections were closed."""

    id: str
    until: str
    connections: int


Batch: TypeAlias = list[Published | Problem]
"""What became of each event of a batch, in its order."""


@attrs.frozen(kw_only=True)
class Channel:
    """A declared channel. `events` is None if any type may be published; `history` has `size` and `ttl`."""

    name: str
    path: str
    description: str
    auth: tuple[str, ...]
    messages: tuple[str, ...]
    events: tuple[str, ...] | None
    presence: bool
    history: Mapping[str, float] | None
    connections: int
    rooms: int


@attrs.frozen(kw_only=True)
class RoomCount:
    """A room and its number of connections."""

    room: str
    connections: int


@attrs.frozen(kw_only=True)
class Rooms:
    """A page of rooms; `next` is the `after` of the next one, None on the last."""

    rooms: tuple[RoomCount, ...]
    next: str | None = None


@attrs.frozen(kw_only=True)
class Member:
    """A connection in a room. `since` is RFC 3339; `user` is None if it is anonymous."""

    id: str
    user: str | None
    since: str
    address: str
    node: str


@attrs.frozen(kw_only=True)
class Room:
    """A room: all its connections counted, and a page of them."""

    room: str
    connections: int
    members: tuple[Member, ...]
    next: str | None = None


@attrs.frozen(kw_only=True)
class PresentUser:
    """A user in a room's presence. `state` is what the user has set, or None."""

    user: str
    info: Mapping[str, Any]
    connections: int
    state: Mapping[str, object] | None = None


@attrs.frozen(kw_only=True)
class Presence:
    """Who is in a room: how many users and connections, and a page of the users."""

    room: str
    count: int
    connections: int
    users: tuple[PresentUser, ...]
    next: str | None = None


@attrs.frozen(kw_only=True)
class History:
    """Frames of a room, oldest first, and whether there are earlier ones."""

    room: str
    frames: tuple[Mapping[str, Any], ...]
    more: bool


@attrs.frozen(kw_only=True)
class Connection:
    """One of a user's connections."""

    id: str
    channel: str
    rooms: tuple[str, ...]
    since: str
    address: str
    node: str


@attrs.frozen(kw_only=True)
class User:
    """Whether a user is online, and a page of the connections."""

    user: str
    online: bool
    connections: tuple[Connection, ...]
    next: str | None = None
