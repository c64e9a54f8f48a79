from typing import Any

import pytest

from channeld.protocol.frames import Json
from channeld.schema.compiled import compiled
from channeld.schema.sensitive import MASK, marks_of, scrubbed

MARK: Any = {"x-sensitive": True}
LOGIN: Json = {
    "type": "object",
    "properties": {
        "user": {"type": "string"},
        "pin": {"$ref": "#/$defs/pin"},
        "cards": {"type": "array", "items": {"properties": {"number": MARK}}},
        "pair": {"prefixItems": [{"type": "string"}, MARK]},
        "any": {"anyOf": [{"type": "null"}, {"properties": {"key": MARK}}]},
    },
    "patternProperties": {"^secret_": MARK},
    "$defs": {"pin": {"const": "1234", **MARK}},
}


def marks() -> Any:
    found = marks_of(LOGIN)
    assert found is not None
    return found


def test_a_schema_without_marks_has_none() -> None:
    assert marks_of({"properties": {"a": {"type": "string"}}}) is None
    assert marks_of(True) is None


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ({"user": "ann", "pin": "1234"}, {"user": "ann", "pin": MASK}),
        ({"cards": [{"number": 1, "name": "a"}]}, {"cards": [{"number": MASK, "name": "a"}]}),
        ({"pair": ["a", "b"]}, {"pair": ["a", MASK]}),
        ({"any": {"key": [1], "b": 2}}, {"any": {"key": MASK, "b": 2}}),
        ({"secret_x": {"a": 1}, "more": 1}, {"secret_x": MASK, "more": 1}),
        ("text", "text"),
    ],
)
def test_what_is_marked_is_masked(value: Json, masked: Json) -> None:
    assert marks().masked(value) == masked


def test_the_secrets_of_a_value() -> None:
    assert marks().secrets({"pin": "1234", "cards": [{"number": 7}]}) == ["1234", 7]


def test_a_reference_that_can_not_be_followed_counts_as_marked() -> None:
    found = marks_of({"properties": {"a": {"$ref": "urn:x"}, "b": MARK}})
    assert found is not None
    assert found.masked({"a": 1, "b": 2, "c": 3}) == {"a": MASK, "b": MASK, "c": 3}


@pytest.mark.parametrize(
    ("path", "touches"),
    [((), True), (("pin",), True), (("pin", "x"), True), (("any",), True), (("user",), False)],
)
def test_paths_that_touch_a_mark(path: tuple[str, ...], touches: bool) -> None:
    assert marks().touches(path) is touches


def test_a_violation_tells_no_listed_value() -> None:
    (found,) = compiled(LOGIN).explain({"pin": "0000"})
    assert (found.path, found.message) == ("/pin", "is not one of the allowed values")
    (found,) = compiled({**LOGIN, "properties": {"pin": {"anyOf": [{"const": "9876"}], **MARK}}}).explain({"pin": 1})  # type: ignore[dict-item] # fmt: skip
    assert found.message == "fits none of the allowed forms"


def test_scrubbing_finds_what_was_cut_as_well() -> None:
    long = "k" * 30 + "z" * 60
    text = f"whole {long}, cut {long[:55]}… and hunter2x"
    assert scrubbed(text, [long, "hunter2"]) == f"whole {MASK}, cut {MASK}… and {MASK}x"
    assert scrubbed("nothing", ["secret"]) == "nothing"
