"""Input from Redis: the wanted subscriptions, and for each topic with a history the last delivered position.

Redis does not keep messages for disconnected subscribers, so after every (re)subscribe a topic's gap is read from its history. Until then
the topic is *doubtful*: a publication that does not follow the last one is not delivered, because the fill contains it, in order.
Deliveries are compared with the last position, so nothing is delivered twice. If the history cannot fill the gap, `on_gap` is called.
Nothing here uses the network: the broker passes in acknowledgements, messages and fills.
"""

from collections.abc import Callable, Iterable, Sequence

import attrs
import trio

from channeld.broker.broker import (
    BrokerUnavailable,
    Deliver,
    Delivered,
    HistoryEntry,
    Position,
    PresenceChange,
    PresenceMissed,
    Publication,
    Topic,
)
from channeld.broker.redis.encoding import (
    CHANGE_MAGIC,
    Epochs,
    Names,
    NumberedChange,
    unpack,
    unpack_change,
)
from channeld.broker.redis.queue import Answer, Argument, Reply
from channeld.broker.redis.roster import Roster

# Rooms keep frames, and nodes keep commands for nodes that were cut off. Other topics have no history.
_WITH_HISTORY = frozenset({"room", "node"})


@attrs.define(eq=False)
class Subscription:
    """A wanted topic. `last` has an empty epoch if there was no history."""

    topic: Topic
    channel: bytes
    ready: Answer[None] = attrs.field(factory=Answer)
    last: Position | None = None
    seen: int = 0
    doubtful: bool = False
    is_acknowledged: bool = False
    is_asked: bool = False
    is_numbered: bool = True
    roster: Roster | None = None

    @property
    def keeps(self) -> bool:
        """Whether the topic may have a history."""
        return (self.is_numbered and self.topic.kind in _WITH_HISTORY) or self.last is not None


