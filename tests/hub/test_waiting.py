"""What a hub does while it waits for its broker, and when that is away: nobody is left behind, nobody is left out."""

from collections.abc import Generator

import pytest
import trio
import trio.testing

from channeld.broker.broker import (
    BrokerUnavailable,
    History,
    Position,
    PresenceChange,
    Publication,
    Topic,
)
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis.queue import Answer
from channeld.hub.rooms import Catching
from channeld.later import Pending
from tests.hub.kit import CHANNEL, FakeMember, presence, room
from tests.hub.test_presence import with_state
from tests.hub.waiting import WaitingKit

KEEP = History(size=10, ttl=60)
SAY = b'{"type":"say"}'


@pytest.fixture
def kit(nursery: trio.Nursery) -> WaitingKit:
    return WaitingKit(nursery)


async def rest() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def inside(kit: WaitingKit, connection: str, user: str | None = None) -> FakeMember:
    """A member of x, level with its history."""
    member = await kit.attach(connection, user)
    catching = await Pending(kit.hub.join_with_history(member, room("x"), KEEP, None))
    catching.release()
    return member


def at(offset: int) -> Publication:
    return Publication(SAY, Position("e" * 11, offset))


def types(member: FakeMember) -> list[str]:
    return [frame["type"] for frame in member.peer.take()]


async def test_who_comes_second_waits_for_the_same_subscription(kit: WaitingKit) -> None:
    ann, bob = await kit.attach("a", None), await kit.attach("b", None)
    kit.broker.is_slow = True
    joins = [kit.begin(kit.hub.join(member, room("x"))) for member in (ann, bob)]
    await rest()
    assert joins == [[], []]
    kit.broker.open()
    await rest()
    assert joins == [[None], [None]]


