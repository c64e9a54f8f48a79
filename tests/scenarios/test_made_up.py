"""Values made up from schemas, and smaller ones."""

from random import Random
from typing import Any, TypeGuard

import pytest

from channeld.protocol.frames import Json
from channeld.scenarios.made_up import Maker, shrunk
from channeld.schema.compiled import compiled

SCHEMAS: list[Any] = [
    True,
    {"type": "string", "minLength": 3, "maxLength": 5},
    {"type": "string", "pattern": "^[a-z]+$"},
    {"type": "integer", "minimum": 10, "maximum": 12},
    {"type": "number", "multipleOf": 0.5},
    {"enum": ["a", 1, None]},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
    {"oneOf": [{"type": "null"}, {"type": "boolean"}]},
    {
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}, "n": {"type": "integer"}},
        "additionalProperties": False,
    },
    {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_every_value_is_accepted(schema: Any) -> None:
    accepts = compiled(schema).accepts
    maker = Maker(Random(1))
    assert all(accepts(maker.make(schema, accepts)) for _ in range(50))


def test_what_is_optional_is_there_and_not_there() -> None:
    schema = SCHEMAS[8]
    accepts = compiled(schema).accepts
    maker = Maker(Random(1))
    made = [maker.make(schema, accepts) for _ in range(50)]
    assert {isinstance(one, dict) and "n" in one for one in made} == {True, False}


def test_the_same_in_every_run() -> None:
    one, other = (
        [maker.make(True, lambda _value: True) for _ in range(20)]
        for maker in (Maker(Random(7)), Maker(Random(7)))
    )
    assert one == other


def test_named_schemas_are_followed() -> None:
    maker = Maker(Random(1), {"word": {"enum": ["a"]}})
    assert maker.make({"$ref": "#/schemas/word"}, lambda value: value == "a") == "a"


def test_none_where_no_value_comes_to_mind() -> None:
    schema: Json = {"type": "string", "pattern": "^zq{7}$"}
    assert Maker(Random(1)).make(schema, compiled(schema).accepts) is None


@pytest.mark.parametrize(
    ("value", "is_still", "smallest"),
    [
        ({"a": 1, "b": "xyz"}, lambda value: "b" in value, {"b": ""}),
        ({"n": 731}, lambda value: value.get("n", 0) >= 10, {"n": 10}),
        ([3, "a", None, [1]], lambda value: None in value, [None]),
        ("some b in text", lambda value: "b" in value, "b"),
        (-8.5, lambda value: value < 0, -1),
        (True, lambda value: True, True),
    ],
)
def test_the_smallest_that_still_does_it(value: Any, is_still: Any, smallest: Any) -> None:
    assert shrunk(value, is_still) == smallest


def test_shrinking_asks_no_more_often_than_allowed() -> None:
    asked: list[object] = []

    def is_still(value: Json) -> TypeGuard[str]:
        asked.append(value)
        return False

    assert shrunk("x" * 99, is_still, most=3) == "x" * 99
    assert len(asked) == 3
