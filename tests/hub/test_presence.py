"""Joins and leaves as others are told of them: grace, batches, anonymous connections."""

from channeld.later import run_sync
from channeld.plan.plan import PresencePlan
from tests.hub.kit import CHANNEL, FakeMember, Kit, presence, room


def enter(kit: Kit, plan: PresencePlan, connection: str, user: str | None) -> FakeMember:
    member = kit.attach(connection, user)
    run_sync(kit.hub.join(member, room("x")))
    run_sync(kit.hub.enter_presence(member, room("x"), plan, {"of": connection}))
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
    assert [u["user"] for u in run_sync(kit.hub.presence.state(room("x")))["users"]] == ["ann"]


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
    users = run_sync(kit.hub.presence.state(room("x")))["users"]
    assert [(u["user"], u["connections"]) for u in users] == [("ann", 1), ("bob", 0)]


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
    assert run_sync(kit.hub.presence.state(room("x")))["users"] == []


def test_same_connection_may_leave_and_come_back_within_grace() -> None:
    kit, plan = Kit(), presence(grace=5)
    bob = enter(kit, plan, "b", "bob")
    run_sync(kit.hub.leave(bob, room("x"), plan))
    run_sync(kit.hub.join(bob, room("x")))
    run_sync(kit.hub.enter_presence(bob, room("x"), plan, {}))
    kit.advance(10)
    users = run_sync(kit.hub.presence.state(room("x")))["users"]
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
    users = run_sync(kit.hub.presence.state(room("x")))["users"]
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
