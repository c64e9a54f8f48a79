import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.webhooks.retries import Fate, Retries, fate, read_retry_after


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "taken"), (204, "taken"), (299, "taken"),
        (500, "again"), (503, "again"), (599, "again"), (408, "again"), (425, "again"), (429, "again"),
        (301, "refused"), (307, "refused"), (400, "refused"), (401, "refused"), (404, "refused"), (410, "refused"),
    ],
)  # fmt: skip
def test_the_fate_of_a_request(status: int, expected: Fate) -> None:
    assert fate(status) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, 0),
        ("120", 120),
        (" 7 ", 7),
        ("99999999999999999999", 3600),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("soon", 0),
        ("-5", 0),
        ("١٢", 0),
        ("", 0),
    ],
)
def test_retry_after(text: str | None, expected: float) -> None:
    assert read_retry_after(text, 1000.0) == expected


def test_pauses_double_up_to_the_most() -> None:
    retries = Retries()
    pauses = [retries.pause(failures, 0.0) for failures in (1, 2, 3, 4, 6, 7, 8, 10_000)]
    assert pauses == [1, 2, 4, 8, 32, 60, 60, 60]


def test_no_pause_is_shorter_than_asked_for() -> None:
    assert Retries().pause(1, 0.5, asked=90.0) == 90.0
    assert Retries().pause(7, 0.0, asked=5.0) == 60.0


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_takes_off_up_to_a_half(failures: int, random: float) -> None:
    whole = Retries().pause(failures, 0.0)
    assert whole / 2 <= Retries().pause(failures, random) <= whole