@attrs.define(eq=False)
class Inbox:
    """Subscriptions by channel. `doubtful` are those whose gap has to be read; `node` is this node; `counts` are statistics."""

    _names: Names
    _deliver: Deliver
    on_gap: Callable[[Topic, Position | None], None]
    read_roster: Callable[[Roster], None]
    node: str = ""
    doubtful: dict[bytes, Subscription] = attrs.field(factory=dict, init=False)
    counts: dict[str, int] = attrs.field(
        factory=lambda: dict.fromkeys(
            ("received", "dropped", "duplicates", "filled", "gaps", "failed"), 0
        ),
        init=False,
    )
    _wanted: dict[bytes, Subscription] = attrs.field(factory=dict, init=False)
    _awaited: dict[bytes, int] = attrs.field(factory=dict, init=False)
    _stirred: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __len__(self) -> int:
        return len(self._wanted)

    def want(self, topic: Topic, *, is_numbered: bool = True) -> tuple[Subscription, bool]:
        """The topic's subscription, and whether it is new."""
        channel = self._names.channel(topic)
        subscription = self._wanted.get(channel)
        if subscription is not None:
            subscription.is_numbered |= is_numbered
            return subscription, False
        subscription = self._wanted[channel] = Subscription(topic, channel, is_numbered=is_numbered)
        return subscription, True

    def forget(self, topic: Topic) -> bytes | None:
        """Remove a subscription; returns the channel to unsubscribe from, if it was wanted."""
        subscription = self._wanted.pop(self._names.channel(topic), None)
        if subscription is None:
            return None
        self.doubtful.pop(subscription.channel, None)
        subscription.ready.resolve(None)
        if subscription.roster is not None:
            subscription.roster.give_up(BrokerUnavailable())
        return subscription.channel

    def roster(self, topic: Topic) -> Roster | None:
        """The roster of a wanted topic, which is read if needed; None if the topic is not wanted."""
        roster = self.kept_roster(topic)
        if roster is not None and roster.needs_reading:
            # Sent after the subscription, so that no change after the read state is missed.
            self.read_roster(roster)
        return roster

    def kept_roster(self, topic: Topic) -> Roster | None:
        """The same, applying changes from now on, but without reading it."""
        subscription = self._wanted.get(self._names.channel(topic))
        if subscription is None:
            return None
        if subscription.roster is None:
            subscription.roster = Roster(topic)
        return subscription.roster

    def require(self, topic: Topic, epoch: bytes, version: int) -> None:
        """This node has made this change of a topic's presence: from now on, its roster must include the change."""
        subscription = self._wanted.get(self._names.channel(topic))
        if subscription is not None and subscription.roster is not None:
            subscription.roster.require(epoch, version)

    def connect(self, *, numbers_go_on: bool) -> list[bytes]:
        """Start a new session; returns every channel to subscribe to."""
        self._awaited.clear()
        self.doubtful.clear()
        for subscription in self._wanted.values():
            subscription.doubtful = subscription.last is not None
            subscription.is_acknowledged = subscription.is_asked = False
            if subscription.roster is not None:
                subscription.roster.tear(numbers_go_on=numbers_go_on)
        return list(self._wanted)

    def disconnect(self) -> None:
        """The session has ended: forget acknowledgements, remember subscriptions."""
        # Callbacks may subscribe to more at once.
        for subscription in list(self._wanted.values()):
            subscription.ready.resolve(None)
            if subscription.roster is not None:
                subscription.roster.give_up(BrokerUnavailable())

    def asked(self, channels: Iterable[bytes]) -> None:
        """SUBSCRIBE was sent for these."""
        for channel in channels:
            self._awaited[channel] = self._awaited.get(channel, 0) + 1

    def acknowledged(self, channel: bytes) -> None:
        """SUBSCRIBE was answered; only the answer to the latest counts."""
        left = self._awaited.pop(channel, 1) - 1
        if left > 0:
            self._awaited[channel] = left
            return
        subscription = self._wanted.get(channel)
        if subscription is None:
            return
        subscription.is_acknowledged = True
        if subscription.roster is not None and subscription.roster.needs_reading:
            self.read_roster(subscription.roster)
        if subscription.keeps and not (subscription.is_asked and subscription.last is None):
            self._doubt(subscription)
        else:
            subscription.ready.resolve(None)

    def message(self, channel: bytes, data: bytes) -> None:
        """Deliver an envelope's contents, or drop them: not wanted, not ours, seen, or about to be filled."""
        subscription = self._wanted.get(channel)
        if subscription is None:
            return
        if data.startswith(CHANGE_MAGIC):
            change, publications = unpack_change(data), None
        else:
            change, publications = None, unpack(data, self.node)
        if change is not None:
            self._change(subscription, change)
        elif publications is None:
            self.counts["dropped"] += 1
        for publication in publications or ():
            if publication.position is None or self._follows(subscription, publication.position):
                self._hand_over(subscription.topic, publication)

    def _change(self, subscription: Subscription, change: NumberedChange) -> None:
        roster = subscription.roster
        if roster is not None:
            taken = roster.take(change, is_live=subscription.is_acknowledged)
            self.deliver_changes(roster, taken)
        elif change.event != "count":
            # Without a roster, no member here has been sent a state that this must follow; somebody watches the topic.
            self._hand_over(
                subscription.topic,
                PresenceChange(change.event, change.user, change.info, change.skip),
            )

    def deliver_changes(
        self, roster: Roster, changes: Sequence[PresenceChange | PresenceMissed]
    ) -> None:
        """Deliver a roster's changes, and have it read if necessary."""
        for change in changes:
            self._hand_over(roster.topic, change)
        subscription = self._wanted.get(self._names.channel(roster.topic))
        if subscription is not None and subscription.roster is roster and roster.needs_reading:
            self.read_roster(roster)

    async def take_doubtful(self, most: int) -> list[Subscription]:
        """The next subscriptions whose gap has to be read: at least one."""
        while not self.doubtful:
            self._stirred = trio.Event()
            await self._stirred.wait()
        return [self.doubtful.popitem()[1] for _ in range(min(most, len(self.doubtful)))]

    def questions(self, subscriptions: Sequence[Subscription]) -> tuple[list[str], list[Argument]]:
        """Keys and arguments of the `fill` script."""
        keys, arguments = [self._names.state], list[Argument]()
        for subscription in subscriptions:
            subscription.seen = 0
            keys += self._names.history(subscription.topic)
            last = subscription.last
            if last is None:
                arguments += ("t", "", 0)
            else:
                arguments += ("f", last.epoch, last.offset)
        return keys, arguments

    def forget_positions(self, channel: str) -> None:
        """A channel's rooms start or stop being numbered: the next publication need not follow the last."""
        for subscription in self._wanted.values():
            if subscription.topic.is_room and subscription.topic.channel == channel:
                subscription.last, subscription.is_numbered = None, True

    def is_asked(self, topic: Topic) -> None:
        """A reader requests the topic's top, after subscribing: no other request is needed."""
        subscription = self._wanted.get(self._names.channel(topic))
        if subscription is not None:
            subscription.is_asked = True

    def starts(self, topic: Topic, top: Position) -> None:
        """A reader got the topic's top: count from there, if nothing else is known."""
        subscription = self._wanted.get(self._names.channel(topic))
        if subscription is None:
            return
        if subscription.last is None:
            subscription.last = top
        elif not subscription.last.epoch:
            # There was no history; now there is one, and everything in it is newer.
            subscription.last = Position(top.epoch, 0)

    def filled(self, subscriptions: Sequence[Subscription], reply: Reply) -> None:
        """Deliver what the `fill` script found, and report gaps that it could not fill."""
        for subscription, (epoch, top, recovered, frames, before, at, has_more) in zip(
            subscriptions, reply, strict=True
        ):
            is_wanted = self._wanted.get(subscription.channel) is subscription
            kept = Epochs(epoch, before).entries(frames, at)
            if is_wanted and has_more and subscription.doubtful:
                # There is more than fits into one reply: deliver this, then read the rest.
                if kept:
                    self._catch_up(subscription, kept, kept[-1].position)
                self._doubt(subscription)
                continue
            if is_wanted:
                self._fill(subscription, Position(epoch.decode(), top), bool(recovered), kept)
            subscription.ready.resolve(None)

    def _follows(self, subscription: Subscription, position: Position) -> bool:
        last = subscription.last
        if last is None:
            subscription.last = position
            return True
        same = position.epoch == last.epoch or not last.epoch
        if same and position.offset == last.offset + 1:
            subscription.last = position
            if subscription.doubtful:
                # It follows directly, so nothing was missed, whatever the fill finds.
                subscription.doubtful = False
                self.doubtful.pop(subscription.channel, None)
            return True
        if same and position.offset <= last.offset:
            self.counts["duplicates"] += 1
            return False
        subscription.seen = position.offset
        subscription.doubtful = True
        self._doubt(subscription)
        return False

    def _fill(
        self,
        subscription: Subscription,
        top: Position,
        recovered: bool,
        kept: Sequence[HistoryEntry],
    ) -> None:
        if subscription.last is None:
            subscription.last = top
            return
        if not subscription.doubtful:
            return
        subscription.doubtful = False
        if recovered:
            self._catch_up(subscription, kept, top)
        else:
            self.counts["gaps"] += 1
            subscription.last = top
            self.on_gap(subscription.topic, top if top.epoch else None)
        if subscription.seen > top.offset:
            # A publication was held back while the history was being read: read again.
            subscription.doubtful = True
            self._doubt(subscription)

    def _catch_up(
        self, subscription: Subscription, kept: Sequence[HistoryEntry], top: Position
    ) -> None:
        for frame in kept:
            # Some frames may have arrived meanwhile; frames between were replaced or cleared.
            last = subscription.last
            if last is not None and frame.position.offset > last.offset:
                subscription.last = frame.position
                self.counts["filled"] += 1
                self._hand_over(subscription.topic, Publication(frame.payload, frame.position))
        if subscription.last is not None and subscription.last.offset < top.offset:
            subscription.last = top

    def _doubt(self, subscription: Subscription) -> None:
        self.doubtful[subscription.channel] = subscription
        self._stirred.set()

    def _hand_over(self, topic: Topic, delivered: Delivered) -> None:
        self.counts["received"] += 1
        try:
            self._deliver(topic, delivered)
        except (
            Exception
        ):  # one frame that the hub cannot take must not end the connection, again and again
            self.counts["failed"] += 1