async def test_a_subscription_that_has_been_answered_is_not_asked_for_again(
    kit: WaitingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = Answer[None](), list[Topic]()

    def subscribe(topic: Topic, *, is_numbered: bool = True) -> Answer[None]:
        asked.append(topic)
        return answer

    monkeypatch.setattr(kit.broker.core, "subscribe", subscribe)
    ann, bob = FakeMember("a", None), FakeMember("b", None)
    assert await kit.hub.attach(ann, CHANNEL) == await kit.hub.attach(bob, CHANNEL) == [answer] * 2
    answer.resolve(None)
    assert await kit.hub.attach(FakeMember("c", None), CHANNEL) == []
    assert len(asked) == 2
    for member in (ann, bob):
        await kit.hub.join(member, room("x"))
    # A room without history may get one by a reload, and then has to be asked for as such.
    assert asked[2:] == [room("x")] * 2


async def test_another_one_who_leaves_does_not_end_a_join_that_waits(kit: WaitingKit) -> None:
    ann, bob = await kit.attach("a", None), await kit.attach("b", None)
    kit.broker.is_slow = True
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    await rest()
    kit.begin(kit.hub.join(bob, room("x")))
    await rest()
    await Pending(kit.hub.leave(bob, room("x"), None))
    kit.broker.open()
    await rest()
    [catching] = outcome
    assert isinstance(catching, Catching)
    catching.release()
    kit.hub.publish(room("x"), SAY, PublishOptions(KEEP))
    assert types(ann) == ["say"]


async def test_who_goes_while_it_waits_leaves_nothing_behind(kit: WaitingKit) -> None:
    plan = presence(grace=0)
    ann = await kit.attach("a", "ann")
    kit.broker.is_slow = True
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    await rest()
    kit.broker.is_slow = False
    await Pending(kit.hub.drop(ann, CHANNEL, plan))
    kit.broker.open()
    await rest()
    outcome[0].release()
    await Pending(kit.hub.enter_presence(ann, room("x"), {}))
    assert kit.hub.statistics().rooms == 0
    assert kit.broker.core.statistics().subscriptions == 0
    assert kit.broker.core.present(room("x")) == []


async def test_who_goes_while_its_state_is_asked_for_is_not_counted(kit: WaitingKit) -> None:
    plan = with_state(grace=0)
    kit.hub.presence.plan_of = lambda _channel: plan
    ann = await kit.attach("a", "ann")
    await Pending(kit.hub.join(ann, room("x")))
    kit.broker.is_slow = True
    outcome = kit.begin(kit.hub.enter_presence(ann, room("x"), {}))
    await rest()
    kit.broker.is_slow = False
    await Pending(kit.hub.drop(ann, CHANNEL, plan))
    kit.broker.open()
    await rest()
    assert outcome == [None]
    assert kit.broker.core.present(room("x")) == []


async def test_who_comes_back_and_goes_while_it_is_counted_leaves_after_grace(
    kit: WaitingKit,
) -> None:
    plan = presence(grace=5)
    kit.hub.presence.plan_of = lambda _channel: plan
    first, second = await kit.attach("a", "ann"), await kit.attach("b", "ann")
    for member in (first, second):
        await Pending(kit.hub.join(member, room("x")))
    await Pending(kit.hub.enter_presence(first, room("x"), {}))
    await Pending(kit.hub.drop(first, CHANNEL, plan))
    kit.broker.is_slow = True
    outcome = kit.begin(kit.hub.enter_presence(second, room("x"), {}))
    await rest()
    kit.broker.is_slow = False
    await Pending(kit.hub.drop(second, CHANNEL, plan))
    kit.broker.open()
    await rest()
    assert outcome == [None]
    assert [entry.connections for entry in kit.broker.core.present(room("x"))] == [0]
    kit.clock.now = 6.0
    kit.timers.run(kit.clock.now)
    await rest()
    assert kit.broker.core.present(room("x")) == []


async def test_who_goes_while_it_is_attached_leaves_nothing_behind(kit: WaitingKit) -> None:
    kit.broker.is_slow = True
    ann = FakeMember("a", "ann")
    kit.begin(kit.hub.attach(ann, CHANNEL))
    await rest()
    await Pending(kit.hub.drop(ann, CHANNEL, None))
    kit.broker.open()
    await rest()
    assert kit.broker.core.statistics().subscriptions == 0
    assert not kit.hub.online(CHANNEL, "ann")


async def test_a_join_that_fails_leaves_the_member_out(kit: WaitingKit) -> None:
    ann = await kit.attach("a", None)
    kit.broker.is_away = True
    with pytest.raises(BrokerUnavailable):
        await Pending(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    assert (ann.rooms, kit.hub.topics(CHANNEL)) == ({}, [])


async def test_a_join_asks_for_the_page_and_counts_the_member_in_before_either_is_answered(
    kit: WaitingKit,
) -> None:
    ann = await kit.attach("a", "ann")
    kit.broker.is_slow, kit.broker.slow = True, frozenset({"since", "enter"})
    kit.broker.asked.clear()
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None, {"n": 1}))
    await rest()
    assert (kit.broker.asked, outcome) == (["subscribe", "since", "enter"], [])
    kit.broker.open()
    await rest()
    assert isinstance(outcome[0], Catching)
    assert [one.info for one in kit.broker.core.present(room("x"))] == [{"n": 1}]


@pytest.mark.parametrize("verb", ["since", "enter"])
@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_member_who_gets_the_page_alone_or_is_counted_alone_is_out(
    kit: WaitingKit, verb: str, is_slow: bool
) -> None:
    ann = await kit.attach("a", "ann")
    kit.broker.away_for, kit.broker.is_slow = frozenset({verb}), is_slow
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None, {}))
    await rest()
    kit.broker.open()
    await rest()
    assert isinstance(outcome[0], BrokerUnavailable)
    assert (ann.rooms, kit.hub.topics(CHANNEL)) == ({}, [])
    left = kit.broker.core.present(room("x"))
    # Of what a broker did without answering only that knows; here it is asked for what it said it had done.
    assert left == [] or (verb == "enter" and is_slow)


async def test_a_member_who_is_not_counted_is_not_in_a_room_without_history(
    kit: WaitingKit,
) -> None:
    ann = await kit.attach("a", "ann")
    kit.broker.away_for = frozenset({"enter"})
    with pytest.raises(BrokerUnavailable):
        await Pending(kit.hub.join(ann, room("x"), {}))
    assert (ann.rooms, kit.hub.topics(CHANNEL)) == ({}, [])


