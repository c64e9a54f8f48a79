from typing import Any

import pytest

from channeld.config.model import HookAuth, HookRef, JwtAuth, TokensAuth
from channeld.plan.expressions import Expression, parse_text
from channeld.plan.identity import Identity
from channeld.plan.template_scope import Resolved, TemplateError, TemplateScope, resolve
from channeld.schema.guarantees import Shape

JWT = JwtAuth(algorithms=("HS256",))
TOKENS = TokensAuth(tokens=())
NAMED = Shape(
    {"required": ["name"], "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
    of_object=True,
)


def ask(text: str, scope: TemplateScope) -> Resolved | TemplateError:
    expression = parse_text(text, "", [])
    assert isinstance(expression, Expression)
    return resolve(expression, scope)


def of(*authenticators: Any, optional: bool = False) -> TemplateScope:
    return TemplateScope(place="emit", identity=Identity(authenticators, optional))


@pytest.mark.parametrize(
    ("text", "scope", "types"),
    [
        ("{claims.sub}", of((JWT, None)), {"string"}),
        ("{claims.exp}", of((JWT, None)), {"integer", "number"}),
        ("{claims.name}", of((JWT, NAMED)), {"string"}),
        ("{claims.name}", of((JWT, NAMED), (TOKENS, NAMED)), {"string"}),
        ("{user.id}", of((TOKENS, None)), {"string"}),
    ],
)
def test_what_an_authenticator_guarantees(text: str, scope: TemplateScope, types: set[str]) -> None:
    assert ask(text, scope) == Resolved(frozenset(types))


@pytest.mark.parametrize(
    ("text", "scope", "code"),
    [
        ("{claims.sub}", of((TOKENS, None)), "CH310"),
        ("{claims.sub}", of((JWT, None), (TOKENS, None)), "CH310"),
        ("{claims.name}", of((JWT, NAMED), (TOKENS, None)), "CH310"),
        ("{claims.age}", of((JWT, NAMED)), "CH310"),
        ("{claims.nam}", of((JWT, NAMED)), "CH310"),
        ("{claims.name}", of((JWT, NAMED), optional=True), "CH332"),
        ("{user.id}", of((JWT, NAMED), optional=True), "CH332"),
        ("{user.id}", of(), "CH332"),
        ("{claims}", of((JWT, None)), "CH309"),
        ("{room}", of(), "CH320"),
        ("{message.x}", of(), "CH320"),
    ],
)
def test_what_nothing_guarantees(text: str, scope: TemplateScope, code: str) -> None:
    found = ask(text, scope)
    assert isinstance(found, TemplateError)
    assert found.code == code
    assert found.help


def test_exp_is_certain_only_where_it_is_required() -> None:
    loose = JwtAuth(algorithms=("HS256",), expiry="optional")
    assert isinstance(ask("{claims.exp}", of((loose, None))), TemplateError)
    optional = ask("{claims.exp?}", of((loose, None)))
    assert optional == Resolved(frozenset({"integer", "number"}), maybe=True)


def test_a_misspelt_claim_is_compared() -> None:
    found = ask("{claims.nam}", of((JWT, NAMED)))
    assert isinstance(found, TemplateError)
    assert found.help == "did you mean `name`?"


def test_an_optional_expression_may_be_missing() -> None:
    hook = HookAuth(hook=HookRef(call="a:b"))
    found = ask("{claims.anything?}", of((hook, None)))
    assert isinstance(found, Resolved)
    assert found.maybe
    assert ask("{user.id?}", of()) == Resolved(frozenset({"string"}), maybe=True)


def test_an_unanalysed_schema_asks_for_the_question_mark() -> None:
    scope = TemplateScope(place="emit", message=Shape({"$dynamicRef": "#any"}), message_type="say")
    found = ask("{message.x}", scope)
    assert isinstance(found, TemplateError)
    assert (found.code, found.help) == ("CH310", "write `{message.x?}`")
    assert isinstance(ask("{message.x?}", scope), Resolved)


def test_the_words_of_the_documented_example() -> None:
    shape = Shape({"type": "object", "properties": {"to": {"type": "string"}}}, of_object=True)
    found = ask(
        "{message.to}", TemplateScope(place="route.user", message=shape, message_type="whisper")
    )
    assert found == TemplateError(
        "CH310",
        "template field is not guaranteed",
        "`to` is not in the schema's `required`",
        "add `required: [to]` to the schema, or write `{message.to?}`",
    )


@pytest.mark.parametrize(
    ("schema", "label"),
    [
        ({"type": "object", "required": ["b"]}, None),
        ({"type": "object"}, "`b` is not in the `required` of `a`"),
        ({"required": ["b"]}, "`a` need not be an object"),
    ],
)
def test_a_nested_field_is_explained(schema: Any, label: str | None) -> None:
    inner = {**schema, "properties": {"b": {"type": "string"}}}
    shape = Shape({"required": ["a"], "properties": {"a": inner}}, of_object=True)
    found = ask("{message.a.b}", TemplateScope(place="emit", message=shape, message_type="say"))
    assert (found.label if isinstance(found, TemplateError) else None) == label


def test_a_param_is_found_under_params() -> None:
    found = ask("{id}", TemplateScope(place="rooms.join", params={"id": frozenset({"string"})}))
    assert isinstance(found, TemplateError)
    assert (found.code, found.help) == ("CH319", "write `{params.id}`")


def test_a_word_that_is_no_root_is_compared() -> None:
    found = ask("{mesage.x}", TemplateScope(place="emit", message=NAMED))
    assert isinstance(found, TemplateError)
    assert (found.code, found.help) == ("CH319", "did you mean `message`?")


def test_the_authenticators_that_do_not_guarantee_a_claim_are_named() -> None:
    both = Identity(((JWT, NAMED), (TOKENS, None)), names=("login", "robots"))
    error = ask("{claims.name}", TemplateScope(place="emit", identity=both))
    assert isinstance(error, TemplateError)
    assert error.label == "no `claims` schema of `robots` guarantees `name`"
    assert "`required: [name]` to the `claims` schema of `robots`" in error.help


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("{user.name}", "write `{user.id}`, or `{claims.name}`"),
        ("{user.claims.name}", "write `{user.id}`, or `{claims.name}`"),
        ("{user.claims}", "write `{user.id}`"),
        ("{user}", "write `{user.id}`"),
    ],
)
def test_other_fields_of_a_user_lead_to_claims(text: str, advice: str) -> None:
    found = ask(text, of((JWT, NAMED)))
    assert isinstance(found, TemplateError)
    assert (found.code, found.help) == ("CH309", advice)
