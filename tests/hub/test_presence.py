"""Joins and leaves as others are told of them: grace, batches, anonymous connections."""

import pytest

from channeld.broker.broker import PresenceMissed
from channeld.later import run_sync
from channeld.plan.plan import PresencePlan
from tests.hub.kit import CHANNEL, FakeMember, Kit, presence, room


def enter(kit: Kit, plan: PresencePlan, connection: str, user: str | None) -> FakeMember:
    kit.hub.presence.plan_of = lambda _channel: plan
    member = kit.attach(connection, user)
    run_sync(kit.hub.join(member, room("x")))
    run_sync(kit.hub.enter_presence(member, room("x"), {"of": connection}))
    return member


def test_join_is_told_to_the_others_only() -> None:
    kit, plan = Kit(), presence()
    ann = enter(kit, plan, "a", "ann")
    bob = enter(kit, plan, "b", "bob")
    join = {"type": "presence", "room": "x", "event": "join", "user": "bob", "info": {"of": "b"}}
    assert (ann.peer.frames, bob.peer.frames) == ([join], [])


def test_without_events_nobody_is_told_but_the_state_is_there() -> None:
    kit, plan = Kit(), presence(events=False, grace=0)
    ann = enter(kit, plan, "a", "ann")
    bob = enter(kit, plan, "b", "bob")
    run_sync(kit.hub.drop(bob, CHANNEL, plan))
    assert ann.peer.frames == []
    assert [u["user"] for u in run_sync(kit.hub.presence.users(room("x")))] == ["ann"]


def test_without_grace_the_leave_is_told_at_once() -> None:
    kit, plan = Kit(), presence(grace=0)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    ann.peer.take()
    run_sync(kit.hub.drop(bob, CHANNEL, plan))
    assert ann.peer.take() == [{"type": "presence", "room": "x", "event": "leave", "user": "bob"}]


def test_lingering_user_is_there_with_no_connection() -> None:
    kit, plan = Kit(), presence(grace=5)
    enter(kit, plan, "a", "ann")
    bob = enter(kit, plan, "b", "bob")
    run_sync(kit.hub.drop(bob, CHANNEL, plan))
    users = run_sync(kit.hub.presence.users(room("x")))
    assert [(u["user"], u["connections"]) for u in users] == [("ann", 1), ("bob", 0)]


@pytest.mark.parametrize(("grace", "time"), [(0.0, 10.15), (5.0, 10.15), (30.0, 30.15)])
def test_who_was_sent_away_counts_as_there_for_a_while(grace: float, time: float) -> None:
    kit, plan = Kit(), presence(grace=grace)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    ann.peer.take()
    run_sync(kit.hub.drop(bob, CHANNEL, plan, 0.15))
    kit.advance(time - 0.01)
    assert ann.peer.take() == []
    kit.advance(0.01)
    assert [frame["event"] for frame in ann.peer.take()] == ["leave"]


def test_who_was_sent_away_and_comes_back_has_neither_left_nor_joined() -> None:
    kit, plan = Kit(), presence(grace=0)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    ann.peer.take()
    run_sync(kit.hub.drop(bob, CHANNEL, plan, 0.15))
    enter(kit, plan, "b2", "bob")
    kit.advance(60)
    # The new connection's info is another one.
    assert [frame["event"] for frame in ann.peer.take()] == ["update"]


def test_anonymous_connections_are_counted_and_never_told() -> None:
    kit, plan = Kit(), presence(grace=0)
    ann, nobody = enter(kit, plan, "a", "ann"), enter(kit, plan, "n", None)
    count = run_sync(kit.hub.presence.count(room("x")))
    assert (count["users"], count["connections"]) == (1, 2)
    run_sync(kit.hub.drop(nobody, CHANNEL, plan))
    assert ann.peer.frames == []


def test_who_comes_and_goes_within_a_batch_is_not_mentioned() -> None:
    kit, plan = Kit(), presence(grace=0, batch=1)
    ann = enter(kit, plan, "a", "ann")
    kit.advance(1)
    ann.peer.take()
    run_sync(kit.hub.drop(enter(kit, plan, "b", "bob"), CHANNEL, plan))
    kit.advance(1)
    assert ann.peer.take() == []


def test_presence_that_a_reload_switched_off_is_still_left() -> None:
    kit = Kit()
    bob = enter(kit, presence(), "b", "bob")
    run_sync(kit.hub.drop(bob, CHANNEL, None))
    assert run_sync(kit.hub.presence.users(room("x"))) == []


