import itertools
import struct
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channeld.broker.broker import Position, Topic
from channeld.broker.redis.encoding import STAMP, Names
from channeld.broker.redis.subscriptions import Inbox, Subscription

ROOM = Topic("room", "lobby", "general")
USER = Topic("user", "lobby", "ann")


def made() -> tuple[Inbox, list[Any], list[tuple[Topic, Position | None]]]:
    delivered: list[Any] = []
    gaps: list[tuple[Topic, Position | None]] = []
    inbox = Inbox(
        Names("p"),
        lambda _, pub: delivered.append(pub),
        lambda *gap: gaps.append(gap),
        lambda roster: roster.begin(),
    )
    return inbox, delivered, gaps


def envelope(epoch: str, offset: int, *payloads: bytes) -> bytes:
    head = struct.pack(">BIIH", len(epoch), 0, offset, len(payloads)) + epoch.encode()
    return b"C1" + head + b"".join(struct.pack(">HI", 0, len(p)) + p for p in payloads)


def reply(epoch: str, top: int, recovered: int, *payloads: bytes, most: int = 500) -> list[Any]:
    frames, begin = [b"0" * STAMP + payload for payload in payloads], top - len(payloads) + 1
    return [epoch.encode(), top, recovered, frames[:most], b"", begin, int(len(frames) > most)]


def subscribed(inbox: Inbox, topic: Topic = ROOM) -> Subscription:
    subscription, _ = inbox.want(topic)
    inbox.asked((subscription.channel,))
    inbox.acknowledged(subscription.channel)
    return subscription


def is_done(subscription: Subscription) -> bool:
    return subscription.ready.done


def test_a_room_whose_reader_asks_for_the_top_is_ready_when_it_is_acknowledged() -> None:
    inbox, _, gaps = made()
    subscription, _ = inbox.want(ROOM)
    inbox.asked((subscription.channel,))
    inbox.is_asked(ROOM)
    inbox.acknowledged(subscription.channel)
    assert (is_done(subscription), inbox.doubtful) == (True, {})
    inbox.starts(ROOM, Position("e", 4))
    # From here on a gap is seen, and read after a new session.
    inbox.message(subscription.channel, envelope("e", 6, b"6"))
    assert (list(inbox.doubtful), gaps) == ([subscription.channel], [])
    inbox.connect(numbers_go_on=True)
    inbox.asked((subscription.channel,))
    inbox.acknowledged(subscription.channel)
    assert list(inbox.doubtful) == [subscription.channel]


def test_of_a_room_without_history_no_top_is_looked_up_until_it_has_one() -> None:
    inbox, delivered, _ = made()
    subscription, _ = inbox.want(ROOM, is_numbered=False)
    inbox.asked((subscription.channel,))
    inbox.acknowledged(subscription.channel)
    assert (is_done(subscription), inbox.doubtful) == (True, {})
    inbox.message(subscription.channel, envelope("", 0, b"1"))
    assert [pub.position for pub in delivered] == [None]
    inbox.forget_positions(ROOM.channel)
    inbox.connect(numbers_go_on=True)
    inbox.asked((subscription.channel,))
    inbox.acknowledged(subscription.channel)
    assert list(inbox.doubtful) == [subscription.channel]


def test_a_room_that_one_member_knows_to_have_a_history_has_one() -> None:
    inbox, _, _ = made()
    subscription, _ = inbox.want(ROOM, is_numbered=False)
    inbox.want(ROOM)
    inbox.want(ROOM, is_numbered=False)
    assert subscription.keeps


def test_a_room_is_ready_when_its_top_is_known() -> None:
    inbox, _, _ = made()
    subscription = subscribed(inbox)
    assert is_done(subscription) is False
    assert inbox.questions([subscription])[1] == ["t", "", 0]
    inbox.filled([subscription], [reply("e", 4, 1)])
    assert is_done(subscription)
    assert subscription.last == Position("e", 4)