async def test_a_wish_to_recover_that_fails_leaves_a_member_as_it_was(kit: WaitingKit) -> None:
    ann = await inside(kit, "a")
    kit.broker.is_slow = True
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, Position("e" * 11, 0)))
    await rest()
    kit.hub.deliver(room("x"), at(1))
    assert types(ann) == []
    kit.broker.away_for = frozenset({"since"})
    kit.broker.open()
    await rest()
    assert isinstance(outcome[0], BrokerUnavailable)
    kit.hub.deliver(room("x"), at(2))
    assert types(ann) == ["say", "say"]


async def test_a_join_whose_time_is_over_is_undone(kit: WaitingKit) -> None:
    ann = await kit.attach("a", None)
    kit.broker.is_slow = True
    with trio.move_on_after(0):
        await Pending(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    assert (ann.rooms, kit.hub.topics(CHANNEL)) == ({}, [])


async def test_two_wishes_of_one_member_do_not_disturb_each_other(kit: WaitingKit) -> None:
    ann = await inside(kit, "a")
    kit.broker.is_slow = True
    first = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    await rest()
    second = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    await rest()
    kit.broker.open()
    await rest()
    first[0].release()
    kit.hub.deliver(room("x"), at(1))
    assert types(ann) == []
    second[0].release()
    assert types(ann) == ["say"]


async def test_presence_that_fails_is_not_counted(kit: WaitingKit) -> None:
    plan = presence(grace=0)
    watcher, ann = await inside(kit, "w", "watcher"), await inside(kit, "a", "ann")
    kit.broker.away_for = frozenset({"enter"})
    with pytest.raises(BrokerUnavailable):
        await Pending(kit.hub.enter_presence(ann, room("x"), {}))
    kit.broker.away_for = frozenset()
    await Pending(kit.hub.leave(ann, room("x"), plan))
    assert types(watcher) == []
    assert kit.hub.presence._here == {}


async def test_a_failed_second_connection_does_not_count_out_the_first(kit: WaitingKit) -> None:
    plan = presence(grace=0)
    first, second = await inside(kit, "1", "ann"), await inside(kit, "2", "ann")
    await Pending(kit.hub.enter_presence(first, room("x"), {}))
    kit.broker.away_for = frozenset({"enter"})
    with pytest.raises(BrokerUnavailable):
        await Pending(kit.hub.enter_presence(second, room("x"), {}))
    await Pending(kit.hub.leave(second, room("x"), plan))
    assert [present.user for present in kit.broker.core.present(room("x"))] == ["ann"]


async def test_who_goes_while_the_broker_is_away_is_forgotten_in_every_room(
    kit: WaitingKit,
) -> None:
    plan = presence(grace=0)
    ann = await kit.attach("a", "ann")
    for name in "xyz":
        await Pending(kit.hub.join(ann, room(name)))
        await Pending(kit.hub.enter_presence(ann, room(name), {}))
    kit.broker.is_away = True
    kit.broker.asked.clear()
    with pytest.raises(BrokerUnavailable):
        await Pending(kit.hub.drop(ann, CHANNEL, plan))
    assert kit.broker.asked == ["leave"] * 3
    assert kit.hub.presence._here == {}
    assert kit.hub.statistics().rooms == 0


@pytest.mark.parametrize("slow", [False, True])
async def test_grace_that_ends_while_the_broker_is_away_is_no_failure(
    kit: WaitingKit, slow: bool
) -> None:
    plan = presence(grace=1)
    ann = await inside(kit, "a", "ann")
    await Pending(kit.hub.enter_presence(ann, room("x"), {}))
    await Pending(kit.hub.drop(ann, CHANNEL, plan))
    kit.broker.is_slow, kit.broker.is_away = slow, not slow
    kit.clock.now += 2
    kit.timers.run(kit.clock.now)
    kit.broker.is_away = True
    kit.broker.open()
    await rest()
    assert len(kit.timers) == 0


# ------------------------------------------------------------------------------------------ what the broker tells


async def test_a_gap_is_told_to_members_with_the_position_to_go_on_from(kit: WaitingKit) -> None:
    ann, bob = await inside(kit, "a"), await kit.attach("b", None)
    kit.hub.tell_gap(room("x"), Position("f" * 11, 7))
    told = {"type": "subscribed", "room": "x", "recovered": False, "pos": "fffffffffff-0000000007"}
    assert (ann.peer.take(), bob.peer.take()) == ([told], [])
    kit.hub.tell_gap(room("x"), None)
    assert ann.peer.take() == [{"type": "subscribed", "room": "x", "recovered": False}]
    kit.hub.tell_gap(room("nobody"), None)


@pytest.mark.parametrize(("top", "told"), [(3, ["say"]), (9, ["subscribed", "say"])])
async def test_who_is_catching_up_is_told_of_a_gap_that_its_page_does_not_reach_over(
    kit: WaitingKit, top: int, told: list[str]
) -> None:
    for _ in range(5):
        kit.hub.publish(room("x"), SAY, PublishOptions(KEEP))
    ann = await kit.attach("a", None)
    kit.broker.is_slow = True
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    await rest()
    kit.hub.deliver(room("x"), at(2))
    kit.hub.tell_gap(room("x"), Position("e" * 11, top))
    kit.broker.open()
    await rest()
    outcome[0].release()
    kit.hub.deliver(room("x"), at(10))
    assert types(ann) == told


async def test_who_has_its_page_but_is_not_level_is_told_of_a_gap(kit: WaitingKit) -> None:
    for _ in range(5):
        kit.hub.publish(room("x"), SAY, PublishOptions(KEEP))
    ann = await kit.attach("a", None)
    kit.broker.is_slow = True
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    await rest()
    kit.broker.open()
    kit.broker.is_slow = True  # for the page, too
    await rest()
    kit.broker.open()
    await rest()
    outcome[0].release()
    kit.hub.tell_gap(room("x"), Position("e" * 11, 4))
    kit.hub.tell_gap(room("x"), Position("e" * 11, 8))
    assert types(ann) == ["subscribed"]


async def test_users_of_a_dead_node_leave_and_come_back_as_the_channel_says(
    kit: WaitingKit,
) -> None:
    ann = await inside(kit, "a", "ann")
    left, came = PresenceChange("leave", "bob", {}), PresenceChange("join", "bob", {"of": "bob"})
    for plan in (presence(), presence(events=False), None):
        kit.hub.presence.plan_of = lambda _channel, plan=plan: plan  # type: ignore[misc]
        for change in (left, came):
            kit.hub.deliver(room("x"), change)
            kit.hub.deliver(room("nobody"), change)
    frames = ann.peer.take()
    assert [(f["event"], f["user"]) for f in frames] == [("leave", "bob"), ("join", "bob")]
    assert frames[1]["info"] == {"of": "bob"}


async def test_a_leave_and_a_return_within_a_batch_are_no_news(kit: WaitingKit) -> None:
    ann = await inside(kit, "a", "ann")
    kit.hub.presence.plan_of = lambda _channel: presence(batch=1.0)
    for change in (
        PresenceChange("leave", "bob", {}),
        PresenceChange("join", "bob", {"n": 2}),
        PresenceChange("leave", "eve", {}),
    ):
        kit.hub.deliver(room("x"), change)
    kit.clock.now += 1
    kit.timers.run(kit.clock.now)
    update, frame = ann.peer.take()
    # What bob is shown with may be another now.
    assert (update["event"], update["user"], update["info"]) == ("update", "bob", {"n": 2})
    assert (frame["joins"], frame["leaves"]) == ([], [{"user": "eve"}])


async def test_what_is_for_nodes_goes_to_the_one_who_asked_for_it(kit: WaitingKit) -> None:
    heard: list[bytes] = []
    topic = Topic("node", "", "n")
    kit.hub.on_control = heard.append
    kit.broker.core.subscribe(topic)
    kit.hub.publish(topic, b"hello")
    assert heard == [b"hello"]


class _Kept:
    """A promise that is never awaited here."""

    done = False

    def then(self, _call: object) -> None:
        raise AssertionError("nobody waits for it")

    def __await__(self) -> Generator[object, object, object]:
        raise AssertionError("nobody waits for it")


async def test_attaching_returns_the_promises_to_hear_other_nodes(
    kit: WaitingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    promises: list[object] = [_Kept(), None, _Kept()]
    left = list(promises)
    monkeypatch.setattr(kit.broker.core, "subscribe", lambda _topic, **_options: left.pop(0))
    ann = FakeMember("a", "ann")
    heard: list[object] = [*await Pending(kit.hub.attach(ann, CHANNEL))]
    assert heard == [promises[0], promises[2]]


async def test_who_leaves_while_its_join_fails_is_out(kit: WaitingKit) -> None:
    ann = await kit.attach("a", "ann")
    kit.broker.is_slow, kit.broker.slow = True, frozenset({"since"})
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    await rest()
    await Pending(kit.hub.leave(ann, room("x"), None))
    kit.broker.is_away = True
    kit.broker.open()
    await rest()
    assert [type(one) for one in outcome] == [BrokerUnavailable]
    assert (ann.rooms, kit.hub.topics(CHANNEL)) == ({}, [])


async def test_a_join_that_fails_ends_the_presence_that_it_began(kit: WaitingKit) -> None:
    ann = await kit.attach("a", "ann")
    kit.broker.is_slow, kit.broker.slow = True, frozenset({"since"})
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None, {}))
    await rest()
    assert [one.user for one in kit.broker.core.present(room("x"))] == ["ann"]
    kit.broker.away_for = frozenset({"since"})
    kit.broker.open()
    await rest()
    assert [type(one) for one in outcome] == [BrokerUnavailable]
    assert kit.broker.core.present(room("x")) == []


