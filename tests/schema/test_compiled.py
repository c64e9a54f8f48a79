"""Yes, no and why not: against the official suite, against jsonschema, and word by word."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.protocol.frames import Json
from channeld.schema.compiled import compiled, shown, validator_of

SUITE = Path(__file__).parent / "suite"
FILES = sorted([*SUITE.glob("*.json"), *SUITE.glob("format/*.json")])
# `format` is asserted here, and the suite's required tests hold it for an annotation; the optional ones do not.
ANNOTATIONS = {"format.json"}
# A custom meta-schema could switch whole vocabularies off; it would have to be fetched.
OTHER_DIALECTS = {"schema that uses custom metaschema with with no validation vocabulary"}


REMOTE = set((SUITE / "remote.txt").read_text().splitlines())
NONE = "fits none of the allowed forms"


def _groups() -> list[Any]:
    return [
        pytest.param(group, id=f"{path.stem}-{group['description']}")
        for path in FILES
        if path.name not in ANNOTATIONS
        for group in json.loads(path.read_text())
        if group["description"] not in OTHER_DIALECTS
    ]


def test_the_suite_is_whole() -> None:
    groups = [group for path in FILES for group in json.loads(path.read_text())]
    assert sum(len(group["tests"]) for group in groups) == 1748


@pytest.mark.parametrize("group", _groups())
def test_suite(group: dict[str, Any]) -> None:
    if _names_a_remote(group):
        with pytest.raises(ValueError, match="Retrieval is disabled"):
            compiled(group["schema"])
        return
    validator = compiled(group["schema"])
    for case in group["tests"]:
        assert validator.accepts(case["data"]) is case["valid"], case["description"]
        assert (validator.explain(case["data"]) == []) is case["valid"], case["description"]


def _names_a_remote(group: dict[str, Any]) -> bool:
    """Whether a schema that the suite serves on a port of its own is needed; there is none of them here."""
    return group["description"] in REMOTE


def _why(schema: Json, value: Json) -> list[tuple[str, str, str]]:
    return [(v.path, v.message, v.keyword) for v in validator_of(schema).explain(value)]


@pytest.mark.parametrize(
    ("schema", "value", "words", "keyword"),
    [
        ({"type": "string"}, 1, "must be a string, not a number", "type"),
        ({"type": ["string", "null"]}, {}, "must be null or a string, not an object", "type"),
        ({"type": "integer"}, 1.5, "must be an integer, not a number", "type"),
        ({"type": "boolean"}, [], "must be true or false, not an array", "type"),
        ({"enum": ["a", 1]}, 2, 'must be one of "a", 1', "enum"),
        ({"enum": ["a"]}, 2, 'must be "a"', "enum"),
        ({"const": {"a": 1}}, 2, 'must be {"a": 1}', "const"),
        ({"required": ["text"]}, {}, '"text" is required', "required"),
        (
            {"dependentRequired": {"a": ["b"]}},
            {"a": 1},
            '"b" is required beside the fields sent',
            "dependentRequired",
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"b": 1},
            '"b" is not allowed here',
            "additionalProperties",
        ),
        (
            {"additionalProperties": False},
            {"b": 1},
            "has a field that is not allowed",
            "additionalProperties",
        ),
        (
            {"unevaluatedProperties": False},
            {"a": 1, "b": 1},
            '"a", "b" are not allowed here',
            "unevaluatedProperties",
        ),
        ({"unevaluatedItems": False}, [1], "has more items than are allowed", "unevaluatedItems"),
        (
            {"anyOf": [{"type": "string"}, False]},
            1,
            f"{NONE}; of the closest, must be a string, not a number",
            "anyOf",
        ),
        ({"oneOf": [True, True]}, 1, "fits more than one of the allowed forms", "oneOf"),
        ({"not": {}}, 1, "has a form that is not allowed", "not"),
        (False, 1, "is not allowed", "falseSchema"),
        (
            {"propertyNames": {"maxLength": 1}},
            {"ab": 1},
            'the field name "ab" must have at most 1 character',
            "propertyNames",
        ),
        ({"contains": {"const": 1}}, [2], "has no item of the required form", "contains"),
        (
            {"contains": True, "minContains": 2},
            [1],
            "has too few items of the required form",
            "minContains",
        ),
        (
            {"contains": True, "maxContains": 1},
            [1, 2],
            "has too many items of the required form",
            "maxContains",
        ),
        ({"uniqueItems": True}, [1, 1], "must not hold the same item twice", "uniqueItems"),
        ({"minLength": 2}, "a", "must have at least 2 characters", "minLength"),
        ({"maxItems": 1}, [1, 2], "must have at most 1 item", "maxItems"),
        ({"minProperties": 1}, {}, "must have at least 1 field", "minProperties"),
        ({"minimum": 2}, 1, "must be at least 2", "minimum"),
        ({"exclusiveMaximum": 2}, 2, "must be less than 2", "exclusiveMaximum"),
        ({"multipleOf": 0.5}, 0.7, "must be a multiple of 0.5", "multipleOf"),
        ({"pattern": "^b"}, "a", 'must match "^b"', "pattern"),
        ({"format": "email"}, "a", "must be a valid email", "format"),
    ],
)
def test_words(schema: Json, value: Json, words: str, keyword: str) -> None:
    (found,) = _why(schema, value)
    assert found[1:] == (words, keyword)


def test_paths_are_json_pointers() -> None:
    schema: Json = {"properties": {"a/b": {"items": {"type": "string"}}}}
    assert [path for path, _, _ in _why(schema, {"a/b": ["x", 1]})] == ["/a~1b/1"]


def test_the_closest_form_is_told() -> None:
    circle: Json = {
        "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}},
        "required": ["r"],
    }
    square: Json = {"properties": {"kind": {"const": "square"}, "a": {"minimum": 1}}}
    (found,) = _why({"anyOf": [circle, square]}, {"kind": "square", "a": 0})
    assert found[1] == "fits none of the allowed forms; of the closest, `a` must be at least 1"


def test_a_form_within_a_field_is_told_with_its_path() -> None:
    (found,) = _why({"properties": {"a": {"oneOf": [{"required": ["b"]}]}}}, {"a": {}})
    assert found == ("/a", f'{NONE}; of the closest, "b" is required', "oneOf")


def test_at_most_ten_violations() -> None:
    assert len(_why({"items": {"type": "string"}}, list(range(50)))) == 10


def test_long_values_are_cut() -> None:
    long = "x" * 500
    (found,) = _why({"properties": {}, "additionalProperties": False}, {long: long})
    assert len(found[1]) < 100
    assert len(shown(long)) == 64
    assert shown("é") == '"é"'


def test_many_unexpected_names_are_cut_short() -> None:
    schema: Json = {"properties": {"a": {}}, "additionalProperties": False}
    (found,) = _why(schema, {f"k{i}": 1 for i in range(20)})
    assert found[1].endswith(", … are not allowed here")


def test_accepts_is_the_library_s_own_method() -> None:
    accepts = compiled({"type": "string"}).accepts
    assert isinstance(getattr(accepts, "__self__", None), jsonschema_rs.Draft202012Validator)


def test_a_hostile_text_meets_a_linear_engine() -> None:
    assert not compiled({"pattern": "^(a+)+$"}).accepts("a" * 100_000 + "!")


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(", "^(a{1000}){1000}$"])
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="regex"):
        compiled({"pattern": pattern})


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1/x", "file:///etc/passwd", "x.json"])
def test_nothing_is_fetched(uri: str) -> None:
    with pytest.raises(ValueError, match="not present in a registry"):
        compiled({"$ref": uri})


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(TypeError, match="not string"):
        compiled("{}")
    with pytest.raises(ValueError, match="anyOf"):
        compiled({"type": "strin"})


LETTERS = st.sampled_from(["a", "b", "ab"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | LETTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=3),
    max_leaves=8,
)
SMALL = st.integers(0, 3)


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    keywords = {
        "type": st.sampled_from(["null", "boolean", "object", "array", "number", "string"]),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "minimum": SMALL,
        "exclusiveMaximum": SMALL,
        "multipleOf": st.integers(1, 3),
        "minLength": SMALL,
        "pattern": st.sampled_from(["^a", "b$", "[ab]{2}"]),
        "items": inner,
        "prefixItems": several,
        "contains": inner,
        "minContains": SMALL,
        "uniqueItems": st.booleans(),
        "unevaluatedItems": inner,
        "properties": st.dictionaries(LETTERS, inner, max_size=2),
        "patternProperties": st.dictionaries(st.just("^a"), inner, max_size=1),
        "additionalProperties": inner,
        "unevaluatedProperties": inner,
        "propertyNames": inner,
        "required": st.lists(LETTERS, unique=True, max_size=2),
        "dependentRequired": st.dictionaries(LETTERS, st.just(["b"]), max_size=1),
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
    }
    return st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: keywords[name] for name in chosen})
    )


@settings(max_examples=120, deadline=None)
@given(
    st.recursive(st.booleans(), _schemas, max_leaves=8), st.lists(VALUES, min_size=3, max_size=8)
)
def test_all_three_agree(schema: Any, values: list[Any]) -> None:
    validator, judge = compiled(schema), jsonschema.Draft202012Validator(schema)
    for value in values:
        verdict = validator.accepts(value)
        assert verdict is judge.is_valid(value)
        violations = validator.explain(value)
        assert verdict is (violations == [])
        assert all(v.message and v.keyword and len(v.message) < 400 for v in violations)
