"""Joins and leaves as others are told of them: grace, batches, anonymous connections."""

from collections.abc import Awaitable
from typing import Any

import attrs
import pytest
import trio

from channeld.broker.broker import BrokerUnavailable, Position, PresenceMissed
from channeld.hub.presence import Presence
from channeld.hub.shown import Shown
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
    left = {"type": "presence", "room": "x", "event": "leave", "user": "bob", "info": {"of": "b"}}
    assert ann.peer.take() == [left]


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


def test_who_comes_within_a_batch_is_told_what_came_after() -> None:
    kit, plan = Kit(), presence(grace=0, batch=1)
    members = [enter(kit, plan, user[0], user) for user in ("ann", "bob", "cid")]
    again = enter(kit, plan, "b2", "bob")
    kit.advance(1)
    told = [[[join["user"] for join in frame["joins"]] for frame in m.peer.take()] for m in members]
    # The second connection of bob's has other info.
    assert told == [[["bob", "cid"]], [["bob", "cid"]], [["bob"]]]
    assert again.peer.take() == []
    enter(kit, plan, "d", "dan")
    kit.advance(1)
    [frame] = members[0].peer.take()
    assert [join["user"] for join in frame["joins"]] == ["dan"]


@pytest.mark.parametrize("others", [0, 60])
def test_who_saw_somebody_that_came_and_went_within_a_batch_is_told(others: int) -> None:
    kit, plan = Kit(), presence(grace=0, batch=1)
    ann = enter(kit, plan, "a", "ann")
    kit.advance(1)
    bob = enter(kit, plan, "b", "bob")
    cid = enter(kit, plan, "c", "cid")
    for number in range(others):
        enter(kit, plan, f"c{number}", f"u{number}")
    run_sync(kit.hub.drop(bob, CHANNEL, plan))
    kit.advance(1)
    [frame] = cid.peer.take()
    assert frame["leaves"] == [{"user": "bob"}]
    [frame] = ann.peer.take()
    assert "bob" not in [join["user"] for join in frame["joins"]]


def test_of_many_who_come_at_once_each_is_told_all() -> None:
    kit, plan = Kit(), presence(grace=0, batch=1)
    members = [enter(kit, plan, f"c{n}", f"u{n}") for n in range(50)]
    kit.advance(1)
    for member in members:
        [frame] = member.peer.take()
        # The first one came to nobody, and stands in the state of all others.
        assert len(frame["joins"]) == 49


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


@attrs.frozen
class Words:
    """A schema that refuses some states."""

    refused: tuple[object, ...] = ()

    def accepts(self, state: object) -> bool:
        return state not in self.refused


def with_state(*refused: object, grace: float = 5.0) -> PresencePlan:
    words: Any = Words(refused)
    return attrs.evolve(presence(grace=grace), state=words)


def say(kit: Kit, member: FakeMember, state: dict[str, Any] | None, **more: bool) -> None:
    run_sync(kit.hub.presence.show(room("x"), member, state, **more))


def states(kit: Kit) -> dict[str, object]:
    return {u["user"]: u.get("state") for u in run_sync(kit.hub.presence.users(room("x")))}


def updates(member: FakeMember) -> list[object]:
    return [f.get("state") for f in member.peer.take() if f["event"] == "update"]


def leave(kit: Kit, plan: PresencePlan, *members: FakeMember) -> None:
    for member in members:
        run_sync(kit.hub.drop(member, CHANNEL, plan))


def test_a_state_is_told_to_the_others_and_shown_until_it_is_cleared() -> None:
    kit, plan = Kit(), with_state()
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    ann.peer.take()
    say(kit, ann, {"away": True})
    assert (updates(ann), updates(bob)) == ([], [{"away": True}])
    assert states(kit) == {"ann": {"away": True}, "bob": None}
    say(kit, ann, None, tells_member=True)
    assert (updates(ann), updates(bob)) == ([None], [None])
    assert states(kit) == {"ann": None, "bob": None}


