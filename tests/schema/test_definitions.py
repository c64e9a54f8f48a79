from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.export.identifiers import Identifiers
from channeld.schema.definitions import PREFIX, Definitions, Unframeable, references

FIELDS = ("type", "id")
PLAIN: dict[str, Any] = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": "integer"}},
    "additionalProperties": False,
}


def judge(definitions: Definitions, schema: Any) -> Any:
    whole = {**schema, "$defs": definitions.all()}
    return jsonschema.Draft202012Validator(whole).is_valid


def test_a_closed_schema_lets_the_fields_pass() -> None:
    definitions = Definitions(Identifiers().give)
    accepts = judge(definitions, definitions.around(PLAIN, FIELDS, "frame"))
    assert accepts({"type": "t", "id": 1, "a": 1})
    assert not accepts({"type": "t", "a": 1, "b": 1})
    assert not accepts({"type": "t"})


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [PLAIN, {**PLAIN, "required": ["b"], "properties": {"b": True}}]},
        {"$ref": "#/$defs/x", "$defs": {"x": PLAIN}},
        {"allOf": [{"properties": {"a": True}}], "unevaluatedProperties": False},
        {"patternProperties": {"^[a-z]+$": {"type": "integer"}}, "additionalProperties": False},
        {"patternProperties": {"p": {"type": "integer"}}},
        {"propertyNames": {"maxLength": 1}},
        {"enum": [{"a": 1}, {}]},
        {"const": {"a": [1]}},
        {"not": {"required": ["a"]}},
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"maxLength": 1}},
        {"dependentRequired": {"a": ["b"]}},
        {"dependentSchemas": {"a": {"required": ["b"], "additionalProperties": False}}},
        {"properties": {"a": {"$ref": "#"}}, "additionalProperties": False},
        {"additionalProperties": {"type": "integer"}},
    ],
)
@settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "p", "xp", "long"]),
        st.one_of(st.integers(0, 2), st.just([1]), st.just({}), st.just({"a": {}})),
        max_size=3,
    )
)
def test_it_judges_the_frame_as_the_schema_judges_it_without_the_fields(
    schema: dict[str, Any], fields: dict[str, Any]
) -> None:
    definitions = Definitions(Identifiers().give)
    accepts = judge(definitions, definitions.around(schema, FIELDS, "frame"))
    frame = {"type": "t", "id": 1, **fields}
    assert accepts(frame) == jsonschema.Draft202012Validator(schema).is_valid(fields)


@pytest.mark.parametrize(
    "schema",
    [
        {"required": ["stamp"], "properties": {"stamp": {"type": "integer"}}},
        {"not": {"required": ["stamp"]}},
        {"oneOf": [{"required": ["stamp"]}, {"required": ["a"]}]},
        {"if": {"required": ["stamp"]}, "then": {"required": ["a"]}},
        {"dependentRequired": {"stamp": ["a"], "a": ["stamp"]}},
        {"minProperties": 1, "maxProperties": 2},
    ],
)
@settings(max_examples=20)
@given(st.dictionaries(st.sampled_from(["a", "stamp"]), st.integers(0, 2)))
def test_what_depends_on_a_field_is_loosened_never_tightened(
    schema: dict[str, Any], message: dict[str, Any]
) -> None:
    definitions = Definitions(Identifiers().give)
    accepts = judge(definitions, definitions.around(schema, ("type", "stamp"), "frame"))
    if jsonschema.Draft202012Validator(schema).is_valid(message):
        assert accepts({"type": "t", **message, "stamp": "over it"})


def test_a_nested_value_keeps_its_schema_where_the_frame_refers_to_the_same() -> None:
    node = {**PLAIN, "properties": {"a": {"type": "integer"}, "below": {"$ref": "#"}}}
    definitions = Definitions(Identifiers().give)
    accepts = judge(definitions, definitions.around(node, FIELDS, "node"))
    assert accepts({"type": "t", "a": 1, "below": {"a": 2}})
    assert not accepts({"type": "t", "a": 1, "below": {"a": 2, "type": "t"}})


def test_false_accepts_no_frame() -> None:
    definitions = Definitions(Identifiers().give)
    assert not judge(definitions, definitions.around(False, FIELDS, "frame"))({"type": "t"})


def test_dynamic_references_can_not_be_framed() -> None:
    with pytest.raises(Unframeable):
        Definitions(Identifiers().give).around({"$dynamicRef": "#x"}, FIELDS, "frame")


def test_equal_definitions_of_two_schemas_share_a_name_and_others_do_not() -> None:
    definitions = Definitions(Identifiers().give)
    one: Any = {"$ref": "#/$defs/text", "$defs": {"text": {"type": "string"}}}
    other: Any = {"$ref": "#/$defs/text", "$defs": {"text": {"type": "integer"}}}
    copies = [definitions.copy(schema, schema, "x") for schema in (one, {**one}, other)]
    assert copies == [{"$ref": PREFIX + name} for name in ("Text", "Text", "Text2")]
    assert definitions.all() == {"Text": {"type": "string"}, "Text2": {"type": "integer"}}


def test_references_are_found_wherever_they_stand() -> None:
    schema: Any = {"allOf": [{"$ref": "#/$defs/A"}], "properties": {"x": {"$ref": "#/$defs/B"}}}
    assert sorted(references(schema)) == ["A", "B"]


def test_a_reference_out_of_the_document_stays() -> None:
    outside: Any = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
    assert Definitions(Identifiers().give).copy(outside, outside, "x") == outside
