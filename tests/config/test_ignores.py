"""Comments that silence findings."""

import pytest

from channeld.config.ignores import Ignore, apply_ignores, find_ignores
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report


def ignores(text: str) -> list[Ignore]:
    tree = parse(text, "c.yaml", Report())
    assert tree is not None
    return list(find_ignores(tree))


def applied(text: str, unchecked: tuple[str, ...] = ()) -> list[str]:
    """The codes that are left of what parsing finds."""
    report = Report()
    tree = parse(text, "c.yaml", report)
    assert tree is not None
    left = apply_ignores(report, list(find_ignores(tree)), unchecked=unchecked)
    return [diagnostic.code for diagnostic in left]


def test_a_comment_at_the_end_of_a_line_speaks_of_that_line() -> None:
    [found] = ignores("a: 1\nb: 2 # channeld: ignore[CH005, CH412] since we like it\n")

    assert (found.file, found.line, found.codes) == ("c.yaml", 2, ("CH005", "CH412"))
    assert (found.place.line, found.place.column, found.place.end_column) == (2, 6, 38)
    assert [(p.column, p.end_column) for p in found.places] == [(25, 30), (32, 37)]


def test_a_comment_alone_speaks_of_the_next_line_that_is_no_comment() -> None:
    found = ignores("# channeld: ignore[CH005]\n\n  # channeld: ignore[CH412]\n# more\na: 1\n")

    assert [ignore.line for ignore in found] == [5, 5]


@pytest.mark.parametrize(
    "text",
    [
        'a: "x # channeld: ignore[CH005]"',
        "a: |\n  # channeld: ignore[CH005]\n",
        "a: x#channeld:ignore[CH005]",
        "a: 1 # channeld: ignored CH005",
    ],
)
def test_what_is_no_such_comment(text: str) -> None:
    assert ignores(text) == []


def test_a_warning_is_silenced_on_its_line_only() -> None:
    assert applied("a: yes # channeld: ignore[CH005] text\n") == []
    assert applied("# channeld: ignore[CH005] text\na: yes\n") == []
    assert applied("a: yes\nb: no # channeld: ignore[CH005]\n") == ["CH005"]


def test_an_error_stays_and_the_comment_is_told() -> None:
    assert applied("a: 1\na: 2 # channeld: ignore[CH004]\n") == ["CH004", "CH091"]


def test_a_comment_that_silences_nothing_is_a_finding_at_its_code() -> None:
    report = Report()
    tree = parse("a: yes # channeld: ignore[CH005,CH006]\n", "c.yaml", report)
    assert tree is not None

    [found] = apply_ignores(report, list(find_ignores(tree)))

    assert found.code == "CH090"
    assert (found.place.column, found.place.end_column) == (33, 38)


def test_after_an_error_nothing_is_said_of_comments_that_silence_nothing() -> None:
    assert applied("a: 1\na: 2\nb: 1 # channeld: ignore[CH005]\n") == ["CH004"]


def test_what_was_not_checked_is_not_unused() -> None:
    assert applied("a: 1 # channeld: ignore[CH005]\n", unchecked=("CH0",)) == []


@pytest.mark.parametrize("comment", ["ignore[CH999]", "ignore[yaml11-value]", "ignore[]"])
def test_a_comment_must_name_codes(comment: str) -> None:
    assert applied(f"a: 1 # channeld: {comment}\n") == ["CH090"]


def test_a_comment_alone_at_the_end_of_the_file_speaks_of_no_line_with_yaml() -> None:
    [found] = ignores("a: 1\n# channeld: ignore[CH005]\n")

    assert found.line > 2
