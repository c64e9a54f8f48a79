import pickle

import pytest

from channeld.scenarios.coverage import Exercised
from channeld.scenarios.outcome import FileResult, Status, shown_seconds
from tests.scenarios.kit import run


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.094, "0.09s"), (59, "59s"), (60, "1m"), (390, "6m30s"), (90_061, "1d1h1m1s")],
)
def test_seconds_as_people_say_them(seconds: float, text: str) -> None:
    assert shown_seconds(seconds) == text


def test_results_cross_processes() -> None:
    result = run("scenarios: [{name: a, clients: {ann: {path: /no}}, steps: []}]")
    copy = pickle.loads(pickle.dumps(result))
    assert copy.outcomes == result.outcomes
    assert isinstance(copy.reached, Exercised)
    assert copy.reached.met == result.reached.met if result.reached else False


def test_a_broken_file_counts_as_one_error() -> None:
    broken = FileResult(file="a", unreadable="gone")
    assert broken.is_broken
    assert broken.count(Status.ERROR) == 1
    assert FileResult(file="a").count(Status.ERROR) == 0
