"""Schemas of AsyncAPI documents: names, references, and older keywords."""

from typing import Any

import pytest

from channeld.dev.asyncapi_schemas import AsyncapiSchemas, named

DOCUMENT: Any = {
    "components": {
        "schemas": {"A b": {"$ref": "#/components/schemas/c"}, "c": {"type": "string"}},
        "messages": {"m": {"payload": {"properties": {"again": {"$ref": "#/components/messages/m/payload"}}}}},
    }
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [("A b", "A-b"), ("rooms/{id}", "rooms-id"), ("…", "it"), ("taken", "taken-2")],
)
def test_any_text_makes_a_name(text: str, name: str) -> None:
    assert named(text, {"taken"}) == name


def test_references_become_shared_schemas_with_what_they_refer_to() -> None:
    schemas = AsyncapiSchemas(DOCUMENT)
    found = schemas.changed({"items": {"$ref": "#/components/schemas/A b"}}, "here")
    assert found == {"items": {"$ref": "#/schemas/A-b"}}
    assert dict(schemas.shared()) == {"A-b": {"$ref": "#/schemas/c"}, "c": {"type": "string"}}
    again = schemas.payload({"$ref": "#/components/messages/m/payload"}, "here")
    assert again == {"properties": {"again": {"$ref": "#/schemas/m"}}}
    assert list(dict(schemas.shared())) == ["m"]
    assert schemas.problems == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"definitions": {"a": True}}, {"$defs": {"a": True}}),
        ({"items": [True], "additionalItems": False}, {"prefixItems": [True], "items": False}),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ({"dependencies": {"a": ["b"], "c": {}}}, {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {}}}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"example": 5}, {"examples": [5]}),
        ({"$schema": "x", "$id": "y", "x-sensitive": True}, {"x-sensitive": True}),
    ],
)  # fmt: skip
def test_older_words_are_those_of_2020_12(old: Any, new: Any) -> None:
    assert AsyncapiSchemas({}).changed(old, "here") == new


def test_what_has_no_word_is_remembered() -> None:
    schemas = AsyncapiSchemas({})
    assert schemas.changed({"discriminator": "a", "not": {"xml": {}}}, "here") == {"not": {}}
    assert schemas.dropped == {"discriminator", "xml"}