def test_other_topics_are_ready_when_acknowledged() -> None:
    inbox, _, _ = made()
    assert subscribed(inbox, USER).ready.done


def test_only_the_latest_acknowledgement_counts() -> None:
    inbox, _, _ = made()
    inbox.want(USER)
    channel = inbox.forget(USER)
    assert channel is not None
    subscription, fresh = inbox.want(USER)
    inbox.asked((channel, channel))
    inbox.acknowledged(channel)
    assert (fresh, subscription.ready.done) == (True, False)
    inbox.acknowledged(channel)
    assert subscription.ready.done


def test_what_was_delivered_is_not_delivered_again() -> None:
    inbox, delivered, _ = made()
    subscription = subscribed(inbox)
    inbox.filled([subscription], [reply("e", 0, 1)])
    inbox.message(subscription.channel, envelope("e", 1, b"1", b"2"))
    inbox.message(subscription.channel, envelope("e", 2, b"2", b"3"))
    assert [pub.payload for pub in delivered] == [b"1", b"2", b"3"]
    assert inbox.counts["duplicates"] == 1


def test_a_hole_is_filled_in_order() -> None:
    inbox, delivered, gaps = made()
    subscription = subscribed(inbox)
    inbox.filled([subscription], [reply("e", 0, 1)])
    inbox.message(subscription.channel, envelope("e", 3, b"3"))
    assert delivered == []
    assert inbox.questions([subscription])[1] == ["f", "e", 0]
    inbox.message(subscription.channel, envelope("e", 4, b"4"))
    inbox.filled([subscription], [reply("e", 3, 1, b"1", b"2", b"3")])
    # The fourth came while the history was being read: it is asked for again.
    assert list(inbox.doubtful) == [subscription.channel]
    inbox.questions([subscription])
    inbox.filled([subscription], [reply("e", 4, 1, b"4")])
    assert [pub.payload for pub in delivered] == [b"1", b"2", b"3", b"4"]
    assert gaps == []


def test_a_hole_that_cannot_be_filled_is_told() -> None:
    inbox, delivered, gaps = made()
    subscription = subscribed(inbox)
    inbox.filled([subscription], [reply("e", 5, 1)])
    inbox.message(subscription.channel, envelope("f", 2, b"2"))
    inbox.questions([subscription])
    inbox.filled([subscription], [reply("f", 2, 0)])
    inbox.message(subscription.channel, envelope("f", 3, b"3"))
    assert [pub.payload for pub in delivered] == [b"3"]
    assert gaps == [(ROOM, Position("f", 2))]


def test_an_offset_of_a_lost_history_is_not_waited_for() -> None:
    inbox, _, gaps = made()
    subscription = subscribed(inbox)
    inbox.filled([subscription], [reply("e", 5, 1)])
    inbox.message(subscription.channel, envelope("e", 9, b"9"))
    inbox.filled([subscription], [reply("f", 2, 0)])
    inbox.connect(numbers_go_on=False)
    inbox.acknowledged(subscription.channel)
    inbox.questions([subscription])
    inbox.filled([subscription], [reply("f", 3, 1, b"3")])
    inbox.questions([inbox.doubtful.popitem()[1]] if inbox.doubtful else [])
    assert (list(inbox.doubtful), len(gaps)) == ([], 1)
    assert subscription.last == Position("f", 3)


def test_a_history_that_is_gone_is_told_without_a_top() -> None:
    inbox, _, gaps = made()
    subscription = subscribed(inbox)
    inbox.filled([subscription], [reply("e", 5, 1)])
    inbox.connect(numbers_go_on=False)
    inbox.acknowledged(subscription.channel)
    inbox.filled([subscription], [reply("", 0, 0)])
    assert gaps == [(ROOM, None)]


