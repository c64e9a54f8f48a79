"""Who must get a message, worked out from the plan."""

from pathlib import Path

import pytest

from channeld.plan.plan import Plan
from channeld.scenarios.receivers import Known, Receivers, is_checkable
from tests.scenarios.plans import plan_of

CONFIG = """
channeld: 1
auth: {session: {type: jwt, algorithms: [HS256], secret: ssssssssssssssssssssssssssssssssssssssss}}
channels:
  room:
    path: "/rooms/{id}"
    auth: session
    rooms: "{params.id}"
    messages:
      say: {schema: true, route: room}
      whisper: {schema: {type: object, required: [to], properties: {to: {type: string}}}, route: {to: user, user: "{message.to}"}}
      others: {schema: true, route: {to: global, except_sender: true}}
      echo: {schema: true, route: sender}
      quiet: {schema: true}
      slow: {schema: true, route: room, rate: {limit: 1/s, over: drop}}
      hooked: {schema: true, route: room, hook: "no_such_module:f"}
      moved: {schema: {type: object, required: [to], properties: {to: {type: string}}}, route: {to: user, user: "{message.to}"}, hook: "no_such_module:f"}
  own:
    path: "/own"
    auth: session
    rooms: "c-{connection.id}"
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, CONFIG)


def client(plan: Plan, user: str, room: str) -> Known:
    return Known(plan.channels["room"], {"id": room}, user, {})


@pytest.mark.parametrize(
    ("type_", "frame", "receivers"),
    [
        ("say", {}, ["ann", "bob"]),
        ("whisper", {"to": "eve"}, ["eve"]),
        ("whisper", {"to": "nobody"}, []),
        ("others", {}, ["bob", "eve"]),
        ("echo", {}, ["ann"]),
        ("quiet", {}, []),
    ],
)
def test_the_receivers(type_: str, frame: dict[str, str], receivers: list[str], plan: Plan) -> None:
    ann, bob, eve = client(plan, "ann", "a"), client(plan, "bob", "a"), client(plan, "eve", "b")
    message = plan.channels["room"].messages[type_]
    found = Receivers([ann, bob, eve]).of(ann, message, {**frame})
    assert [one.user for one in found] == receivers


@pytest.mark.parametrize(
    ("type_", "expected"),
    [("say", True), ("slow", False), ("hooked", True), ("moved", False), ("whisper", True)],
)
def test_what_can_be_checked(type_: str, expected: bool, plan: Plan) -> None:
    assert is_checkable(plan, plan.channels["room"].messages[type_], "room") is expected


def test_a_room_that_only_the_server_knows(plan: Plan) -> None:
    assert Known(plan.channels["own"], {}, "ann", {}).rooms == {}
