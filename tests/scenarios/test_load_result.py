import pytest

from channeld.scenarios.load_result import Latency


def test_percentiles_are_within_five_percent() -> None:
    latency = Latency()
    assert latency.percentile(0.5) is None
    for number in range(1, 101):
        latency.add(number / 1000)
    assert latency.percentile(0.5) == pytest.approx(0.050, rel=0.05)
    assert latency.percentile(0.99) == pytest.approx(0.099, rel=0.05)


def test_a_histogram_has_every_step_between_the_least_and_the_most() -> None:
    latency = Latency()
    assert latency.histogram() == []
    for seconds in (0.0009, 0.0018, 0.0019, 0.018):
        latency.add(seconds)
    told = [(round(bound * 1000, 6), count) for bound, count in latency.histogram()]
    assert told == [(1, 1), (2, 2), (5, 0), (10, 0), (20, 1)]
