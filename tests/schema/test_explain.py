"""Why a value is refused, word by word, and what finding out may cost."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.protocol.frames import Json
from channeld.schema import explain
from channeld.schema.compiled import compiled
from channeld.schema.explain import shown
from tests.schema.test_compiled import VALUES, groups, names_a_remote, schemas

NONE = "fits none of the allowed forms"


def _why(schema: Json, value: Json) -> list[tuple[str, str, str]]:
    return [(v.path, v.message, v.keyword) for v in compiled(schema).explain(value)]


@pytest.mark.parametrize(
    ("schema", "value", "words", "keyword"),
    [
        ({"type": "string"}, 1, "must be a string, not a number", "type"),
        ({"type": ["string", "null"]}, {}, "must be null or a string, not an object", "type"),
        ({"type": "integer"}, 1.5, "must be an integer, not a number", "type"),
        ({"type": "boolean"}, [], "must be true or false, not an array", "type"),
        ({"enum": ["a", 1]}, 2, 'must be one of "a", 1', "enum"),
        ({"enum": ["a"]}, 2, 'must be "a"', "enum"),
        ({"const": {"a": 1}}, 2, 'must be {"a": 1}', "const"),
        ({"required": ["text"]}, {}, '"text" is required', "required"),
        (
            {"dependentRequired": {"a": ["b"]}},
            {"a": 1},
            '"b" is required next to the fields sent',
            "dependentRequired",
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"b": 1},
            '"b" is not allowed here',
            "additionalProperties",
        ),
        (
            {"additionalProperties": False},
            {"b": 1},
            "has a field that is not allowed",
            "additionalProperties",
        ),
        (
            {"unevaluatedProperties": False},
            {"a": 1, "b": 1},
            '"a", "b" are not allowed here',
            "unevaluatedProperties",
        ),
        ({"unevaluatedItems": False}, [1], "has more items than are allowed", "unevaluatedItems"),
        (
            {"anyOf": [{"type": "string"}, False]},
            1,
            f"{NONE}; of the closest, must be a string, not a number",
            "anyOf",
        ),
        ({"oneOf": [True, True]}, 1, "fits more than one of the allowed forms", "oneOf"),
        ({"not": {}}, 1, "has a form that is not allowed", "not"),
        (False, 1, "is not allowed", "falseSchema"),
        (
            {"propertyNames": {"maxLength": 1}},
            {"ab": 1},
            'the field name "ab" must have at most 1 character',
            "propertyNames",
        ),
        ({"contains": {"const": 1}}, [2], "has no item of the required form", "contains"),
        (
            {"contains": True, "minContains": 2},
            [1],
            "has too few items of the required form",
            "minContains",
        ),
        (
            {"contains": True, "maxContains": 1},
            [1, 2],
            "has too many items of the required form",
            "maxContains",
        ),
        ({"uniqueItems": True}, [1, 1], "must not contain the same item twice", "uniqueItems"),
        ({"minLength": 2}, "a", "must have at least 2 characters", "minLength"),
        ({"maxItems": 1}, [1, 2], "must have at most 1 item", "maxItems"),
        ({"minProperties": 1}, {}, "must have at least 1 field", "minProperties"),
        ({"minimum": 2}, 1, "must be at least 2", "minimum"),
        ({"exclusiveMaximum": 2}, 2, "must be less than 2", "exclusiveMaximum"),
        ({"multipleOf": 0.5}, 0.7, "must be a multiple of 0.5", "multipleOf"),
        ({"pattern": "^b"}, "a", 'must match "^b"', "pattern"),
        ({"format": "email"}, "a", "must be a valid email", "format"),
    ],
)
def test_words(schema: Json, value: Json, words: str, keyword: str) -> None:
    (found,) = _why(schema, value)
    assert found[1:] == (words, keyword)


def test_paths_are_json_pointers() -> None:
    schema: Json = {"properties": {"a/b": {"items": {"type": "string"}}}}
    assert [path for path, _, _ in _why(schema, {"a/b": ["x", 1]})] == ["/a~1b/1"]


def test_the_closest_form_is_told() -> None:
    circle: Json = {
        "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}},
        "required": ["r"],
    }
    square: Json = {"properties": {"kind": {"const": "square"}, "a": {"minimum": 1}}}
    (found,) = _why({"anyOf": [circle, square]}, {"kind": "square", "a": 0})
    assert found[1] == "fits none of the allowed forms; of the closest, `a` must be at least 1"


def test_a_form_within_a_field_is_told_with_its_path() -> None:
    (found,) = _why({"properties": {"a": {"oneOf": [{"required": ["b"]}]}}}, {"a": {}})
    assert found == ("/a", f'{NONE}; of the closest, "b" is required', "oneOf")


def test_at_most_ten_violations() -> None:
    assert len(_why({"items": {"type": "string"}}, list(range(50)))) == 10


def test_long_values_are_cut() -> None:
    long = "x" * 500
    (found,) = _why({"properties": {}, "additionalProperties": False}, {long: long})
    assert len(found[1]) < 100
    assert len(shown(long)) == 64
    assert shown("é") == '"é"'


def test_many_unexpected_names_are_cut_short() -> None:
    schema: Json = {"properties": {"a": {}}, "additionalProperties": False}
    (found,) = _why(schema, {f"k{i}": 1 for i in range(20)})
    assert found[1].endswith(", … are not allowed here")


NUMBERED = [str(n) for n in range(5_000)]
NODE: dict[str, Json] = {"properties": {"c": {"$ref": "#/$defs/n"}}, "additionalProperties": False}
DEEP: Json = {"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [NODE, {**NODE, "required": ["q"]}]}}}
HOSTILE: dict[str, tuple[Json, Json, str]] = {
    "items": ({"items": {"type": "integer"}}, ["a"] * 16_000, "/0"),
    "prefixItems": ({"prefixItems": [True] * 3, "items": False}, [1] * 30_000, "/3"),
    "anyOf": (
        {"anyOf": [{"items": {"type": "integer"}}, {"items": {"type": "null"}}]},
        ["a"] * 16_000,
        "",
    ),
    "oneOf": ({"oneOf": [{"items": {"type": "null"}}, {"maxItems": 0}]}, ["a"] * 16_000, ""),
    "deep anyOf": (DEEP, json.loads('{"c":' * 30 + '{"k":1}' + "}" * 30), ""),
    "propertyNames": ({"propertyNames": {"maxLength": 1}}, dict.fromkeys(NUMBERED, 1), ""),
    "patternProperties": (
        {"patternProperties": {"^[0-9]": {"type": "null"}}},
        dict.fromkeys(NUMBERED, 1),
        "/0",
    ),
    "additionalProperties": (
        {"additionalProperties": {"type": "null"}},
        dict.fromkeys(NUMBERED, 1),
        "/0",
    ),
    "unevaluatedProperties": (
        {"anyOf": [{"properties": {"a": True}}], "unevaluatedProperties": {"type": "null"}},
        dict.fromkeys(NUMBERED, 1),
        "",
    ),
    "uniqueItems": ({"uniqueItems": True}, [*range(12_000), 0], ""),
    "enum": ({"items": {"enum": list(range(1_000))}}, ["x"] * 16_000, "/0"),
    "contains": ({"contains": {"type": "null"}}, ["a"] * 16_000, ""),
    "not": ({"not": {"type": "array"}}, ["a"] * 16_000, ""),
    "dependentSchemas": (
        {"dependentSchemas": {"l": {"properties": {"l": {"items": {"type": "null"}}}}}},
        {"l": ["a"] * 16_000},
        "/l/0",
    ),
    "if": ({"if": True, "then": {"items": {"type": "null"}}}, ["a"] * 16_000, "/0"),
    "pattern": ({"pattern": "^(a+)+$"}, "a" * 64_000 + "!", ""),
    "maxLength": ({"maxLength": 9}, "a" * 64_000, ""),
    "const": ({"const": 1}, "a" * 64_000, ""),
}


@pytest.mark.parametrize("keyword", HOSTILE)
def test_a_large_message_is_explained_by_one_violation_and_little_memory(keyword: str) -> None:
    schema, value, path = HOSTILE[keyword]
    explain = compiled(schema).explain
    explain(value)  # compiles what it needs, once
    tracemalloc.start()
    found = explain(value)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 1
    assert (found[0].path or path) == (path or found[0].path)
    assert len(found[0].message) < 200
    assert peak < 3 * 2**20


R: dict[str, Json] = {"$ref": "#/$defs/n"}
TWICE: dict[str, Json] = {
    "anyOf": {"anyOf": [NODE, {**NODE, "required": ["q"]}]},
    "allOf": {"allOf": [{"properties": {"c": R}}, {"properties": {"c": R}}]},
    "unevaluatedProperties": {"allOf": [{"properties": {"c": R}}] * 2, "unevaluatedProperties": False},
    "patternProperties": {"properties": {"c": R}, "patternProperties": {"^c": R, "c$": R}},
    "then": {"if": True, "then": {"properties": {"c": R}}, "properties": {"c": R}},
    "dependentSchemas": {"dependentSchemas": {"c": {"properties": {"c": R}}}, "properties": {"c": R}},
    "$ref": {"properties": {"c": {"$ref": "#/$defs/n", "allOf": [R]}}},
}  # fmt: skip


@pytest.mark.parametrize("keyword", TWICE)
def test_two_ways_to_one_place_do_not_double_at_each_level(keyword: str) -> None:
    value: Json = {"k": 1}
    for _ in range(60):
        value = {"c": value}
    # What is wrong comes last, and everything before it has to be looked at.
    whole: Json = {"$defs": {"n": TWICE[keyword]}, "allOf": [R, {"required": ["z"]}]}
    explain = compiled(whole).explain
    assert len(explain(value)) == 1
    assert (
        len(
            compiled({"$defs": {"n": TWICE[keyword]}, "$ref": "#/$defs/n"}).explain(
                {"c": value, "k": {}}
            )
        )
        < 2
    )


def test_a_large_value_is_told_in_the_same_words() -> None:
    pad: list[Json] = ["x"] * 1_000
    schema: Json = {"properties": {"a": {"oneOf": [{"type": "null"}, {"type": "string"}]}}}
    assert _why(schema, {"a": 1, "pad": pad}) == [("/a", f"{NONE}, or more than one", "oneOf")]
    assert _why({"required": ["b"]}, {"pad": pad}) == [("", '"b" is required', "required")]
    closed: Json = {"properties": {"pad": True}, "unevaluatedProperties": False}
    (found,) = _why(closed, {"pad": pad, "b": 1})
    assert found[1:] == ("has a field or an item that is not allowed", "unevaluatedProperties")


@settings(max_examples=120, deadline=None)
@given(st.recursive(st.booleans(), schemas, max_leaves=8), st.lists(VALUES, min_size=3, max_size=6))
def test_a_large_value_is_explained_exactly_where_it_is_refused(schema: Any, values: Any) -> None:
    pad: list[Json] = ["x"] * 400
    whole: Json = {"properties": {"value": schema, "pad": {"const": pad}}}
    validator = compiled(whole)
    for value in values:
        frame = {"value": value, "pad": pad}
        found = validator.explain(frame)
        assert validator.accepts(frame) is (found == [])
        assert all(each.message and each.keyword for each in found)


@pytest.mark.parametrize("group", groups())
@pytest.mark.parametrize("bound", ["MAX_WEIGHT", "MAX_EXPANSION"])
def test_suite_without_full_explanations(
    group: dict[str, Any], bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, bound, 0)
    if names_a_remote(group):
        return
    validator = compiled(group["schema"])
    for case in group["tests"]:
        assert (validator.explain(case["data"]) == []) is case["valid"], case["description"]
