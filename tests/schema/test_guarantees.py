"""What a schema guarantees, by example, and against random schemas with a validator as the judge."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channeld.protocol.frames import Json
from channeld.schema.cases import identity, pointed, type_of
from channeld.schema.compiled import compiled
from channeld.schema.guarantees import Lookup, Shape

TEXT: dict[str, Json] = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
}


def test_a_required_property_of_an_object_is_guaranteed() -> None:
    found = Shape(TEXT).lookup(("text",))
    assert (found.guaranteed, found.declared, set(found.types)) == (True, True, {"string"})


def test_without_a_type_only_objects_have_it() -> None:
    schema: Json = {"required": ["text"]}
    assert not Shape(schema).lookup(("text",)).guaranteed
    assert Shape(schema, of_object=True).lookup(("text",)).guaranteed


def test_an_optional_property_is_missing_and_names_its_siblings() -> None:
    found = Shape({"properties": {"text": {}, "to": {}}}).lookup(("text", "a"))
    assert (found.guaranteed, found.missing, found.names) == (False, "text", ("text", "to"))


def test_the_missing_step_is_the_first_one() -> None:
    inner: Json = {"properties": {"name": {"type": "string"}}, "type": "object"}
    found = Shape({"type": "object", "required": ["to"], "properties": {"to": inner}}).lookup(
        ("to", "name")
    )
    assert (found.missing, found.names, found.possible) == ("name", ("name",), True)


def test_a_closed_object_has_nothing_else() -> None:
    found = Shape({**TEXT, "additionalProperties": False}).lookup(("txt",))
    assert (found.possible, found.declared, found.guaranteed) == (False, False, False)


def test_an_open_object_may_have_it() -> None:
    found = Shape(TEXT).lookup(("txt",))
    assert (found.possible, found.declared, found.known) == (True, False, True)


def test_references_and_all_of_add_up() -> None:
    schema: Json = {
        "$defs": {"named": {"type": "object", "required": ["name"]}},
        "allOf": [{"$ref": "#/$defs/named"}, {"properties": {"name": {"type": "integer"}}}],
    }
    found = Shape(schema).lookup(("name",))
    assert (found.guaranteed, set(found.types)) == (True, {"integer"})


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
def test_every_branch_must_guarantee(keyword: str) -> None:
    schema: Json = {"type": "object", keyword: [{"required": ["a", "b"]}, {"required": ["a", "c"]}]}
    shape = Shape(schema)
    assert shape.lookup(("a",)).guaranteed
    assert not shape.lookup(("b",)).guaranteed


def test_a_condition_guarantees_what_both_ways_do() -> None:
    schema: Json = {
        "type": "object",
        "if": {"properties": {"kind": {"const": 1}}, "required": ["kind"]},
        "then": {"required": ["a"]},
        "else": {"required": ["a", "b"]},
    }
    shape = Shape(schema)
    assert shape.lookup(("a",)).guaranteed
    assert not shape.lookup(("kind",)).guaranteed


def test_dependent_names_follow_required_ones() -> None:
    schema: Json = {
        "type": "object",
        "required": ["a"],
        "dependentRequired": {"a": ["b"], "b": ["c"], "x": ["y"]},
        "dependentSchemas": {"c": {"required": ["d"]}},
    }
    shape = Shape(schema)
    assert all(shape.lookup((name,)).guaranteed for name in "abcd")
    assert not shape.lookup(("y",)).guaranteed


def test_constants_spell_out_what_is_in_them() -> None:
    found = Shape({"enum": [{"a": {"b": 1}}, {"a": {"b": "x"}}]}).lookup(("a", "b"))
    assert (found.guaranteed, set(found.types), found.values) == (
        True,
        {"integer", "string"},
        (1, "x"),
    )


def test_equal_to_python_is_not_equal_to_json() -> None:
    found = Shape({"enum": [{"a": True}, {"a": 1}]}).lookup(("a",))
    assert (set(found.types), found.values) == ({"boolean", "integer"}, (True, 1))


def test_a_recursive_schema_ends() -> None:
    schema: Json = {
        "type": "object",
        "required": ["next"],
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    }
    shape = Shape(schema)
    assert shape.lookup(("next",)).types == {"object", "null"}
    assert not shape.lookup(("next", "next")).guaranteed


def test_a_reference_to_itself_says_nothing() -> None:
    assert not Shape({"$ref": "#"}).lookup(("a",)).guaranteed


def test_doubling_references_end_as_unknown() -> None:
    defs: dict[str, Json] = {
        f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)
    }
    defs["d40"] = {"required": ["a"], "type": "object"}
    found = Shape({"$defs": defs, "$ref": "#/$defs/d0"}).lookup(("b",))
    assert not found.known


def test_disjunctions_too_wide_to_expand_are_unknown() -> None:
    wide: Json = [{"anyOf": [{"required": ["b"]}, {"required": ["c"]}]} for _ in range(8)]
    found = Shape({"allOf": wide}, of_object=True).lookup(("b",))
    assert (found.guaranteed, found.known) == (False, False)


def test_a_reference_to_nothing_is_unknown() -> None:
    found = Shape({"$ref": "#/$defs/nope"}).lookup(("a",))
    assert (found.guaranteed, found.possible, found.known) == (False, True, False)


def test_a_disjunction_of_many_branches_is_left_out() -> None:
    schema: Json = {"required": ["a"], "anyOf": [{"required": [f"n{i}"]} for i in range(100)]}
    shape = Shape(schema, of_object=True)
    assert shape.lookup(("a",)).guaranteed
    assert not shape.lookup(("n1",)).known


def test_what_is_unknown_guarantees_what_is_said_beside_it() -> None:
    shape = Shape({"$dynamicRef": "#x", **TEXT})
    assert shape.lookup(("text",)).known
    assert not shape.lookup(("other",)).known


def test_openness_and_whether_it_is_said() -> None:
    assert Shape(TEXT).is_silently_open
    said = Shape({**TEXT, "additionalProperties": True})
    assert (said.is_open, said.is_silently_open) == (True, False)
    assert not Shape({**TEXT, "unevaluatedProperties": False}).is_open


def test_unevaluated_properties_close_what_no_branch_declares() -> None:
    schema: Json = {"allOf": [TEXT], "unevaluatedProperties": False}
    shape = Shape(schema)
    assert shape.lookup(("text",)).guaranteed
    assert not shape.lookup(("txt",)).possible


@pytest.mark.parametrize(
    "beside",
    [
        {"dependentSchemas": {"x": {"properties": {"a": {}}}}, "properties": {"x": {}}},
        {"if": {"properties": {"a": {"type": "string"}}}},
        {"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
        {"allOf": [{"additionalProperties": {"type": "string"}}]},
        {"$dynamicRef": "#elsewhere"},
    ],
)
def test_unevaluated_properties_spare_what_may_be_looked_at(beside: dict[str, Json]) -> None:
    assert Shape({**beside, "unevaluatedProperties": False}).lookup(("a",)).possible


@pytest.mark.parametrize(
    ("schema", "possible"),
    [
        (True, True),
        (False, False),
        ({"type": "array"}, False),
        ({"const": "a"}, False),
        (TEXT, True),
    ],
)
def test_may_be_an_object(schema: Json, possible: bool) -> None:
    assert Shape(schema, of_object=True).may_be_object() is possible


def test_property_names_are_in_the_schema_s_order() -> None:
    schema: Json = {
        "properties": {"b": True, "a": {}, "c": False},
        "allOf": [{"properties": {"d": {}}}],
    }
    assert Shape(schema).property_names() == ("b", "a", "d")


def test_pointed_unescapes() -> None:
    schema: Json = {"$defs": {"a/b%": [1, {"~": 2}]}}
    assert pointed(schema, "#/$defs/a~1b%25/1/~0") == 2


@pytest.mark.parametrize("reference", ["#/no", "#anchor", "x#/a", "#/$defs/0/x"])
def test_pointed_finds_nothing(reference: str) -> None:
    with pytest.raises(LookupError):
        pointed({"$defs": [1]}, reference)


# The property: every schema against all of a fixed, dense set of small values. The judge is the compiled validator, which
# agrees with jsonschema (tests/schema/test_compiled.py) and is fast enough to be asked about them all.
INNER: list[Any] = [None, True, 1, 1.5, "x", [], {}, {"a": 1}, {"b": "x"}, {"a": "x", "b": 1}]
OBJECTS: list[Any] = [
    {name: value for name, value in (("a", a), ("b", b)) if value is not ...}
    for a in [..., *INNER]
    for b in [..., *INNER]
]
PATHS = [("a",), ("b",), ("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]

NAMES = st.sampled_from(["a", "b"])
TYPE = st.sampled_from(["object", "integer", "number", "string"])
SUBSETS = st.sampled_from([["a"], ["b"], ["a", "b"]])
LEAVES = st.builds(lambda type_: {"type": type_}, TYPE | st.lists(TYPE, min_size=1, unique=True))
CONSTANTS = st.sampled_from(INNER)
STEPS = st.sampled_from([{"$ref": "#"}, {"$ref": "#/$defs/d"}])


def _groups(inner: st.SearchStrategy[Any]) -> list[st.SearchStrategy[dict[str, Any]]]:
    """Keywords that mean something together."""
    several, named = (
        st.lists(inner, min_size=1, max_size=2),
        st.dictionaries(NAMES, inner, max_size=2),
    )
    # A reference that steps into the value may go anywhere; others would make loops, which CH216 refuses.
    below = st.dictionaries(NAMES, inner | STEPS, min_size=1, max_size=2)
    record = {"type": st.just("object"), "required": SUBSETS, "properties": below}
    nested = st.fixed_dictionaries({"a": st.fixed_dictionaries(record), "b": inner})
    return [
        st.fixed_dictionaries({"type": TYPE}),
        st.fixed_dictionaries({**record, "properties": nested}),
        st.fixed_dictionaries({"required": SUBSETS, "properties": below}),
        st.fixed_dictionaries(
            {"required": SUBSETS, "properties": below, "type": st.just("object")}
        ),
        st.fixed_dictionaries(
            {"properties": below, "additionalProperties": inner | st.just(False)}
        ),
        st.fixed_dictionaries({"patternProperties": st.dictionaries(st.just("^a"), inner)}),
        st.fixed_dictionaries({"unevaluatedProperties": st.just(False)}),
        st.fixed_dictionaries(
            {"required": SUBSETS, "dependentRequired": st.dictionaries(NAMES, SUBSETS)}
        ),
        st.fixed_dictionaries({"required": SUBSETS, "dependentSchemas": named}),
        st.fixed_dictionaries({"allOf": several}),
        st.fixed_dictionaries({"anyOf": several}),
        st.fixed_dictionaries({"oneOf": several}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"if": inner}, optional={"then": inner, "else": inner}),
        st.fixed_dictionaries({"enum": st.lists(CONSTANTS, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"const": CONSTANTS}),
    ]


def _schemas(inner: st.SearchStrategy[Any], *, refer: bool = False) -> st.SearchStrategy[Any]:
    groups = _groups(inner)
    if refer:
        groups.append(st.just({"$ref": "#/$defs/d"}))
    chosen = st.lists(st.integers(0, len(groups) - 1), min_size=1, max_size=2, unique=True)
    return chosen.flatmap(
        lambda indexes: st.tuples(*(groups[i] for i in indexes)).map(
            lambda parts: {key: value for part in parts for key, value in part.items()}
        )
    )


SHARED = st.recursive(LEAVES, _schemas, max_leaves=4)
SCHEMAS = st.recursive(
    LEAVES | st.just(True), lambda inner: _schemas(inner, refer=True), max_leaves=8
)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return ...
        value = value[name]
    return value


def _violated(found: Lookup, there: Any) -> str | None:
    if there is ...:
        return "guaranteed" if found.guaranteed else None
    if not found.possible:
        return "possible"
    if type_of(there) not in found.types:
        return "types"
    listed = found.values is None or identity(there) in set(map(identity, found.values))
    return None if listed else "values"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_schemas(SCHEMAS, refer=True), SHARED)
def test_what_is_guaranteed_is_there(schema: Any, shared: Any) -> None:
    whole = {**schema, "$defs": {"d": shared}}
    accepts = compiled(whole).accepts
    for of_object, values in ((True, OBJECTS), (False, INNER)):
        shape = Shape(whole, of_object=of_object)
        accepted = [value for value in values if accepts(value)]
        for path in [(), *PATHS]:
            found = shape.lookup(path)
            for value in accepted:
                assert _violated(found, _at(value, path)) is None, (path, value, found)


def test_the_property_speaks_of_something() -> None:
    """Many of the schemas that it makes accept something, and enough of those guarantee something."""
    seen = {"accepting": 0, "guaranteeing": 0, "nested": 0}

    @settings(max_examples=80, deadline=None, derandomize=True, database=None)
    @given(_schemas(SCHEMAS, refer=True), SHARED)
    def count(schema: Any, shared: Any) -> None:
        whole = {**schema, "$defs": {"d": shared}}
        if any(map(compiled(whole).accepts, OBJECTS)):
            shape = Shape(whole, of_object=True)
            seen["accepting"] += 1
            seen["guaranteeing"] += shape.lookup(("a",)).guaranteed
            seen["nested"] += any(shape.lookup(path).guaranteed for path in PATHS[2:])

    count()
    assert seen["accepting"] >= 30, seen
    assert seen["guaranteeing"] >= 8, seen
    assert seen["nested"] >= 2, seen
