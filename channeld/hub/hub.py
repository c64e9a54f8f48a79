"""The hub: joins members to rooms, hands frames to the broker, and delivers what the broker brings.

Each verb is written once, for brokers that answer at once and for those that don't (`later.py`). All deliveries come
through `deliver`, even those that started on this node, so there is one way in and one order.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

import attrs

from channeld.broker.broker import (
    Broker,
    BrokerUnavailable,
    Deliver,
    Delivered,
    History,
    Position,
    PresenceMissed,
    Publication,
    Topic,
)
from channeld.broker.once import AlreadyTaken, Once
from channeld.broker.publish_options import NO_OPTIONS, Conflated, PublishOptions
from channeld.hub.conflation import Conflation
from channeld.hub.fanout import Fanout, Recipient
from channeld.hub.presence import Presence
from channeld.hub.rooms import Catching, CatchingUp, Member, Room
from channeld.later import Later, Pending, resolved, start
from channeld.plan.plan import PresencePlan
from channeld.protocol.frames import Json, encode
from channeld.protocol.names import EVERYONE
from channeld.timers import Clock, Timers

T = TypeVar("T")
Info: TypeAlias = Mapping[str, Json]
"""What is shown of a user in presence."""


@attrs.frozen(slots=True)
class HubStatistics:
    """Numbers of connections, rooms (topics of kind `room` with a member here), publications received and deliveries made."""

    connections: int
    rooms: int
    publications: int
    deliveries: int


@attrs.frozen(slots=True)
class KeptElsewhere:
    """The history of a channel's rooms on nodes with another plan; `is_only_there`: this node's plan keeps none."""

    history: History
    is_only_there: bool


def with_position(payload: bytes, position: Position) -> bytes:
    """A frame's JSON with its `pos` added. A frame has at least a `type`, so a comma is right."""
    return b'%b,"pos":"%b"}' % (payload[:-1], str(position).encode())


class Holder(Protocol):
    """Holds back frames that have not reached the hub yet."""

    def forget(self, topic: Topic, key: str) -> None:
        """Drop the frame held for a topic under a key (its delivered type and its own key), because it was cleared. Idempotent."""


