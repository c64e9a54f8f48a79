from typing import Any

import pytest

from channeld.export.types import (
    NEVER,
    UNKNOWN,
    Constant,
    ListOf,
    MapOf,
    Named,
    Plain,
    Property,
    Record,
    TupleOf,
    Type,
    Types,
    Union,
)

TEXT, NUMBER = Plain("string"), Plain("number")
DEFINITIONS: dict[str, Any] = {
    "Text": {"type": "string"},
    "Node": {"type": "object", "properties": {"below": {"$ref": "#/$defs/Node"}}},
}


def of(schema: Any) -> Type:
    return Types(DEFINITIONS).of(schema)


@pytest.mark.parametrize(
    ("schema", "type"),
    [
        (True, UNKNOWN),
        (False, NEVER),
        ({}, UNKNOWN),
        ({"not": {}}, NEVER),
        ({"type": "string", "maxLength": 3}, TEXT),
        ({"type": ["integer", "number"]}, NUMBER),
        ({"type": ["string", "null"]}, Union((TEXT, Plain("null")))),
        ({"const": True}, Constant(True)),
        ({"enum": [1, True, "a", None]}, Union((Constant("a"), Constant(1), Constant(True), Constant(None)))),
        ({"enum": ["a", 1], "type": "string"}, Constant("a")),
        ({"$ref": "#/$defs/Text"}, Named("Text")),
        ({"$ref": "#/$defs/Text", "description": "x"}, Named("Text")),
        ({"allOf": [{"$ref": "#/$defs/Text"}]}, Named("Text")),
        ({"$ref": "#/$defs/Text", "maxLength": 3}, TEXT),
        ({"$ref": "https://elsewhere"}, UNKNOWN),
        ({"anyOf": [{"$ref": "#/$defs/Text"}, {"type": "null"}]}, Union((Named("Text"), Plain("null")))),
        ({"type": "array"}, ListOf(UNKNOWN)),
        ({"type": "array", "items": {"type": "string"}}, ListOf(TEXT)),
        ({"type": "object"}, MapOf(UNKNOWN)),
        ({"type": "object", "additionalProperties": {"type": "string"}}, MapOf(TEXT)),
        ({"type": "object", "additionalProperties": False}, Record((), open=False)),
        ({"properties": {"a": True}}, UNKNOWN),
    ],
)  # fmt: skip
def test_each_kind_of_schema(schema: Any, type: Type) -> None:
    assert of(schema) == type


def test_pattern_properties_are_values_of_a_map() -> None:
    schema = {
        "type": "object",
        "patternProperties": {"^x": {"type": "string"}},
        "additionalProperties": False,
    }
    assert of(schema) == MapOf(TEXT)


def test_a_list_with_first_values_of_their_own() -> None:
    schema = {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "number"}],
        "items": False,
        "minItems": 1,
    }
    assert of(schema) == TupleOf((TEXT, NUMBER), 1, NEVER)


def test_a_record_knows_what_is_required_and_what_is_said() -> None:
    schema = {
        "type": "object",
        "required": ["a", "undeclared"],
        "properties": {"a": {"type": "string", "description": "A."}, "b": {"type": "number"}},
    }
    properties = (
        Property("a", TEXT, True, "A."),
        Property("b", NUMBER, False),
        Property("undeclared", UNKNOWN, True),
    )
    assert of(schema) == Record(properties, open=True)


def test_branches_become_records_of_a_union() -> None:
    one = {"properties": {"kind": {"const": "one"}}, "required": ["kind"]}
    two = {"properties": {"kind": {"const": "two"}}, "required": ["kind"]}
    found = of({"type": "object", "oneOf": [one, two], "unevaluatedProperties": False})
    kinds = [Record((Property("kind", Constant(k), True),), open=False) for k in ("one", "two")]
    assert found == Union(tuple(kinds))


def test_a_required_property_that_nothing_satisfies_is_never() -> None:
    assert of({"type": "object", "required": ["a"], "additionalProperties": False}) == NEVER
    assert of({"type": "object", "required": ["a"], "properties": {"a": False}}) == NEVER


def test_all_of_is_one_record() -> None:
    parts = [{"properties": {"a": {"type": "string"}}}, {"required": ["a"], "type": "object"}]
    assert of({"allOf": parts}) == Record((Property("a", TEXT, True),), open=True)


def test_too_many_branches_widen() -> None:
    many = [{"properties": {"a": {"const": n}}} for n in range(8)]
    schema = {"type": "object", "anyOf": many, "allOf": [{"anyOf": many}, {"anyOf": many}]}
    found = of(schema)
    assert isinstance(found, Union)
    assert len(found.of) <= 32


def test_recursion_without_a_name_ends() -> None:
    types = Types(
        {
            "Loop": {
                "type": "object",
                "properties": {"x": {"allOf": [{"$ref": "#/$defs/Loop"}, {"minProperties": 1}]}},
            }
        }
    )
    assert isinstance(types.definition("Loop"), Record)


def test_what_a_definition_names_is_needed() -> None:
    types = Types(
        {**DEFINITIONS, "Unused": True, "Top": {"items": {"$ref": "#/$defs/Node"}, "type": "array"}}
    )
    assert list(types.needed(["Top"])) == ["Node", "Top"]
