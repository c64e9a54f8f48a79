"""Who may do what, for everybody and for one person: what the table says is what the engine does."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from channeld.dev.rights import ChannelRights, Person, Right, rights, rights_of
from channeld.plan.load import check, load_plan
from channeld.plan.plan import Plan
from channeld.telemetry import silenced
from channeld.testing import Client, NotReceived, Refused, TestApp, running
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


# ------------------------------------------------------------------------------------ any configuration, anybody

ONE_ROLE = st.sampled_from(["admin", "member", "editor"])
ALTERNATIVE = st.fixed_dictionaries(
    {},
    optional={
        "role": ONE_ROLE | st.lists(ONE_ROLE, min_size=1, max_size=2, unique=True),
        "level": st.just({"minimum": 5}) | st.just(5),
        "team": st.sampled_from(["a", "b", "{params.id}"]),
    },
).filter(bool)
REQUIRE = st.none() | ALTERNATIVE | st.lists(ALTERNATIVE, min_size=2, max_size=2)
PERSON = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "role": ONE_ROLE | st.lists(ONE_ROLE, max_size=2) | st.just("admin editor"),
        "level": st.sampled_from([3, 5, 7, "5"]),
        "team": st.sampled_from(["a", "b"]),
    },
)
SCOPE = st.sampled_from(["none", "session", "optional"])


def written(auth: str, require: object, types: dict[str, object], extras: set[str]) -> str:
    """A configuration with one channel."""
    channel: dict[str, Any] = {
        "path": "/c/{id}",
        "auth": {"use": "session", "optional": True} if auth == "optional" else auth,
        "rooms": {"join": "{params.id}", "subscribe": {"allow": ["side-*"]}}
        if "subscribe" in extras
        else "{params.id}",
        "messages": {
            name: {"schema": True, "route": "sender"} | ({"require": asked} if asked else {})
            for name, asked in types.items()
        },
    }
    channel |= {"require": require} if require else {}
    channel |= {"presence": True} if "presence" in extras else {}
    channel |= {"history": {"size": 5, "ttl": "1m"}} if "history" in extras else {}
    session = {"type": "jwt", "algorithms": ["HS256"], "secret": "s" * 40, "token_from": ["header"]}
    return json.dumps({"channeld": 1, "auth": {"session": session}, "channels": {"c": channel}})


async def outcome(app: TestApp, client: Client, frame: dict[str, Any]) -> bool:
    """Whether the server does what a frame asks for."""
    client.inbox.clear()
    await client.send({**frame, "id": 1})
    await app.rest()
    return not any(one["type"] == "error" for one in client.inbox)


async def compared(plan: Plan, claims: dict[str, Any] | None) -> None:
    user = None if claims is None else "ann"
    (table,) = rights_of(plan, Person(user=user, claims=claims or {}))
    (open_to_all,) = rights(plan.config)
    rows = {(row.what, row.of): row for row in table.rights}
    ways = [row for (what, _), row in rows.items() if what == "connect"]
    asks = {(row.what, row.of): " ".join(row.requires) for row in open_to_all.rights}
    async with running(plan) as app:
        client = await app.connect("/c/a", user=user, claims=claims)
        verdicts = {row.verdict for row in ways}
        if client.closed is not None:
            assert "yes" not in verdicts
            assert all(row.verdict != "yes" for row in rows.values())
            return
        assert verdicts != {"no"}
        # What is not known before somebody comes is what a template names, and nothing else.
        assert "depends" not in verdicts or "{params.id}" in " ".join(asks.values())
        for (what, of), row in rows.items():
            frames = {
                "send": {"type": of},
                "subscribe": {"type": "subscribe", "room": of.replace("*", "x")},
                "presence": {"type": "presence"},
                "history": {"type": "history"},
            }
            if what in frames:
                assert row.verdict != "no" or what == "send"
                is_done = await outcome(app, client, frames[what])
                assert row.verdict == "depends" or (row.verdict == "yes") is is_done, (row, claims)
        # And what the table does not give, nobody may.
        assert not await outcome(app, client, {"type": "no_such_type"})
        assert not await outcome(app, client, {"type": "subscribe", "room": "elsewhere"})
        for what in {"presence", "history"} - {what for what, _ in rows}:
            assert not await outcome(app, client, {"type": what})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    auth=SCOPE,
    require=REQUIRE,
    types=st.dictionaries(st.sampled_from(["say", "rule"]), REQUIRE, min_size=1),
    extras=st.sets(st.sampled_from(["subscribe", "presence", "history"])),
    claims=PERSON,
)
def test_for_any_configuration_and_anybody(
    tmp_path_factory: pytest.TempPathFactory,
    auth: str,
    require: object,
    types: dict[str, object],
    extras: set[str],
    claims: dict[str, Any] | None,
) -> None:
    file = tmp_path_factory.mktemp("rights") / "channels.yaml"
    file.write_text(written(auth, require, types, extras))
    checked = check(str(file))
    assume(checked.plan is not None)
    assert checked.plan is not None
    with silenced():
        trio.run(compared, checked.plan, claims, clock=trio.testing.MockClock())


@pytest.mark.parametrize(
    ("claims", "who"),
    [
        ("{type: object}", "users of `session` (jwt)"),
        ("{type: object, required: [name], properties: {name: {type: string}}}", "users of `session` (jwt) with claim name"),
        ("{type: object, required: [name, role]}", "users of `session` (jwt) with claims name, role"),
        ("true", "users of `session` (jwt)"),
    ],
)  # fmt: skip
def test_claims_that_every_token_must_have_are_named(tmp_path: Path, claims: str, who: str) -> None:
    old = "claims: {type: object, properties: {level: {type: integer}, team: {type: string}}}"
    assert old in CONFIG
    (tmp_path / "channels.yaml").write_text(CONFIG.replace(old, f"claims: {claims}"))
    config = check(str(tmp_path / "channels.yaml")).config
    assert config is not None
    assert found(rights(config), "staff", "connect").who == who


def test_each_room_that_is_joined_has_a_verdict_of_its_own(tmp_path: Path) -> None:
    text = """\
channeld: 1
channels:
  room:
    path: /rooms/{id}
    auth: none
    rooms: ["{params.id}", lobby]
    messages: {say: {schema: true, route: global}}
"""
    tmp_path.joinpath("channels.yaml").write_text(text)
    plan = load_plan(str(tmp_path / "channels.yaml"), {})
    table = rights_of(plan, Person())
    assert found(table, "room", "join", "lobby").verdict == "yes"
    assert found(table, "room", "join", "{params.id}").verdict == "depends"
