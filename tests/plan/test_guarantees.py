"""What a schema guarantees, by example, and against random schemas with jsonschema as the judge."""

from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from channeld.plan.cases import type_of
from channeld.plan.guarantees import Shape, pointed
from channeld.protocol.frames import Json

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


NAMES = st.sampled_from(["a", "b", "c"])
TYPE = st.sampled_from(["null", "boolean", "object", "array", "number", "string", "integer"])
SCALARS = st.sampled_from([None, True, False, 0, 1, 1.0, 1.5, "", "x"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def _plain(inner: st.SearchStrategy[Any], *, refer: bool = False) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=2)
    names = st.lists(NAMES, unique=True, max_size=2)
    # References that step into the value may go anywhere; others would make loops, which CH216 refuses.
    below = inner | st.sampled_from([{"$ref": "#"}, {"$ref": "#/$defs/d"}])
    by_name = st.dictionaries(NAMES, inner, max_size=2)
    keywords = {
        "type": TYPE | st.lists(TYPE, unique=True, min_size=1, max_size=3),
        "required": names,
        "properties": st.dictionaries(NAMES, below, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b|c"]), inner, max_size=1),
        "additionalProperties": inner,
        "unevaluatedProperties": inner,
        "dependentRequired": st.dictionaries(NAMES, names, max_size=2),
        "dependentSchemas": by_name,
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "const": VALUES,
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "minProperties": st.integers(0, 2),
    }
    if refer:
        keywords["$ref"] = st.just("#/$defs/d")
    return st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: keywords[name] for name in chosen})
    )


def _referring(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return _plain(inner, refer=True)


LEAVES = st.booleans() | st.builds(lambda type_: {"type": type_}, TYPE)
SHARED = st.recursive(LEAVES, _plain, max_leaves=8)
SCHEMAS = st.recursive(LEAVES, _referring, max_leaves=8)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)
PATHS = [(first, *rest) for first in "abc" for rest in [(), ("a",), ("b",)]]


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(value, dict) or name not in value:
            raise LookupError(name)
        value = value[name]
    return value


def _check(shape: Shape, value: Any) -> None:
    for path in [(), *PATHS]:
        found = shape.lookup(path)
        try:
            there = _at(value, path)
        except LookupError:
            assert not found.guaranteed, (path, found)
            continue
        assert found.possible, (path, found)
        assert type_of(there) in found.types, (path, found)
        assert found.values is None or there in found.values, (path, found)


@settings(max_examples=100, suppress_health_check=[HealthCheck.filter_too_much])
@given(_referring(SCHEMAS), SHARED, st.lists(VALUES | OBJECTS, min_size=4, max_size=8))
def test_what_is_guaranteed_is_there(schema: Any, shared: Any, values: list[Any]) -> None:
    whole = {**schema, "$defs": {"d": shared}}
    judge = jsonschema.Draft202012Validator(whole)
    shape, of_object = Shape(whole), Shape(whole, of_object=True)
    accepted = [value for value in values if judge.is_valid(value)]
    assume(accepted)
    for value in accepted:
        _check(shape, value)
        if isinstance(value, dict):
            _check(of_object, value)
