from collections.abc import Callable
from typing import Any

from channeld.plan.plan import MISSING
from channeld.plan.requires import compile_requirements
from channeld.plan.template_scope import Identity, TemplateScope
from channeld.plan.templates import TemplateCompiler
from channeld.protocol.frames import Json
from tests.plan.conftest import Compile

REACH = TemplateScope(place="require", params={"id": frozenset({"string"})}, identity=Identity())


def test_each_claim_is_a_requirement(
    templates: TemplateCompiler, session: Callable[..., Any]
) -> None:
    require: dict[str, Json] = {"role": "admin", "level": [1, 2], "rooms": "{params.id}"}
    found = compile_requirements(require, "", REACH, templates)
    scope = session(params={"id": "general"})
    rendered = {each.claim: [t(scope, {}) for t in each.any_of] for each in found}
    assert rendered == {"role": ["admin"], "level": [1, 2], "rooms": ["general"]}


def test_nothing_is_required_by_nothing(templates: TemplateCompiler) -> None:
    assert compile_requirements(None, "", REACH, templates) == ()


def test_a_missing_value_is_missing(
    templates: TemplateCompiler, session: Callable[..., Any]
) -> None:
    (found,) = compile_requirements({"team": "{claims.team?}"}, "", REACH, templates)
    assert found.any_of[0](session(), {}) is MISSING


def test_a_bad_template_is_a_finding(templates: TemplateCompiler) -> None:
    compile_requirements({"rooms": ["{params.nope}"]}, "", REACH, templates)
    assert [finding.code for finding in templates.report] == ["CH302"]


def test_a_claim_that_no_token_can_have_is_an_error(compile_text: Compile) -> None:
    text = """channeld: 1
auth:
  s:
    type: jwt
    algorithms: [HS256]
    audience: a
    secret: "${CHANNELD_SECRET}"
    claims: {type: object, properties: {sub: {}, exp: {}, aud: {}, role: {}}, additionalProperties: false}
channels:
  c:
    path: /c
    description: One.
    auth: s
    require: {rol: admin}
    messages: {m: {schema: true, route: sender, require: {role: admin, exp: 1}}}
"""
    outcome = compile_text(text)
    assert outcome.codes() == ["CH416"]
    assert outcome.finding("CH416").help == "did you mean `role`?"
