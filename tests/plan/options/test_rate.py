from typing import Any

import pytest

from channeld.config.model import Message, MessageRate
from channeld.plan.options.rate import RateOption
from tests.plan.options.kit import Compile, channel, codes


def message(**fields: Any) -> Message:
    given: dict[str, Any] = {"limit": 10, "period": 1.0, "burst": 10}
    return Message(schema=True, rate=MessageRate(**given | fields))


@pytest.mark.parametrize(
    ("option", "auth", "route", "expected"),
    [
        ("rate: 10/s", "none", "room", []),
        ("rate: {limit: 10/s, per: user}", "none", "room", ["CH343"]),
        ("rate: {limit: 10/s, per: user}", "staff", "room", []),
        ("rate: {limit: 10/s, per: user}", "{use: staff, optional: true}", "room", []),
        ("rate: {limit: 10/s, per: room}", "none", "sender", ["CH343"]),
        ("rate: {limit: 10/s, per: room}", "none", "[sender, room]", []),
        ("rate: {limit: 10/s, per: address, over: latest}", "none", "sender", []),
    ],
)
def test_somebody_must_share_it(
    compile_text: Compile, option: str, auth: str, route: str, expected: list[str]
) -> None:
    assert codes(compile_text, channel(option, auth=auth, route=route)) == expected


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (message(), message(), []),
        (message(), message(burst=20), [("D507", "safe")]),
        (message(), message(limit=5), [("D501", "breaking")]),
        (Message(schema=True), message(), [("D501", "breaking")]),
        (message(), Message(schema=True), [("D507", "safe")]),
        (message(), message(per="room"), [("D510", "dangerous")]),
        (message(per="room"), message(over="drop", per="room"), [("D510", "dangerous")]),
    ],
)
def test_changes(was: Message, now: Message, expected: list[tuple[str, str]]) -> None:
    found = RateOption().differences("say", was, now)
    assert [(each.code, each.level) for each in found] == expected


def test_it_is_shown_to_machines_and_people() -> None:
    option = RateOption()
    assert option.shown(message(per="room", over="drop")) == {
        "limit": 10, "period": 1.0, "burst": 10, "per": "room", "over": "drop"
    }  # fmt: skip
    assert option.words(message(per="address")) == "At most 10/s from one address."
    assert option.words(message(per="room", over="drop")).endswith("; further ones are dropped.")
    assert option.shown(Message(schema=True)) is None
    assert option.words(Message(schema=True)) == ""


def test_only_what_refuses_is_a_refusal_to_cover() -> None:
    option = RateOption()
    assert [*option.outcomes("say", message())] == [("refusal", "say (RATE_LIMITED)")]
    assert [*option.outcomes("say", message(over="latest"))] == []
