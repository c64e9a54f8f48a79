"""Older drafts, written in 2020-12: judged as their own validators judge them, and findings where they stand."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.config.model import Config
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Report
from channeld.protocol.frames import Json
from channeld.schema.drafts import draft_of, modern
from channeld.schema.schemas import Schemas
from channeld.schema.violations import Validator

URIS = {
    "04": "http://json-schema.org/draft-04/schema#",
    "06": "http://json-schema.org/draft-06/schema#",
    "07": "http://json-schema.org/draft-07/schema#",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
}
ORACLES: Any = {
    "04": jsonschema_rs.Draft4Validator,
    "06": jsonschema_rs.Draft6Validator,
    "07": jsonschema_rs.Draft7Validator,
    "2019-09": jsonschema_rs.Draft201909Validator,
}


def validator_of(schema: Json) -> tuple[Validator | None, Report]:
    """The validator of a schema that stands in a configuration, and what was found on the way."""
    report = Report()
    sources = Sources(root="", report=report, read=lambda _: b"")
    return Schemas(Config(schemas={"it": schema}), sources, report).validator("/schemas/it"), report


def rewritten(draft: str, schema: dict[str, Any]) -> Any:
    found = modern({"$schema": URIS[draft], **schema})
    return found.value


@pytest.mark.parametrize("draft", URIS)
def test_the_draft_is_known_by_its_uri(draft: str) -> None:
    plain = URIS[draft].removesuffix("#")
    assert draft_of({"$schema": plain}) is draft_of({"$schema": URIS[draft]}) is not None
    assert draft_of({"$schema": "https://json-schema.org/draft/2020-12/schema"}) is None
    assert (
        draft_of({"$schema": "https://example.com/mine"}) is draft_of({}) is draft_of(True) is None
    )


@pytest.mark.parametrize(
    ("draft", "schema", "now"),
    [
        ("04", {"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ("04", {"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}),
        ("04", {"id": "http://x.example/s#", "const": 1}, {"$id": "http://x.example/s"}),
        ("06", {"$id": "#here", "const": 1, "if": False}, {"$anchor": "here", "const": 1}),
        ("07", {"$ref": "#/definitions/a", "minimum": 3}, {"$ref": "#/definitions/a"}),
        ("07", {"items": [{"type": "null"}], "additionalItems": False}, {"prefixItems": [{"type": "null"}], "items": False}),
        ("07", {"additionalItems": False, "items": True}, {"items": True}),
        ("07", {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}},
         {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}}}),
        ("07", {"format": "uuid", "prefixItems": [False], "x-note": 1, "_enum": []}, {"x-note": 1, "_enum": []}),
        ("2019-09", {"format": "uuid", "$ref": "#/$defs/a", "minimum": 3}, {"format": "uuid", "$ref": "#/$defs/a", "minimum": 3}),
        ("2019-09", {"properties": {"c": {"$recursiveRef": "#"}}}, {"properties": {"c": {"$ref": "#"}}}),
    ],
)  # fmt: skip
def test_what_it_is_now(draft: str, schema: dict[str, Any], now: Json) -> None:
    assert rewritten(draft, schema) == now


def test_what_moved_is_found_both_ways() -> None:
    document: Json = {
        "$schema": URIS["07"],
        "definitions": {"p": {"items": [{"type": "string", "maxLength": 2}], "additionalItems": {"dependencies": {"a": {"minimum": 1}}}}},
    }  # fmt: skip
    found = modern(document)
    for then, now in (
        ("/definitions/p/items/0/maxLength", "/definitions/p/prefixItems/0/maxLength"),
        ("/definitions/p/additionalItems", "/definitions/p/items"),
        ("/definitions/p/additionalItems/dependencies/a/minimum", "/definitions/p/items/dependentSchemas/a/minimum"),
        ("/definitions/p", "/definitions/p"),
    ):  # fmt: skip
        assert (found.now(then), found.then(now)) == (now, then)


def test_each_of_several_schemas_in_one_file_has_its_own_draft() -> None:
    found = modern({"old": {"$schema": URIS["04"], "id": "a"}, "new": {"id": "a"}})
    assert found.value == {"old": {"$id": "a"}, "new": {"id": "a"}}
    assert found.now("/old/x") == "/old/x"


META = "remote ref, containing refs itself"
"""The one group that needs the draft's own meta-schema, which is as remote as any other."""
SUITE = Path(__file__).parent / "suite" / "older"


