"""The keyword table, and what the meta-schema would say in worse words."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

from channeld.protocol.frames import Json
from channeld.schema.vocabulary import (
    KEYWORDS,
    as_number,
    is_from_another_draft,
    listed,
    mapping,
    nearest_keyword,
    schema_errors,
    subschemas,
    why_not_linear,
)

SUITE = Path(__file__).parent / "suite"


def test_what_is_not_there_or_of_another_kind_is_empty() -> None:
    schema: Json = {"properties": {"a": {}}, "required": ["a"]}
    assert [mapping(schema, k) for k in ("properties", "required", "not")] == [{"a": {}}, {}, {}]
    assert [listed(schema, k) for k in ("required", "properties", "allOf")] == [["a"], [], []]
    assert (mapping(True, "properties"), listed(None, "required")) == ({}, [])


def test_numbers_are_no_booleans() -> None:
    assert [as_number(value) for value in (1, 1.5, True, "1", None)] == [1, 1.5, None, None, None]


def test_the_table_is_the_meta_schema_s() -> None:
    known: set[str] = set()
    for part in ("core", "applicator", "unevaluated", "validation", "meta-data", "content"):
        known |= _meta(part).keys()
    known |= _meta("format-annotation").keys()
    assert known == KEYWORDS.keys()


def _meta(part: str) -> dict[str, Any]:
    uri = f"https://json-schema.org/draft/2020-12/meta/{part}"
    contents: dict[str, Any] = REGISTRY.contents(uri)["properties"]
    return contents


@pytest.mark.parametrize(
    ("schema", "pointer", "words"),
    [
        ({"type": "strin"}, "/type", "`strin` is not a JSON Schema type | did you mean `string`?"),
        ({"type": "str"}, "/type", "did you mean `string`?"),
        ({"type": "uuid"}, "/type", "the types are null, boolean"),
        ({"type": None}, "/type", "write `type: 'null'`"),
        ({"type": 1}, "/type", "got the number 1"),
        ({"type": []}, "/type", "empty list"),
        ({"type": ["string", "string"]}, "/type/1", "twice"),
        ({"maxLength": -1}, "/maxLength", "takes a whole number, 0 or more; got the number -1"),
        ({"maxLength": 1.5}, "/maxLength", "whole number"),
        ({"maxLength": True}, "/maxLength", "got true"),
        ({"minimum": "1"}, "/minimum", "takes a number; got the string `1`"),
        ({"multipleOf": 0}, "/multipleOf", "a number above 0"),
        ({"required": "a"}, "/required", "takes a list of property names; got the string `a`"),
        ({"required": ["a", "b", "a"]}, "/required/2", "names `a` twice | keep one"),
        ({"required": [1]}, "/required", "got a list"),
        ({"dependentRequired": {"a": "b"}}, "/dependentRequired", "got a mapping"),
        (
            {"properties": []},
            "/properties",
            "takes a mapping of names to schemas; got an empty list",
        ),
        ({"allOf": []}, "/allOf", "a list of at least one schema"),
        ({"enum": "a"}, "/enum", "takes a list"),
        ({"uniqueItems": "yes"}, "/uniqueItems", "takes true or false"),
        ({"title": None}, "/title", "takes a string; got null"),
        ("string", "", "a schema is a mapping, `true` or `false`; got a string"),
        (None, "", "got null"),
        ({"x-sensitive": "true"}, "/x-sensitive", "takes true or false; got the string `true`"),
    ],
)
def test_schema_errors(schema: Json, pointer: str, words: str) -> None:
    (found,) = schema_errors(schema, "")
    assert (found.code, found.pointer) == ("CH201", pointer)
    assert words in f"{found.message} | {found.help}"


@pytest.mark.parametrize(
    "schema", [{"items": [{}]}, {"exclusiveMinimum": True}, {"required": True}]
)
def test_older_drafts_have_findings_of_their_own(schema: dict[str, Json]) -> None:
    assert list(schema_errors(schema, "")) == []
    assert any(is_from_another_draft(keyword, value) for keyword, value in schema.items())


def test_other_dialects_and_patterns() -> None:
    assert [s.code for s in schema_errors({"$schema": "http://json-schema.org/schema#"}, "")] == [
        "CH205"
    ]
    assert [s.code for s in schema_errors({"pattern": "("}, "")] == ["CH210"]
    (by_key,) = schema_errors({"patternProperties": {"(?=a)": {}}}, "")
    assert (by_key.pointer, by_key.key) == ("/patternProperties/(?=a)", True)


def test_subschemas_are_found_by_keyword_alone() -> None:
    schema: Json = {
        "properties": {"a/b": {}},
        "items": True,
        "anyOf": [{}, False],
        "definitions": {"old": {}},
        "enum": [{"properties": {"no": {}}}],
    }
    assert [(pointer, keyword) for pointer, _, keyword in subschemas(schema)] == [
        ("/properties/a~1b", "properties"),
        ("/items", "items"),
        ("/anyOf/0", "anyOf"),
        ("/anyOf/1", "anyOf"),
        ("/definitions/old", "definitions"),
    ]


def test_why_a_pattern_is_not_linear() -> None:
    assert why_not_linear("^a+$") is None
    assert "look-around" in (why_not_linear("(?<!a)b") or "")
    assert "can be compiled" in (why_not_linear("[") or "")


@pytest.mark.parametrize(
    ("name", "value", "keyword"),
    [
        ("propertys", {}, "properties"),
        ("requried", ["a"], "required"),
        ("maxlength", 3, "maxLength"),
        ("tpye", "string", "type"),
        ("additionalproperties", False, "additionalProperties"),
        ("ref", "#/a", "$ref"),
        ("zzz", 1, None),
        ("other", {}, None),
        ("note", "a text", None),
        ("count", {"type": "integer"}, None),
        ("maxlength", "long", None),
    ],
)
def test_the_nearest_keyword(name: str, value: Json, keyword: str | None) -> None:
    assert nearest_keyword(name, value) == keyword


def _suite_schemas() -> list[Json]:
    paths = [p for p in SUITE.glob("*.json") if p.stem not in {"vocabulary", "format"}]
    return [group["schema"] for path in paths for group in json.loads(path.read_text())]


def test_no_slip_in_any_valid_schema_of_the_suite() -> None:
    waiting = _suite_schemas()
    assert len(waiting) > 300
    while waiting:
        schema = waiting.pop()
        assert list(schema_errors(schema, "")) == []
        waiting.extend(child for _, child, _ in subschemas(schema))
