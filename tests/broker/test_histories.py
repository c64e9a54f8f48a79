import tracemalloc
from typing import Any

import attrs
import pytest

from channeld.broker import histories
from channeld.broker.broker import History, Position, Topic
from channeld.broker.histories import ROOM_COST, Histories
from channeld.broker.topic_history import FRAME_COST
from tests.broker.conftest import FakeClock

KEEP = History(size=3, ttl=10.0)
A, B, C, D = (Topic("room", "lobby", name) for name in ("a", "b", "c", "d"))


def made() -> tuple[Histories, FakeClock]:
    clock = FakeClock()
    return Histories(clock, "e"), clock


def kept(**changes: Any) -> History:
    return attrs.evolve(KEEP, **changes)


def cost(*payloads: bytes) -> int:
    return ROOM_COST + sum(len(payload) + FRAME_COST for payload in payloads)


def test_an_expired_history_is_freed_by_any_kept_publish() -> None:
    kept_here, clock = made()
    kept_here.append(A, b"1", KEEP)
    clock.now += 5.0
    kept_here.append(A, b"2", KEEP)
    clock.now += 7.0
    kept_here.append(B, b"1", KEEP)
    assert kept_here.statistics().histories == 2
    clock.now += 3.0
    kept_here.append(B, b"2", KEEP)
    assert (kept_here.statistics().histories, kept_here.statistics().leftovers) == (1, 1)


def test_a_history_that_goes_on_leaves_the_leftovers() -> None:
    kept_here, clock = made()
    kept_here.append(A, b"1", KEEP)
    clock.now += 10.0
    assert kept_here.append(A, b"2", KEEP) == Position("e", 2)
    assert (kept_here.statistics().histories, kept_here.statistics().leftovers) == (1, 0)


def test_a_forgotten_leftover_is_never_a_silent_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "LEFTOVERS", 2)
    kept_here, clock = made()
    for topic, count in ((A, 3), (B, 5), (C, 1), (D, 1)):
        for _ in range(count):
            kept_here.append(topic, b"x", KEEP)
        clock.now += 10.0
    kept_here.append(D, b"x", KEEP)
    # C and D are remembered; A (3) and B (5) are not, so unknown topics count from 5.
    assert kept_here.since(C, Position("e", 1), KEEP).recovered
    assert not kept_here.since(A, Position("e", 3), KEEP).recovered
    assert kept_here.since(B, Position("e", 5), KEEP).recovered
    assert kept_here.append(A, b"next", KEEP) == Position("e", 6)
    assert not kept_here.since(A, Position("e", 3), KEEP).recovered


def test_over_the_rooms_the_one_idle_longest_goes() -> None:
    kept_here, _ = made()
    keep = kept(rooms=2)
    first = kept_here.append(A, b"1", keep)
    kept_here.append(B, b"1", keep)
    kept_here.append(A, b"2", keep)
    lost = kept_here.append(C, b"1", keep)
    assert kept_here.statistics().histories == 2
    assert [len(kept_here.before(topic, None, 9, keep).frames) for topic in (A, B, C)] == [2, 0, 1]
    assert kept_here.since(A, first, keep).recovered
    assert lost.offset == 1
    assert kept_here.statistics().dropped == 1


def test_who_missed_frames_of_a_dropped_history_is_told_so() -> None:
    kept_here, _ = made()
    keep = kept(rooms=1)
    seen = kept_here.append(A, b"1", keep)
    top = kept_here.append(A, b"2", keep)
    kept_here.append(B, b"1", keep)
    assert not kept_here.since(A, seen, keep).recovered
    assert kept_here.since(A, top, keep).recovered
    assert kept_here.append(A, b"3", keep) == Position("e", 3)


def test_over_the_bytes_the_one_idle_longest_goes() -> None:
    kept_here, _ = made()
    keep = kept(bytes=cost(b"1") + cost(b"22"))
    kept_here.append(A, b"1", keep)
    kept_here.append(B, b"22", keep)
    assert kept_here.statistics().bytes == keep.bytes
    kept_here.append(B, b"3", keep)
    assert (kept_here.statistics().histories, kept_here.statistics().bytes) == (
        1,
        cost(b"22", b"3"),
    )


