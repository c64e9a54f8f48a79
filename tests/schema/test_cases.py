"""One conjunction at a time."""

import pytest

from channeld.protocol.frames import Json
from channeld.schema.cases import (
    Case,
    Expansion,
    closure,
    identity,
    names_of,
    pointed,
    restrict,
    type_of,
    values_of,
)


def _case(*schemas: dict[str, Json]) -> Case:
    cases = [Case()]
    for schema in schemas:
        (cases,) = [restrict(cases[0], schema)]
    (case,) = cases
    return case


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "integer"),
        (1.0, "integer"),
        (1.5, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_type_of(value: Json, name: str) -> None:
    assert type_of(value) == name


def test_types_narrow_until_nothing_is_left() -> None:
    case = _case({"type": ["number", "string"]}, {"type": ["integer", "null"]})
    assert case.types == {"integer"}
    assert restrict(case, {"type": "string"}) == []


def test_constants_must_be_of_the_type() -> None:
    assert _case({"type": "string", "enum": [1, "a", "b"]}).values == ("a", "b")
    assert restrict(Case(), {"type": "string", "const": 1}) == []


def test_many_objects_in_an_enum_stay_together() -> None:
    options: list[Json] = [{"n": i} for i in range(40)]
    case = _case({"enum": options})
    assert (set(case.types), case.requires("n")) == ({"object"}, False)


def test_what_a_property_must_satisfy() -> None:
    case = _case(
        {"properties": {"ab": {"type": "string"}}, "additionalProperties": False},
        {"patternProperties": {"^a": {"maxLength": 3}}, "additionalProperties": {"minLength": 1}},
    )
    assert case.schemas_of("ab") == ({"type": "string"}, {"maxLength": 3})
    assert case.schemas_of("b") is None
    assert case.declares("a")
    assert not case.declares("b")


def test_an_array_has_no_properties() -> None:
    case = _case({"type": "array", "required": ["a"]})
    assert (case.requires("a"), case.schemas_of("a"), case.is_open()) == (False, None, False)


def test_a_pattern_that_can_not_be_compiled_declares_anything() -> None:
    assert _case({"patternProperties": {"(": True}}).declares("x")


def test_dependents_follow_the_required_names() -> None:
    case = _case(
        {"required": ["a"], "dependentRequired": {"a": ["b"], "b": ["c"]}},
        {"dependentSchemas": {"a": {"minProperties": 1}, "x": False}},
    )
    assert closure(case) == {"a", "b", "c"}
    spelled_out = Expansion(lambda ref: pointed({}, ref)).cases(
        (*map(dict, case.objects), {"type": "object"})
    )
    assert {"minProperties": 1} in spelled_out[0].objects


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, None, False),
        ("1", 1, False),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, True),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
    ],
)
def test_equal_values_have_one_identity(one: Json, other: Json, same: bool) -> None:
    assert (identity(one) == identity(other)) is same


def test_a_disjunction_that_is_too_wide_is_left_out_and_known_to_be() -> None:
    wide: Json = {"anyOf": [{"const": n} for n in range(5)], "type": "integer"}
    (case,) = Expansion(lambda ref: pointed({}, ref), max_cases=4).cases((wide,))
    assert not case.known
    assert (set(case.types), case.values) == ({"integer"}, None)


def test_names_and_values_of_several_cases() -> None:
    cases = [_case({"const": {"a": 1}}), _case({"properties": {"b": {}}, "enum": [{"b": 2}]})]
    assert names_of(cases) == ("a", "b")
    assert values_of(cases) == ({"a": 1}, {"b": 2})
    assert values_of([*cases, Case()]) is None
    assert values_of([]) is None