def test_the_first_frame_of_a_history_follows_none() -> None:
    inbox, delivered, _ = made()
    subscription = subscribed(inbox)
    inbox.filled([subscription], [reply("", 0, 1)])
    inbox.message(subscription.channel, envelope("e", 1, b"1"))
    assert [pub.payload for pub in delivered] == [b"1"]


def test_a_reader_who_is_told_the_top_sets_the_start() -> None:
    inbox, _, _ = made()
    subscription = subscribed(inbox)
    inbox.starts(USER, Position("e", 3))
    inbox.starts(ROOM, Position("e", 3))
    assert subscription.last == Position("e", 3)
    subscription.last = Position("", 0)
    inbox.starts(ROOM, Position("e", 3))
    assert subscription.last == Position("e", 0)


def test_what_is_not_wanted_is_not_delivered() -> None:
    inbox, delivered, _ = made()
    subscription = subscribed(inbox, USER)
    assert inbox.forget(USER) == subscription.channel
    assert inbox.forget(USER) is None
    inbox.message(subscription.channel, envelope("", 0, b"1"))
    inbox.acknowledged(subscription.channel)
    assert delivered == []


class Outages(RuleBasedStateMachine):
    """A server with one history, a connection that comes and goes, fills that are late and in pages: every frame once, in order, or told."""

    size = 5
    page = 2

    def __init__(self) -> None:
        super().__init__()
        self.inbox, self.delivered, self.gaps = made()
        self.offset, self.wire, self.connected = 0, list[bytes](), False
        self.asked: list[Any] | None = None
        self.subscription, _ = self.inbox.want(ROOM)
        self.connect()

    @rule()
    def connect(self) -> None:
        if not self.connected:
            self.inbox.asked(self.inbox.connect(numbers_go_on=False))
            self.connected, self.asked = True, None
            self.inbox.acknowledged(self.subscription.channel)

    @rule()
    def disconnect(self) -> None:
        self.connected = False
        self.wire.clear()
        self.inbox.disconnect()

    @rule(count=st.integers(1, 2))
    def publish(self, count: int) -> None:
        for _ in range(count):
            self.offset += 1
            if self.connected:
                self.wire.append(envelope("e", self.offset, b"%d" % self.offset))

    @rule(count=st.integers(1, 3))
    def receive(self, count: int) -> None:
        for _ in range(min(count, len(self.wire))):
            self.inbox.message(self.subscription.channel, self.wire.pop(0))

    @rule()
    def ask(self) -> None:
        if self.connected and self.asked is None and self.inbox.doubtful:
            self.inbox.doubtful.popitem()
            mode, epoch, offset = self.inbox.questions([self.subscription])[1]
            self.asked = self.answer(str(mode), str(epoch), int(offset))

    @rule()
    def answered(self) -> None:
        if self.connected and self.asked is not None:
            self.inbox.filled([self.subscription], [self.asked])
            self.asked = None

    def answer(self, mode: str, epoch: str, offset: int) -> list[Any]:
        if not self.offset:
            return reply("", 0, 1)
        missed = [b"%d" % number for number in range(offset + 1, self.offset + 1)]
        if mode == "t" or len(missed) > self.size:
            return reply("e", self.offset, int(mode == "t"))
        return reply("e", self.offset, 1, *missed, most=self.page)

    @invariant()
    def every_hole_was_told(self) -> None:
        offsets = [pub.position.offset for pub in self.delivered if pub.position]
        assert offsets == sorted(set(offsets))
        tops = {top.offset for _, top in self.gaps if top}
        holes = [(a, b) for a, b in itertools.pairwise(offsets) if b != a + 1]
        assert all(any(a < top < b for top in tops) for a, b in holes)

    def teardown(self) -> None:
        self.connect()
        self.receive(len(self.wire))
        while self.inbox.doubtful or self.asked:
            self.ask()
            self.answered()
        last = self.subscription.last
        assert last is not None
        assert last.offset == self.offset


Outages.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestOutages = Outages.TestCase
