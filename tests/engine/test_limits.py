"""Token buckets, against the textbook bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.config.model import Rate
from channeld.engine.limits import (
    FLOOD_SECONDS,
    REFUSED,
    Allowances,
    Flood,
    retry_after,
    retry_until,
    take,
)


def test_burst_passes_then_one_a_period() -> None:
    rate, arrival, passed = Rate(limit=1, period=1.0, burst=3), 0.0, 0
    for _ in range(5):
        after = take(arrival, 100.0, rate)
        if after != REFUSED:
            arrival, passed = after, passed + 1
    assert passed == 3
    assert retry_after(arrival, 100.0, rate) == pytest.approx(1.0, abs=0.002)
    assert take(arrival, 101.0, rate) != REFUSED


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.integers(0, 3000), min_size=1, max_size=60),
)
def test_agrees_with_a_bucket_that_is_filled_continuously(
    limit: int, burst: int, gaps: list[int]
) -> None:
    rate = Rate(limit=limit, period=1.0, burst=burst)
    now, arrival, tokens = 1000.0, 0.0, float(burst)
    for gap in gaps:
        now += gap / 1000
        tokens = min(burst, tokens + gap / 1000 * limit)
        after = take(arrival, now, rate)
        # Within a thousandth of a token either answer is right.
        assert (after != REFUSED) == (tokens >= 1) or abs(tokens - 1) < 1e-3
        if after != REFUSED:
            arrival, tokens = after, tokens - 1


@given(st.integers(1, 1000), st.floats(0.001, 3600), st.integers(1, 1000))
def test_waiting_as_told_is_enough(limit: int, period: float, burst: int) -> None:
    rate = Rate(limit=limit, period=period, burst=burst)
    now, arrival = 50.0, 0.0
    while (after := take(arrival, now, rate)) != REFUSED:
        arrival = after
    assert take(arrival, now + retry_after(arrival, now, rate), rate) != REFUSED


def test_a_client_that_is_exactly_on_time_passes_and_an_early_one_does_not() -> None:
    rate = Rate(limit=1, period=1.0, burst=1)
    arrival = take(0.0, 100.0, rate)
    assert arrival == 101.0
    assert take(arrival, 101.0, rate) == 102.0
    assert take(arrival, 101.0 - 1e-6, rate) == REFUSED


def test_the_time_to_wait_is_in_whole_milliseconds_and_never_none() -> None:
    waits = [retry_until(100.0 + left, 100.0) for left in (-1.0, 0.0, 0.0005, 0.0625, 2.0)]
    assert waits == [0.001, 0.001, 0.001, 0.063, 2.0]


RATE = Rate(limit=100, period=1.0, burst=200)


def ends_at(refused_a_second: float, *, burst: int = 1, seconds: int = 30) -> float | None:
    """When a steady flood is seen, in seconds; messages come `burst` at a time."""
    flood = Flood()
    for number in range(int(refused_a_second * seconds)):
        now = 1000.0 + number // burst * burst / refused_a_second
        if flood.grows(now, RATE):
            return now - 1000.0
    return None


@pytest.mark.parametrize("refused", [900, 1000, 2400, 100_000])
def test_ten_times_the_rate_and_more_is_a_flood_after_ten_seconds(refused: int) -> None:
    seen = ends_at(refused, seconds=11)
    assert seen is not None
    assert FLOOD_SECONDS <= seen < FLOOD_SECONDS + 0.1


@pytest.mark.parametrize("refused", [1, 100, 500, 800])
def test_less_is_none(refused: int) -> None:
    assert ends_at(refused) is None


def test_a_flood_may_come_in_bursts() -> None:
    seen = ends_at(1000, burst=1000)
    assert seen is not None
    assert seen < FLOOD_SECONDS + 1.1


def test_many_at_once_are_not_a_flood_that_goes_on() -> None:
    flood = Flood()
    assert not any(flood.grows(now, RATE) for now in (1.0, 9.0, 17.0) for _ in range(20_000))


def test_a_flood_that_pauses_begins_again() -> None:
    flood = Flood()
    for start in (100.0, 111.0, 122.0):
        assert not any(flood.grows(start + number / 1000, RATE) for number in range(9000))
    assert flood.size == 9000


TWO = Rate(limit=2, period=1.0, burst=2)


def test_those_that_share_a_bucket_share_its_tokens() -> None:
    allowances = Allowances()
    assert allowances.take(("u", "ann"), 0.0, TWO) == 0
    assert allowances.take(("u", "ann"), 0.0, TWO) == 0
    assert allowances.take(("u", "ann"), 0.0, TWO) == pytest.approx(0.5)
    assert allowances.take(("u", "bob"), 0.0, TWO) == 0
    assert allowances.take(("u", "ann"), 0.5, TWO) == 0


def test_full_buckets_are_forgotten() -> None:
    allowances = Allowances()
    for number in range(1024):
        allowances.take((f"{number}",), 0.0, TWO)
    allowances.take(("late",), 2.0, TWO)
    assert len(allowances) == 1


def test_of_too_many_the_one_used_longest_ago_is_full_again() -> None:
    allowances = Allowances(most=2000)
    one = Rate(limit=1, period=60.0, burst=1)
    for number in range(2500):
        allowances.take((f"{number}",), 0.0, one)
    assert len(allowances) <= 2000
    assert allowances.take(("0",), 0.0, one) == 0
    assert allowances.take(("2499",), 0.0, one) > 0


def test_a_closed_bucket_opens_when_it_was_said_to() -> None:
    allowances = Allowances()
    allowances.close(("u",), 0.0, 2.0)
    assert (allowances.left(("u",), 0.5), allowances.left(("u",), 2.0)) == (1.5, 0.0)
    assert allowances.left(("v",), 0.5) == 0.0
    for number in range(1024):
        allowances.close((f"{number}",), 3.0, 4.0)
    assert len(allowances) == 1024
