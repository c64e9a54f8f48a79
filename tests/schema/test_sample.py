import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.protocol.frames import Json
from channeld.schema.sample import sample


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        (True, "text"),
        ({}, "text"),
        ({"type": "string"}, "text"),
        ({"const": 7}, 7),
        ({"enum": ["red", "blue"]}, "red"),
        ({"enum": ["a", "long"], "minLength": 3}, "long"),
        ({"type": "integer", "examples": [42]}, 42),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "maximum": -5}, -5),
        ({"type": "integer", "exclusiveMinimum": 9}, 10),
        ({"type": "integer", "multipleOf": 8}, 0),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"]}, 1),
        ({"type": "array"}, []),
        ({"type": "array", "minItems": 2, "items": {"const": 3}}, [3, 3]),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, "ABC"),
        ({"type": "string", "minLength": 40}, "text" * 10),
        ({"type": "string", "maxLength": 2}, "a"),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"properties": {"a": {}}, "required": ["a"]}, {"a": "text"}),
        ({"type": "object", "required": ["a", "b"]}, {"a": "text", "b": "text"}),
    ],
)
def test_a_value(schema: Json, wanted: Json) -> None:
    assert sample(schema) == wanted


def test_the_preferred_text_wins_where_it_fits() -> None:
    assert sample({"type": "string", "pattern": "^[a-z]+$"}, "general") == "general"
    assert sample({"type": "string", "pattern": "^[0-9]+$"}, "general") == "1"


def test_references_are_followed() -> None:
    within: Json = {
        "type": "object",
        "required": ["n"],
        "properties": {"n": {"$ref": "#/$defs/number"}},
        "$defs": {"number": {"type": "integer"}},
    }
    assert sample(within) == {"n": 1}
    assert sample({"$ref": "#/schemas/name"}, schemas={"name": {"const": "Ann"}}) == "Ann"


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"not": {}},
        {"type": "string", "pattern": "^[0-9]{17}x$"},
        {"type": "string", "pattern": "(["},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "https://example.com/schema.json"},
    ],
)
def test_none_where_none_is_found(schema: Json) -> None:
    assert sample(schema) is None


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}]
)
def test_a_circle_ends(schema: Json) -> None:
    assert sample(schema) == "text"


_LEAVES = st.one_of(
    st.fixed_dictionaries({"type": st.just("integer")}, optional={"minimum": st.integers(-9, 9)}),
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": st.integers(0, 50)}),
    st.sampled_from([True, {}, {"type": "boolean"}, {"type": "string", "format": "uuid"}]),
)
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(
        lambda properties: {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(_SCHEMAS)
def test_simple_schemas_accept_their_sample(schema: bool | dict[str, object]) -> None:
    value = sample(schema)  # type: ignore[arg-type]
    assert value is not None
    jsonschema.validate(value, schema)
