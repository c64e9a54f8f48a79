"""Which rooms the clients of a load subscribe to."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from channeld.plan.load import load_plan
from channeld.plan.plan import Plan
from channeld.protocol.frames import Json
from channeld.scenarios.load_rooms import MOST, LoadRooms, routed_fields
from channeld.scenarios.receivers import Known

CONFIG = """
channeld: 1
auth: {session: {type: jwt, algorithms: [HS256], secret: ssssssssssssssssssssssssssssssssssssssss, claims: {type: object, required: [team], properties: {team: {type: string}}}}}
channels:
  desk:
    path: /desk
    auth: session
    rooms: {subscribe: {allow: [ALLOW]}}
    messages:
      say: {schema: {type: object, properties: {room: {type: string}, text: {type: string}}, required: [room]}, route: {to: room, room: "{message.room}"}}
      fixed: {schema: true, route: {to: room, room: team-all}}
      own: {schema: true, route: sender}
"""
MADE: Mapping[str, list[dict[str, Json]]] = {
    "say": [{"room": "elsewhere", "text": "hi"}],
    "fixed": [{}],
    "own": [{}],
}


@pytest.fixture
def plan(tmp_path: Path, request: pytest.FixtureRequest) -> Plan:
    file = tmp_path / "channels.yaml"
    file.write_text(CONFIG.replace("ALLOW", getattr(request, "param", '"team-*"')))
    return load_plan(str(file))


def rooms_of(plan: Plan, claims: dict[str, Json] | None = None) -> tuple[LoadRooms, Known]:
    known = Known(plan.channels["desk"], {}, "ann", claims or {})
    return LoadRooms(plan.config.channels["desk"], known, MADE, "bench-0"), known


def test_a_message_names_a_room_that_may_be_subscribed_to(plan: Plan) -> None:
    rooms, known = rooms_of(plan)
    assert rooms.subscribed == ["team-bench-0", "team-all"]
    assert list(known.rooms) == ["team-bench-0", "team-all"]
    assert rooms.messages("say") == [{"room": "team-bench-0", "text": "hi"}]
    assert rooms.messages("own") == [{}]


def test_a_room_that_the_server_refuses_is_not_counted_on(plan: Plan) -> None:
    rooms, known = rooms_of(plan)
    rooms.refused("team-all")
    assert list(known.rooms) == ["team-bench-0"]


@pytest.mark.parametrize(
    ("plan", "subscribed"),
    [
        ('"{user.id}-*"', ["ann-bench-0"]),
        ('"{claims.team}-*"', ["red-bench-0"]),
        ('"*"', ["bench-0", "team-all"]),
    ],
    indirect=["plan"],
)
def test_patterns_are_filled_with_what_the_client_is(plan: Plan, subscribed: list[str]) -> None:
    rooms, _ = rooms_of(plan, {"team": "red"})
    assert rooms.subscribed == subscribed


@pytest.mark.parametrize("plan", ['"{user.id}-*"'], indirect=True)
def test_what_nobody_may_subscribe_to_is_sent_all_the_same(plan: Plan) -> None:
    rooms, _ = rooms_of(plan)
    assert "team-all" not in rooms.subscribed
    assert rooms.messages("fixed") == [{}]


@pytest.mark.parametrize("plan", ['"*"'], indirect=True)
def test_few_rooms_are_subscribed_to(plan: Plan) -> None:
    known = Known(plan.channels["desk"], {}, "ann", {})
    declared = plan.config.channels["desk"]
    # Names that the schema of the field does not let be replaced.
    many: list[dict[str, Json]] = [{"room": f"r{number}"} for number in range(50)]
    object.__setattr__(plan.channels["desk"].messages["say"], "accepts", lambda _frame: False)
    assert len(LoadRooms(declared, known, {"say": many}, "bench-0").subscribed) == MOST


def test_the_fields_that_say_where_a_message_goes(plan: Plan) -> None:
    declared = plan.config.channels["desk"]
    assert routed_fields(declared, "say") == {"room"}
    assert routed_fields(declared, "fixed") == frozenset()
