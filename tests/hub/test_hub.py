"""Members, deliveries and histories of a hub, against a simple model."""

import json
from collections.abc import Collection

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channeld.broker.broker import History, Position, PresenceCount, Publication
from channeld.broker.once import AlreadyTaken, Once
from channeld.broker.publish_options import NO_OPTIONS, Conflated, PublishOptions
from channeld.hub.fanout import DirectFanout, Recipient
from channeld.hub.hub import KeptElsewhere, with_position
from channeld.later import Pending, resolved, run_sync
from channeld.protocol.names import EVERYONE, Topic
from tests.hub.kit import CHANNEL, FakeMember, Kit, RecordingPeer, presence, room

KEEP = History(size=3, ttl=60)


def test_publication_reaches_members_of_its_topic_but_not_the_one_to_skip() -> None:
    kit = Kit()
    ann, bob, eve = (kit.attach(c, None) for c in "abe")
    for member in (ann, bob):
        run_sync(kit.hub.join(member, room("x")))
    kit.hub.publish(room("x"), b'{"type":"hi"}', PublishOptions(skip="a"))
    assert [m.peer.frames for m in (ann, bob, eve)] == [[], [{"type": "hi"}], []]
    # The frame to its sender's room was put into one outbox, not two.
    assert kit.hub.statistics().deliveries == 1


def test_attached_member_hears_channel_user_and_everyone() -> None:
    kit = Kit()
    ann = kit.attach("a", "ann")
    for topic in (EVERYONE, room("x")._replace(kind="channel", name="")):
        kit.hub.publish(topic, b'{"type":"hi"}')
    kit.hub.publish(room("ann")._replace(kind="user"), b'{"type":"hi"}')
    assert len(ann.peer.frames) == 3


def test_dropped_member_hears_nothing_and_nothing_of_it_is_left() -> None:
    kit = Kit()
    ann = kit.attach("a", "ann")
    run_sync(kit.hub.join(ann, room("x")))
    run_sync(kit.hub.drop(ann, CHANNEL, None))
    run_sync(kit.hub.drop(ann, CHANNEL, None))
    kit.hub.publish(EVERYONE, b'{"type":"hi"}')
    assert ann.peer.frames == []
    statistics = kit.hub.statistics()
    assert (statistics.connections, statistics.rooms, kit.hub.topics(CHANNEL)) == (0, 0, [])


def test_who_watches_gets_the_frames_and_is_counted_nowhere() -> None:
    kit = Kit()
    watcher, other = RecordingPeer(), RecordingPeer()
    for one in (watcher, other):
        run_sync(kit.hub.watch(room("x"), one))
    kit.hub.unwatch(room("x"), other)
    kit.hub.publish(room("x"), b'{"type":"hi"}')
    assert (len(watcher.frames), other.frames) == (1, [])
    assert (kit.hub.topics(CHANNEL), list(kit.hub.members(room("x")))) == ([], [])
    kit.hub.unwatch(room("x"), watcher)
    kit.hub.unwatch(room("x"), watcher)
    kit.hub.publish(room("x"), b'{"type":"hi"}')
    assert (len(watcher.frames), kit.hub.statistics().rooms) == (1, 0)


def test_who_watches_keeps_a_room_that_its_members_leave() -> None:
    kit, watcher = Kit(), RecordingPeer()
    ann = kit.attach("a", None)
    run_sync(kit.hub.join(ann, room("x")))
    run_sync(kit.hub.watch(room("x"), watcher))
    run_sync(kit.hub.leave(ann, room("x"), None))
    kit.hub.publish(room("x"), b'{"type":"hi"}')
    assert (watcher.frames, ann.peer.frames) == ([{"type": "hi"}], [])


def test_dropped_member_is_in_no_room_and_in_no_presence() -> None:
    kit = Kit()
    ann = kit.attach("a", "ann")
    run_sync(kit.hub.join(ann, room("x")))
    run_sync(kit.hub.drop(ann, CHANNEL, None))
    assert ann.rooms == {}
    ann.add_room(room("x"))
    run_sync(kit.hub.enter_presence(ann, room("x"), {}))
    assert kit.hub.broker.count(room("x")) == PresenceCount(0, 0)


