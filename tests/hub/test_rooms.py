"""Rooms and members that catch up."""

import attrs
import pytest

from channeld.broker.broker import Page, Position
from channeld.hub.fanout import Recipient
from channeld.hub.rooms import Catching, CatchingUp, Room
from channeld.later import run_sync
from tests.hub.kit import FakeMember, room


def test_member_that_catches_up_is_in_the_room() -> None:
    place, member = Room(room("x")), FakeMember("a", None)
    assert place.is_empty
    place.catching_up = {member.peer: CatchingUp(member)}
    assert (place.is_empty, place.size()) == (False, 1)


def test_others_are_all_who_would_hear_what_one_is_not_told() -> None:
    place, ann, bob = Room(room("x")), FakeMember("a", None), FakeMember("b", None)
    place.seat(ann)
    assert (place.has_others(ann.peer), place.has_others(bob.peer)) == (False, True)
    place.catching_up = {bob.peer: CatchingUp(bob)}
    place.unseat(ann.peer)
    assert (place.has_others(bob.peer), place.has_others(None)) == (False, True)
    place.watchers = {ann.peer}
    assert place.has_others(bob.peer)


def test_what_the_page_held_has_been_seen_within_its_epoch_only() -> None:
    entry = CatchingUp(FakeMember("a", None))
    assert not entry.has_seen(Position("e", 1))
    entry.top = Position("e", 2)
    seen = [entry.has_seen(p) for p in (Position("e", 2), Position("e", 3), Position("f", 1), None)]
    assert seen == [True, False, False, False]


def test_half_an_outbox_may_wait_for_the_page_and_not_a_byte_more() -> None:
    member = FakeMember("a", None)
    member.limits = attrs.evolve(member.limits, outbox=8)
    entry = CatchingUp(member)
    entry.keep(None, b"12")
    entry.keep(None, b"34")
    assert (entry.waiting, member.is_too_slow) == ([(None, b"12"), (None, b"34")], False)
    entry.keep(None, b"5")
    assert (entry.waiting, member.is_too_slow) == ([], True)


def test_what_waits_without_a_position_stays_when_more_pages_follow() -> None:
    member = FakeMember("a", None)
    member.limits = attrs.evolve(member.limits, outbox=8)
    entry = CatchingUp(member)
    entry.keep(Position("e", 1), b"12")
    entry.keep(None, b"34")
    entry.pass_over()
    entry.keep(None, b"56")
    assert (entry.waiting, member.is_too_slow) == ([(None, b"34"), (None, b"56")], False)
    entry.keep(None, b"7")
    assert (entry.waiting, member.is_too_slow) == ([], True)


SAY, NOTE, LATE = (b'{"type":"%s"}' % name for name in (b"say", b"note", b"late"))
END = Position("e", 2)


class Joining:
    """A member that has its first page of a room, and the entries that were made normal members."""

    def __init__(self, page: Page, *, is_level: bool = False) -> None:
        self.member = FakeMember("a", None)
        self.place, self.entry = Room(room("x")), CatchingUp(self.member)
        self.place.catching_up = {self.member.peer: self.entry}
        self.leveled: list[tuple[Room, CatchingUp]] = []
        self.catching = Catching(
            lambda *one: self.leveled.append(one), self.place, self.entry, page, is_level=is_level
        )


def test_what_waited_is_sent_once_and_in_order_after_the_page() -> None:
    joining = Joining(Page((), END))
    for position, frame in ((END, SAY), (None, NOTE), (Position("e", 3), LATE)):
        joining.entry.keep(position, frame)
    for _ in range(2):
        joining.catching.release()
    assert [frame["type"] for frame in joining.member.peer.take()] == ["note", "late"]
    assert joining.entry.top == END


@pytest.mark.parametrize(
    ("last", "top", "is_level"),
    [
        (None, END, False),
        (Position("e", 1), END, False),
        (Position("e", 2), END, True),
        (Position("e", 3), END, True),
        # Positions of another epoch say nothing of what is still under way.
        (Position("d", 3), END, False),
        # Of an empty history nothing can be; of one frame, that frame.
        (None, Position("e", 0), True),
        (Position("d", 3), Position("e", 0), True),
        (None, Position("e", 1), False),
    ],
)
def test_who_got_the_last_page_is_level_once_nothing_of_it_can_arrive_again(
    last: Position | None, top: Position, is_level: bool
) -> None:
    joining = Joining(Page((), top))
    joining.place.last = last
    joining.catching.release()
    assert joining.leveled == [(joining.place, joining.entry)] * is_level


def test_a_broker_that_answers_at_once_has_nothing_under_way() -> None:
    joining = Joining(Page((), END), is_level=True)
    joining.catching.release()
    assert joining.leveled == [(joining.place, joining.entry)]


def test_each_page_is_asked_for_in_turn_and_makes_room_for_what_it_contains() -> None:
    second = Page((), Position("e", 3))
    joining = Joining(Page((), END, rest=lambda: second))
    joining.entry.keep(Position("e", 3), SAY)
    joining.entry.keep(None, NOTE)
    assert run_sync(joining.catching.turn())
    assert (joining.catching.page, joining.entry.waiting) == (second, [(None, NOTE)])
    assert not run_sync(joining.catching.turn())


def test_who_leaves_or_asks_again_meanwhile_gets_no_more_pages() -> None:
    joining = Joining(Page((), END))
    left = []
    for entry in (joining.entry, CatchingUp(joining.member), None):
        peer: Recipient = joining.member.peer
        joining.place.catching_up = None if entry is None else {peer: entry}
        left.append(joining.catching.is_left)
    assert left == [False, True, True]


@pytest.mark.parametrize("names", ["", "a", "ab", "abc"])
def test_members_are_who_was_seated_and_not_taken_out_oldest_first(names: str) -> None:
    place = Room(room("x"))
    members = [FakeMember(name, None) for name in names]
    for member in [*members, *members]:
        place.seat(member)
    assert place.members() == members
    assert [*place.recipients] == [member.peer for member in members]
    assert (place.size(), place.is_empty) == (len(members), not members)
    stranger = FakeMember("z", None)
    place.unseat(stranger.peer)
    assert place.members() == members
    for count in range(len(members)):
        place.unseat(members[count].peer)
        assert place.members() == members[count + 1 :]
    place.seat(stranger)
    assert (place.members(), place.size()) == ([stranger], 1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_member_knows_its_rooms_in_the_order_in_which_it_came(times: int) -> None:
    member = FakeMember("a", None)
    assert (dict(member.rooms), member.remove_room("x")) == ({}, None)
    for _ in range(times):
        member.add_room(room("y"))
    assert member.rooms == {"y": room("y")}
    member.add_room(room("x"))
    assert list(member.rooms.items()) == [("y", room("y")), ("x", room("x"))]
    assert (member.remove_room("z"), member.remove_room("y")) == (None, room("y"))
    assert (member.remove_room("x"), dict(member.rooms)) == (room("x"), {})


def test_a_member_of_one_room_leaves_no_other() -> None:
    member = FakeMember("a", None)
    member.add_room(room("x"))
    assert (member.remove_room("y"), member.rooms) == (None, {"x": room("x")})
    assert (member.remove_room("x"), dict(member.rooms)) == (room("x"), {})
