"""Rooms: the members of a topic, and how a new member catches up with its history."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from channeld.broker.broker import Page, Position, Topic
from channeld.config.model import Limits
from channeld.hub.fanout import Recipient
from channeld.later import resolved

_NONE: Final[Mapping[str, Topic]] = {}


class InRooms:
    """The topics of the rooms that a member is in. Nearly all are in one, and keep that without a dict (184 bytes)."""

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        self._inside: Topic | dict[str, Topic] | None = None

    @property
    def rooms(self) -> Mapping[str, Topic]:
        """The topics by name, in the order in which the member joined them."""
        inside = self._inside
        if isinstance(inside, Topic):
            return {inside.name: inside}
        return _NONE if inside is None else inside

    def add_room(self, topic: Topic) -> None:
        """Record that the member is in a room. Idempotent."""
        inside = self._inside
        if inside is None:
            self._inside = topic
        elif isinstance(inside, dict):
            inside[topic.name] = topic
        elif inside.name != topic.name:
            self._inside = {inside.name: inside, topic.name: topic}

    def remove_room(self, name: str) -> Topic | None:
        """Record that the member has left a room; returns the room's topic if it was in it."""
        inside = self._inside
        if isinstance(inside, dict):
            return inside.pop(name, None)
        if inside is None or inside.name != name:
            return None
        self._inside = None
        return inside


class Member(Protocol):
    """What a hub knows about a session (see `InRooms`). Only the hub adds it to rooms and removes it."""

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
        """Its limits; `outbox` bounds the bytes that may wait while it catches up."""

    def too_slow(self) -> None:
        """Close it: more waits for it than its limit allows."""


class CatchingUp:
    """A member that has joined a room with history and has not caught up yet.

    Publications wait in `waiting` until the page of history has arrived. `top` is then the page's last position: publications up
    to it are dropped, because the page contained them. (On another node, the page may be ahead of the publications.)
    """

    __slots__ = ("_size", "member", "top", "waiting")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.top: Position | None = None
        self.waiting: list[tuple[Position | None, bytes]] = []
        self._size = 0

    def keep(self, position: Position | None, frame: bytes) -> None:
        """Hold a publication until the page has been sent. Too many held bytes end the connection."""
        self._size += len(frame)
        if self._size <= self.member.limits.outbox // 2:
            self.waiting.append((position, frame))
        else:
            self.waiting.clear()
            self.member.too_slow()

    def pass_over(self) -> None:
        """Drop held publications that have a position: the next pages contain them."""
        self.waiting = [one for one in self.waiting if one[0] is None]
        self._size = sum(len(frame) for _, frame in self.waiting)

    def has_seen(self, position: Position | None) -> bool:
        """Whether the page contained it."""
        top = self.top
        return (
            position is not None
            and top is not None
            and position.epoch == top.epoch
            and position.offset <= top.offset
        )


class Catching:
    """A joining member's pages of history, one at a time. Call `release` after the last page was sent.

    `level` makes the member a normal one; `is_level`: nothing that the pages contain can still be under way.
    """

    __slots__ = ("_entry", "_is_level", "_level", "_room", "page")

    def __init__(
        self,
        level: "Callable[[Room, CatchingUp], None]",
        room: "Room",
        entry: CatchingUp,
        page: Page,
        *,
        is_level: bool,
    ) -> None:
        self._level = level
        self._room = room
        self._entry = entry
        self.page = page
        self._is_level = is_level

    @property
    def is_left(self) -> bool:
        """Whether the member has left the room in the meantime, and must not be sent more of it."""
        return (self._room.catching_up or {}).get(self._entry.member.peer) is not self._entry

    async def turn(self) -> bool:
        """Continue with the next page; False if there is none.

        Raises:
            BrokerUnavailable: there is one, and the member has a gap.
        """
        if self.page.rest is None:
            return False
        self._entry.pass_over()
        self.page = await resolved(self.page.rest())
        return True

    def release(self) -> None:
        """Send the held publications, each frame once, and go on as a normal member."""
        entry, last, top = self._entry, self._room.last, self.page.top
        entry.top = top
        waiting, entry.waiting = entry.waiting, []
        for position, frame in waiting:
            if not entry.has_seen(position):
                entry.member.peer.send(frame)
        # Once this node has seen as much of the room as the page contained, none of it can arrive again.
        seen = last is not None and last.epoch == top.epoch and last.offset >= top.offset
        if self._is_level or seen or top.offset == 0:
            self._level(self._room, entry)


class Room:
    """One topic's members on this node, oldest first.

    `catching_up` are members that have not caught up, `watchers` get the frames without being members or being counted; both are
    None while there are none. `heard` is the broker's answer to the subscription, to wait for. Most rooms have
    one member, so a room that has never had two avoids a dict of 280 bytes.
    """

    __slots__ = ("_sole", "catching_up", "heard", "last", "recipients", "topic", "watchers")

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        # A dict also holds the members; with a tuple, the one member is `_sole`.
        self.recipients: tuple[Recipient, ...] | dict[Recipient, Member] = ()
        self._sole: Member | None = None
        self.catching_up: dict[Recipient, CatchingUp] | None = None
        self.watchers: set[Recipient] | None = None
        self.last: Position | None = None
        self.heard: Awaitable[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it has no members and no watchers, including members that are catching up."""
        return not self.recipients and not self.catching_up and not self.watchers

    def size(self) -> int:
        """The number of member connections."""
        return len(self.recipients) + len(self.catching_up or ())

    def has_others(self, peer: Recipient | None) -> bool:
        """Whether anybody would hear what is told to all but this one."""
        is_here = peer in self.recipients or peer in (self.catching_up or ())
        return self.size() > is_here or bool(self.watchers)

    def members(self) -> list[Member]:
        """The members that have caught up."""
        if isinstance(self.recipients, dict):
            return list(self.recipients.values())
        return [] if self._sole is None else [self._sole]

    def seat(self, member: Member) -> None:
        """Add a member. Idempotent. Call `Fanout.settle` first."""
        peer, recipients = member.peer, self.recipients
        if isinstance(recipients, dict):
            recipients[peer] = member
        elif self._sole is None or peer in recipients:
            self.recipients, self._sole = (peer,), member
        else:
            self.recipients, self._sole = {self._sole.peer: self._sole, peer: member}, None

    def unseat(self, peer: Recipient) -> None:
        """Remove a member. Idempotent. Call `Fanout.settle` first."""
        if isinstance(self.recipients, dict):
            self.recipients.pop(peer, None)
        elif peer in self.recipients:
            self.recipients, self._sole = (), None
