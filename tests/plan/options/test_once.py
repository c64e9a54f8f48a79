import pytest

from channeld.config.model import Message
from channeld.plan.options.once import OnceOption
from tests.plan.options.kit import Compile, channel, codes

NONE = Message(schema=True)


def once(seconds: float) -> Message:
    return Message(schema=True, once=seconds)


def test_a_schema_may_not_declare_the_field(compile_text: Compile) -> None:
    assert codes(compile_text, channel("once: 60s")) == ["CH344"]
    assert codes(compile_text, channel("")) == []


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (NONE, NONE, []),
        (once(9), once(9), []),
        (once(9), NONE, [("D511", "breaking")]),
        (once(9), once(8), [("D511", "dangerous")]),
        (once(8), once(9), [("D512", "safe")]),
        (NONE, once(9), [("D512", "safe")]),
    ],
)
def test_changes(was: Message, now: Message, expected: list[tuple[str, str]]) -> None:
    found = OnceOption().differences("say", was, now)
    assert [(each.code, each.level) for each in found] == expected


def test_it_is_shown_to_machines_and_people() -> None:
    assert OnceOption().shown(once(9.5)) == 9.5
    assert "9.5 s" in OnceOption().words(once(9.5))
    assert (OnceOption().shown(NONE), OnceOption().words(NONE)) == (None, "")
