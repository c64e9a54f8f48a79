from typing import Any

import pytest

from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.scenarios.reading import Reader, named


def reader(text: str) -> Reader:
    report = Report()
    tree = parse(text.encode(), "it.test.yaml", report)
    assert tree is not None
    return Reader(tree, report)


def test_what_is_right_gives_its_value_and_no_finding() -> None:
    it = reader("a: 1")
    assert it.text("x", "/a") == "x"
    assert it.duration("1m", "/a") == 60.0
    assert it.flag(True, "/a") is True
    assert it.close_code(4999, "/a") == 4999
    assert it.mapping({"a": 1, "x-b": 2}, "", ["a"], ["a"]) == {"a": 1, "x-b": 2}
    assert it.items([1], "/a") == [(1, "/a/0")]
    assert it.named_values({"n": 1, "x-m": 2}, "/a") == {"n": 1}
    assert it.object({"n": 1, "x-m": 2}, "/a") == {"n": 1, "x-m": 2}
    assert len(it.report) == 0


@pytest.mark.parametrize(
    ("verb", "value", "code", "result"),
    [
        ("text", 1, "CH801", None),
        ("duration", "1 hour", "CH806", 0.0),
        ("duration", "367d", "CH806", 0.0),
        ("flag", "yes", "CH801", False),
        ("close_code", 999, "CH810", None),
        ("close_code", True, "CH810", None),
        ("items", {}, "CH801", []),
        ("named_values", [], "CH801", {}),
    ],
)
def test_what_is_wrong_is_a_finding_at_its_place(
    verb: str, value: Any, code: str, result: object
) -> None:
    it = reader("a: 1")
    assert getattr(it, verb)(value, "/a") == result
    [finding] = it.report
    assert (finding.code, finding.place.column) == (code, 4)


def test_captures_count_from_where_they_stand() -> None:
    it = reader("a: 1")
    it.pattern({"x": {"$capture": "seen"}}, "/a")
    it.pattern({"x": {"$ref": "seen"}, "y": [{"$exact": {"$len": {"$ref": "sen"}}}]}, "/a")
    [finding] = it.report
    assert finding.code == "CH808"
    assert finding.help == "did you mean `seen`?"


@pytest.mark.parametrize(
    ("pattern", "wants"),
    [
        ({"$len": 2}, ""),
        ({"$len": {"$gt": 1}}, ""),
        ({"$len": -1}, "`$len` takes a length, or a matcher of one"),
        ({"$len": "two"}, "`$len` takes a length, or a matcher of one"),
        ({"$schema": {"properties": {"a": {"type": "string"}}}}, ""),
        (
            {"$schema": {"properties": {"a": {"type": "strin"}}}},
            "`$schema` takes a JSON Schema (`strin` is not a JSON Schema type)",
        ),
    ],
)
def test_what_a_matcher_takes(pattern: Any, wants: str) -> None:
    it = reader("a: 1")
    it.pattern({"x": pattern}, "/a")
    assert [finding.message for finding in it.report] == ([wants] if wants else [])


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("", "the file"),
        ("/scenarios/3", "the scenario"),
        ("/scenarios/3/clients/ann", "client `ann`"),
        ("/scenarios/3/steps/1", "the step"),
        ("/scenarios/3/steps/1/ann/expect/0", "`expect`"),
    ],
)
def test_places_have_names(pointer: str, words: str) -> None:
    assert named(pointer) == words