def test_who_is_not_there_shows_no_state() -> None:
    kit, plan = Kit(), with_state(grace=0)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    leave(kit, plan, ann)
    say(kit, ann, {"away": True})
    assert (updates(bob), states(kit)) == ([], {"bob": None})


def test_a_connection_that_has_left_says_nothing_for_its_user() -> None:
    kit, plan = Kit(), with_state()
    gone, _stays = enter(kit, plan, "a1", "ann"), enter(kit, plan, "a2", "ann")
    leave(kit, plan, gone)
    say(kit, gone, {"away": True})
    assert states(kit) == {"ann": None}


def test_who_could_not_be_counted_in_has_nothing_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object) -> None:
        raise BrokerUnavailable

    kit, plan, left = Kit(), presence(grace=0), []
    with monkeypatch.context() as patch:
        patch.setattr(kit.hub.broker, "enter", away)
        with pytest.raises(BrokerUnavailable):
            enter(kit, plan, "a", "ann")
    monkeypatch.setattr(kit.hub.broker, "leave", lambda *asked: left.append(asked))
    run_sync(kit.hub.presence.leave(room("x"), plan, FakeMember("a", "ann")))
    assert left == []


def test_a_state_goes_with_the_connection_that_said_it_and_no_other() -> None:
    kit, plan = Kit(), with_state()
    bob, first = enter(kit, plan, "b", "bob"), enter(kit, plan, "a1", "ann")
    say(kit, first, {"n": 1})
    second, third = enter(kit, plan, "a2", "ann"), enter(kit, plan, "a3", "ann")
    assert states(kit)["ann"] == {"n": 1}
    leave(kit, plan, second)
    assert states(kit)["ann"] == {"n": 1}
    bob.peer.take()
    leave(kit, plan, first)
    assert (updates(bob), states(kit)["ann"]) == ([None], None)
    say(kit, third, {"n": 3})
    assert states(kit)["ann"] == {"n": 3}


def test_a_state_survives_a_return_within_grace_and_is_the_new_connections() -> None:
    kit, plan = Kit(), with_state()
    bob, first = enter(kit, plan, "b", "bob"), enter(kit, plan, "a1", "ann")
    say(kit, first, {"n": 1})
    leave(kit, plan, first)
    kit.advance(4)
    assert states(kit)["ann"] == {"n": 1}
    back, other = enter(kit, plan, "a2", "ann"), enter(kit, plan, "a3", "ann")
    kit.advance(4)
    assert states(kit)["ann"] == {"n": 1}
    bob.peer.take()
    leave(kit, plan, back)
    assert (updates(bob), states(kit)["ann"]) == ([None], None)
    leave(kit, plan, other)
    kit.advance(5)
    assert states(kit) == {"bob": None}
    enter(kit, plan, "a4", "ann")
    assert states(kit)["ann"] is None


def test_a_state_that_a_reload_does_away_with_is_gone_for_its_sender_as_well() -> None:
    kit, plan = Kit(), with_state()
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    say(kit, ann, {"n": 1})
    for member in (ann, bob):
        member.peer.take()
    kit.hub.presence.plan_of = lambda _channel: with_state({"n": 1})
    run_sync(kit.hub.enter_presence(ann, room("x"), {"of": "a"}))
    assert (updates(ann), updates(bob), states(kit)["ann"]) == ([None], [None], None)


def test_a_state_that_another_node_has_cleared_is_no_news_to_who_set_it() -> None:
    kit, plan = Kit(), with_state()
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    say(kit, ann, {"n": 1})
    kit.hub.broker.enter(room("x"), "ann", "elsewhere", Shown({"of": "a"}).packed())
    for member in (ann, bob):
        member.peer.take()
    run_sync(kit.hub.enter_presence(ann, room("x"), {"of": "renewed"}))
    assert (updates(ann), updates(bob)) == ([], [None])


def test_nobody_knows_a_state_of_an_anonymous_connection() -> None:
    kit, plan = Kit(), with_state()
    enter(kit, plan, "b", "bob")
    unknown, other = enter(kit, plan, "u", None), enter(kit, plan, "v", None)
    leave(kit, plan, unknown, other)
    assert states(kit) == {"bob": None}


