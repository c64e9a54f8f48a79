"""Rooms: the members of a topic, and those who are still catching up with its history."""

from collections.abc import Mapping
from typing import Final, Protocol

from channeld.broker.broker import Position, Topic
from channeld.config.model import Limits
from channeld.hub.fanout import Recipient

_NONE: Final[Mapping[str, Topic]] = {}


class InRooms:
    """The topics of the rooms that a member is in. Nearly all are in one, and keep that without a dict (184 bytes)."""

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        self._inside: Topic | dict[str, Topic] | None = None

    @property
    def rooms(self) -> Mapping[str, Topic]:
        """The topics by name, in the order in which it came into them."""
        inside = self._inside
        if isinstance(inside, Topic):
            return {inside.name: inside}
        return _NONE if inside is None else inside

    def add_room(self, topic: Topic) -> None:
        """Note that it is in a room. Idempotent."""
        inside = self._inside
        if inside is None:
            self._inside = topic
        elif isinstance(inside, dict):
            inside[topic.name] = topic
        elif inside.name != topic.name:
            self._inside = {inside.name: inside, topic.name: topic}

    def remove_room(self, name: str) -> Topic | None:
        """Note that it is not in a room; which one that was, if it was in it."""
        inside = self._inside
        if isinstance(inside, dict):
            return inside.pop(name, None)
        if inside is None or inside.name != name:
            return None
        self._inside = None
        return inside


class Member(Protocol):
    """What a hub knows about a session (see `InRooms`). Only the hub puts it into rooms and takes it out."""

    connection_id: str
    user_id: str | None

    @property
    def rooms(self) -> Mapping[str, Topic]:
        """See InRooms."""

    def add_room(self, topic: Topic) -> None:
        """See InRooms."""

    def remove_room(self, name: str) -> Topic | None:
        """See InRooms."""

    @property
    def peer(self) -> Recipient:
        """Where its frames go."""

    @property
    def limits(self) -> Limits:
        """Of them, `outbox` bounds what may wait while it catches up."""

    def too_slow(self) -> None:
        """More waits for it than may: close it."""


class CatchingUp:
    """A member that has joined a room with history and has not caught up yet.

    Until its page of history has come, publications wait in `waiting`. Then `top` is the page's last position: what the page
    already contained is dropped when the broker brings it (on another node, the page may be ahead of the publications).
    """

    __slots__ = ("_size", "member", "top", "waiting")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.top: Position | None = None
        self.waiting: list[tuple[Position | None, bytes]] = []
        self._size = 0

    def keep(self, position: Position | None, frame: bytes) -> None:
        """Let a publication wait until the page has been sent; one too many ends the connection."""
        self._size += len(frame)
        if self._size <= self.member.limits.outbox // 2:
            self.waiting.append((position, frame))
        else:
            self.waiting.clear()
            self.member.too_slow()

    def pass_over(self) -> None:
        """More pages follow, which bring again what waits and has a position."""
        self.waiting = [one for one in self.waiting if one[0] is None]
        self._size = sum(len(frame) for _, frame in self.waiting)

    def has_seen(self, position: Position | None) -> bool:
        """Whether the page held it."""
        top = self.top
        return (
            position is not None
            and top is not None
            and position.epoch == top.epoch
            and position.offset <= top.offset
        )


class Room:
    """One topic's members on this node, oldest first; `catching_up` is None unless somebody is.

    So is `watchers`: those who get the frames without being members, unseen and uncounted. Most users' rooms have one member, so a
    room that has never had two does without a dict of 280 bytes.
    """

    __slots__ = ("_sole", "catching_up", "last", "recipients", "topic", "watchers")

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        # A dict holds the members as well; of a tuple the member is `_sole`.
        self.recipients: tuple[Recipient, ...] | dict[Recipient, Member] = ()
        self._sole: Member | None = None
        self.catching_up: dict[Recipient, CatchingUp] | None = None
        self.watchers: set[Recipient] | None = None
        self.last: Position | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here, not even on the way in."""
        return not self.recipients and not self.catching_up and not self.watchers

    def size(self) -> int:
        """How many connections are here."""
        return len(self.recipients) + len(self.catching_up or ())

    def members(self) -> list[Member]:
        """Everyone who has caught up."""
        if isinstance(self.recipients, dict):
            return list(self.recipients.values())
        return [] if self._sole is None else [self._sole]

    def seat(self, member: Member) -> None:
        """Put a member in. Idempotent. What was published has been settled."""
        peer, recipients = member.peer, self.recipients
        if isinstance(recipients, dict):
            recipients[peer] = member
        elif self._sole is None or peer in recipients:
            self.recipients, self._sole = (peer,), member
        else:
            self.recipients, self._sole = {self._sole.peer: self._sole, peer: member}, None

    def unseat(self, peer: Recipient) -> None:
        """Take a member out. Idempotent. What was published has been settled."""
        if isinstance(self.recipients, dict):
            self.recipients.pop(peer, None)
        elif peer in self.recipients:
            self.recipients, self._sole = (), None
