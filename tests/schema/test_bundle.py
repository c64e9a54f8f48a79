"""Bundles: everything once, under its own name, reached by local pointers."""

import pytest

from channeld.config.model import Config
from channeld.config.source import FileSystem, read_sources
from channeld.diagnostics.diagnostic import Report
from channeld.protocol.frames import Json
from channeld.schema.bundle import bundle
from channeld.schema.compiled import compiled
from channeld.schema.documents import Documents, SchemaTarget

FILES = {
    "parts.json": b'{"node": {"properties": {"up": {"$ref": "#/node"}, "n": {"$ref": "#/n"}}}, "n": {"const": 1}}',
    "whole.json": b'{"$id": "https://example.com/w", "type": "object", "properties": {"w": {"$ref": "#"}}}',
    "open.json": b'{"$dynamicAnchor": "t", "properties": {"kids": {"items": {"$dynamicRef": "#t"}}}}',
}
NAMED: dict[str, Json] = {"text": {"type": "string"}, "a/b": {"$ref": "#/schemas/text"}}


def _bundle(schema: Json, broken: frozenset[tuple[str, str]] = frozenset()) -> Json:
    report = Report()
    files = {**FILES, "c.yaml": b"channeld: 1\n"}
    sources = read_sources(
        "c.yaml", FileSystem(files.__getitem__, lambda _: []), {}, report, missing_is_error=False
    )
    documents = Documents(Config(schemas=NAMED), sources)
    return bundle(SchemaTarget(documents.inline("/here", schema), ""), documents, broken)


def test_what_refers_to_nothing_stays_as_it_is() -> None:
    schema: Json = {"type": "object", "enum": [{"$ref": "#/schemas/nope"}]}
    assert _bundle(schema) == schema
    assert _bundle(True) is True


def test_local_references_stay() -> None:
    schema: Json = {"$defs": {"a b": {}}, "items": {"$ref": "#/$defs/a%20b"}, "not": {"$ref": "#"}}
    assert _bundle(schema) == schema


def test_definitions_of_older_drafts_are_under_defs_once_they_are_referred_to() -> None:
    old: Json = {"n": {"const": 1}, "up": {"items": {"$ref": "#/definitions/n"}}, "idle": {}}
    found = _bundle({"not": {"$ref": "#/definitions/up"}, "definitions": old, "$defs": {"n": {}}})
    assert found == {
        "not": {"$ref": "#/$defs/up"},
        "$defs": {"n": {}, "up": {"items": {"$ref": "#/$defs/n2"}}, "n2": {"const": 1}},
    }


def test_named_schemas_bring_what_they_refer_to() -> None:
    assert _bundle({"$ref": "#/schemas/a~1b"}) == {
        "$ref": "#/$defs/a~1b",
        "$defs": {"a/b": {"$ref": "#/$defs/text"}, "text": {"type": "string"}},
    }


def test_names_make_way_for_those_that_are_there() -> None:
    found = _bundle({"$defs": {"text": {"type": "null"}}, "allOf": [{"$ref": "#/schemas/text"}]})
    assert found == {
        "$defs": {"text": {"type": "null"}, "text2": {"type": "string"}},
        "allOf": [{"$ref": "#/$defs/text2"}],
    }


def test_of_a_file_only_what_is_used() -> None:
    assert _bundle({"$ref": "parts.json#/node"}) == {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {"properties": {"up": {"$ref": "#/$defs/node"}, "n": {"$ref": "#/$defs/n"}}},
            "n": {"const": 1},
        },
    }


def test_identifiers_have_done_their_work() -> None:
    assert _bundle({"$schema": "x", "$ref": "whole.json"}) == {
        "$ref": "#/$defs/whole",
        "$defs": {"whole": {"type": "object", "properties": {"w": {"$ref": "#/$defs/whole"}}}},
    }


def test_local_places_that_are_no_schemas_by_keyword() -> None:
    schema: Json = {"x-parts": {"a": {"items": {"$ref": "#/x-parts/a"}}}, "$ref": "#/x-parts/a"}
    found = _bundle(schema)
    assert isinstance(found, dict)
    assert found["$ref"] == "#/$defs/a"
    assert found["$defs"] == {"a": {"items": {"$ref": "#/$defs/a"}}}


def test_dynamic_references_keep_their_meaning() -> None:
    strict: Json = {"$dynamicAnchor": "t", "$ref": "open.json", "unevaluatedProperties": False}
    accepts = compiled(_bundle(strict)).accepts
    assert accepts({"kids": [{"kids": []}]})
    assert not accepts({"kids": [{"kidz": []}]})
    assert compiled(_bundle({"$ref": "open.json"})).accepts({"kids": [{"kidz": []}]})


def test_the_dialect_s_own_schema_stays_where_it_is() -> None:
    schema: Json = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
    assert _bundle(schema) == schema


@pytest.mark.parametrize(
    "schema", [{"$ref": "#/no"}, {"items": {"$ref": "https://example.com/no"}}]
)
def test_a_reference_to_nothing_has_no_bundle(schema: Json) -> None:
    with pytest.raises(LookupError):
        _bundle(schema)


def test_a_broken_place_has_no_bundle() -> None:
    broken = frozenset({("channeld:/config/here", "/items")})
    with pytest.raises(LookupError):
        _bundle({"items": {"type": "strin"}}, broken)
    assert _bundle({"not": {}}, broken) == {"not": {}}