class TurnFanout:
    """Sends when it is settled, to those who are in a collection by then, as the server's does."""

    def __init__(self) -> None:
        # Not inherited from: it may be compiled.
        self.direct = DirectFanout()
        self.begin, self.end, self.at_end = self.direct.begin, self.direct.end, self.direct.at_end
        self.pending: list[tuple[Collection[Recipient], bytes]] = []

    def publish(
        self, recipients: Collection[Recipient], frame: bytes, skip: Recipient | None = None
    ) -> None:
        self.pending.append((recipients, frame))

    def settle(self) -> None:
        pending, self.pending = self.pending, []
        for recipients, frame in pending:
            self.direct.publish(recipients, frame)


def test_who_comes_or_goes_within_a_turn_changes_nothing_for_frames_before() -> None:
    kit = Kit()
    kit.hub._fanout = fanout = TurnFanout()
    ann, bob, cat, eve = (kit.attach(c, None) for c in "abce")
    for member in (ann, bob, cat):
        run_sync(kit.hub.join(member, room("x")))

    def told(member: FakeMember) -> list[str]:
        frames = member.peer.take()
        return [frame["type"] for frame in frames]

    kit.hub.publish(room("x"), b'{"type":"join"}')
    run_sync(kit.hub.join(eve, room("x")))
    assert [told(member) for member in (ann, eve)] == [["join"], []]
    kit.hub.publish(room("x"), b'{"type":"leave"}')
    run_sync(kit.hub.leave(cat, room("x"), None))
    assert told(cat) == ["join", "leave"]
    kit.hub.publish(room("x"), b'{"type":"again"}')
    catching = run_sync(kit.hub.join_with_history(bob, room("x"), KEEP, None))
    assert told(bob) == ["join", "leave", "again"]
    kit.hub.publish(room("x"), b'{"type":"level"}')
    catching.release()
    fanout.settle()
    assert told(bob) == ["level"]


def test_size_is_the_number_of_members_here() -> None:
    kit = Kit()
    run_sync(kit.hub.join(kit.attach("a", None), room("x")))
    assert [kit.hub.size(room(name)) for name in "xy"] == [1, 0]


def test_member_is_counted_in_rooms_that_it_is_in_and_on_its_channel() -> None:
    kit = Kit()
    ann, channel = kit.attach("a", "ann"), room("")._replace(kind="channel")
    for topic in (room("x"), channel):
        run_sync(kit.hub.enter_presence(ann, topic, {}))
    counts = [kit.hub.broker.count(topic) for topic in (room("x"), channel)]
    assert counts == [PresenceCount(0, 0), PresenceCount(1, 1)]


def test_frame_that_is_held_goes_out_when_its_sender_leaves() -> None:
    kit = Kit()
    ann, bob = kit.attach("a", None), kit.attach("b", None)
    for member in (ann, bob):
        run_sync(kit.hub.join(member, room("x")))
    for number in (b"1", b"2"):
        kit.hub.publish_newest(room("x"), b'{"n":%s}' % number, Conflated("at", 5), NO_OPTIONS, "a")
    assert bob.peer.take() == [{"n": 1}]
    run_sync(kit.hub.leave(ann, room("x"), None))
    assert bob.peer.take() == [{"n": 2}]


