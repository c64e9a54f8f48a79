"""Token buckets, against the textbook bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.config.model import Rate
from channeld.engine.limits import REFUSED, retry_after, retry_until, take


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
