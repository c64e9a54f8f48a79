"""Lines of one kind because of one source: a burst, a rate, a sum once a minute, and bounded memory."""

import attrs
import pytest

from channeld.telemetry.line_rates import MOST_SOURCES, LineRates


@attrs.define
class _Clock:
    now: float = 0.0

    def tick(self) -> float:
        return self.now


def test_after_the_burst_there_are_so_many_a_second() -> None:
    clock = _Clock()
    rates = LineRates(clock.tick)
    taken = [rates.take("opened", "address", "192.0.2.1") for _ in range(5100)]
    assert taken[:5000] == [None] * 5000
    # Told at once, then not for a minute.
    assert taken[5000:] == [1] + [0] * 99
    clock.now = 1.0
    again = [rates.take("opened", "address", "192.0.2.1") for _ in range(60)]
    assert again == [None] * 50 + [0] * 10
    assert rates.left_out == 110


def test_what_was_left_out_is_told_a_minute_later() -> None:
    clock = _Clock()
    rates = LineRates(clock.tick)
    for _ in range(600):
        rates.take("failed", "hook", "hooks:join")
    lost, clock.now = rates.left_out, 60.0
    told = [rates.take("failed", "hook", "hooks:join") for _ in range(310)]
    assert [lines for lines in told if lines] == [lost]


def test_each_event_and_each_source_has_its_own() -> None:
    clock = _Clock()
    rates = LineRates(clock.tick)
    for _ in range(501):
        rates.take("failed", "hook", "hooks:join")
    assert rates.take("failed", "hook", "hooks:leave") is None
    assert rates.take("slow", "hook", "hooks:join") is None


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::7", True),
        ("2001:db8:1:2::7", "2001:db8:1:3::7", False),
        ("::1", "::1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_of_an_ipv6_address_the_network_counts(one: str, other: str, are_one: bool) -> None:
    rates = LineRates(lambda: 0.0)
    rates.take("opened", "address", one)
    rates.take("opened", "address", other)
    assert len(rates) == (1 if are_one else 2)


def test_the_one_that_was_quiet_longest_gives_way() -> None:
    rates = LineRates(lambda: 0.0)
    for _ in range(501):
        rates.take("failed", "hook", "busy")
    for number in range(MOST_SOURCES):
        rates.take("failed", "hook", str(number))
        if number == MOST_SOURCES // 2:
            assert rates.take("failed", "hook", "busy") == 0
    assert len(rates) == MOST_SOURCES
    assert rates.take("failed", "hook", "busy") == 0