def _groups() -> list[Any]:
    return [
        pytest.param(
            path.parent.name, group, id=f"{path.parent.name}-{path.stem}-{group['description']}"
        )
        for path in sorted(SUITE.glob("*/*.json"))
        for group in json.loads(path.read_text())
        if isinstance(group["schema"], dict)
    ]


def test_the_suite_is_whole() -> None:
    assert sum(len(each.values[1]["tests"]) for each in _groups()) == 1523


@pytest.mark.parametrize(("draft", "group"), _groups())
def test_suite(draft: str, group: dict[str, Any]) -> None:
    found, report = validator_of({"$schema": URIS[draft], **group["schema"]})
    if group["description"] == META:
        assert [finding.code for finding in report] == ["CH204"]
        return
    assert found is not None, [finding.message for finding in report]
    for case in group["tests"]:
        assert found.accepts(case["data"]) is case["valid"], case["description"]


def test_what_is_exported_is_2020_12() -> None:
    old: Json = {
        "$schema": URIS["07"],
        "items": [{"$ref": "#/definitions/a"}],
        "definitions": {"a": {"minimum": 1}},
    }
    report = Report()
    sources = Sources(root="", report=report, read=lambda _: b"")
    resolved = Schemas(Config(schemas={"it": old}), sources, report).resolved("/schemas/it")
    assert resolved == {
        "prefixItems": [{"$ref": "#/$defs/a"}],
        "$defs": {"a": {"minimum": 1}},
    }


NAMES = st.sampled_from(["a", "b", "ab"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | NAMES | st.just(1.5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
SMALL = st.integers(0, 3)


def _schemas(draft: str) -> st.SearchStrategy[Any]:
    leaf: Any = st.just({}) if draft == "04" else st.booleans()

    def grow(inner: Any) -> Any:
        several = st.lists(inner, min_size=1, max_size=3)
        bound = st.booleans() if draft == "04" else SMALL
        keywords: dict[str, Any] = {
            "type": st.sampled_from(["null", "boolean", "object", "array", "number", "string"]),
            "enum": st.lists(VALUES, min_size=1, max_size=3, unique_by=repr),
            "const": VALUES,
            "minimum": SMALL,
            "maximum": SMALL,
            "exclusiveMinimum": bound,
            "exclusiveMaximum": bound,
            "minLength": SMALL,
            "items": inner | several,
            "additionalItems": inner,
            "contains": inner,
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "additionalProperties": inner,
            "propertyNames": inner,
            "required": st.lists(NAMES, unique=True, min_size=1, max_size=2),
            "dependencies": st.dictionaries(NAMES, inner | st.just(["b"]), max_size=2),
            "anyOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "$ref": st.sampled_from(["#/definitions/d", "#/definitions/d/items/0"]),
            "prefixItems": several,
            "unevaluatedProperties": inner,
            "dependentRequired": st.just({"a": ["b"]}),
            "minContains": SMALL,
        }
        if draft == "04":
            keywords["minimum"] = keywords["maximum"] = SMALL
        return st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True).flatmap(
            lambda chosen: st.fixed_dictionaries(
                {name: keywords[name] for name in _whole(chosen, draft)}
            )
        )

    return st.recursive(leaf, grow, max_leaves=8)


def _whole(chosen: list[str], draft: str) -> list[str]:
    # In draft 04 an exclusive bound needs its bound.
    needed = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} if draft == "04" else {}
    return [*dict.fromkeys([*chosen, *(needed[name] for name in chosen if name in needed)])]


@pytest.mark.parametrize("draft", URIS)
def test_values_are_judged_as_the_draft_s_own_validator_does(draft: str) -> None:
    # In 2019-09 `dependencies` are gone and `contains` marks nothing as looked at: both are taken as in 07 and 2020-12.
    @settings(max_examples=150, deadline=None)
    @given(_schemas(draft), st.lists(VALUES, min_size=4, max_size=8))
    def judge(schema: Any, values: list[Any]) -> None:
        definition = {"items": [{"type": "string"}], "additionalItems": {"type": "null"}}
        if not isinstance(schema, dict) or (draft == "2019-09" and "dependencies" in repr(schema)):
            return
        whole = {"$schema": URIS[draft], **schema, "definitions": {"d": definition}}
        try:
            oracle = ORACLES[draft](whole, validate_formats=True)
        except ValueError:
            return
        validator, report = validator_of(whole)
        assert validator is not None, [finding.message for finding in report]
        accepts = validator.accepts
        for value in values:
            assert accepts(value) is oracle.is_valid(value), (schema, value)

    judge()
