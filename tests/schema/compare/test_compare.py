"""The comparison of schemas against an oracle: values that are tried with both compiled schemas."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.diff.change import Level
from channeld.diff.severity import Direction, level_of
from channeld.protocol.frames import Json
from channeld.schema.compare.compare import compare
from channeld.schema.compare.counterexample import find
from channeld.schema.compare.difference import Effect
from tests.diff.kit import node_of

ATOMS: list[Json] = ["", "a", "b", "cc", "ddd", 0, 1, -1, 2, 1.5, None, True, False, {}, []]
PAIRS = itertools.product(ATOMS, repeat=2)
VALUES: list[Json] = [
    *ATOMS,
    *({"a": x} for x in ATOMS),
    *({"z": x} for x in ATOMS),
    *([x] for x in ATOMS),
    *({"a": x, "b": y} for x, y in PAIRS),
    *([x, y] for x, y in itertools.product(ATOMS, repeat=2)),
]
for atom in ATOMS:
    VALUES += [[{"a": atom}], {"a": {"a": atom, "b": 1}, "b": 1}]


# Schemas as strategies make them: of no type that could be said better than Json.
Strategy = st.SearchStrategy[Any]


def some(**keywords: Strategy) -> Strategy:
    return st.fixed_dictionaries({}, optional=keywords).map(dict)


TEXTS = some(
    maxLength=st.sampled_from([1, 2]),
    minLength=st.sampled_from([0, 1, 2]),
    pattern=st.sampled_from(["^a", "b$"]),
).map(lambda s: {"type": "string", **s})
NUMBERS = some(
    type=st.sampled_from(["integer", "number", ["number", "null"]]),
    minimum=st.sampled_from([0, 1, 0.5]),
    exclusiveMaximum=st.sampled_from([1, 2, 1.5]),
    multipleOf=st.sampled_from([1, 2, 0.5]),
)
LISTED = st.lists(st.sampled_from(["a", "b", "cc", 1, None, True]), min_size=1, max_size=3).map(
    lambda values: {"enum": values}
)
PLAIN = st.one_of(TEXTS, NUMBERS, LISTED, st.sampled_from([True, False, {"type": "boolean"}]))


def nested(inner: Strategy) -> Strategy:
    names = st.lists(st.sampled_from("ab"), unique=True, max_size=2).map(list)
    forms = st.lists(inner, min_size=1, max_size=3).map(list)
    return st.one_of(
        some(
            properties=st.dictionaries(st.sampled_from("ab"), inner, max_size=2).map(dict),
            required=names,
            additionalProperties=st.one_of(st.just(False), inner),
            patternProperties=st.dictionaries(st.sampled_from(["^a", "^z"]), inner, max_size=1).map(
                dict
            ),
            maxProperties=st.just(1),
            unevaluatedProperties=st.just(False),
            propertyNames=TEXTS,
        ).map(lambda s: {"type": "object", **s}),
        some(
            items=inner,
            prefixItems=forms,
            maxItems=st.sampled_from([0, 1, 2]),
            uniqueItems=st.booleans(),
            contains=inner,
        ).map(lambda s: {"type": "array", **s}),
        some(anyOf=forms),
        some(oneOf=forms),
        some(allOf=forms),
        some(**{"not": inner}),
    )


SCHEMAS = st.recursive(PLAIN, nested, max_leaves=6)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Json, Json]:
    """A schema, and what an edit somewhere in it makes of it."""
    old = draw(SCHEMAS)
    return old, edited(old, draw) if draw(st.booleans()) else draw(SCHEMAS)


def edited(schema: Json, draw: st.DrawFn) -> Json:
    if not isinstance(schema, dict) or not schema:
        other: Json = draw(PLAIN)
        return other
    keyword = draw(st.sampled_from(sorted(schema)))
    value = schema[keyword]
    rest = {key: each for key, each in schema.items() if key != keyword}
    if keyword in ("properties", "patternProperties") and isinstance(value, dict) and value:
        name = draw(st.sampled_from(sorted(value)))
        return {**schema, keyword: {**value, name: edited(value[name], draw)}}
    if keyword in ("items", "additionalProperties", "not", "contains"):
        return {**schema, keyword: edited(value, draw)}
    if keyword in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list) and value:
        return {**schema, keyword: [edited(value[0], draw), *value[1:]]}
    return rest


@settings(max_examples=100, deadline=None)
@given(edits())
def test_what_is_called_safe_is_safe(pair: tuple[Json, Json]) -> None:
    old, new = map(node_of, pair)
    facts = compare(old, new)
    before = [value for value in VALUES if old.accepts(value)]
    after = [value for value in VALUES if new.accepts(value)]
    if all(level_of(fact, Direction.SENT) is Level.SAFE for fact in facts):
        assert all(new.accepts(value) for value in before), facts
    if all(level_of(fact, Direction.RECEIVED) is Level.SAFE for fact in facts):
        assert all(old.accepts(value) for value in after), facts
    if not any(fact.may_lose() for fact in facts):
        assert all(new.accepts(value) for value in before)


M: dict[str, Json] = {"type": "object"}
L: dict[str, Json] = {"type": "array"}
TEXT: dict[str, Json] = {"type": "string"}
A: dict[str, Json] = {"a": {"type": "string"}}
K1: Json = {**M, "required": ["a"], "properties": {"a": {"const": 1}, "b": {"maxLength": 1}}}
K2: Json = {**M, "required": ["a"], "properties": {"a": {"const": 2}}}
# Each differs from some other in one keyword, so that every rule decides about some pair.
POOL: list[Json] = [
    True, M, L, TEXT, {"type": "number"}, {"type": "integer"}, {"type": ["string", "null"]},
    {"anyOf": [TEXT, {"type": "null"}]}, {"anyOf": [{"maxLength": 1}, TEXT]},
    {"oneOf": [{"maxLength": 1}, TEXT]}, {"oneOf": [TEXT, {"type": "integer"}]},
    {"oneOf": [K1, K2]}, {"oneOf": [K1]}, {"anyOf": [K1, {**M, "maxProperties": 1}]}, K2,
    {**TEXT, "maxLength": 1}, {**TEXT, "maxLength": 2}, {**TEXT, "minLength": 1}, {**TEXT, "pattern": "^a"},
    {"enum": ["a", "b"]}, {"enum": ["a", 1, None]}, {"const": "a"}, {"not": TEXT}, {"not": {"const": "a"}},
    {"maximum": 1}, {"exclusiveMaximum": 1}, {"minimum": 1}, {"exclusiveMinimum": 1}, {"minimum": 0.5},
    {"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}, {"type": "number", "maximum": 1},
    {"multipleOf": 1}, {"multipleOf": 2}, {"multipleOf": 0.5}, {"if": TEXT, "then": {"maxLength": 1}},
    {**M, "properties": A}, {**M, "properties": A, "required": ["a"]}, {**M, "required": ["a"]},
    {**M, "properties": A, "additionalProperties": False}, {**M, "additionalProperties": False},
    {**M, "properties": A, "additionalProperties": {"type": "integer"}}, {**M, "additionalProperties": TEXT},
    {**M, "properties": {**A, "b": TEXT}}, {**M, "properties": {**A, "b": TEXT}, "required": ["a", "b"]},
    {**M, "properties": {**A, "b": TEXT}, "additionalProperties": False}, {**M, "properties": {"a": {}}},
    {**M, "properties": {"a": {}}, "additionalProperties": False}, {**M, "properties": {"a": False}},
    {**M, "patternProperties": {"^a": TEXT}}, {**M, "patternProperties": {"^a": {}}, "additionalProperties": False},
    {**M, "patternProperties": {"^z": {}}, "additionalProperties": False}, {**M, "propertyNames": {"const": "a"}},
    {**M, "properties": A, "patternProperties": {"^z": {}}, "additionalProperties": False},
    {**M, "properties": A, "unevaluatedProperties": False}, {**M, "unevaluatedProperties": False},
    {**M, "allOf": [{"properties": A}], "unevaluatedProperties": False}, {**M, "allOf": [{"properties": A}]},
    {**M, "allOf": [{"properties": A}], "additionalProperties": False}, {**M, "dependentRequired": {"a": ["b"]}},
    {**M, "maxProperties": 1}, {**M, "minProperties": 1}, {**M, "minProperties": 2},
    {**L, "items": TEXT}, {**L, "items": False}, {**L, "prefixItems": [TEXT]}, {**L, "prefixItems": [{}], "items": TEXT},
    {**L, "prefixItems": [TEXT], "items": False}, {**L, "items": {"type": "integer"}}, {**L, "uniqueItems": True},
    {**L, "maxItems": 1}, {**L, "minItems": 1}, {**L, "minItems": 2}, {**L, "contains": TEXT}, {**L, "maxItems": 0},
    {**L, "contains": TEXT, "maxContains": 1}, {**L, "contains": TEXT, "minContains": 0}, {**L, "items": {**TEXT, "maxLength": 1}},
]  # fmt: skip


def test_what_is_called_safe_is_safe_for_every_pair_of_a_pool() -> None:
    nodes = [node_of(schema) for schema in POOL]
    accepted = [frozenset(i for i, v in enumerate(VALUES) if n.accepts(v)) for n in nodes]
    safe = 0
    for (old, before), (new, after) in itertools.permutations(zip(nodes, accepted, strict=True), 2):
        facts = compare(old, new)
        if all(level_of(fact, Direction.SENT) is Level.SAFE for fact in facts):
            safe += 1
            assert before <= after, (old.parts[0].schema, new.parts[0].schema)
        if all(level_of(fact, Direction.RECEIVED) is Level.SAFE for fact in facts):
            assert after <= before, (old.parts[0].schema, new.parts[0].schema)
    # A comparison that never says safe would pass as well.
    assert safe > 300


@settings(max_examples=60, deadline=None)
@given(SCHEMAS)
def test_a_schema_and_itself_do_not_differ(schema: Json) -> None:
    assert compare(node_of(schema), node_of(schema)) == []


@settings(max_examples=100, deadline=None)
@given(edits(), st.booleans())
def test_a_witness_shows_what_it_says(pair: tuple[Json, Json], gained: bool) -> None:
    old, new = map(node_of, pair)
    accepting, refusing = (new, old) if gained else (old, new)
    for fact in compare(old, new)[:3]:
        shown = find(fact, gained=gained, is_frame=False)
        assert shown is None or (accepting.accepts(shown[0]) and not refusing.accepts(shown[0]))


BIG: dict[str, Json] = {
    "type": "object",
    "required": ["a"],
    "additionalProperties": False,
    "properties": {
        "a": {"type": "string", "maxLength": 9},
        "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"enum": [1, 2]}}}},
        "d": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]},
    },
}


@pytest.mark.parametrize(
    ("at", "value", "code", "where"),
    [
        ("required", ["a", "b"], "D301", ""),
        ("properties/a/maxLength", 8, "D310", "a"),
        ("properties/a/pattern", "^x", "D312", "a"),
        ("properties/a/type", "integer", "D307", "a"),
        ("properties/b/items/properties/c/enum", [1], "D308", "b[].c"),
        ("properties/b/maxItems", 3, "D310", "b"),
        ("properties/d/anyOf/0/minimum", 1, "D310", "d"),
        ("properties/d/anyOf", [{"type": "number", "minimum": 0}], "D315", "d"),
        ("minProperties", 2, "D310", ""),
    ],
)
def test_a_planted_narrowing_is_found_and_shown(
    at: str, value: Json, code: str, where: str
) -> None:
    old, new = node_of(BIG), node_of(planted(BIG, at.split("/"), value))
    (fact,) = compare(old, new)
    assert (fact.code, fact.position.shown()) == (code, where)
    assert level_of(fact, Direction.SENT) is Level.BREAKING
    shown = find(fact, gained=False)
    assert shown is not None
    assert old.accepts(shown[0])
    assert not new.accepts(shown[0])
    # And the other way round nothing is lost, unless it is another type.
    (back,) = compare(new, old)
    assert level_of(back, Direction.SENT) is (Level.BREAKING if code == "D307" else Level.SAFE)


def planted(schema: Json, way: list[str], value: Json) -> Json:
    if not way:
        return value
    if isinstance(schema, list):
        return [
            planted(each, way[1:], value) if str(i) == way[0] else each
            for i, each in enumerate(schema)
        ]
    assert isinstance(schema, dict)
    return {**schema, way[0]: planted(schema.get(way[0], {}), way[1:], value)}


TREE: dict[str, Json] = {"type": "object", "properties": {"next": {"$ref": "#/schemas/it"}}}


def test_recursive_schemas_are_compared_once_round() -> None:
    new: dict[str, Json] = {**TREE, "required": ["next"]}
    assert compare(node_of(TREE), node_of(TREE)) == []
    facts = compare(node_of(TREE), node_of(new))
    assert {(fact.code, fact.new.keyword if fact.new else "") for fact in facts} == {
        ("D301", "required/0")
    }


def test_a_field_that_leads_back_to_the_whole_is_compared_in_finite_time() -> None:
    (fact,) = compare(node_of(TREE), node_of({"type": "object"}))
    assert fact.code == "D303"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["null", "string"]}),
        ({"allOf": [{"maxLength": 3}, {"type": "string"}]}, {"type": "string", "maxLength": 3}),
        ({"type": "integer", "exclusiveMaximum": 5}, {"type": "integer", "maximum": 4}),
        ({"const": 1}, {"enum": [1.0]}),
        ({"minLength": 0, "title": "x"}, True),
        ({"$ref": "#/schemas/text"}, {"type": "string"}),
        ({"type": "string", "format": "no-such-format"}, {"type": "string"}),
    ],
)
def test_the_same_written_otherwise_is_no_difference(old: Json, new: Json) -> None:
    named: dict[str, Json] = {"text": {"type": "string"}}
    assert compare(node_of(old, named), node_of(new, named)) == []
    assert compare(node_of(new, named), node_of(old, named)) == []


def event(kind: str, **more: Json) -> Json:
    properties: dict[str, Json] = {"kind": {"const": kind}, **more}
    return {"type": "object", "required": ["kind"], "properties": properties}


def test_alternatives_are_told_apart_by_their_constants() -> None:
    old: Json = {"oneOf": [event("a", size={"type": "integer"}), event("b")]}
    new: Json = {"oneOf": [event("b"), event("a", size={"type": "number"}), event("c")]}
    facts = compare(node_of(old), node_of(new))
    assert {(fact.code, fact.position.shown()) for fact in facts} == {
        ("D306", "size"),
        ("D306", ""),
    }
    assert all(level_of(fact, Direction.SENT) is Level.SAFE for fact in facts)


def test_a_schema_that_cannot_be_compiled_is_undecided() -> None:
    (fact,) = compare(node_of({"type": "text"}), node_of({"type": "string"}))
    assert (fact.code, fact.effect) == ("D399", Effect.UNKNOWN)
    assert "old schema" in fact.note


def test_drafts_are_compared_by_what_they_accept() -> None:
    old: Json = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": {
            "n": {"minimum": 1, "exclusiveMinimum": True},
            "p": {"items": [{"type": "string"}], "additionalItems": False},
            "r": {"$ref": "#/definitions/r", "maxLength": 1},
        },
        "definitions": {"r": {"type": "string"}},
    }
    new: Json = {
        "properties": {
            "n": {"exclusiveMinimum": 1},
            "p": {"prefixItems": [{"type": "string"}], "items": False},
            "r": {"type": "string"},
        }
    }
    assert compare(node_of(old), node_of(new)) == []
    (fact,) = compare(node_of(old), node_of({**new, "required": ["n"]}))  # type: ignore[dict-item]
    assert fact.code == "D301"
