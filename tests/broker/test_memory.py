import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channeld.broker import histories
from channeld.broker.broker import (
    Delivered,
    History,
    HistoryEntry,
    Position,
    PresenceEntry,
    Publication,
    Topic,
)
from channeld.broker.histories import HistoryStatistics
from channeld.broker.memory import MemoryBroker, MemoryStatistics
from channeld.broker.publish_options import PublishOptions

KEEP = History(size=3, ttl=10.0)
TOPICS = [Topic("room", "lobby", name) for name in ("a", "b", "c", "d")]
A, B, C, D = TOPICS


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def made() -> tuple[MemoryBroker, Clock, list[Delivered]]:
    clock, delivered = Clock(), list[Delivered]()
    return MemoryBroker(lambda _, pub: delivered.append(pub), clock, "e"), clock, delivered


def test_everything_is_done_when_a_verb_returns() -> None:
    broker, _, delivered = made()
    broker.subscribe(A)
    position = broker.publish(A, b"1", PublishOptions(KEEP, "c1"))
    assert delivered == [Publication(b"1", position, "c1")]


def test_an_entry_of_many_is_another_object_exactly_when_something_in_it_changes() -> None:
    broker, _, _ = made()

    def shown() -> PresenceEntry:
        return broker.present(A)[0]

    broker.enter(A, "ann", "1", {"n": 1})
    for number in range(10):
        broker.enter(A, f"other-{number}", f"o{number}", {})
    seen = [shown()]
    broker.enter(A, "ann", "1", {"n": 1})
    assert shown() is seen[0]
    changes: tuple[Callable[[], None], ...] = (
        lambda: broker.enter(A, "ann", "1", {"n": 2}),
        lambda: broker.enter(A, "ann", "2", {"n": 2}),
        lambda: broker.linger(A, "ann", "2"),
        lambda: broker.enter(A, "ann", "2", {"n": 2}),
        lambda: broker.leave(A, "ann", "2"),
    )
    for change in changes:
        change()
        seen.append(shown())
        assert broker.entry(A, "ann") == shown()
    assert all(one is not other for one, other in itertools.pairwise(seen))
    assert [one.connections for one in seen] == [1, 1, 2, 1, 2, 1]


def test_an_entry_of_few_is_made_for_each_that_asks() -> None:
    broker, _, _ = made()
    broker.enter(A, "ann", "1", {})
    (one,), (other,) = broker.present(A), broker.present(A)
    assert one == other
    assert one is not other


def test_reading_leaves_nothing_behind() -> None:
    broker, _, _ = made()
    broker.since(A, None, KEEP)
    broker.before(A, None, 5, KEEP)
    broker.linger(A, "ann", "c1")
    broker.leave(A, "ann", "c1")
    nothing = HistoryStatistics(histories=0, bytes=0, leftovers=0, dropped=0)
    assert broker.statistics() == MemoryStatistics(subscriptions=0, presences=0, kept=nothing)


def test_a_presence_vanishes_with_its_last_user() -> None:
    broker, _, _ = made()
    broker.enter(A, "ann", "c1", {})
    assert broker.statistics().presences == 1
    broker.leave(A, "ann", "c1")
    assert broker.statistics().presences == 0


async def test_closing_forgets_everything() -> None:
    broker, _, delivered = made()
    broker.subscribe(A)
    broker.publish(A, b"1", PublishOptions(KEEP))
    broker.enter(A, "ann", "c1", {})
    delivered.clear()
    await broker.aclose()
    broker.publish(A, b"2")
    assert delivered == []
    assert broker.present(A) == []