def test_a_room_alone_over_the_bytes_loses_its_oldest_frames_but_never_the_newest() -> None:
    kept_here, _ = made()
    keep = kept(bytes=cost(b"1", b"2"))
    for payload in (b"1", b"2", b"3"):
        kept_here.append(A, payload, keep)
    assert [frame.payload for frame in kept_here.before(A, None, 9, keep).frames] == [b"2", b"3"]
    kept_here.append(A, b"x" * 10_000, keep)
    assert len(kept_here.before(A, None, 9, keep).frames) == 1
    assert kept_here.statistics().dropped == 0


def test_each_channel_has_a_bound_of_its_own() -> None:
    kept_here, _ = made()
    keep = kept(rooms=1)
    kept_here.append(A, b"1", keep)
    kept_here.append(Topic("room", "other", "a"), b"1", keep)
    assert kept_here.statistics().histories == 2


def test_a_look_does_not_make_a_history_less_idle_and_frees_what_is_over() -> None:
    kept_here, clock = made()
    keep = kept(rooms=2)
    kept_here.append(A, b"1", keep)
    clock.now += 5.0
    kept_here.append(A, b"2", keep)
    kept_here.append(B, b"1", keep)
    clock.now += 6.0
    kept_here.before(A, None, 9, keep)
    assert kept_here.statistics().bytes == cost(b"2") + cost(b"1")
    # The timer of A has been set again, and A is the oldest still.
    kept_here.append(C, b"1", keep)
    assert [len(kept_here.before(topic, None, 9, keep).frames) for topic in (A, B)] == [0, 1]


def test_all_that_is_counted_comes_to_nothing_in_the_end() -> None:
    kept_here, clock = made()
    for number in range(50):
        kept_here.append(Topic("room", "lobby", str(number % 7)), b"x" * number, kept(rooms=5))
        clock.now += 0.3
    clock.now += 20.0
    kept_here.append(A, b"", KEEP)
    assert (kept_here.statistics().histories, kept_here.statistics().bytes) == (1, cost(b""))


@pytest.mark.parametrize("payload", [b"x" * 20, b"x" * 2_000])
def test_memory_stays_in_proportion_to_the_bound(payload: bytes) -> None:
    kept_here, _ = made()
    keep = History(size=10, ttl=60.0, bytes=4 * 1024**2)
    tracemalloc.start()
    try:
        for number in range(6_000):
            kept_here.append(Topic("room", "lobby", f"room-{number}"), bytes([*payload]), keep)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    leftovers = kept_here.statistics().leftovers * 400
    assert kept_here.statistics().bytes <= keep.bytes
    assert taken - leftovers < 1.5 * keep.bytes


def test_a_channel_whose_frames_are_not_kept_any_more_frees_what_it_kept() -> None:
    histories, _ = made()
    for number in range(3):
        histories.append(Topic("room", "chat", str(number)), b"1", kept())
    other = histories.append(Topic("room", "den", "a"), b"1", kept())
    histories.end("chat")
    held = histories.statistics()
    assert (held.histories, held.leftovers) == (1, 0)
    # No offset is given twice.
    again = [histories.append(Topic("room", "chat", "0"), b"2", kept()) for _ in range(2)]
    assert [position.offset for position in again] == [3, 4]
    assert histories.since(Topic("room", "den", "a"), other, kept()).recovered


def test_with_a_salt_a_position_in_one_topic_is_good_for_nothing_in_another() -> None:
    clock = FakeClock()
    salted = Histories(clock, "e", 5)
    at, other = salted.append(A, b"1", KEEP), salted.append(B, b"1", KEEP)
    assert salted.append(A, b"2", KEEP) == Position(at.epoch, 2)
    assert [kept.payload for kept in salted.since(A, at, KEEP).frames] == [b"2"]
    assert not salted.since(A, other, KEEP).recovered
    clock.now += 10.0
    salted.append(C, b"1", KEEP)
    assert salted.since(A, Position(at.epoch, 2), KEEP).recovered  # by what is left of it
    assert Histories(clock, "e", 6).append(A, b"1", KEEP).epoch != at.epoch
