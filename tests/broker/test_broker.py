"""The contract of brokers, run on every implementation."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.broker.broker import (
    Broker,
    BrokerUnavailable,
    History,
    Position,
    PresenceChange,
    PresenceCount,
    PresenceEntry,
    Topic,
)
from channeld.broker.once import MOST_KEYS, AlreadyTaken, Once
from channeld.broker.publish_options import PublishOptions
from tests.broker.conftest import settle

ROOM = Topic("room", "lobby", "general")
OTHER = Topic("room", "lobby", "general2")
KEEP = History(size=3, ttl=60.0)
Rig = Any


def payloads(page: Any) -> list[bytes]:
    return [kept.payload for kept in page.frames]


async def fill(rig: Rig, count: int, keep: History = KEEP) -> list[Position]:
    return [
        await rig.call("publish", ROOM, b"%d" % number, PublishOptions(keep))
        for number in range(count)
    ]


async def test_it_is_a_broker(rig: Rig) -> None:
    broker: Broker = rig.broker
    assert broker is rig.broker


async def test_what_is_subscribed_to_is_delivered(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    assert await rig.call("publish", ROOM, b"{}") is None
    ((topic, publication),) = await rig.until(1)
    assert topic == ROOM
    assert isinstance(topic, Topic)
    assert (publication.payload, publication.position, publication.skip) == (b"{}", None, None)


async def test_the_skipped_connection_travels_along(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    await rig.call("publish", ROOM, b"1", PublishOptions(KEEP, "c1"))
    await rig.call("publish", ROOM, b"2", PublishOptions(skip="c2"))
    delivered = await rig.until(2)
    assert [publication.skip for _, publication in delivered] == ["c1", "c2"]


async def test_other_topics_are_not_delivered(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    near = [
        OTHER,
        ROOM._replace(kind="user"),
        ROOM._replace(channel="lob", name="bygeneral"),
        ROOM._replace(channel="lobby:general", name=""),
        Topic("all", "", ""),
        Topic("node", "", "general"),
    ]
    for topic in near:
        await rig.call("publish", topic, b"no")
    await rig.call("publish", ROOM, b"yes")
    assert [publication.payload for _, publication in await rig.until(1)] == [b"yes"]


@pytest.mark.parametrize("name", ["", "a:b", "*", "\r\n", "\u00e9\U0001f600", "x" * 1000, "{a}"])
async def test_names_are_data(rig: Rig, name: str) -> None:
    topic = Topic("room", name, name)
    await rig.call("subscribe", topic)
    await rig.call("publish", topic, b"1", PublishOptions(KEEP))
    ((delivered, _),) = await rig.until(1)
    assert delivered == topic
    assert payloads(await rig.call("before", topic, None, 5, KEEP)) == [b"1"]


async def test_nothing_after_unsubscribe(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    await rig.call("subscribe", OTHER)
    await rig.call("publish", ROOM, b"1")
    await rig.until(1)
    rig.broker.unsubscribe(ROOM)
    rig.broker.unsubscribe(ROOM)
    await rig.call("publish", ROOM, b"2")
    await rig.call("publish", OTHER, b"3")
    assert [publication.payload for _, publication in await rig.until(2)] == [b"1", b"3"]


async def test_subscribing_twice_delivers_once(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    await rig.call("subscribe", ROOM)
    await rig.call("publish", ROOM, b"1")
    await rig.call("publish", ROOM, b"2")
    assert [publication.payload for _, publication in await rig.until(2)] == [b"1", b"2"]


async def test_order_is_the_order_of_positions(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    positions = await fill(rig, 20)
    delivered = [publication for _, publication in await rig.until(20)]
    assert [publication.position for publication in delivered] == positions
    assert [publication.payload for publication in delivered] == [b"%d" % n for n in range(20)]
    assert sorted(map(str, positions)) == list(map(str, positions))


async def test_positions_count_from_the_top(rig: Rig) -> None:
    before = (await rig.call("since", ROOM, None, KEEP)).top
    position = await rig.call("publish", ROOM, b"1", PublishOptions(KEEP))
    assert position == Position(before.epoch, before.offset + 1)
    assert (await rig.call("since", ROOM, None, KEEP)).top == position


async def test_frames_not_kept_take_no_position(rig: Rig) -> None:
    await rig.call("publish", ROOM, b"1", PublishOptions(KEEP))
    top = (await rig.call("since", ROOM, None, KEEP)).top
    await rig.call("publish", ROOM, b"2")
    page = await rig.call("since", ROOM, top, KEEP)
    assert (page.recovered, payloads(page), page.top) == (True, [], top)


async def test_recovery_from_the_start(rig: Rig) -> None:
    start = (await rig.call("since", ROOM, None, KEEP)).top
    await fill(rig, 3)
    page = await rig.call("since", ROOM, start, KEEP)
    assert (page.recovered, payloads(page)) == (True, [b"0", b"1", b"2"])


async def test_recovery_is_all_or_nothing(rig: Rig) -> None:
    positions = await fill(rig, 5)
    gone = await rig.call("since", ROOM, positions[0], KEEP)
    assert (gone.recovered, payloads(gone), gone.top) == (False, [], positions[-1])
    enough = await rig.call("since", ROOM, positions[1], KEEP)
    assert (enough.recovered, payloads(enough)) == (True, [b"2", b"3", b"4"])
    assert [kept.position for kept in enough.frames] == positions[2:]


async def test_a_position_of_another_epoch_recovers_nothing(rig: Rig) -> None:
    positions = await fill(rig, 2)
    page = await rig.call("since", ROOM, Position("other", 1), KEEP)
    assert (page.recovered, payloads(page), page.top) == (False, [], positions[-1])
    page = await rig.call("before", ROOM, Position("other", 1), 10, KEEP)
    assert (page.recovered, payloads(page), page.more) == (False, [], False)


async def test_a_position_beyond_the_top_recovers_nothing(rig: Rig) -> None:
    positions = await fill(rig, 2)
    ahead = Position(positions[-1].epoch, positions[-1].offset + 1)
    assert not (await rig.call("since", ROOM, ahead, KEEP)).recovered


async def test_history_is_read_backwards_in_pages(rig: Rig) -> None:
    keep = History(size=10, ttl=60.0)
    positions = await fill(rig, 5, keep)
    last = await rig.call("before", ROOM, None, 2, keep)
    assert (payloads(last), last.more) == ([b"3", b"4"], True)
    middle = await rig.call("before", ROOM, positions[3], 2, keep)
    assert (payloads(middle), middle.more) == ([b"1", b"2"], True)
    first = await rig.call("before", ROOM, positions[1], 2, keep)
    assert (payloads(first), first.more) == ([b"0"], False)
    assert first.frames[0].position == positions[0]


async def test_pages_at_the_ends(rig: Rig) -> None:
    empty = await rig.call("before", ROOM, None, 5, KEEP)
    assert (payloads(empty), empty.more, empty.recovered) == ([], False, True)
    positions = await fill(rig, 2)
    assert payloads(await rig.call("before", ROOM, positions[0], 5, KEEP)) == []
    ahead = Position(positions[0].epoch, 2**62)
    assert payloads(await rig.call("before", ROOM, ahead, 5, KEEP)) == [b"0", b"1"]
    none = await rig.call("before", ROOM, None, 0, KEEP)
    assert (payloads(none), none.more) == ([], True)


async def test_expired_frames_are_gone_but_the_top_stays(rig: Rig) -> None:
    keep = History(size=3, ttl=0.3)
    first, last = await fill(rig, 2, keep)
    await rig.wait(0.5)
    page = await rig.call("before", ROOM, None, 5, keep)
    assert (payloads(page), page.top, page.more) == ([], last, False)
    assert (await rig.call("since", ROOM, last, keep)).recovered
    assert not (await rig.call("since", ROOM, first, keep)).recovered


async def test_positions_go_on_after_all_frames_expired(rig: Rig) -> None:
    keep = History(size=3, ttl=0.3)
    (last,) = await fill(rig, 1, keep)
    await rig.wait(0.5)
    await rig.call("publish", OTHER, b"{}", PublishOptions(keep))
    assert await rig.call("publish", ROOM, b"next", PublishOptions(keep)) == Position(
        last.epoch, last.offset + 1
    )
    page = await rig.call("since", ROOM, last, keep)
    assert (page.recovered, payloads(page)) == (True, [b"next"])


async def test_positions_from_before_a_time_without_history_are_good_for_nothing(rig: Rig) -> None:
    other = Topic("room", "den", "general")
    before = await fill(rig, 2)
    elsewhere = await rig.call("publish", other, b"1", PublishOptions(KEEP))
    rig.broker.number("lobby", True)
    assert (await rig.call("since", ROOM, before[0], KEEP)).recovered
    rig.broker.number("lobby", False)
    await rig.call("publish", ROOM, b"not kept")
    rig.broker.number("lobby", True)
    missed = await rig.call("since", ROOM, before[0], KEEP)
    assert (missed.recovered, missed.frames) == (False, ())
    page = await rig.call("since", ROOM, before[1], KEEP)
    assert (page.recovered, page.frames) == (False, ())
    assert str(page.top) > str(before[1])
    assert (await rig.call("since", other, elsewhere, KEEP)).recovered
    [after] = await fill(rig, 1)
    assert str(after) > str(page.top)
    page = await rig.call("since", ROOM, page.top, KEEP)
    assert (page.recovered, [kept.position for kept in page.frames]) == (True, [after])
    # Of a room that nobody has spoken in since.
    quiet = await rig.call("since", OTHER, before[0], KEEP)
    assert not quiet.recovered


async def test_positions_grow_however_soon_a_history_begins_again(rig: Rig) -> None:
    last = ""
    for _ in range(50):
        [position] = await fill(rig, 1)
        assert str(position) > last
        last = str(position)
        rig.broker.number("lobby", False)
        await rig.call("publish", ROOM, b"not kept")
        rig.broker.number("lobby", True)


async def test_histories_do_not_mix(rig: Rig) -> None:
    await rig.call("publish", ROOM, b"1", PublishOptions(KEEP))
    await rig.call("publish", OTHER, b"2", PublishOptions(KEEP))
    assert payloads(await rig.call("before", ROOM, None, 5, KEEP)) == [b"1"]
    assert payloads(await rig.call("before", OTHER, None, 5, KEEP)) == [b"2"]


async def test_a_user_enters_and_leaves_once(rig: Rig) -> None:
    assert await rig.turnout("enter", ROOM, "ann", "c1", {"n": 1})
    assert not await rig.turnout("enter", ROOM, "ann", "c2", {"n": 2})
    assert await rig.call("present", ROOM) == [PresenceEntry("ann", {"n": 2}, 2)]
    assert not await rig.turnout("leave", ROOM, "ann", "c1")
    assert await rig.turnout("leave", ROOM, "ann", "c2")
    assert not await rig.turnout("leave", ROOM, "ann", "c2")
    assert await rig.call("present", ROOM) == []


async def test_what_turns_out_is_told_in_order_with_versions_that_grow_as_text(rig: Rig) -> None:
    told: list[tuple[int, str]] = []
    later = []
    for turn in range(40):
        # Nobody waits between the two, and rooms empty meanwhile: it is the broker that keeps the order.
        verb = rig.broker.leave if turn % 2 else partial(rig.broker.enter, info={})
        note = lambda version, turn=turn: told.append((turn, str(version)))  # noqa: E731 - one a turn
        later.append(verb(ROOM, "" if turn % 8 < 4 else "ann", "c1", told=note))
    for one in later:
        await settle(one)
    assert [turn for turn, _ in told] == list(range(40))
    versions = [version for _, version in told]
    assert versions == sorted(set(versions))


async def test_a_lingering_user_is_there_without_connections(rig: Rig) -> None:
    await rig.call("enter", ROOM, "ann", "c1", {})
    await rig.call("linger", ROOM, "ann", "c1")
    assert await rig.call("present", ROOM) == [PresenceEntry("ann", {}, 0)]
    assert not await rig.turnout("enter", ROOM, "ann", "c2", {})
    assert not await rig.turnout("leave", ROOM, "ann", "c1")
    assert await rig.call("present", ROOM) == [PresenceEntry("ann", {}, 1)]


async def test_a_user_who_lingers_to_the_end_leaves(rig: Rig) -> None:
    await rig.call("enter", ROOM, "ann", "c1", {})
    await rig.call("linger", ROOM, "ann", "c1")
    assert await rig.turnout("leave", ROOM, "ann", "c1")
    assert await rig.turnout("enter", ROOM, "ann", "c1", {})


async def test_strangers_change_nothing(rig: Rig) -> None:
    await rig.call("linger", ROOM, "bob", "c1")
    assert not await rig.turnout("leave", ROOM, "bob", "c1")
    await rig.call("enter", ROOM, "ann", "c1", {})
    await rig.call("linger", ROOM, "ann", "c9")
    assert not await rig.turnout("leave", ROOM, "ann", "c9")
    assert await rig.call("present", ROOM) == [PresenceEntry("ann", {}, 1)]


async def test_users_are_listed_as_they_came(rig: Rig) -> None:
    for user in ("zoe", "ann", "mia"):
        await rig.call("enter", ROOM, user, f"c-{user}", {})
    await rig.call("leave", ROOM, "zoe", "c-zoe")
    await rig.call("enter", ROOM, "zoe", "c-zoe", {})
    await rig.call("enter", ROOM, "ann", "c-2", {})
    assert [here.user for here in await rig.call("present", ROOM)] == ["ann", "mia", "zoe"]


@pytest.mark.parametrize("subscribes", [False, True])
async def test_one_user_is_shown_as_the_list_shows_it(rig: Rig, subscribes: bool) -> None:
    if subscribes:
        await rig.call("subscribe", ROOM)
        await rig.call("present", ROOM)
    assert await rig.call("entry", ROOM, "ann") is None
    for number in range(3):
        await rig.call("enter", ROOM, "ann", f"c{number}", {"n": number})
        await rig.call("enter", ROOM, f"u{number}", "c", {})
        for user in ("ann", f"u{number}"):
            [listed] = [one for one in await rig.call("present", ROOM) if one.user == user]
            assert await rig.call("entry", ROOM, user) == listed
    await rig.call("linger", ROOM, "u1", "c")
    assert await rig.call("entry", ROOM, "u1") == PresenceEntry("u1", {}, 0)
    await rig.call("leave", ROOM, "u1", "c")
    assert await rig.call("entry", ROOM, "u1") is None


async def test_changes_are_delivered_in_order_to_who_subscribes(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    assert await rig.call("present", ROOM) == []
    await rig.call("enter", ROOM, "ann", "c1", {"n": 1})
    await rig.call("enter", ROOM, "ann", "c2", {"n": 1})
    await rig.call("enter", ROOM, "ann", "c2", {"n": 2})
    await rig.call("linger", ROOM, "ann", "c1")
    await rig.call("leave", ROOM, "ann", "c1")
    await rig.call("leave", ROOM, "ann", "c2")
    await rig.call("enter", OTHER, "bob", "c3", {})
    await rig.call("enter", ROOM, "bob", "c3", {})
    assert [change for _, change in await rig.until(4)] == [
        PresenceChange("join", "ann", {"n": 1}, "c1"),
        PresenceChange("update", "ann", {"n": 2}, "c2"),
        PresenceChange("leave", "ann", {"n": 2}),
        PresenceChange("join", "bob", {}, "c3"),
    ]


async def test_who_is_present_agrees_with_what_was_delivered(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    assert await rig.call("present", ROOM) == []
    for number in range(30):
        if number % 3 == 2:
            await rig.call("leave", ROOM, f"u{number - 1}", "c")
        else:
            await rig.call("enter", ROOM, f"u{number}", "c", {"n": number})
        here = {one.user for one in await rig.call("present", ROOM)}
        told: set[str] = set()
        for _, change in list(rig.delivered):
            told = told | {change.user} if change.event == "join" else told - {change.user}
        assert here == told
        assert (f"u{number - 1}" not in here) if number % 3 == 2 else (f"u{number}" in here)


async def test_connections_are_counted_as_they_live(rig: Rig) -> None:
    for subscribes in (False, True):
        if subscribes:
            await rig.call("subscribe", ROOM)
        await rig.call("enter", ROOM, "ann", "c1", {})
        await rig.call("enter", ROOM, "ann", "c2", {})
        await rig.call("enter", ROOM, "", "n1", {})
        await rig.call("enter", ROOM, "", "n2", {})
        assert await rig.call("count", ROOM) == PresenceCount(1, 4)
        await rig.call("linger", ROOM, "ann", "c1")
        assert await rig.call("present", ROOM) == [PresenceEntry("ann", {}, 1)]
        assert await rig.call("count", ROOM) == PresenceCount(1, 3)
        await rig.call("enter", ROOM, "ann", "c1", {})
        assert await rig.call("count", ROOM) == PresenceCount(1, 4)
        for user, connection in (("ann", "c1"), ("", "n1"), ("ann", "c2"), ("", "n2")):
            await rig.call("leave", ROOM, user, connection)
        assert await rig.call("count", ROOM) == PresenceCount(0, 0)
        assert await rig.call("present", ROOM) == []


async def test_anonymous_connections_are_never_told(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    assert await rig.call("present", ROOM) == []
    assert await rig.turnout("enter", ROOM, "", "n1", {})
    assert await rig.turnout("leave", ROOM, "", "n1")
    await rig.call("enter", ROOM, "ann", "c1", {})
    assert [change.user for _, change in await rig.until(1)] == ["ann"]


async def test_presences_do_not_mix(rig: Rig) -> None:
    await rig.call("enter", ROOM, "ann", "c1", {"deep": {"list": [1, None, "\u00e9"]}})
    assert await rig.call("present", OTHER) == []
    assert await rig.turnout("enter", OTHER, "ann", "c1", {})
    assert (await rig.call("present", ROOM))[0].info == {"deep": {"list": [1, None, "\u00e9"]}}


async def test_closing_twice_is_fine(rig: Rig) -> None:
    await rig.broker.aclose()
    await rig.broker.aclose()


@given(st.text(min_size=1), st.integers(min_value=0, max_value=2**40))
def test_a_position_survives_its_text(epoch: str, offset: int) -> None:
    position = Position(epoch, offset)
    assert Position.parse(str(position)) == position


@given(st.integers(0, 2**39), st.integers(0, 2**39))
def test_positions_sort_as_text(one: int, two: int) -> None:
    assert (str(Position("e", one)) < str(Position("e", two))) == (one < two)


@pytest.mark.parametrize(
    "text",
    ["", "-", "e", "e-", "-0000000001", "e-1", "e-000000000g", "e-+00000001f", "e- 00000001f",
     "e-0x0000001f", "e-00_00_00_1f", "e-000000000\u0661", "e-000000000F", "e-" + "f" * 5000,
     "e-00000000001"],
)  # fmt: skip
def test_what_str_never_wrote_is_no_position(text: str) -> None:
    assert Position.parse(text) is None


def test_unavailable_says_when_to_come_back() -> None:
    assert BrokerUnavailable(2.5).retry_after == 2.5


MINUTE = Once("c\0uann", "say\0k", 60.0)


async def test_a_key_is_taken_with_the_publication_and_only_once(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    assert not await rig.call("is_taken", MINUTE)
    first = await rig.call("publish", ROOM, b"1", PublishOptions(KEEP, None, MINUTE))
    assert await rig.call("is_taken", MINUTE)
    with pytest.raises(AlreadyTaken):
        await rig.call("publish", ROOM, b"2", PublishOptions(KEEP, None, MINUTE))
    third = await rig.call("publish", ROOM, b"3", PublishOptions(KEEP))
    assert (first.offset, third.offset) == (1, 2)
    assert [publication.payload for _, publication in await rig.until(2)] == [b"1", b"3"]


async def test_a_key_may_be_taken_by_itself(rig: Rig) -> None:
    assert await rig.call("take", MINUTE)
    assert not await rig.call("take", MINUTE)
    with pytest.raises(AlreadyTaken):
        await rig.call("publish", ROOM, b"1", PublishOptions(once=MINUTE))


async def test_keys_of_two_owners_never_meet(rig: Rig) -> None:
    assert await rig.call("take", MINUTE)
    assert await rig.call("take", Once("c\0ubob", MINUTE.key, 60.0))
    assert await rig.call("take", Once(MINUTE.owner, "other", 60.0))


async def test_a_key_s_time_comes_to_an_end(rig: Rig) -> None:
    brief = Once("c\0uann", "k", 0.2)
    assert await rig.call("take", brief)
    await rig.wait(0.3)
    assert not await rig.call("is_taken", brief)
    assert await rig.call("take", brief)


async def test_an_owner_s_oldest_key_goes_first(rig: Rig) -> None:
    for number in range(MOST_KEYS + 1):
        assert await rig.call("take", Once("c\0uann", f"{number}", 60.0 + number))
    assert not await rig.call("is_taken", Once("c\0uann", "0", 60.0))
    assert await rig.call("is_taken", Once("c\0uann", "1", 60.0))


async def test_the_latest_frames_are_replayed_where_there_is_no_place_to_go_on_from(
    rig: Rig,
) -> None:
    positions = await fill(rig, 5)
    page = await rig.call("since", ROOM, None, KEEP, 2)
    assert (payloads(page), page.top, page.recovered) == ([b"3", b"4"], positions[-1], True)
    lost = await rig.call("since", ROOM, positions[0], KEEP, 9)
    assert (payloads(lost), lost.recovered) == ([b"2", b"3", b"4"], False)
    found = await rig.call("since", ROOM, positions[3], KEEP, 9)
    assert (payloads(found), found.recovered) == ([b"4"], True)
    level = await rig.call("since", ROOM, positions[4], KEEP, 9)
    assert (payloads(level), level.recovered) == ([], True)