def test_who_came_and_who_left_is_told_at_once_and_once() -> None:
    kit, plan = Kit(), presence(grace=0)
    seen: list[tuple[str, object]] = []
    kit.hub.presence.on_change = lambda _topic, user, info, _version: seen.append((user, info))
    ann = [enter(kit, plan, f"a{number}", "ann") for number in range(3)]
    enter(kit, plan, "u", None)
    assert seen == [("ann", {"of": "a0"})]
    leave(kit, plan, ann[1], ann[0], ann[0])
    assert len(seen) == 1
    leave(kit, plan, ann[2])
    assert seen[1:] == [("ann", None)]
    at = Position("e", 1)
    kit.hub.presence.lost(room("x"), "bob", at)
    kit.hub.presence.back(room("x"), "bob", Shown({"n": 1}, {"away": True}, "b").packed(), at)
    assert seen[2:] == [("bob", None), ("bob", {"n": 1})]


def test_who_comes_back_within_a_batch_is_told_as_an_update() -> None:
    kit, plan = Kit(), presence(grace=0, batch=1)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    kit.advance(1)
    ann.peer.take()
    leave(kit, plan, bob)
    enter(kit, plan, "b2", "bob")
    told = [(f["event"], f.get("user"), f.get("info")) for f in ann.peer.take()]
    assert told == [("update", "bob", {"of": "b2"})]
    kit.advance(1)
    assert ann.peer.take() == []


def test_a_leave_within_a_batch_is_told_at_its_end() -> None:
    kit, plan = Kit(), presence(grace=0, batch=1)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    kit.advance(1)
    ann.peer.take()
    leave(kit, plan, bob)
    kit.advance(1)
    assert [(f["joins"], f["leaves"]) for f in ann.peer.take()] == [([], [{"user": "bob"}])]


def test_when_the_node_stops_who_lingers_leaves_at_once_and_once() -> None:
    kit, plan = Kit(), presence(grace=5)
    ann = enter(kit, plan, "a", "ann")
    leave(kit, plan, enter(kit, plan, "b", "bob"), enter(kit, plan, "c", "cat"))
    ann.peer.take()
    run_sync(kit.hub.presence.end_grace())
    assert [(f["event"], f["user"]) for f in ann.peer.take()] == [
        ("leave", "bob"),
        ("leave", "cat"),
    ]
    kit.advance(5)
    assert ann.peer.take() == []


def test_without_events_a_state_is_told_to_nobody() -> None:
    kit = Kit()
    plan = attrs.evolve(with_state(), events=False)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    say(kit, ann, {"n": 1}, tells_member=True)
    assert (ann.peer.take(), bob.peer.take(), states(kit)["ann"]) == ([], [], {"n": 1})


def test_a_cleared_state_is_no_news_when_its_connection_enters_again() -> None:
    kit, plan = Kit(), with_state()
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    say(kit, ann, {"n": 1})
    say(kit, ann, None)
    for member in (ann, bob):
        member.peer.take()
    run_sync(kit.hub.enter_presence(ann, room("x"), {"of": "a"}))
    assert (updates(ann), updates(bob)) == ([], [])


def test_a_reload_without_states_removes_those_that_were_set() -> None:
    kit, plan = Kit(), with_state()
    ann = enter(kit, plan, "a", "ann")
    say(kit, ann, {"n": 1})
    kit.hub.presence.plan_of = lambda _channel: presence()
    run_sync(kit.hub.enter_presence(ann, room("x"), {"of": "a"}))
    assert (updates(ann), states(kit)) == ([None], {"ann": None})


