"""Yes and no, against the official suite and against jsonschema, and that explanations agree."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.schema.compiled import compiled

SUITE = Path(__file__).parent / "suite"
FILES = sorted([*SUITE.glob("*.json"), *SUITE.glob("format/*.json")])
# `format` is asserted here, and the suite's required tests hold it for an annotation; the optional ones do not.
ANNOTATIONS = {"format.json"}
# A custom meta-schema could switch whole vocabularies off; it would have to be fetched.
OTHER_DIALECTS = {"schema that uses custom metaschema with with no validation vocabulary"}


REMOTE = set((SUITE / "remote.txt").read_text().splitlines())


def groups() -> list[Any]:
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


@pytest.mark.parametrize("group", groups())
def test_suite(group: dict[str, Any]) -> None:
    if names_a_remote(group):
        with pytest.raises(ValueError, match="Retrieval is disabled"):
            compiled(group["schema"])
        return
    validator = compiled(group["schema"])
    for case in group["tests"]:
        assert validator.accepts(case["data"]) is case["valid"], case["description"]
        assert (validator.explain(case["data"]) == []) is case["valid"], case["description"]


def names_a_remote(group: dict[str, Any]) -> bool:
    """Whether a schema that the suite serves on a port of its own is needed; there is none of them here."""
    return group["description"] in REMOTE


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


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
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
@given(st.recursive(st.booleans(), schemas, max_leaves=8), st.lists(VALUES, min_size=3, max_size=8))
def test_all_three_agree(schema: Any, values: list[Any]) -> None:
    validator, judge = compiled(schema), jsonschema.Draft202012Validator(schema)
    for value in values:
        verdict = validator.accepts(value)
        assert verdict is judge.is_valid(value)
        violations = validator.explain(value)
        assert verdict is (violations == [])
        assert all(v.message and v.keyword and len(v.message) < 400 for v in violations)
