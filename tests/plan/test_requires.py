"""`require`: what claims are compared with, in the shapes that identity providers write."""

from collections.abc import Callable
from typing import Any

import pytest

from channeld.plan.plan import Plan
from channeld.plan.requires import unmet
from tests.plan.conftest import Compile, Outcome

TEXT = """channeld: 1
auth:
  s:
    type: jwt
    algorithms: [HS256]
    audience: a
    secret: "${{CHANNELD_SECRET}}"
    claims: {claims}
channels:
  c:
    path: /c/{{id}}
    description: One.
    auth: s
    require: {require}
    messages: {{m: {{schema: true, route: sender}}}}
"""


def plan_of(outcome: Outcome) -> Plan:
    assert outcome.compiled.plan is not None, outcome.codes()
    return outcome.compiled.plan


def text_of(require: str, claims: str = "{type: object}") -> str:
    return TEXT.format(require=require, claims=claims)


@pytest.fixture
def met(compile_text: Compile, session: Callable[..., Any]) -> Callable[..., bool]:
    """Whether claims meet a `require`, for somebody in `/c/general` unless another `id` is given."""

    def ask(require: str, claims: Any, id: str = "general") -> bool:
        plan = plan_of(compile_text(text_of(require)))
        scope = session(params={"id": id}, claims=claims)
        return unmet(plan.channels["c"].require, scope) is None

    return ask


@pytest.mark.parametrize(
    ("require", "claims", "answer"),
    [
        ("{role: admin}", {"role": "admin"}, True),
        ("{role: admin}", {"role": ["member", "admin"]}, True),
        ("{role: admin}", {"role": "member admin"}, True),
        ("{role: admin}", {"role": "administrator"}, False),
        ("{role: admin}", {}, False),
        ("{role: [admin, owner]}", {"role": "owner"}, True),
        ("{level: 1}", {"level": 1.0}, True),
        ("{level: 1}", {"level": True}, False),
        ("{level: 1}", {"level": "1"}, False),
        ("{level: 1}", {"level": [2, 1.0]}, True),
        ("{level: 1}", {"level": [True]}, False),
        ("{on: true}", {"on": True}, True),
        ("{on: true}", {"on": 1}, False),
        ("{word: a}", {"word": "ab a"}, True),
        ("{word: a b}", {"word": "a b"}, True),
        ("{room: '{params.id}'}", {"room": "general"}, True),
        ("{room: '{params.id}'}", {"room": ["x", "y"]}, False),
        ("{role: admin, level: 2}", {"role": "admin", "level": 1}, False),
        # Keycloak, Supabase, Firebase: a claim inside another.
        ("{realm_access.roles: admin}", {"realm_access": {"roles": ["admin", "user"]}}, True),
        ("{realm_access.roles: admin}", {"realm_access.roles": "admin"}, False),
        ("{realm_access.roles: admin}", {"realm_access": "admin"}, False),
        ("{app_metadata.role: admin}", {"app_metadata": {"role": "admin"}}, True),
        # Auth0: a name with dots of its own.
        ("{'[\"https://e.com/roles\"]': x}", {"https://e.com/roles": ["x"]}, True),
        ('{"https://e.com/roles": x}', {"https://e.com/roles": ["x"]}, True),
        ("{'a[\"b.c\"].d': x}", {"a": {"b.c": {"d": "x"}}}, True),
        # Cognito.
        ('{"cognito:groups": staff}', {"cognito:groups": ["staff"]}, True),
        # A schema.
        ("{level: {minimum: 3}}", {"level": 3}, True),
        ("{level: {minimum: 3}}", {"level": 2}, False),
        ("{level: {minimum: 3}}", {"level": "many"}, False),
        ("{name: {pattern: '^a'}}", {"name": "ann"}, True),
        ("{name: {pattern: '^a'}}", {"name": 5}, False),
        ("{roles: {contains: {const: admin}}}", {"roles": ["admin"]}, True),
        ("{roles: {contains: {const: admin}}}", {"roles": {}}, False),
        (
            "{org: {properties: {plan: {const: pro}}, required: [plan]}}",
            {"org": {"plan": "pro"}},
            True,
        ),
        ("{org: {properties: {plan: {const: pro}}, required: [plan]}}", {"org": "pro"}, False),
        ("{level: [{minimum: 3}, none]}", {"level": "none"}, True),
        # Alternatives.
        ("[{role: admin}, {'docs.{params.id}': write}]", {"role": "admin"}, True),
        ("[{role: admin}, {'docs.{params.id}': write}]", {"docs": {"general": "write"}}, True),
        ("[{role: admin}, {'docs.{params.id}': write}]", {"docs": {"other": "write"}}, False),
        ("[{role: admin}]", {"role": "member"}, False),
    ],
)
def test_claims_meet_what_is_required(
    met: Callable[..., bool], require: str, claims: Any, answer: bool
) -> None:
    assert met(require, claims) is answer


def test_a_template_in_a_path_is_one_name_whatever_dots_it_has(met: Callable[..., bool]) -> None:
    require = "{'docs.{params.id}': write}"
    assert met(require, {"docs": {"a.b": "write"}}, id="a.b")
    assert not met(require, {"docs": {"a": {"b": "write"}}}, id="a.b")


def test_a_missing_value_is_never_met(met: Callable[..., bool]) -> None:
    assert not met("{team: '{claims.own?}'}", {"team": "x"})
    assert met("{team: '{claims.own?}'}", {"team": "x", "own": "x"})


