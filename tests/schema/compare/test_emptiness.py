import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.config.model import Config
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Report
from channeld.protocol.frames import Json
from channeld.schema.compare.emptiness import leaves_nothing
from channeld.schema.compare.schema_ref import Book, Node, implied
from channeld.schema.schemas import Schemas


def node_of(*schemas: Json) -> Node:
    report = Report()
    sources = Sources(root="", report=report, read=lambda _: b"")
    declared = {f"s{i}": schema for i, schema in enumerate(schemas)}
    book = Book(Schemas(Config(schemas=declared), sources, report))
    roots = [book.schemas.root(f"/schemas/{name}") for name in declared]
    found = [book.schemas.at(root) for root in roots if root is not None]
    return Node(book, tuple(part for part in found if part is not None))


@pytest.mark.parametrize(
    "schemas",
    [
        ({"type": "integer", "maximum": 3}, {"minimum": 4}),
        ({"type": "number", "exclusiveMaximum": 3}, {"minimum": 3}),
        ({"type": "integer", "exclusiveMaximum": 4}, {"exclusiveMinimum": 3}),
        ({"type": "string", "maxLength": 3}, {"minLength": 4}),
        ({"type": ["string", "integer"], "maxLength": 3}, {"minLength": 4, "minimum": 1, "maximum": 0}),
        ({"type": "array", "maxItems": 1}, {"minItems": 2}),
        ({"type": "object", "maxProperties": 1}, {"minProperties": 2}),
        ({"type": "string"}, {"type": "integer"}),
        ({"enum": ["a", "b"]}, {"const": "c"}),
        ({"enum": [1, 2]}, {"minimum": 3}),
        ({"type": "object", "properties": {"a": {"enum": [1]}}}, {"properties": {"a": {"const": 2}}, "required": ["a"]}),
        ({"type": "object", "additionalProperties": False}, {"required": ["a"]}),
        (False,),
    ],
)  # fmt: skip
def test_what_excludes_each_other_leaves_nothing(schemas: tuple[Json, ...]) -> None:
    assert leaves_nothing(node_of(*schemas))


@pytest.mark.parametrize(
    "schemas",
    [
        (),
        ({},),
        ({"type": "integer", "maximum": 3}, {"minimum": 3}),
        ({"maximum": 3}, {"minimum": 4}),  # a text satisfies both
        ({"type": "object", "properties": {"a": {"const": 1}}}, {"properties": {"a": {"const": 2}}}),
        ({"$ref": "#/schemas/s1"}, {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/schemas/s1"}}}),
    ],
)  # fmt: skip
def test_what_may_hold_together_or_is_not_proven_leaves_something(
    schemas: tuple[Json, ...],
) -> None:
    assert not leaves_nothing(node_of(*schemas))


def test_a_schema_of_the_languages_own_counts() -> None:
    node = node_of({"type": "string"})
    assert leaves_nothing(Node(node.book, (*node.parts, implied({"type": "null"}, "null"))))


BOUNDS = st.integers(-2, 2)
SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["integer", "number", "string", "array", ["null", "integer"]]),
        "minimum": BOUNDS,
        "exclusiveMinimum": BOUNDS,
        "maximum": BOUNDS,
        "exclusiveMaximum": BOUNDS,
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "enum": st.lists(st.sampled_from([0, 1, "a", None]), min_size=1, unique_by=repr),
    },
)
VALUES: list[Json] = [None, -2, -1, 0, 0.5, 1, 2, 1.5, -1.5, "", "a", "aa", [], [1], [1, 1], {}]


@given(SCHEMAS, SCHEMAS)
def test_what_leaves_nothing_accepts_no_value(one: dict[str, Json], other: dict[str, Json]) -> None:
    checks = [jsonschema_rs.Draft202012Validator(each).is_valid for each in (one, other)]
    accepted = [value for value in VALUES if all(check(value) for check in checks)]
    if accepted:
        assert not leaves_nothing(node_of(one, other)), accepted
