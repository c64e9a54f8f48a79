from typing import Any

import pytest

from channeld.plan.load import check
from channeld.plan.plan import Plan
from channeld.scenarios.frame_checks import check_delivered
from channeld.scenarios.instrumentation import FrameOrigin
from tests.scenarios.kit import CASES

HOOK = FrameOrigin(kind="hook", channel="room", name="h", pointer="")


def message(name: str, channel: str = "room") -> FrameOrigin:
    return FrameOrigin(kind="message", channel=channel, name=name, pointer="")


@pytest.fixture(scope="module")
def plan() -> Plan:
    found = check(str(CASES / "channels.yaml")).plan
    assert found is not None
    return found


GOOD = {"type": "say", "text": "hi", "from": "ann", "at": "now", "room": "a", "pos": "0-1"}


@pytest.mark.parametrize(
    ("channel", "frame", "origin", "declared"),
    [
        ("room", GOOD, message("say"), None),
        ("room", {**GOOD, "text": ""}, message("say"), "message `say`"),
        ("room", {**GOOD, "more": 1}, message("say"), "message `say`"),
        ("room", GOOD, None, None),
        ("room", {**GOOD, "text": 1}, None, "message `say`"),
        ("room", {"type": "poke", "by": 1}, message("poke"), None),
        ("room", {"type": "note", "text": "hi"}, HOOK, None),
        ("room", {"type": "note"}, HOOK, "event `note`"),
        ("room", {"type": "other"}, HOOK, "channel `room`"),
        ("lobby", {"type": "other"}, HOOK, None),
        ("bell", {"type": "ring", "text": "x"}, message("ring"), "event `ring`"),
        ("bell", {"type": "ring", "text": "x", "loud": True}, message("ring"), None),
        ("bell", {"type": "say", "text": 5}, message("say"), "message `say`"),
        ("room", {"type": "ack", "id": 1}, None, None),
        ("room", {"type": "error", "code": 5}, message("say"), None),
    ],
)
def test_frames_are_checked_against_what_is_declared(
    plan: Plan,
    channel: str,
    frame: dict[str, Any],
    origin: FrameOrigin | None,
    declared: str | None,
) -> None:
    found = check_delivered(plan, plan.channels[channel], frame, origin)
    assert (found.declared if found else None) == declared


def test_a_breach_says_why(plan: Plan) -> None:
    found = check_delivered(plan, plan.channels["room"], {**GOOD, "text": ""}, message("say"))
    assert found is not None
    assert found.violations[0].path == "/text"
