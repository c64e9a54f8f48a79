"""Who is in which room: the members of a topic, and those who are still catching up with its history."""

from typing import Protocol

from channeld.broker.broker import Position, Topic
from channeld.config.model import Limits
from channeld.hub.fanout import Recipient

__all__ = ["CatchingUp", "Member", "Room"]


class Member(Protocol):
    """What a hub knows of a session. `rooms` is the hub's to change: the topics of the rooms it is in, by name."""

    connection_id: str
    user_id: str | None
    rooms: dict[str, Topic]

    @property
    def peer(self) -> Recipient:
        """Where its frames go."""

    @property
    def limits(self) -> Limits:
        """Of them, `outbox` bounds what may wait while it catches up."""

    def too_slow(self) -> None:
        """More waits for it than may: close it."""


class CatchingUp:
    """A member between joining a room with history and being level with it.

    Until its page of history is there, publications wait in `waiting`. Then `top` is the page's last position: what the
    page already held is dropped when the broker brings it (on another node the page may be ahead of the publications).
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
    """One topic's members on this node, by recipient; `catching_up` is None unless somebody is.

    So is `watchers`: those who get the frames and are not members, unseen and uncounted.
    """

    __slots__ = ("catching_up", "last", "members", "topic", "watchers")

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.members: dict[Recipient, Member] = {}
        self.catching_up: dict[Recipient, CatchingUp] | None = None
        self.watchers: set[Recipient] | None = None
        self.last: Position | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here, not even on the way in."""
        return not self.members and not self.catching_up and not self.watchers

    def size(self) -> int:
        """How many connections are here."""
        return len(self.members) + len(self.catching_up or ())
