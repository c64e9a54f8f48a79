from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.broker.broker import (
    BrokerUnavailable,
    Position,
    PresenceChange,
    PresenceEntry,
    PresenceMissed,
    Topic,
)
from channeld.broker.redis import roster as roster_module
from channeld.broker.redis.encoding import Event, NumberedChange
from channeld.broker.redis.roster import Roster, read_page

ROOM = Topic("room", "lobby", "general")


def change(offset: int, event: Event, user: str, n: int = 0, *, epoch: str = "e") -> NumberedChange:
    info = {} if event in ("leave", "count") else {"n": n}
    return NumberedChange(Position(epoch, offset), event, user, info, 1, None)


def page(version: int, *users: str, after: str = "", epoch: str = "e") -> list[Any]:
    rows = [part for user in users for part in (user.encode(), b'{"n":0}', 1)]
    return [epoch.encode(), version, after.encode(), *rows]


def read(*users: str, version: int = 1) -> Roster:
    roster = Roster(ROOM)
    roster.begin()
    assert roster.answer(page(version, *users)) == []
    return roster


def here(roster: Roster) -> list[str]:
    return [entry.user for entry in roster.entries()]


def test_a_page_is_read() -> None:
    assert read_page([b"e", 3, b"7", b"ann", b'{"n":1}', 2]) == (
        Position("e", 3),
        b"7",
        [PresenceEntry("ann", {"n": 1}, 2)],
    )


def test_the_first_of_all_needs_no_reading() -> None:
    roster = Roster(ROOM)
    assert roster.take(change(1, "join", "ann", 7)) == [PresenceChange("join", "ann", {"n": 7})]
    assert (here(roster), roster.is_current, roster.needs_reading) == (["ann"], True, False)
    assert roster.take(change(2, "join", "bob")) == [PresenceChange("join", "bob", {"n": 0})]


@pytest.mark.parametrize("first", [change(2, "join", "ann"), change(1, "update", "ann")])
def test_whoever_may_not_be_the_first_has_to_be_read(first: NumberedChange) -> None:
    roster = Roster(ROOM)
    assert roster.take(first) == []
    assert (roster.is_current, roster.needs_reading) == (False, True)


def test_one_that_is_being_read_waits_for_its_page() -> None:
    roster = Roster(ROOM)
    roster.begin()
    assert roster.take(change(1, "join", "ann")) == []
    assert roster.answer(page(1, "ann")) == []
    assert here(roster) == ["ann"]


def test_what_was_held_of_an_earlier_epoch_is_older_than_the_page() -> None:
    roster = Roster(ROOM)
    roster.begin()
    roster.take(change(5, "leave", "ann", epoch="d"))
    roster.take(change(1, "join", "bob"))
    roster.take(change(2, "join", "eve"))
    assert roster.answer(page(1, "bob")) == [PresenceChange("join", "eve", {"n": 0})]
    assert (here(roster), roster.is_current) == (["bob", "eve"], True)


def test_behind_a_page_with_nobody_only_a_first_change_may_come() -> None:
    roster = Roster(ROOM)
    roster.begin()
    roster.take(change(5, "leave", "ann", epoch="d"))
    roster.take(change(1, "join", "bob"))
    assert roster.answer(page(0, epoch="")) == [PresenceChange("join", "bob", {"n": 0})]
    assert (here(roster), roster.is_current) == (["bob"], True)


def test_a_first_change_before_the_subscription_counts_says_nothing() -> None:
    roster = Roster(ROOM)
    assert roster.take(change(1, "join", "ann"), is_live=False) == []
    assert roster.needs_reading


def test_changes_that_follow_are_told_and_others_are_not() -> None:
    roster = read("ann", version=4)
    assert roster.take(change(4, "join", "ann")) == []
    assert roster.take(change(5, "join", "bob", 7)) == [PresenceChange("join", "bob", {"n": 7})]
    assert roster.take(change(6, "count", "bob")) == []
    assert roster.take(change(7, "leave", "ann")) == [PresenceChange("leave", "ann", {"n": 0})]
    assert (here(roster), roster.version) == (["bob"], Position("e", 7))


