"""Who may do what, for everybody and for one person: what the table says is what the engine does."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from channeld.dev.rights import ChannelRights, Person, Right, rights, rights_of
from channeld.plan.load import load_plan
from channeld.plan.plan import Plan
from channeld.testing import NotReceived, Refused, running
from channeld.testing.client import ClaimsRefused

CONFIG = """
channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    token_from: [header]
    secret: ssssssssssssssssssssssssssssssssssssssss
    claims: {type: object, properties: {level: {type: integer}, team: {type: string}}}
channels:
  open: {path: /open, auth: none, messages: {say: {schema: true, route: global}}}
  either:
    path: /either
    auth: {use: session, optional: true}
    messages:
      say: {schema: true, route: sender}
      rule: {schema: true, route: sender, require: {role: admin}}
  staff:
    path: /staff
    auth: session
    require: [{role: [admin, editor]}, {level: {minimum: 5}}]
    rooms: {join: "team-{claims.team?}"}
    messages:
      rule: {schema: true, route: sender, require: {role: admin, team: a}}
      mine: {schema: {type: object, required: [to], properties: {to: {type: string}}}, route: sender, require: {team: "{message.to}"}}
"""
ROLES: list[dict[str, Any]] = [{}, {"role": "admin"}, {"role": ["editor", "x"]}, {"role": "guest"}]
LEVELS: list[dict[str, Any]] = [{}, {"level": 4}, {"level": 5}, {"level": "high"}]
TEAMS: list[dict[str, Any]] = [{}, {"team": "a"}]
CLAIMS = [{**a, **b, **c} for a, b, c in itertools.product(ROLES, LEVELS, TEAMS)]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    tmp_path.joinpath("channels.yaml").write_text(CONFIG)
    return load_plan(str(tmp_path / "channels.yaml"))


def found(channels: list[ChannelRights], channel: str, what: str, of: str = "") -> Right:
    rows = next(one for one in channels if one.channel == channel).rights
    return next(row for row in rows if (row.what, row.of) == (what, of or row.of))


@pytest.mark.parametrize("user", ["ann", None])
async def test_what_the_table_says_is_what_the_engine_does(plan: Plan, user: str | None) -> None:
    async with running(plan) as app:
        for claims in CLAIMS if user is not None else [{}]:
            table = rights_of(plan, Person(user=user, claims=claims))
            either = "anonymous" if user is None else "session"
            for channel, way in (("open", "anonymous"), ("either", either), ("staff", "session")):
                verdict = found(table, channel, "connect", way).verdict
                try:
                    client = await app.connect(f"/{channel}", user=user, claims=claims)
                except (ClaimsRefused, Refused):
                    assert verdict == "no"
                    continue
                is_in = client.closed is None
                assert (verdict == "yes") is is_in, (channel, claims)
                for type_ in plan.channels[channel].messages if is_in else ():
                    sent = found(table, channel, "send", type_).verdict
                    await client.send({"type": type_, "to": "a", "id": 1})
                    refused = False
                    try:
                        await client.receive("ack")
                    except NotReceived:
                        refused = True
                    if sent != "depends":
                        assert (sent == "no") is refused, (channel, type_, claims)
                await client.close()


def test_what_depends_on_a_message_says_so(plan: Plan) -> None:
    table = rights_of(plan, Person(user="ann", claims={"role": "admin", "team": "a"}))
    row = found(table, "staff", "send", "mine")
    assert (row.verdict, row.why) == ("depends", "{message.to}")
    assert found(table, "staff", "join").why == "team-a"


def test_everybodys_rights_are_told_in_words(plan: Plan) -> None:
    table = rights(plan.config)
    assert found(table, "staff", "connect").requires == (
        "role=admin|editor",
        'level={"minimum":5}',
    )
    assert found(table, "open", "connect").who == "anyone, without a token"
    assert found(table, "open", "receive", "say").who == "everyone"
    assert found(table, "staff", "send", "rule").requires == ("role=admin and team=a",)
