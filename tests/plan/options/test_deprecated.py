import datetime as dt

import pytest

from channeld.config.model import Deprecation, Message
from channeld.plan.options.deprecated import DeprecatedOption, deprecation_note, is_past
from tests.plan.options.kit import Compile, channel, codes

NONE = Message(schema=True)
BARE = Message(schema=True, deprecated=Deprecation())
FULL = Deprecation(since="2026-01-01", sunset="2027-01-01", use="talk", note="It is slow.")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("deprecated: true", []),
        ("deprecated: false", []),
        ("deprecated: {use: talk, sunset: 2999-01-01}", []),
        ("deprecated: {use: tlak}", ["CH345"]),
        ("deprecated: {use: say}", ["CH345"]),
        ("deprecated: {sunset: 2020-01-01}", ["CH346"]),
    ],
)
def test_what_is_said_must_be_so(compile_text: Compile, option: str, expected: list[str]) -> None:
    assert codes(compile_text, channel(option)) == expected


def test_a_sunset_is_over_the_day_after() -> None:
    day = dt.date(2027, 1, 1)
    assert not is_past(FULL, day)
    assert is_past(FULL, day + dt.timedelta(days=1))
    assert not is_past(Deprecation(), day)
    assert not is_past(None, day)


def test_each_change_is_safe() -> None:
    full = Message(schema=True, deprecated=FULL)
    option = DeprecatedOption()
    for was, now, words in (
        (NONE, full, "is now deprecated"),
        (full, BARE, "changed"),
        (full, NONE, "is no longer deprecated"),
    ):
        (found,) = option.differences("say", was, now)
        assert (found.code, found.level) == ("D207", "safe")
        assert words in found.words
    assert [*option.differences("say", full, full)] == []


def test_it_is_shown_to_machines_and_people() -> None:
    option = DeprecatedOption()
    full = Message(schema=True, deprecated=FULL)
    assert option.shown(full) == {
        "since": "2026-01-01", "sunset": "2027-01-01", "use": "talk", "note": "It is slow."
    }  # fmt: skip
    assert option.words(full) == (
        "**Deprecated** since 2026-01-01, may be removed after 2027-01-01. Send `talk` instead. It is slow."
    )
    assert (option.shown(BARE), option.words(BARE)) == (True, "**Deprecated**.")
    assert (option.shown(NONE), option.words(NONE)) == (None, "")
    assert deprecation_note(FULL) == {"sunset": "2027-01-01", "use": "talk"}
    assert deprecation_note(Deprecation()) == {}
