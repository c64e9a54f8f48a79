import itertools

import pytest

from channeld.protocol.frames import Json
from channeld.schema.compare.candidates import Prober
from channeld.schema.compare.difference import ITEM, OTHER, SchemaPosition
from tests.diff.kit import node_of

ANY = node_of(True)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 300},
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": 1000, "multipleOf": 7},
        {"enum": [{"deep": [1]}]},
        {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"$ref": "#/schemas/it"}, "b": {}},
        },
        {"type": "object", "minProperties": 3},
        {"type": "array", "minItems": 3, "items": {"type": "boolean"}},
        {"type": "array", "minItems": 3, "uniqueItems": True},
        {"oneOf": [{"type": "object", "required": ["k"], "properties": {"k": {"const": 7}}}]},
        {"type": "string", "pattern": "^x[0-9]$", "examples": ["x1"]},
    ],
)
def test_a_value_that_fits_is_found(schema: dict[str, Json]) -> None:
    if "a" in str(schema.get("properties", "")):
        # A schema that asks for itself without end has no value, and the search for one ends.
        assert Prober().fitting(node_of(schema), ANY) is None
        return
    node = node_of(schema)
    assert node.accepts(Prober().fitting(node, node))


def test_values_are_different_and_not_without_end() -> None:
    found = list(Prober().values(node_of({"maxLength": 3}), node_of({"maximum": 5})))
    assert 20 < len(found) < 200
    assert len({repr(value) for value in found}) == len(found)
    assert list(Prober(budget=3).values(ANY, ANY)) == found[:0] + list(
        itertools.islice(Prober().values(ANY, ANY), 2)
    )


def test_a_value_is_put_where_it_belongs() -> None:
    node = node_of({"type": "object", "required": ["k"], "properties": {"k": {"const": 1}}})
    root = SchemaPosition(None, None, node, node)
    inner = SchemaPosition(SchemaPosition(root, "list", ANY, ANY), ITEM, ANY, ANY)
    wholes = list(Prober().around(inner, "x", swapped=False))
    assert {"k": 1, "list": ["x"]} in wholes
    other = SchemaPosition(root, OTHER, ANY, ANY)
    assert {"k": 1, "other": "x"} in list(Prober().around(other, "x", swapped=True))
    branch = SchemaPosition(root, None, ANY, ANY)
    assert list(Prober().around(branch, "x", swapped=False)) == ["x"]