@pytest.mark.parametrize("lingers", [True, False])
def test_a_state_whose_connection_lingers_passes_to_the_one_that_comes(lingers: bool) -> None:
    kit, plan = Kit(), with_state()
    theirs = Shown({"of": "a"}, {"n": 1}, "a1").packed()
    enter(kit, plan, "b", "bob")
    if lingers:  # here, while the user is also on another node, which has not taken the state over
        first = enter(kit, plan, "a1", "ann")
        say(kit, first, {"n": 1})
        leave(kit, plan, first)
        kit.hub.broker.enter(room("x"), "ann", "elsewhere", theirs)
    else:  # there, and the user has no other connection
        kit.hub.broker.enter(room("x"), "ann", "a1", theirs)
        kit.hub.broker.linger(room("x"), "ann", "a1", 5)
    second = enter(kit, plan, "a2", "ann")
    assert states(kit)["ann"] == {"n": 1}
    enter(kit, plan, "a3", "ann")
    leave(kit, plan, second)
    assert states(kit)["ann"] is None


@pytest.mark.parametrize("node_stops", [True, False])
def test_a_state_is_gone_when_the_grace_of_its_connection_ends(node_stops: bool) -> None:
    kit, plan = Kit(), with_state()
    first = enter(kit, plan, "a1", "ann")
    say(kit, first, {"n": 1})
    leave(kit, plan, first)
    kit.hub.broker.enter(room("x"), "ann", "elsewhere", Shown({"of": "a"}, {"n": 1}, "a1").packed())
    assert states(kit) == {"ann": {"n": 1}}
    if node_stops:
        run_sync(kit.hub.presence.end_grace())
    else:
        kit.advance(5)
    assert states(kit) == {"ann": None}


def test_a_grace_of_less_than_a_second_counts() -> None:
    kit, plan = Kit(), presence(grace=0.5)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    ann.peer.take()
    leave(kit, plan, bob)
    assert ann.peer.take() == []
    kit.advance(0.5)
    assert [frame["event"] for frame in ann.peer.take()] == ["leave"]


def test_the_last_connection_takes_its_users_state_along_without_a_word() -> None:
    kit, plan = Kit(), with_state(grace=0)
    ann, bob = enter(kit, plan, "a", "ann"), enter(kit, plan, "b", "bob")
    say(kit, bob, {"n": 1})
    ann.peer.take()
    leave(kit, plan, bob)
    assert [frame["event"] for frame in ann.peer.take()] == ["leave"]


def test_who_is_withdrawn_is_not_counted() -> None:
    kit, plan = Kit(), presence()
    enter(kit, plan, "a", "ann")
    kit.hub.presence.withdraw(room("x"), enter(kit, plan, "b", "bob"))
    assert list(states(kit)) == ["ann"]


def test_each_connection_of_a_user_is_counted_until_it_leaves() -> None:
    kit, plan = Kit(), presence(grace=0)
    first, second = enter(kit, plan, "a1", "ann"), enter(kit, plan, "a2", "ann")
    for member, left in ((second, 1), (first, 0)):
        leave(kit, plan, member)
        assert run_sync(kit.hub.presence.count(room("x")))["connections"] == left


def test_changes_that_are_missed_again_later_are_made_up_again() -> None:
    kit, plan = Kit(), presence()
    ann = enter(kit, plan, "a", "ann")
    for _ in range(2):
        kit.hub.deliver(room("x"), PresenceMissed())
        kit.advance(1)
        assert [frame["event"] for frame in ann.peer.take()] == ["state"]


async def test_what_a_timer_started_goes_on_in_a_task_when_the_broker_takes_time() -> None:
    kit = Kit()
    left: list[object] = []
    spawned: list[Awaitable[object]] = []

    async def slowly(*asked: object) -> None:
        await trio.lowlevel.checkpoint()
        left.append(asked[2])

    broker: Any = kit.hub.broker
    broker.leave = slowly
    there = Presence(broker, kit.clock, kit.timers, lambda *_: None, spawned.append)
    member = kit.attach("a", "ann")
    run_sync(there.enter(room("x"), member, {}))
    run_sync(there.leave(room("x"), presence(grace=1), member))
    kit.advance(1)
    assert left == []
    await spawned[0]
    assert left == ["a"]
