import pytest

from channeld.config.model import Rate
from channeld.engine.floods import FLOOD_SECONDS, Flood

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