@pytest.mark.parametrize("is_free", [True, False])
async def test_frame_that_is_held_takes_its_key_from_a_broker_that_waits(
    is_free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = Kit()

    async def take(_once: Once) -> bool:
        return is_free

    monkeypatch.setattr(kit.hub.broker, "take", take)
    once, slot = Once("a", "key", 60), Conflated("at", 5)
    kit.hub.publish_newest(room("x"), b"{}", slot, NO_OPTIONS, "a")
    held = kit.hub.publish_newest(room("x"), b"{}", slot, PublishOptions(once=once), "a")
    if is_free:
        assert await Pending(resolved(held)) is True
    else:
        with pytest.raises(AlreadyTaken):
            await Pending(resolved(held))


def numbers(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What the broker is told of which channels have a history."""
    told: list[tuple[str, bool]] = []
    monkeypatch.setattr(kit.hub.broker, "number", lambda *said: told.append(said))
    return told


def test_broker_is_told_which_channels_have_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    kit = Kit()
    told = numbers(kit, monkeypatch)
    kit.hub.keep_histories(["here"])
    assert told == [("here", True)]
    there = KeptElsewhere(KEEP, is_only_there=True)
    kit.hub.keep_as_elsewhere({("room", "there"): there, ("user", "nowhere"): there})
    assert told == [("here", True), ("here", True), ("there", True)]


def test_first_frame_without_a_history_ends_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kit = Kit()
    told = numbers(kit, monkeypatch)
    for _ in range(2):
        kit.hub.publish(room("x"), b"{}")
    assert told == [(CHANNEL, False)]


def test_member_gets_what_another_plan_keeps() -> None:
    kit = Kit()
    kit.hub.keep_as_elsewhere({("room", CHANNEL): KeptElsewhere(KEEP, is_only_there=False)})
    few = History(size=1, ttl=60)
    for _ in range(3):
        kit.hub.publish(room("x"), b"{}", PublishOptions(few))
    ann = kit.attach("a", None)
    since = Position("e" * 11, 0)
    catching = run_sync(kit.hub.join_with_history(ann, room("x"), few, since))
    assert [entry.position.offset for entry in catching.page.frames] == [1, 2, 3]


@pytest.mark.parametrize("is_only_there", [True, False])
def test_the_largest_history_of_any_plan_is_kept(is_only_there: bool) -> None:
    kit = Kit()
    few = History(size=1, ttl=90)
    assert kit.hub.kept(room("x"), None) is None
    assert not kit.hub.is_numbered(room("x"), None)
    kit.hub.keep_as_elsewhere({("room", CHANNEL): KeptElsewhere(KEEP, is_only_there)})
    assert kit.hub.kept(room("x"), few) == History(size=3, ttl=90)
    assert kit.hub.kept(room("x"), None) == (KEEP if is_only_there else None)
    other = room("x")._replace(channel="other")
    numbered = [kit.hub.is_numbered(topic, None) for topic in (room("x"), other)]
    assert numbered == [is_only_there, False]
    assert kit.hub.is_numbered(other, few)


def test_key_is_taken_with_the_frame_whether_or_not_it_is_held() -> None:
    kit = Kit()
    ann = kit.attach("a", None)
    run_sync(kit.hub.join(ann, room("x")))
    slot = Conflated("at", 5)

    def publish(key: str, number: int) -> object:
        options = PublishOptions(once=Once("a", key, 60))
        return kit.hub.publish_newest(room("x"), b'{"n":%d}' % number, slot, options, "b")

    assert publish("first", 1) is False
    assert publish("second", 2) is True
    # What is repeated does not replace the frame that is held.
    with pytest.raises(AlreadyTaken):
        publish("first", 3)
    kit.advance(5)
    assert [frame["n"] for frame in ann.peer.take()] == [1, 2]


def test_cleared_keys_are_forgotten_by_everyone_who_holds_frames() -> None:
    kit = Kit()
    forgotten: list[tuple[Topic, str]] = []

    class Holder:
        def forget(self, topic: Topic, key: str) -> None:
            forgotten.append((topic, key))

    kit.hub.holders.add(Holder())
    kit.hub.clear(room("x"), ["k"])
    # A frame of another node that cleared a key.
    run_sync(kit.hub.join(kit.attach("a", None), room("x")))
    kit.hub.deliver(room("x"), Publication(b"{}", clears=("other",)))
    assert forgotten == [(room("x"), "k"), (room("x"), "other")]
    assert kit.hub.statistics().publications == 1


def test_frame_of_the_servers_own_reaches_everyone_but_several_connections() -> None:
    kit = Kit()
    ann, bob, eve, watcher = *(kit.attach(c, None) for c in "abe"), RecordingPeer()
    for member in (ann, bob):
        run_sync(kit.hub.join(member, room("x")))
    catching = run_sync(kit.hub.join_with_history(eve, room("x"), KEEP, None))
    run_sync(kit.hub.watch(room("x"), watcher))
    kit.hub.tell(room("x"), b'{"type":"hi"}', "a", "b")
    catching.release()
    frames = [peer.frames for peer in (ann.peer, bob.peer, eve.peer, watcher)]
    assert frames == [[], [], [{"type": "hi"}], [{"type": "hi"}]]


def test_position_is_added_to_the_json() -> None:
    frame = json.loads(with_position(b'{"type":"x"}', Position("e", 10)))
    assert frame == {"type": "x", "pos": "e-000000000a"}


class HubAgainstModel(RuleBasedStateMachine):
    """Joins, leaves, drops, messages, reconnects and time, compared with dicts of sets and lists."""

    def __init__(self) -> None:
        super().__init__()
        self.kit = Kit()
        self.plan = presence(grace=5.0)
        self.members: dict[str, FakeMember] = {}
        self.rooms: dict[str, set[str]] = {}
        self.kept: dict[str, list[tuple[float, int, str]]] = {}
        self.heard: dict[str, list[int]] = {}
        self.due: dict[str, list[int]] = {}
        self.lingering: dict[tuple[str, str], float] = {}
        self.count = 0

    @rule(user=st.sampled_from(["ann", "bob"]))
    def connect(self, user: str) -> None:
        id = f"c{len(self.heard)}"
        self.members[id] = self.kit.attach(id, user)
        self.heard[id], self.due[id] = [], []

    @rule(data=st.data(), name=st.sampled_from("xy"), since=st.booleans())
    def join(self, data: st.DataObject, name: str, since: bool) -> None:
        if not self.members:
            return
        id = data.draw(st.sampled_from(sorted(self.members)))
        member = self.members[id]
        if name in member.rooms:
            return
        log = self.kept.get(name, [])
        position = Position("e" * 11, max(0, len(log) - 2)) if since else None
        catching = run_sync(self.kit.hub.join_with_history(member, room(name), KEEP, position))
        if position is not None:
            live = [(n, text) for at, n, text in log[-3:] if at + KEEP.ttl > self.kit.clock.now]
            missed = [n for n, _ in live if n > position.offset]
            complete = len(missed) == len(log) - position.offset
            assert catching.page.recovered == complete
            assert [k.position.offset for k in catching.page.frames] == (missed if complete else [])
        catching.release()
        self.rooms.setdefault(name, set()).add(id)
        self.lingering.pop((name, member.user_id or ""), None)
        run_sync(self.kit.hub.enter_presence(member, room(name), {}))

    @rule(data=st.data(), name=st.sampled_from("xy"))
    def leave(self, data: st.DataObject, name: str) -> None:
        inside = sorted(self.rooms.get(name, ()))
        if inside:
            id = data.draw(st.sampled_from(inside))
            self._out(id, name)
            run_sync(self.kit.hub.leave(self.members[id], room(name), self.plan))

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if self.members:
            id = data.draw(st.sampled_from(sorted(self.members)))
            for name in list(self.rooms):
                if id in self.rooms[name]:
                    self._out(id, name)
            run_sync(self.kit.hub.drop(self.members.pop(id), CHANNEL, self.plan))

    def _out(self, id: str, name: str) -> None:
        user = self.members[id].user_id or ""
        self.rooms[name].discard(id)
        if user not in self._users(name):
            self.lingering[name, user] = self.kit.clock.now + self.plan.grace

    @rule(name=st.sampled_from("xy"))
    def say(self, name: str) -> None:
        self.count += 1
        payload = json.dumps({"type": "say", "n": self.count}).encode()
        position = self.kit.hub.publish(room(name), payload, PublishOptions(KEEP))
        log = self.kept.setdefault(name, [])
        assert isinstance(position, Position)
        assert position.offset == len(log) + 1
        log.append((self.kit.clock.now, position.offset, name))
        for id in self.rooms.get(name, ()):
            self.due[id].append(self.count)

    @rule(seconds=st.sampled_from([1.0, 4.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.kit.advance(seconds)
        now = self.kit.clock.now
        self.lingering = {key: end for key, end in self.lingering.items() if end > now}

    def _users(self, name: str) -> set[str]:
        return {self.members[id].user_id or "" for id in self.rooms.get(name, ())}

    @invariant()
    def everyone_heard_what_was_due_in_order_and_once(self) -> None:
        for id, member in self.members.items():
            self.heard[id] += [f["n"] for f in member.peer.take() if f["type"] == "say"]
            assert self.heard[id] == self.due[id]

    @invariant()
    def presence_is_the_users_inside_and_those_in_grace(self) -> None:
        for name in "xy":
            state = json.loads(run_sync(self.kit.hub.presence.state(room(name))))
            assert state["users"] == run_sync(self.kit.hub.presence.users(room(name)))
            connections = {u["user"]: u["connections"] for u in state["users"]}
            ghosts = {user for (at, user) in self.lingering if at == name}
            assert set(connections) == self._users(name) | ghosts
            inside = [self.members[id].user_id for id in self.rooms.get(name, ())]
            assert all(n == inside.count(user) for user, n in connections.items())


TestHubAgainstModel = HubAgainstModel.TestCase
TestHubAgainstModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
