"""Slips of one schema, each told once, at its key or value."""

import pytest

from channeld.protocol.frames import Json
from channeld.schema.lint import is_shut_out, lint


def _slips(schema: Json) -> list[tuple[str, str]]:
    return [(error.code, error.pointer) for error in lint(schema, "/s", lambda _: False)]


@pytest.mark.parametrize(
    ("schema", "code", "pointer", "words"),
    [
        ({"requried": ["a"]}, "CH202", "/s/requried", "did you mean `required`?"),
        ({"maxlength": 1}, "CH202", "/s/maxlength", "did you mean `maxLength`?"),
        ({"nickname": {"type": "string"}}, "CH219", "/s/nickname", "under `properties`"),
        ({"nullable": True}, "CH219", "/s/nullable", "[string, 'null']"),
        ({"type": "string", "colour": "red"}, "CH219", "/s/colour", "`x-`"),
        ({"items": [{}]}, "CH206", "/s/items", "`prefixItems: [...]`"),
        ({"definitions": {}}, "CH206", "/s/definitions", "`$defs`"),
        ({"dependencies": {}}, "CH206", "/s/dependencies", "`dependentRequired`"),
        ({"additionalItems": False}, "CH206", "/s/additionalItems", "`items`"),
        ({"exclusiveMinimum": True}, "CH206", "/s/exclusiveMinimum", "place of `minimum`"),
        ({"exclusiveMaximum": True}, "CH206", "/s/exclusiveMaximum", "place of `maximum`"),
        ({"required": True}, "CH206", "/s/required", "`required: [NAME]`"),
        ({"id": "x"}, "CH206", "/s/id", "`$id`"),
        ({"minLength": 2, "maxLength": 1}, "CH209", "/s/minLength", "no value"),
        ({"minimum": 2, "maximum": 1.5}, "CH209", "/s/minimum", "no value"),
        ({"minimum": 1, "exclusiveMaximum": 1}, "CH209", "/s/minimum", "no value"),
        ({"exclusiveMinimum": 1, "maximum": 1}, "CH209", "/s/exclusiveMinimum", "no value"),
        ({"enum": []}, "CH209", "/s/enum", "list it"),
        ({"type": "string", "enum": [1, 2]}, "CH209", "/s/enum", "no value"),
        ({"type": ["string", "null"], "const": 1}, "CH209", "/s/const", "no value"),
        ({"enum": [1], "const": True}, "CH209", "/s/const", "no value"),
        (
            {"required": ["txt"], "properties": {"text": {}}, "additionalProperties": False},
            "CH209",
            "/s/required/0",
            "did you mean `text`?",
        ),
        ({"required": ["a"], "properties": {"a": False}}, "CH209", "/s/required/0", "no value"),
        ({"required": ["a", "b"], "maxProperties": 1}, "CH209", "/s/maxProperties", "no value"),
        ({"format": "datetime"}, "CH212", "/s/format", "`date-time`"),
        ({"format": "url"}, "CH212", "/s/format", "`uri`"),
        ({"format": "e-mail"}, "CH212", "/s/format", "`email`"),
        ({"format": "zzz"}, "CH212", "/s/format", "the formats are date, date-time"),
        ({"pattern": "^(a+)+$"}, "CH218", "/s/pattern", "one repetition"),
        ({"pattern": r"(\w+\s?)*"}, "CH218", "/s/pattern", "one repetition"),
    ],
)
def test_schema_errors(schema: Json, code: str, pointer: str, words: str) -> None:
    (found,) = lint(schema, "/s", lambda _: False)
    assert (found.code, found.pointer) == (code, pointer)
    assert words in found.help


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"x-note": 1, "$comment": "", "title": ""},
        {"minimum": 1, "maximum": 1},
        {"type": "number", "const": 1},
        {"enum": [1.0], "const": 1},
        {"required": ["ab"], "patternProperties": {"^a": {}}, "additionalProperties": False},
        {"pattern": "^[a-z]+(-[a-z]{1,3})?$"},
        {"pattern": "(?=a+)+"},
        {"properties": {"id": {"type": "string"}}},
        {"required": "a", "properties": 1, "enum": 1, "type": 1, "format": 1},
    ],
)
def test_nothing_to_say(schema: Json) -> None:
    assert _slips(schema) == []


def test_what_a_reference_leads_to_is_in_use() -> None:
    assert list(lint({"parts": {"a": {}}}, "", lambda here: here == "/parts")) == []


def test_what_closed_objects_shut_out() -> None:
    closed: dict[str, Json] = {"properties": {"a": True}, "additionalProperties": False}
    assert is_shut_out(closed, "b")
    assert not is_shut_out(closed, "a")
    assert not is_shut_out({"properties": {}}, "b")
