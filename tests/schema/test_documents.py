"""What a reference means, from where it stands."""

import pytest

from channeld.config.model import Config
from channeld.config.source import FileSystem, read_sources
from channeld.diagnostics.diagnostic import Report
from channeld.protocol.frames import Json
from channeld.schema.documents import Document, Documents, SchemaTarget, value_at
from channeld.schema.vocabulary import SchemaError

FILES = {
    "conf/c.yaml": b"channeld: 1\nschemas: {a: {$defs: {x: {}}}}\nhere: {}\n",
    "conf/my parts.json": b'{"$id": "https://example.com/parts", "list": [{"const": 1}], "a~b": {"$ref": "#/list/0"}}',
    "shared.json": b'{"$defs": {"n": {"$anchor": "n"}}}',
}


def _documents() -> Documents:
    report = Report()

    def read(name: str) -> bytes:
        if name not in FILES:
            raise FileNotFoundError(2, "no such file", name)
        return FILES[name]

    sources = read_sources(
        "conf/c.yaml", FileSystem(read, lambda _: []), {}, report, missing_is_error=False
    )
    schemas: dict[str, Json] = {"a": {"$defs": {"x": {}}}}
    return Documents(Config(schemas=schemas), sources)


def _meaning(reference: str, value: Json = None) -> tuple[str, str]:
    documents = _documents()
    here = documents.inline("/here", {} if value is None else value)
    found = documents.resolve(reference, here, "")
    assert isinstance(found, SchemaTarget), found
    assert found.document is not None
    return found.document.base or found.document.file, found.pointer


@pytest.mark.parametrize(
    ("reference", "meaning"),
    [
        ("#", ("/here", "")),
        ("#/schemas/a", ("/schemas/a", "")),
        ("#/schemas/a/$defs/x", ("/schemas/a", "/$defs/x")),
        ("my%20parts.json#/list/0", ("conf/my parts.json", "/list/0")),
        ("my parts.json#/a~0b", ("conf/my parts.json", "/a~0b")),
        ("../shared.json", ("shared.json", "")),
        ("../shared.json#n", ("shared.json", "/$defs/n")),
    ],
)
def test_meaning(reference: str, meaning: tuple[str, str]) -> None:
    assert _meaning(reference) == meaning


def test_identifiers_within_a_schema() -> None:
    schema: Json = {
        "$id": "https://example.com/root/",
        "$defs": {"inner": {"$id": "inner", "$defs": {"x": {"$anchor": "x"}}}},
    }
    assert _meaning("inner", schema) == ("/here", "/$defs/inner")
    assert _meaning("inner#x", schema) == ("/here", "/$defs/inner/$defs/x")
    assert _meaning("https://example.com/root/inner#/$defs/x", schema)[1] == "/$defs/inner/$defs/x"


def test_a_local_reference_starts_at_the_nearest_identifier() -> None:
    schema: Json = {"$defs": {"x": {}, "inner": {"$id": "inner", "$defs": {"x": {}}}}}
    documents = _documents()
    here = documents.inline("/here", schema)
    found = documents.resolve("#/$defs/x", here, "/$defs/inner")
    assert isinstance(found, SchemaTarget)
    assert found.pointer == "/$defs/inner/$defs/x"


def test_a_file_that_was_read_is_known_by_its_identifier() -> None:
    documents = _documents()
    here = documents.inline("/here", {})
    assert isinstance(documents.resolve("https://example.com/parts", here, ""), SchemaError)
    documents.resolve("my parts.json", here, "")
    assert isinstance(documents.resolve("https://example.com/parts", here, ""), SchemaTarget)


def test_the_dialect_s_own_schemas_are_known() -> None:
    documents = _documents()
    found = documents.resolve(
        "https://json-schema.org/draft/2020-12/schema", documents.inline("/here", {}), ""
    )
    assert isinstance(found, SchemaTarget)
    assert found.document is None


def test_places_are_those_of_the_file_or_the_configuration() -> None:
    documents = _documents()
    named, file = documents.named("a"), documents.file("shared.json")
    assert named is not None
    assert file is not None
    assert documents.place(named, "/$defs").line == 2
    assert documents.place(file, "/$defs/n", key=True).column == 12
    assert documents.file("shared.json") is file
    assert (documents.named("b"), documents.file("no.json")) == (None, None)


def test_resources_and_their_made_up_addresses() -> None:
    document = Document(uri="x:/d", file="d", value={"items": {"$id": "i", "items": {}}})
    assert document.resource_of("/items/items") == "/items"
    assert document.resource_of("/itemsX") == ""
    assert document.resource_uri("/items") == "x:/d?%2Fitems"
    assert document.positions == {"", "/items", "/items/items"}


def test_value_at() -> None:
    document = Document(uri="x:/d", file="d", value={"a/b": [1]})
    assert value_at(document, "/a~1b/0") == 1
    with pytest.raises(LookupError):
        value_at(document, "/a~1b/1")
