from typing import Any

import pytest

from channeld.auth.jwt import JwtAuthenticator
from channeld.config.model import JwtAuth
from channeld.export.identifiers import Identifiers
from channeld.plan.identity import Identity
from channeld.plan.rendered import Claims, Scene, rendered_fields
from channeld.plan.template_scope import TemplateScope
from channeld.protocol.reserved import Field
from channeld.schema.definitions import Definitions
from channeld.schema.guarantees import Shape

TEXT: Any = {"type": "string", "maxLength": 5}
MESSAGE: Any = {
    "required": ["text", "deep"],
    "properties": {
        "text": {"$ref": "#/$defs/text"},
        "deep": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}},
        "maybe": {"enum": [1, "a"]},
        "any": True,
    },
    "oneOf": [{"properties": {"branch": {"const": 1}}, "required": ["branch"]}],
    "$defs": {"text": TEXT},
}
CLAIMS: Any = {"required": ["name"], "properties": {"name": {"type": "string"}}}
AUTH = JwtAuth(algorithms=("HS256",))


def render(value: Any, *, room: bool = True, claims: Any = CLAIMS) -> Field:
    definitions = Definitions(Identifiers().give)
    shape = Shape(claims, of_object=True) if claims is not None else None
    scene = Scene(
        definitions=definitions,
        scope=TemplateScope(
            place="emit",
            message=Shape(MESSAGE, of_object=True),
            params={"p": frozenset({"integer"})},
            identity=Identity(((AUTH, shape),)),
            room=room,
        ),
        params={"p": {"type": "integer"}},
        claims=[Claims(schema=claims, standard=JwtAuthenticator(AUTH).standard_claims())],
        message=MESSAGE,
    )
    return scene.render(value)


@pytest.mark.parametrize(
    ("template", "schema"),
    [
        ("constant", {"const": "constant"}),
        ("{{x}}", {"const": "{x}"}),
        (1, {"const": 1}),
        ({"a": [None]}, {"const": {"a": [None]}}),
        ("{message.text}", {"$ref": "#/$defs/Text"}),
        ("{message.deep.n}", {"type": "integer"}),
        ("{message.branch}", {"enum": [1]}),
        ("{message.type}", {"type": "string"}),
        ("{params.p}", {"type": "integer"}),
        ("{claims.name}", {"type": "string"}),
        ("{claims.sub}", {"type": "string"}),
        ("{connection.id}", {"type": "string"}),
        ("{now}", {"type": "string", "format": "date-time"}),
        ("{now_ms}", {"type": "integer"}),
        ("{uuid}", {"type": "string", "format": "uuid"}),
        ("a {message.deep.n} b", {"type": "string", "minLength": 5, "maxLength": 28}),
    ],
)
def test_what_is_always_there(template: Any, schema: Any) -> None:
    assert render(template) == Field(schema)


@pytest.mark.parametrize(
    ("template", "schema"),
    [
        ("{message.maybe?}", {"enum": [1, "a"]}),
        ("{message.any?}", True),
        ("{message.none?}", True),
        ("{claims.other?}", True),
        ("x {message.maybe?}", {"type": "string", "minLength": 3, "maxLength": 26}),
    ],
)
def test_what_may_be_missing(template: Any, schema: Any) -> None:
    assert render(template) == Field(schema, required=False)


def test_a_room_may_be_missing_where_there_is_not_one() -> None:
    assert not render("{room?}", room=False).required
    assert render("{room}").required


def test_objects_have_what_is_always_there_as_required() -> None:
    schema = render({"a": "{now_ms}", "b": "{message.maybe?}"}).schema
    assert schema == {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "integer"}, "b": {"enum": [1, "a"]}},
    }


def test_lists_have_at_least_what_is_always_there() -> None:
    schema = render(["{now_ms}", "{message.maybe?}", "{params.p}"]).schema
    kinds = [{"type": "integer"}, {"enum": [1, "a"]}]
    assert schema == {"type": "array", "items": {"anyOf": kinds}, "minItems": 2}


def test_without_a_claims_schema_only_the_subject_is_known() -> None:
    assert render("{claims.sub}", claims=None).schema == {"type": "string"}
    assert render("{claims.x?}", claims=None) == Field(True, required=False)


def test_fields_without_any_that_is_always_there_require_nothing() -> None:
    assert rendered_fields({"a": Field(True, False)}) == {"properties": {"a": True}}