def test_what_comes_while_it_is_read_waits_and_follows() -> None:
    roster = Roster(ROOM)
    assert (roster.needs_reading, roster.is_reading) == (True, False)
    roster.begin()
    assert (roster.needs_reading, roster.is_reading) == (False, True)
    assert roster.take(change(2, "join", "old")) == []
    assert roster.answer(page(3, "old", "ann", after="9")) == []
    assert roster.is_reading
    assert roster.question()[1] == b"9"
    assert roster.take(change(4, "join", "bob")) == []
    assert roster.take(change(5, "leave", "ann")) == []
    assert roster.answer(page(5, "bob")) == [
        PresenceChange("join", "bob", {"n": 0}),
        PresenceChange("leave", "ann", {"n": 0}),
    ]
    assert here(roster) == ["old", "bob"]


@pytest.mark.parametrize(
    "missed",
    [change(3, "join", "bob"), change(1, "join", "bob", epoch="f"), change(0, "leave", "")],
)
def test_a_jump_has_it_read_again_and_the_members_told(missed: NumberedChange) -> None:
    roster = read("ann")
    assert roster.take(missed) == []
    assert roster.needs_reading
    assert not roster.is_current
    roster.begin()
    assert roster.answer(page(9, "ann", "bob")) == [PresenceMissed()]
    assert here(roster) == ["ann", "bob"]


def test_a_new_session_in_which_all_is_as_known_tells_nothing() -> None:
    roster = read("ann", version=4)
    roster.tear(numbers_go_on=True)
    roster.begin()
    assert roster.question()[3:] == ("e", 4)
    assert roster.answer([b"e", 4, b"same"]) == []
    assert (here(roster), roster.is_current) == (["ann"], True)


def test_after_a_restart_equal_numbers_mean_nothing() -> None:
    roster = read("ann", version=4)
    roster.tear(numbers_go_on=False)
    roster.begin()
    assert roster.question()[3:] == ("", 0)
    assert roster.answer(page(4, "bob")) == [PresenceMissed()]


def test_nobody_is_told_what_they_know() -> None:
    roster = read("ann", version=4)
    roster.tear(numbers_go_on=False)
    roster.begin()
    assert roster.answer(page(1, "ann", epoch="f")) == []
    assert roster.take(change(2, "join", "bob", epoch="f")) != []


def test_when_nobody_is_left_the_numbers_begin_again() -> None:
    roster = Roster(ROOM)
    roster.begin()
    assert roster.answer([b"", 0, b""]) == []
    assert roster.take(change(1, "join", "ann", epoch="f")) != []
    assert roster.take(attrs.evolve(change(2, "leave", "ann", epoch="f"), is_end=True)) != []
    assert here(roster) == []
    assert roster.take(change(1, "join", "bob", epoch="g")) != []
    assert roster.take(change(1, "join", "eve", epoch="h")) == []
    assert roster.needs_reading


def test_a_reading_has_all_that_was_done_before_it_under_whatever_numbers() -> None:
    roster = read("ann", "bob", version=7)
    roster.require(b"e", 7)
    assert roster.take(change(1, "update", "ann", 5, epoch="f")) == []
    roster.require(b"e", 8)
    roster.begin()
    assert roster.answer(page(1, "ann", "bob", epoch="f")) == []
    assert roster.is_current


def test_what_was_done_in_an_epoch_that_is_over_is_not_waited_for() -> None:
    roster = Roster(ROOM)
    roster.take(change(1, "join", "ann", epoch="f"))
    roster.require(b"f", 1)
    roster.take(attrs.evolve(change(2, "leave", "ann", epoch="f"), is_end=True))
    roster.take(change(1, "join", "bob", epoch="g"))
    assert roster.is_current
    roster.require(b"f", 2)
    assert (here(roster), roster.is_current) == (["bob"], True)


def test_what_was_done_while_it_is_read_is_in_a_page_of_a_later_epoch() -> None:
    roster = read("ann")
    roster.begin()
    roster.require(b"e", 9)
    assert not roster.is_current
    roster.answer(page(1, "bob", epoch="f"))
    assert (here(roster), roster.is_current) == (["bob"], True)