def test_same_connection_may_leave_and_come_back_within_grace() -> None:
    kit, plan = Kit(), presence(grace=5)
    bob = enter(kit, plan, "b", "bob")
    run_sync(kit.hub.leave(bob, room("x"), plan))
    run_sync(kit.hub.join(bob, room("x")))
    run_sync(kit.hub.enter_presence(bob, room("x"), {}))
    kit.advance(10)
    users = run_sync(kit.hub.presence.users(room("x")))
    assert [(u["user"], u["connections"]) for u in users] == [("bob", 1)]


def test_a_grace_that_ended_with_a_return_does_not_cut_the_next_one_short() -> None:
    kit, plan = Kit(), presence(grace=5)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    run_sync(kit.hub.drop(bob, CHANNEL, plan))
    kit.advance(3)
    again = enter(kit, plan, "c", "bob")
    kit.advance(1)
    run_sync(kit.hub.drop(again, CHANNEL, plan))
    ann.peer.take()
    kit.advance(4.9)
    assert ann.peer.take() == []
    kit.advance(0.1)
    assert [frame["event"] for frame in ann.peer.take()] == ["leave"]
    users = run_sync(kit.hub.presence.users(room("x")))
    assert [one["user"] for one in users] == ["ann"]


def test_a_batch_is_told_when_its_time_is_over_and_not_before() -> None:
    kit, plan = Kit(), presence(grace=0, batch=2)
    ann = enter(kit, plan, "a", "ann")
    kit.advance(2)
    ann.peer.take()
    enter(kit, plan, "b", "bob")
    kit.advance(1.9)
    assert ann.peer.take() == []
    kit.advance(0.1)
    [changes] = ann.peer.take()
    assert [join["user"] for join in changes["joins"]] == ["bob"]


def test_other_info_of_a_user_who_is_there_is_told_as_an_update() -> None:
    kit, plan = Kit(), presence()
    ann, first = enter(kit, plan, "a", "ann"), enter(kit, plan, "b1", "bob")
    ann.peer.take()
    second = enter(kit, plan, "b2", "bob")
    told = {"type": "presence", "room": "x", "event": "update", "user": "bob"}
    assert ann.peer.take() == first.peer.take() == [{**told, "info": {"of": "b2"}}]
    assert second.peer.take() == []
    run_sync(kit.hub.enter_presence(second, room("x"), {"of": "b2"}))
    assert ann.peer.take() == []


def test_an_update_within_a_batch_goes_with_the_join_that_is_not_told_yet() -> None:
    kit, plan = Kit(), presence(batch=1)
    ann = enter(kit, plan, "a", "ann")
    kit.advance(1)
    ann.peer.take()
    enter(kit, plan, "b1", "bob")
    enter(kit, plan, "b2", "bob")
    assert ann.peer.take() == []
    kit.advance(1)
    (frame,) = ann.peer.take()
    assert frame["joins"] == [{"user": "bob", "info": {"of": "b2"}}]
    enter(kit, plan, "b3", "bob")
    assert [f["event"] for f in ann.peer.take()] == ["update"]


def test_who_missed_changes_is_told_the_state_once_within_a_second() -> None:
    kit, plan = Kit(), presence()
    ann = enter(kit, plan, "a", "ann")
    kit.hub.deliver(room("x"), PresenceMissed())
    kit.hub.deliver(room("x"), PresenceMissed())
    kit.hub.deliver(room("nobody"), PresenceMissed())
    enter(kit, plan, "b", "bob")
    kit.advance(1)
    join, state = ann.peer.take()
    assert (join["event"], state["event"]) == ("join", "state")
    assert [user["user"] for user in state["users"]] == ["ann", "bob"]
    kit.advance(5)
    assert ann.peer.take() == []


def test_rooms_that_missed_changes_are_told_at_different_moments() -> None:
    kit, plan = Kit(), presence()
    enter(kit, plan, "a", "ann")
    member = kit.attach("m", "mia")
    for number in range(50):
        run_sync(kit.hub.join(member, room(str(number))))
        kit.hub.deliver(room(str(number)), PresenceMissed())
    told = []
    for _ in range(10):
        kit.advance(0.1)
        told.append(len(member.peer.take()))
    assert sum(told) == 50
    assert max(told) < 20