class Histories(RuleBasedStateMachine):
    """Streams, expiry, leftovers and the floor against a list of all frames that ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.broker, self.clock, self.delivered = made()
        self.kept: dict[Topic, list[tuple[float, HistoryEntry]]] = {topic: [] for topic in TOPICS}
        self.seen: dict[Topic, list[Position]] = {topic: [] for topic in TOPICS}
        self.subscribed: set[Topic] = set()
        self.before_limit = histories.LEFTOVERS
        histories.LEFTOVERS = 2

    def teardown(self) -> None:
        histories.LEFTOVERS = self.before_limit

    @rule(topic=st.sampled_from(TOPICS), count=st.integers(1, 5))
    def publish(self, topic: Topic, count: int) -> None:
        for _ in range(count):
            payload = b"%d" % len(self.kept[topic])
            position = self.broker.publish(topic, payload, PublishOptions(KEEP))
            assert position is not None
            assert all(position.offset > kept.position.offset for _, kept in self.kept[topic])
            self.kept[topic].append((self.clock.now, HistoryEntry(position, payload)))
            if topic in self.subscribed:
                assert self.delivered[-1] == Publication(payload, position)

    @rule(topic=st.sampled_from(TOPICS))
    def toggle(self, topic: Topic) -> None:
        if topic in self.subscribed:
            self.broker.unsubscribe(topic)
        else:
            self.broker.subscribe(topic)
        self.subscribed ^= {topic}

    @rule(seconds=st.sampled_from([0.1, 4.0, 10.0, 25.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(topic=st.sampled_from(TOPICS))
    def connect(self, topic: Topic) -> None:
        self.seen[topic].append(self.broker.since(topic, None, KEEP).top)

    @rule(topic=st.sampled_from(TOPICS), which=st.integers(0, 30))
    def recover(self, topic: Topic, which: int) -> None:
        known = self.seen[topic] + [kept.position for _, kept in self.kept[topic]]
        if not known:
            return
        position = known[which % len(known)]
        page = self.broker.since(topic, position, KEEP)
        missed = [k for _, k in self.kept[topic] if k.position.offset > position.offset]
        if page.recovered:
            assert list(page.frames) == missed
        else:
            assert not page.frames
            alive = self.alive(topic)
            assert missed != alive[len(alive) - len(missed) :] or not missed

    @rule(topic=st.sampled_from(TOPICS), limit=st.integers(1, 4))
    def page(self, topic: Topic, limit: int) -> None:
        alive = self.alive(topic)
        page = self.broker.before(topic, None, limit, KEEP)
        assert list(page.frames) == alive[-limit:]
        assert page.more == (len(alive) > limit)

    @invariant()
    def leftovers_are_bounded(self) -> None:
        assert self.broker.statistics().kept.leftovers <= 2

    def alive(self, topic: Topic) -> list[HistoryEntry]:
        ages = ((self.clock.now - at, kept) for at, kept in self.kept[topic])
        return [kept for age, kept in ages if age < KEEP.ttl - 1e-9][-KEEP.size :]


class Presences(RuleBasedStateMachine):
    """Who is where against a list of (user, connection, lives)."""

    users = st.sampled_from(["ann", "bob"])
    connections = st.sampled_from(["1", "2", "3"])
    topics = st.sampled_from(TOPICS[:2])

    def __init__(self) -> None:
        super().__init__()
        self.broker, _, _ = made()
        self.model: dict[tuple[Topic, str, str], bool] = {}
        self.order: dict[Topic, dict[str, Any]] = {topic: {} for topic in TOPICS}

    def there(self, topic: Topic, user: str) -> list[bool]:
        return [lives for (t, u, _), lives in self.model.items() if (t, u) == (topic, user)]

    @rule(topic=topics, user=users, connection=connections, number=st.integers(0, 3))
    def enter(self, topic: Topic, user: str, connection: str, number: int) -> None:
        first = not self.there(topic, user)
        told: list[Position] = []
        self.broker.enter(topic, user, connection, {"n": number}, told.append)
        assert bool(told) == first
        self.model[topic, user, connection] = True
        self.order[topic][user] = {"n": number}

    @rule(topic=topics, user=users, connection=connections)
    def linger(self, topic: Topic, user: str, connection: str) -> None:
        self.broker.linger(topic, user, connection)
        if (topic, user, connection) in self.model:
            self.model[topic, user, connection] = False

    @rule(topic=topics, user=users, connection=connections)
    def leave(self, topic: Topic, user: str, connection: str) -> None:
        known = self.model.pop((topic, user, connection), None) is not None
        last = known and not self.there(topic, user)
        told: list[Position] = []
        self.broker.leave(topic, user, connection, told.append)
        assert bool(told) == last
        if last:
            del self.order[topic][user]

    @invariant()
    def all_are_listed(self) -> None:
        for topic in TOPICS:
            listed = [(p.user, p.info, p.connections) for p in self.broker.present(topic)]
            assert listed == [
                (user, info, sum(self.there(topic, user)))
                for user, info in self.order[topic].items()
            ]


Histories.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
Presences.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestHistories = Histories.TestCase
TestPresences = Presences.TestCase