def test_too_much_while_it_is_read_and_it_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_module, "MOST_HELD", 3)
    roster = Roster(ROOM)
    roster.begin()
    for offset in range(5, 9):
        roster.take(change(offset, "join", f"u{offset}"))
    assert roster.needs_reading


async def test_who_waits_sees_what_has_come_by_the_time_it_goes_on(nursery: trio.Nursery) -> None:
    roster, seen = Roster(ROOM), list[Any]()

    async def wait() -> None:
        seen.append([entry.user for entry in await roster])

    roster.begin()
    roster.require(b"e", 3)
    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    roster.answer(page(2, "ann"))
    await trio.testing.wait_all_tasks_blocked()
    assert seen == []
    roster.take(change(3, "join", "bob"))
    roster.take(change(4, "join", "eve"))
    await trio.testing.wait_all_tasks_blocked()
    assert seen == [["ann", "bob", "eve"]]


async def test_who_waits_is_told_that_it_cannot_be_read(nursery: trio.Nursery) -> None:
    roster, raised = Roster(ROOM), list[BrokerUnavailable]()

    async def wait() -> None:
        try:
            await roster
        except BrokerUnavailable as error:
            raised.append(error)

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    roster.give_up(BrokerUnavailable(2.0))
    await trio.testing.wait_all_tasks_blocked()
    assert [error.retry_after for error in raised] == [2.0]


@attrs.define
class Truth:
    """What Redis knows: who is here, and the changes that it has published."""

    users: dict[str, int] = attrs.field(factory=dict)
    changes: list[NumberedChange] = attrs.field(factory=list)

    def do(self, user: str, n: int) -> NumberedChange:
        event: Event = "join" if user not in self.users else "leave" if n == 0 else "update"
        if event == "leave":
            del self.users[user]
        else:
            self.users[user] = n
        self.changes.append(change(len(self.changes) + 1, event, user, n))
        return self.changes[-1]

    def page(self, after: bytes) -> list[Any]:
        """Two users a page, in the order of their names."""
        later = sorted(user for user in self.users if user.encode() > after)
        rows = [
            part
            for user in later[:2]
            for part in (user.encode(), b'{"n":%d}' % self.users[user], 1)
        ]
        return [b"e", len(self.changes), later[1].encode() if len(later) > 1 else b"", *rows]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abcde"), st.integers(0, 2), st.booleans()),
        st.just("page"),
        st.just("session"),
    ),
    max_size=40,
)


@attrs.define
class Member:
    """What a member of a node knows: a state, then changes."""

    truth: Truth
    roster: Roster
    told: dict[str, Any] | None = None

    def hear(self, changes: list[PresenceChange | PresenceMissed]) -> None:
        for one in changes:
            if isinstance(one, PresenceMissed):
                self.told = None
            elif self.told is not None and one.event == "leave":
                self.told.pop(one.user, None)
            elif self.told is not None:
                self.told[one.user] = one.info["n"]

    def next_page(self) -> None:
        if self.roster.needs_reading:
            self.roster.begin()
        if self.roster.is_reading:
            after = self.roster.question()[1]
            assert isinstance(after, bytes)
            self.hear(self.roster.answer(self.truth.page(after)))
        if self.roster.is_current and self.told is None:
            self.told = {entry.user: entry.info["n"] for entry in self.roster.entries()}

    @property
    def is_waiting(self) -> bool:
        return self.roster.needs_reading or self.roster.is_reading or self.told is None


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_what_members_know_is_the_truth_whatever_is_lost_and_whenever_pages_come(
    steps: list[Any],
) -> None:
    truth, roster = Truth(), Roster(ROOM)
    member = Member(truth, roster)
    for step in steps:
        if step == "page":
            member.next_page()
        elif step == "session":
            roster.tear(numbers_go_on=False)
        else:
            made = truth.do(*step[:2])
            if not step[2]:
                member.hear(roster.take(made))
    member.hear(roster.take(truth.do("z", 1)))
    while member.is_waiting:
        member.next_page()
    assert {entry.user: entry.info["n"] for entry in roster.entries()} == truth.users
    assert member.told == truth.users
