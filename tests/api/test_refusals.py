import attrs
import pytest

from channeld.api.refusals import MOST_ADDRESSES, MOST_LINES, WINDOW, Refusals


@attrs.define
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_first_of_a_minute_is_told(clock: Clock) -> None:
    refusals = Refusals(clock)
    assert [refusals.is_news("a", "key") for _ in range(3)] == [True, False, False]
    assert refusals.is_news("b", "key")
    assert refusals.is_news("a", "origin")
    clock.now += WINDOW - 0.1
    assert not refusals.is_news("a", "key")
    clock.now += 0.1
    assert refusals.is_news("a", "key")


def test_whatever_addresses_come_it_is_bounded(clock: Clock) -> None:
    refusals = Refusals(clock)
    told = sum(refusals.is_news(f"2001:db8::{number:x}", "key") for number in range(20_000))
    assert len(refusals) == MOST_ADDRESSES
    assert told == MOST_LINES
    clock.now += WINDOW
    assert refusals.is_news("2001:db8::0", "key")
    assert len(refusals) == 1


def test_the_address_whose_minute_began_first_gives_way(clock: Clock) -> None:
    refusals = Refusals(clock, most=2)
    assert [refusals.is_news(name, "key") for name in "abacba"] == [
        True, True, False, True, False, True
    ]  # fmt: skip
