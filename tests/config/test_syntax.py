"""Syntax errors in words for people."""

import pytest
import yaml

from channeld.config import yaml as reader
from channeld.config.syntax import syntax_error
from channeld.config.tree import Lines
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Diagnostic, Report


def found(text: str) -> Diagnostic:
    report = Report()
    assert parse(text, "c.yaml", report) is None
    [only] = report
    return only


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("a: b: c\n", "a second `: ` on this line", (1, 5)),
        ("a: 1\n  b: 2\n", "the key above has a value already, so nothing can be under it", (2, 4)),
        ("a:1\nb: 2\n", "there is no `:` and space after the key", (1, 1)),
        ("a:\u00a01\nb: 2\n", "there is no `:` and space after the key", (1, 1)),
        ("a = 1\nb: 2\n", "there is no `:` and space after the key", (1, 1)),
        ("a\nb: 2\n", "this line has no `:` after its key", (1, 1)),
        ("// a\nb: 2\n", "a comment starts with `#` in YAML", (1, 1)),
        ("a b\n\nc: 2\n", "a `:` where no key can be", (3, 2)),
        ("a: [1, 2\nb: 3\n", "this bracket is not closed, or a comma is missing in it", (1, 4)),
        ("a: [", "this bracket is not closed, or a comma is missing in it", (1, 5)),
        ("a: [1,\n", "this bracket is not closed, or a comma is missing in it", (2, 1)),
        ("a: {x: 1\n", "this bracket is not closed, or a comma is missing in it", (1, 4)),
        ("a: 1\nbcd\ne: 3\n", "this line has no `:` after its key", (2, 1)),
        ("a: 'abc\nb: 1\n", "this quoted text is not closed", (1, 4)),
        ('p: "^\\d+$"\n', "not a valid escape in a double-quoted string", (1, 6)),
        ("allow: [*]\n", "`*` and `&` start an alias or an anchor here", (1, 9)),
        ("a: @b\n", "a value cannot start with this character", (1, 4)),
        ("a:\n  b: 1\n c: 2\n", "this line does not fit the lines above it", (3, 2)),
        ("a: 'x' y\n", "unexpected text after the value on this line", (1, 8)),
    ],
)
def test_the_usual_slips_have_their_own_words(
    text: str, message: str, place: tuple[int, int]
) -> None:
    problem = found(text)

    assert (problem.code, problem.message) == ("CH001", message)
    assert (problem.place.line, problem.place.column) == place
    assert problem.help


def test_the_words_are_the_same_without_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = (
        "a: b: c\n",
        "a: [1\nb: 2\n",
        "a: 'x\n",
        "allow: [*]\n",
        "a: @b\n",
        "a:\n  b: 1\n c: 2\n",
    )
    quick = [found(text) for text in texts]
    monkeypatch.setattr(reader, "_LOADER", yaml.SafeLoader)

    assert [found(text) for text in texts] == quick


@pytest.mark.parametrize("text", ["a:\n\tb: 2\n", "a: 1\n\tb: 2\n"])
def test_a_tab_has_a_code_of_its_own(text: str) -> None:
    problem = found(text)

    assert (problem.code, problem.place.line, problem.place.column) == ("CH002", 2, 1)


@pytest.mark.parametrize(
    "text",
    ["x: {a: room-{params.x}}\n", "x: {params.x}-inbox\n", "x: room-{params.x}: y\n"],
)
def test_a_bare_template_is_told_to_be_quoted(text: str) -> None:
    assert found(text).message == "a template without quotes is not text"
    assert "{params.x}" in found(text).help


def test_the_place_at_the_end_of_the_text_is_inside_it() -> None:
    problem = found("%FOO")

    assert (problem.place.line, problem.place.column) == (1, 5)
    assert problem.place.end_column == 5


def test_a_problem_without_a_mark_is_at_the_beginning() -> None:
    problem = yaml.MarkedYAMLError(problem="something new")

    found = syntax_error(problem, Lines("c.yaml", "a: 1"), lambda index: index)

    assert (found.message, found.place.line, found.place.column) == ("something new", 1, 1)
