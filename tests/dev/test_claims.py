"""Claims that are made up to meet what is required."""

from pathlib import Path
from typing import Any

import pytest

from channeld.dev.claims import claims_in, claims_meeting
from channeld.plan.load import load_plan

CONFIG = """
channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ssssssssssssssssssssssssssssssssssssssss
    claims:
      type: object
      required: [name]
      properties:
        name: {type: string}
        roles: {type: array, items: {type: string}}
channels:
  room: {path: "/rooms/{id}", auth: session, rooms: "{params.id}"}
"""


@pytest.mark.parametrize(
    ("require", "made"),
    [
        ({}, {}),
        ({"role": "admin"}, {"role": "admin"}),
        ({"role": ["member", "admin"]}, {"role": "member"}),
        ({"roles": "admin"}, {"roles": ["admin"]}),
        ({"realm.roles": "x"}, {"realm": {"roles": "x"}}),
        ({"team": "{params.id}"}, {"team": "general"}),
        ({"owner": "u-{user.id}"}, {"owner": "u-ann"}),
        ({"rooms.{params.id}": True}, {"rooms": {"general": True}}),
        ({"level": {"minimum": 3}}, {"level": 3}),
    ],
)
def test_a_requirement_is_met(
    require: dict[str, Any], made: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(CONFIG)
    plan = load_plan(str(file))
    auth = plan.channels["room"].auth[0]
    requires = [[require]] if require else []
    found = claims_meeting(plan, auth, requires, user="ann", params={"id": "general"})
    assert found == {"name": "Ann", **made}


def test_the_later_requirement_wins(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(CONFIG)
    plan = load_plan(str(file))
    requires: Any = [({"role": ["member", "admin"]},), ({"role": "admin"}, {"role": "owner"})]
    auth = plan.channels["room"].auth[0]
    assert claims_meeting(plan, auth, requires, user="a", params={})["role"] == "admin"


@pytest.mark.parametrize(
    ("token", "claims"),
    [
        ("e30.eyJzdWIiOiJhbm4ifQ.x", {"sub": "ann"}),
        ("e30.WzFd.x", {}),
        ("e30.!.x", {}),
        ("opaque", {}),
    ],
)
def test_what_a_token_says(token: str, claims: dict[str, Any]) -> None:
    assert claims_in(token) == claims
