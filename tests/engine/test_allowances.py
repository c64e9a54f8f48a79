import pytest

from channeld.config.model import Rate
from channeld.engine.allowances import Allowances

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
