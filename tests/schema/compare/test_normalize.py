import pytest

from channeld.protocol.frames import Json
from channeld.schema.compare.normal_form import Form
from channeld.schema.compare.normalize import form_of
from tests.diff.kit import node_of


def form(schema: Json) -> Form:
    return form_of(node_of(schema, {"text": {"type": "string", "maxLength": 9}}))


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        (True, 7),
        (False, 0),
        ({"type": "number"}, 2),
        ({"type": "integer"}, 1),
        ({"enum": [1, "a", None]}, 3),
        ({"$ref": "#/schemas/text"}, 1),
        ({"allOf": [{"type": ["string", "null"]}, {"type": ["null", "object"]}]}, 1),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 2),
    ],
)
def test_types(schema: Json, types: int) -> None:
    assert len(form(schema).types) == types


def test_the_tighter_of_two_limits_holds() -> None:
    found = form({"$ref": "#/schemas/text", "maxLength": 20, "allOf": [{"minLength": 2}]})
    assert {key: held.value for key, held in found.counts.items()} == {
        "maxLength": 9,
        "minLength": 2,
    }


@pytest.mark.parametrize(
    ("schema", "upper", "lower"),
    [
        ({"type": "integer", "exclusiveMaximum": 5, "minimum": 0.5}, (4, False), (1, False)),
        ({"type": "number", "exclusiveMaximum": 5, "minimum": 5}, (5, True), (5, False)),
        ({"maximum": 5, "exclusiveMaximum": 5}, (5, True), None),
    ],
)
def test_ranges(schema: Json, upper: tuple[float, bool], lower: tuple[float, bool] | None) -> None:
    found = form(schema)
    assert found.upper is not None
    assert (found.upper.value, found.upper.open) == upper
    assert (found.lower and (found.lower.value, found.lower.open)) == lower


def test_values_that_the_rest_refuses_are_left_out() -> None:
    assert form({"enum": [1, "a", "long"], "type": "string", "maxLength": 1}).values == ["a"]


def test_alternatives_of_different_types_are_worked_in() -> None:
    found = form({"anyOf": [{"type": "string", "maxLength": 3, "minimum": 1}, {"type": "null"}]})
    assert found.branches == []
    assert list(found.counts) == ["maxLength"]
    assert found.lower is None


@pytest.mark.parametrize(
    ("schema", "branches", "opaque"),
    [
        ({"anyOf": [{"type": "string"}, {"maxLength": 3}]}, 1, 0),
        ({"oneOf": [{"type": "string"}, {"maxLength": 3}]}, 0, 1),
        (
            {
                "oneOf": [
                    {"type": "object", "required": ["a"], "properties": {"a": {"const": n}}}
                    for n in (1, 2)
                ]
            },
            1,
            0,
        ),
        ({"not": {}}, 0, 1),
        ({"if": {}, "then": {}, "else": {}}, 0, 1),
    ],
)
def test_what_is_kept_as_it_is(schema: Json, branches: int, opaque: int) -> None:
    found = form(schema)
    assert (len(found.branches), len(found.opaque)) == (branches, opaque)


@pytest.mark.parametrize("schema", [{"unevaluatedProperties": False}, {"$dynamicRef": "#x"}])
def test_what_is_only_compared_as_a_whole(schema: Json) -> None:
    assert form(schema).whole != ""


def test_a_schema_that_contains_itself_in_place_ends() -> None:
    assert form({"anyOf": [{"$ref": "#/schemas/it"}, {"type": "null"}]}).node is not None