class Hub:
    """One per node. `make_broker` gets the hub's `deliver`; `spawn` runs what a timer cannot finish at once.

    `on_control` receives publications to topics of kind `node`, which have no members. `holders` are told which keys are cleared.
    """

    def __init__(
        self,
        make_broker: Callable[[Deliver], Broker],
        fanout: Fanout,
        clock: Clock,
        timers: Timers,
        spawn: Callable[[Awaitable[object]], None],
    ) -> None:
        self._rooms: dict[Topic, Room] = {}
        self._peers: dict[str, Recipient] = {}
        self._fanout = fanout
        self.begin_turn, self.end_turn = fanout.begin, fanout.end
        self.when_turn_ends = fanout.at_end
        self._room_count = self._publications = self._deliveries = 0
        # By kind of topic and channel; empty unless other nodes have another plan.
        self.elsewhere: Mapping[tuple[str, str], KeptElsewhere] = {}
        # Channels whose rooms have a history by this node's plan; channels for which the broker knows whether they have one.
        self._kept_here: frozenset[str] = frozenset()
        self._told: set[str] = set()
        self.on_control: Callable[[bytes], None] = lambda _payload: None
        self.holders: set[Holder] = set()
        self.conflation = Conflation(clock, timers, spawn)
        self.broker = make_broker(self.deliver)
        self.presence = Presence(self.broker, clock, timers, self.tell, spawn)

    # ------------------------------------------------------------------------------------------------ members

    async def attach(self, member: Member, channel: str) -> list[Later[None]]:
        """Subscribe a member to its channel, to everyone's channel, and to its user.

        Returns:
            What to wait for until frames of other nodes arrive. The subscriptions have been requested, so later requests come after them.
        """
        self._peers[member.connection_id] = member.peer
        topics = _own_topics(member, channel)
        for topic in topics:
            self._seat(topic, member)
        heard: list[Later[None]] = []
        for topic in topics:
            later = self._ask_for(topic)
            if later is not None and (later := await _requested(later)) is not None:
                heard.append(later)
        return heard

    def shared(self, topic: Topic) -> Topic:
        """The room's own instance of this topic, so that members do not hold one each."""
        room = self._rooms.get(topic)
        return room.topic if room is not None else topic

    async def join(self, member: Member, topic: Topic, info: Info | None = None) -> None:
        """Put a member into a room without history, and with an `info` into its presence. Idempotent.

        Raises:
            BrokerUnavailable: it is not in the room.
        """
        if topic.name in member.rooms:
            return
        member.add_room(topic)
        self._seat(topic, member)
        is_done = False
        try:
            asked = self._ask_for(topic, is_numbered=self.is_numbered(topic, None))
            await self._entered(member, topic, info, await _requested(asked))
            is_done = True
        finally:
            if not is_done:
                self._put_out(member, topic)

    async def join_with_history(
        self,
        member: Member,
        topic: Topic,
        keep: History,
        since: Position | None,
        info: Info | None = None,
    ) -> Catching:
        """Put a member into a room that keeps history, and with an `info` into its presence; the broker is asked for all of it at once.

        Publications from now on wait until `Catching.release` is called.

        Returns:
            The frames that it missed, in pages.

        Raises:
            BrokerUnavailable: the member is in the room only if it was in it before.
        """
        was_inside = topic.name in member.rooms
        member.add_room(topic)
        room = self._room(topic)
        entry = CatchingUp(member)
        self._fanout.settle()
        room.unseat(member.peer)
        room.catching_up = room.catching_up or {}
        room.catching_up[member.peer] = entry
        page = None
        try:
            # The subscription need not be confirmed: the broker reads the page after it.
            await _requested(self._ask_for(topic))
            later = self.broker.since(
                topic, since, self.kept(topic, keep) or keep, keep.most_replayed
            )
            page = await self._entered(member, topic, info, later)
        finally:
            # The broker is unreachable, or a hook timed out. Held publications must not wait for ever.
            if page is None:
                self._give_up(room, entry, was_inside=was_inside)
        # A broker that answers at once has nothing under way.
        return Catching(self.level, room, entry, page, is_level=not hasattr(later, "__await__"))

    def _give_up(self, room: Room, entry: CatchingUp, *, was_inside: bool) -> None:
        if room.catching_up is None or room.catching_up.get(entry.member.peer) is not entry:
            return
        if was_inside:
            for _, frame in entry.waiting:
                entry.member.peer.send(frame)
            self.level(room, entry)
        else:
            self._put_out(entry.member, room.topic)

    async def _entered(self, member: Member, topic: Topic, info: Info | None, asked: Later[T]) -> T:
        """Wait for the broker's answer; with an `info`, count the member in presence meanwhile."""
        entering: Pending[None] | None = None
        if info is not None:
            entering = start(self.enter_presence(member, topic, info))
        try:
            # Asked for last, so what was asked before it has been answered when it is.
            if entering is not None:
                await entering.inside()
            answer = await resolved(asked)
        finally:
            if entering is not None:
                entering.close()
        return answer

    def _put_out(self, member: Member, topic: Topic) -> None:
        """Undo the first steps of a join that has failed."""
        member.remove_room(topic.name)
        self._remove(topic, member)
        self.presence.withdraw(topic, member)

    async def leave(
        self,
        member: Member,
        topic: Topic,
        plan: PresencePlan | None,
        away: float | None = None,
    ) -> None:
        """Take a member out of a room; `away`: the seconds after which it was asked to come back. Idempotent."""
        if member.remove_room(topic.name) is not None:
            self._remove(topic, member)
            self.conflation.flush(member.connection_id, topic)
            await self.presence.leave(topic, plan, member, away)

    async def drop(
        self, member: Member, channel: str, plan: PresencePlan | None, away: float | None = None
    ) -> None:
        """Forget a member; `away`: the seconds after which it was asked to come back. Idempotent.

        Raises:
            BrokerUnavailable: this node has forgotten it; the broker does the rest when it is back.
        """
        if self._peers.pop(member.connection_id, None) is None:
            return
        rooms = list(member.rooms.values())
        for topic in rooms:
            member.remove_room(topic.name)
        for topic in (*rooms, *_own_topics(member, channel)):
            self._remove(topic, member)
        failed: BrokerUnavailable | None = None
        leaving: list[Pending[None]] = []
        for topic in (*rooms, Topic("channel", channel, "")):
            try:
                rest = start(self.presence.leave(topic, plan, member, away))
            except BrokerUnavailable as error:
                failed = error
            else:
                leaving += () if rest is None else (rest,)
        # Everything has been requested; now wait for the answers.
        for rest in leaving:
            try:
                await rest.inside()
            except BrokerUnavailable as error:
                failed = error
        if failed is not None:
            raise failed

    async def enter_presence(self, member: Member, topic: Topic, info: Info) -> None:
        """Count a member in a topic's presence and tell the others, unless it has left in the meantime."""
        inside = topic.kind == "channel" or topic.name in member.rooms
        if inside and member.connection_id in self._peers:
            await self.presence.enter(topic, member, info)

    async def watch(self, topic: Topic, watcher: Recipient) -> None:
        """Deliver a topic's frames to a recipient that is not a member, until `unwatch`."""
        room = self._room(topic)
        if room.watchers is None:
            room.watchers = set()
        room.watchers.add(watcher)
        await self._subscribe(topic)

    def unwatch(self, topic: Topic, watcher: Recipient) -> None:
        """End a `watch`. Idempotent."""
        room = self._rooms.get(topic)
        if room is not None and room.watchers:
            room.watchers.discard(watcher)
            room.watchers = room.watchers or None
            self._vacate(room)

    def members(self, topic: Topic) -> Iterator[Member]:
        """This node's members of a topic, oldest first."""
        room = self._rooms.get(topic)
        if room is not None:
            yield from room.members()
            yield from [entry.member for entry in (room.catching_up or {}).values()]

    def topics(self, channel: str) -> list[tuple[str, int]]:
        """The rooms of a channel that have members here, with their numbers of connections."""
        return [
            (topic.name, room.size())
            for topic, room in self._rooms.items()
            if topic.is_room and topic.channel == channel and room.size()
        ]

    # ------------------------------------------------------------------------------------------------- frames

    def publish(
        self, topic: Topic, payload: bytes, options: PublishOptions = NO_OPTIONS
    ) -> Later[Position | None]:
        """Publish a frame's JSON to a topic; the broker brings it back through `deliver`."""
        if self.elsewhere or options.keep is None:
            options = self._kept_now(topic, options)
        return self.broker.publish(topic, payload, options)

    def keep_histories(self, channels: Iterable[str]) -> None:
        """Set the channels whose rooms have a history by this node's plan."""
        self._kept_here = frozenset(channels)
        self._number()

    def keep_as_elsewhere(self, kept: Mapping[tuple[str, str], KeptElsewhere]) -> None:
        """Set what nodes with another plan keep, by kind of topic and channel."""
        self.elsewhere = kept
        self._number()

    def _number(self) -> None:
        elsewhere = {channel for kind, channel in self.elsewhere if kind == "room"}
        self._told = {*self._kept_here, *elsewhere}
        for channel in sorted(self._told):
            self.broker.number(channel, True)

    def _kept_now(self, topic: Topic, options: PublishOptions) -> PublishOptions:
        """The options with the history that keeps a frame now. A channel's first frame without history ends its earlier history."""
        keep = self.kept(topic, options.keep)
        # Waits for that first frame, so that a plan without history does no harm if it is in force only for a moment.
        if keep is None and topic.channel not in self._told and topic.is_room:
            self._told.add(topic.channel)
            self.broker.number(topic.channel, False)
        return options if keep is options.keep else attrs.evolve(options, keep=keep)

    def kept(self, topic: Topic, keep: History | None) -> History | None:
        """The history that all nodes together keep of a topic, if this node's plan asks for `keep`."""
        other = self.elsewhere.get((topic.kind, topic.channel))
        if other is None or (keep is None and not other.is_only_there):
            return keep
        if keep is None:
            return other.history
        size, ttl = max(keep.size, other.history.size), max(keep.ttl, other.history.ttl)
        return attrs.evolve(keep, size=size, ttl=ttl)

    def is_numbered(self, topic: Topic, keep: History | None) -> bool:
        """Whether a topic's frames get positions, and therefore a `room`, by this node's plan (`keep`) or another's."""
        return keep is not None or (bool(self.elsewhere) and self.kept(topic, None) is not None)

    def publish_newest(
        self,
        topic: Topic,
        payload: bytes,
        conflated: Conflated,
        options: PublishOptions,
        connection: str = "",
    ) -> Later[bool]:
        """Publish a frame when its slot allows it; True if it waits. It then goes out by itself."""
        options = self._kept_now(topic, options)

        def publish(conflated: Conflated, once: Once | None, is_asking: bool) -> Later[float]:
            asked = options if once is options.once else attrs.evolve(options, once=once)
            data = b"" if is_asking else payload
            return self.broker.publish_newest(topic, data, conflated, asked)

        once = options.once
        if once is None or not self.conflation.holds(topic, conflated):
            # The broker takes the key together with the frame.
            return self.conflation.offer(topic, conflated, connection, publish, once)
        # A frame held here does not reach the broker, and one that is repeated must not replace what is held.
        offer = partial(self.conflation.offer, topic, conflated, connection, publish)
        taken = self.broker.take(once)
        if isinstance(taken, Awaitable):
            return _offered(taken, offer)
        if not taken:
            raise AlreadyTaken
        return offer()

    def clear(self, topic: Topic, keys: Iterable[str]) -> None:
        """Drop the frames held on this node under these keys, because they were cleared."""
        for key in keys:
            self.conflation.forget(topic, key)
            for holder in tuple(self.holders):
                holder.forget(topic, key)

    def deliver(self, topic: Topic, delivered: Delivered) -> None:
        """Deliver what the broker brings to this node's members of the topic."""
        if isinstance(delivered, Publication):
            self._deliver(topic, delivered)
        elif (room := self._rooms.get(topic)) is not None:
            skip = None if isinstance(delivered, PresenceMissed) else delivered.skip
            if room.has_others(self._peers.get(skip or "")):
                self.presence.changed(topic, delivered)

    def tell(self, topic: Topic, payload: bytes, *skips: str | None) -> None:
        """Deliver a frame of the server's own, as JSON, to this node's members of a topic except these connections."""
        room = self._rooms.get(topic)
        if room is None:
            return
        if len(skips) <= 1:
            self._give(room, payload, None, skips[0] if skips else None)
            return
        apart = {self._peers.get(connection or "") for connection in skips}
        others = [peer for peer in room.recipients if peer not in apart]
        self._deliveries += len(others)
        self._fanout.publish(others, payload)
        self._deliver_late(room, None, payload, apart)
        for watcher in list(room.watchers or ()):
            watcher.send(payload)

    def _deliver(self, topic: Topic, publication: Publication) -> None:
        room = self._rooms.get(topic)
        if room is None:
            if topic.kind == "node":
                self.on_control(publication.payload)
            return
        payload, position = publication.payload, publication.position
        if position is not None:
            payload = with_position(payload, position)
            room.last = position
        if publication.clears:
            self.clear(topic, publication.clears)
        self._give(room, payload, position, publication.skip)

    def _give(
        self, room: Room, payload: bytes, position: Position | None, connection: str | None
    ) -> None:
        """Deliver a frame to everyone in a room except this connection."""
        skip = self._peers.get(connection) if connection is not None else None
        self._publications += 1
        self._deliveries += len(room.recipients) - (skip is not None and skip in room.recipients)
        self._fanout.publish(room.recipients, payload, skip)
        if room.catching_up:
            self._deliver_late(room, position, payload, (skip,))
        if room.watchers:
            for watcher in list(room.watchers):
                watcher.send(payload)

    def _deliver_late(
        self,
        room: Room,
        position: Position | None,
        frame: bytes,
        skips: Collection[Recipient | None],
    ) -> None:
        catching_up = room.catching_up or {}
        for peer, entry in list(catching_up.items()):
            if peer in skips:
                continue
            if entry.top is None:
                entry.keep(position, frame)
            elif not entry.has_seen(position):
                peer.send(frame)
                if position is not None:
                    self.level(room, entry)

    def level(self, room: Room, entry: CatchingUp) -> None:
        """Make a member that has caught up a normal member of its room."""
        peer = entry.member.peer
        # Another entry of the same member belongs to a later request.
        if room.catching_up and room.catching_up.get(peer) is entry:
            del room.catching_up[peer]
            self._fanout.settle()
            room.seat(entry.member)
            room.catching_up = room.catching_up or None

    def tell_gap(self, topic: Topic, top: Position | None) -> None:
        """Tell a room's members that they missed frames that the history no longer has; they continue from `top`."""
        room = self._rooms.get(topic)
        if room is None or not topic.is_room:
            return
        pos = {} if top is None else {"pos": str(top)}
        frame = encode({"type": "subscribed", "room": topic.name, "recovered": False, **pos})
        room.last = top
        self._fanout.publish(room.recipients, frame)
        for peer, entry in list((room.catching_up or {}).items()):
            if entry.top is None:
                # The held frames come before the gap; if the page reaches past it, it contains everything.
                entry.waiting = [(top, frame)]
            elif not entry.has_seen(top):
                peer.send(frame)
                self.level(room, entry)

    # --------------------------------------------------------------------------------------------- statistics

    def statistics(self) -> HubStatistics:
        """The numbers, now and since the start."""
        return HubStatistics(
            len(self._peers), self._room_count, self._publications, self._deliveries
        )

    def size(self, topic: Topic) -> int:
        """The number of connections of this node that are subscribed to a topic."""
        room = self._rooms.get(topic)
        return 0 if room is None else room.size()

    def online(self, channel: str, user: str) -> bool:
        """Whether a user has a connection on a channel of this node."""
        return Topic("user", channel, user) in self._rooms

    # -------------------------------------------------------------------------------------------------- rooms

    def _room(self, topic: Topic) -> Room:
        room = self._rooms.get(topic)
        if room is None:
            room = self._rooms[topic] = Room(topic)
            self._room_count += topic.is_room
        return room

    def _seat(self, topic: Topic, member: Member) -> None:
        room = self._room(topic)
        self._fanout.settle()
        room.seat(member)

    async def _subscribe(self, topic: Topic) -> None:
        await resolved(self._ask_for(topic))

    def _ask_for(self, topic: Topic, *, is_numbered: bool = True) -> Later[None]:
        """Subscribe to a topic; returns what to wait for, if anything."""
        # Also if the room exists: its first member may still be waiting for the broker. But not if everybody has left in the
        # meantime, since nobody would unsubscribe.
        room = self._rooms.get(topic)
        if room is None:
            return None
        if is_numbered and room.heard is not None:
            return None if getattr(room.heard, "done", False) else room.heard
        later = self.broker.subscribe(topic, is_numbered=is_numbered)
        if is_numbered and hasattr(later, "done"):
            room.heard = later
        return later

    def _remove(self, topic: Topic, member: Member) -> None:
        room = self._rooms.get(topic)
        if room is None:
            return
        self._fanout.settle()
        room.unseat(member.peer)
        if room.catching_up:
            room.catching_up.pop(member.peer, None)
        self._vacate(room)

    def _vacate(self, room: Room) -> None:
        if room.is_empty:
            del self._rooms[room.topic]
            self._room_count -= room.topic.is_room
            self.broker.unsubscribe(room.topic)


async def _requested(later: Later[None]) -> Later[None]:
    """What to wait for until the broker has answered a request; on return the request has been made."""
    return later if later is None or hasattr(later, "then") else await resolved(later)


async def _offered(taken: Awaitable[bool], offer: Callable[[], Later[bool]]) -> bool:
    if not await taken:
        raise AlreadyTaken
    return await resolved(offer())


def _own_topics(member: Member, channel: str) -> tuple[Topic, ...]:
    everyone = (EVERYONE, Topic("channel", channel, ""))
    if member.user_id is None:
        return everyone
    return (*everyone, Topic("user", channel, member.user_id))