def test_the_claim_that_was_missing_is_named(
    compile_text: Compile, session: Callable[..., Any]
) -> None:
    plan = plan_of(compile_text(text_of("{role: admin, realm_access.roles: x}")))
    require = plan.channels["c"].require
    assert unmet(require, session(claims={"role": "admin"})) == "realm_access.roles"
    assert unmet(require, session(claims={"role": "admin", "realm_access": {"roles": "x"}})) is None
    assert unmet((), session()) is None


@pytest.mark.parametrize(
    ("require", "code", "help"),
    [
        ("{rooms: ['{params.nope}']}", "CH302", "the path has `{id}`"),
        ("{'docs.{params.nope}': x}", "CH302", "the path has `{id}`"),
        ("{a..b: x}", "CH318", 'write `a.b`, or `["a.b"]` for a name with dots of its own'),
        ("{'a[b]': x}", "CH318", 'write `a.b`, or `["a.b"]` for a name with dots of its own'),
        ("{realm_access: {roles: x}}", "CH440", "for the claim `roles` inside of `realm_access` write `realm_access.roles`"),
        ("{level: {minimun: 3}}", "CH440", "did you mean `minimum`?"),
        ("{org: {properties: {plan: {conts: pro}}}}", "CH440", "did you mean `const`?"),
        ("{level: {min: 3}}", "CH440", "write `minimum: 3`"),
        ("{level: {$gte: 2.5}}", "CH440", "write `minimum: 2.5`"),
        ("{level: {lt: 9}}", "CH440", "write `exclusiveMaximum: 9`"),
        ("{org: {properties: {level: {max: 3}}}}", "CH440", "write `maximum: 3`"),
        ("{level: {min: three}}", "CH440", "for the claim `min` inside of `level` write `level.min`"),
        ("{level: {min: true}}", "CH440", "for the claim `min` inside of `level` write `level.min`"),
        ("{name: {regex: '^a'}}", "CH440", "write `pattern: \"^a\"`"),
        ("{roles: {contains_all: [a, b]}}", "CH440",
         "write `type: array` and `allOf: [{contains: {const: a}}, {contains: {const: b}}]`"),
        ("{role: {any_of: [a, b]}}", "CH440", "write `role: [a, b]`: one value of a list is enough"),
        ("{level: {minimum: x}}", "CH201", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_required(compile_text: Compile, require: str, code: str, help: str) -> None:
    assert compile_text(text_of(require)).codes() == [code]
    assert compile_text(text_of(require)).finding(code).help == help


CLAIMS = (
    "{type: object, additionalProperties: false, properties: {sub: {}, exp: {}, aud: {}, role: {enum: [admin, member]},"
    " roles: {type: array, items: {enum: [admin, member]}}, level: {type: integer, maximum: 9}, free: {},"
    " realm: {type: object, properties: {roles: {}}, additionalProperties: false}}}"
)


@pytest.mark.parametrize(
    ("require", "code", "help"),
    [
        ("{rol: admin}", "CH416", "did you mean `role`?"),
        ("{realm.rols: x}", "CH416", "did you mean `roles`?"),
        ("{other.thing: x}", "CH416", "declare it in the authenticator's `claims` schema"),
        ("{role: adimn}", "CH441", "did you mean `admin`?"),
        ("{role: [admin, owner]}", "CH441", "it may be `admin`, `member`"),
        ("{roles: adimn}", "CH441", "did you mean `admin`?"),
        ("{level: high}", "CH441", "correct it, or the `claims` schema"),
        ("{role: {const: owner}}", "CH441", "correct it, or the `claims` schema, which allows no such value"),
        ("{level: {minimum: 10}}", "CH441", "correct it, or the `claims` schema, which allows no such value"),
        ("{level: {maxLength: 3}}", "CH441", "correct it, or the `claims` schema, which allows no such value"),
        ("{level: 10}", "CH441", "correct it, or the `claims` schema"),
        ("{realm: {required: [ranks]}}", "CH441", "correct it, or the `claims` schema, which allows no such value"),
    ],
)  # fmt: skip
def test_what_can_never_be_met_is_an_error(
    compile_text: Compile, require: str, code: str, help: str
) -> None:
    outcome = compile_text(text_of(require, CLAIMS))
    assert outcome.codes() == [code]
    assert outcome.finding(code).help == help


@pytest.mark.parametrize(
    "require",
    ["{role: admin}", "{roles: member}", "{level: 3}", "{free: x}", "{role: {const: admin}}", "{exp: 1}",
     "{level: {minimum: 9}}", "{free: {minimum: 9}}", "{realm: {required: [roles]}}", "{roles: {contains: {const: admin}}}"],
)  # fmt: skip
def test_what_can_be_met_is_not(compile_text: Compile, require: str) -> None:
    assert compile_text(text_of(require, CLAIMS)).codes() == []


def test_a_schema_may_refer_to_a_named_one(
    compile_text: Compile, session: Callable[..., Any]
) -> None:
    text = (
        text_of("{level: {$ref: '#/schemas/Level'}}")
        + "schemas: {Level: {type: integer, minimum: 3}}\n"
    )
    plan = plan_of(compile_text(text))
    require = plan.channels["c"].require
    assert [unmet(require, session(claims={"level": n})) is None for n in (2, 3)] == [False, True]