async def test_who_has_its_page_gets_what_is_later_once(kit: WaitingKit) -> None:
    ann, bob = await kit.attach("a", None), await kit.attach("b", None)
    for _ in range(2):
        kit.hub.publish(room("x"), SAY, PublishOptions(KEEP))
    kit.broker.is_slow, kit.broker.slow = True, frozenset({"since"})
    joins = [kit.begin(kit.hub.join_with_history(m, room("x"), KEEP, None)) for m in (ann, bob)]
    await rest()
    kit.broker.open()
    await rest()
    [[first], [second]] = joins
    first.release()
    for delivered in (at(2), Publication(b'{"type":"note"}'), at(1)):
        kit.hub.deliver(room("x"), delivered)
    assert types(ann) == ["note"]
    # From the first frame after the page on, it is a member like any other.
    for delivered in (at(3), at(2), at(4)):
        kit.hub.deliver(room("x"), delivered)
    assert types(ann) == ["say"] * 3
    second.release()
    assert types(bob) == ["note", "say", "say"]


async def test_after_a_gap_a_member_with_its_page_is_one_like_any_other(kit: WaitingKit) -> None:
    ann = await kit.attach("a", None)
    kit.hub.publish(room("x"), SAY, PublishOptions(KEEP))
    kit.broker.is_slow, kit.broker.slow = True, frozenset({"since"})
    joins = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    await rest()
    kit.broker.open()
    await rest()
    joins[0].release()
    kit.hub.tell_gap(room("x"), Position("e" * 11, 5))
    kit.hub.deliver(room("x"), at(1))
    assert types(ann) == ["subscribed", "say"]


async def test_a_join_that_fails_late_leaves_a_later_one_alone(kit: WaitingKit) -> None:
    ann = await kit.attach("a", None)
    kit.broker.is_slow, kit.broker.slow = True, frozenset({"since"})
    outcome = kit.begin(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    await rest()
    await Pending(kit.hub.leave(ann, room("x"), None))
    kit.broker.is_slow = False
    catching = await Pending(kit.hub.join_with_history(ann, room("x"), KEEP, None))
    kit.broker.away_for = frozenset({"since"})
    kit.broker.open()
    await rest()
    assert [type(one) for one in outcome] == [BrokerUnavailable]
    catching.release()
    kit.hub.publish(room("x"), SAY)
    assert types(ann) == ["say"]
