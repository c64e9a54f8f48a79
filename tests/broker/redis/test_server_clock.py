import pytest

from channeld.broker.redis.server_clock import ServerClock


def test_the_least_difference_is_the_nearest() -> None:
    clock = ServerClock()
    assert clock.at(1.0) is None
    for asked, said in ((10.0, 110.005), (11.0, 111.001), (11.5, 111.509)):
        clock.note(asked, said)
    assert clock.at(12.0) == pytest.approx(112.001, abs=1e-4)


def test_clocks_drift() -> None:
    clock = ServerClock()
    clock.note(0.0, 100.0)
    clock.note(1000.0, 1100.2)
    assert clock.at(1000.0) == pytest.approx(1100.05)


@pytest.mark.parametrize("step", [60.0, -60.0])
def test_a_clock_that_was_set_is_believed(step: float) -> None:
    clock = ServerClock()
    clock.note(0.0, 100.0)
    clock.note(1.0, 101.0 + step)
    assert clock.at(1.0) == 101.0 + step
