from datetime import date

import pytest

from channeld.diff.accept import Judged, accept
from channeld.diff.changes import changes
from tests.diff.kit import BASE, TODAY, instead, side

SLOWER = instead("route: room", "route: room\n        rate: 1/s")


def judged(entry: str, today: date = TODAY) -> Judged:
    new = side(f"{SLOWER}diff:\n  accept:\n    - {entry}\n")
    return accept(changes(side(BASE), new), new, today)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/channels/room/messages/say/rate",
        "/channels/room/messages/say",
        "/channels",
        "/channels/",
    ],
)
def test_an_entry_lets_pass_what_lies_under_its_path(path: str) -> None:
    found = judged(f"{{code: D501, path: '{path}', reason: Abuse.}}")
    assert [change.accepted and change.accepted.reason for change in found.changes] == ["Abuse."]
    assert found.warnings == []


@pytest.mark.parametrize(
    ("entry", "help"),
    [
        ("{code: D310, reason: x}", "remove the entry"),
        (
            "{code: D501, path: /channels/room/messages/sa, reason: x}",
            "`/channels/room/messages/say/rate`",
        ),
        ("{code: D999, reason: x}", "did you mean `D399`"),
    ],
)
def test_an_entry_that_matches_nothing_is_a_warning(entry: str, help: str) -> None:
    found = judged(entry)
    assert [change.accepted for change in found.changes] == [None]
    assert [warning.code for warning in found.warnings] == ["D703"]
    assert help in found.warnings[0].help


@pytest.mark.parametrize(("day", "is_accepted"), [("2026-06-01", True), ("2026-05-31", False)])
def test_an_entry_counts_to_the_end_of_its_last_day(day: str, is_accepted: bool) -> None:
    found = judged(f"{{code: D501, reason: x, until: {day}}}")
    assert [change.accepted is not None for change in found.changes] == [is_accepted]
    assert [warning.code for warning in found.warnings] == ["D704"] * (not is_accepted)


def test_an_entry_accepts_a_shared_schema_by_the_message_that_uses_it() -> None:
    old = instead("{text: {type: string}}", '{text: {$ref: "#/schemas/text"}}')
    schemas = "schemas: {text: {type: string, maxLength: %s}}\n"
    entry = "{code: D310, path: /channels/room/messages/say, reason: x}"
    new = side(f"{old}{schemas % 8}diff: {{accept: [{entry}]}}\n")
    found = accept(changes(side(old + schemas % 9), new), new, TODAY)
    assert [change.accepted is not None for change in found.changes] == [True]
