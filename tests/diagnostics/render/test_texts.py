"""Words that renderings share."""

import attrs
import pytest

from channeld.diagnostics.diagnostic import Diagnostic, Place, Related, Severity
from channeld.diagnostics.render.texts import (
    Joined,
    by_severity,
    one_line,
    paragraphs,
    split_lines,
    summary,
)


@attrs.frozen
class Texts:
    files: list[str]

    def text(self, file: str) -> str | None:
        return f"{self.files[0]} has {file}" if file in self.files else None


def finding(severity: Severity, file: str = "a.yaml") -> Diagnostic:
    return Diagnostic(code="CH001", severity=severity, message="bad", place=Place(file))


@pytest.mark.parametrize(
    ("severities", "words"),
    [
        ("", "no problems in a.yaml"),
        ("E", "1 error in a.yaml"),
        ("EEW", "2 errors, 1 warning in a.yaml"),
        ("WWI", "2 warnings, 1 info in a.yaml"),
    ],
)
def test_the_summary_counts(severities: str, words: str) -> None:
    by_letter = {"E": Severity.ERROR, "W": Severity.WARNING, "I": Severity.INFO}

    assert summary([finding(by_letter[s]) for s in severities], Texts(["a.yaml"])) == words


def test_the_summary_counts_files() -> None:
    found = [finding(Severity.ERROR, "a.yaml"), finding(Severity.ERROR, "b.yaml")]

    assert summary(found, Texts(["a.yaml"])) == "2 errors in 2 files"
    assert summary([], Texts(["a.yaml", "b.yaml"])) == "no problems in 2 files"


def test_errors_come_first_and_otherwise_nothing_moves() -> None:
    found = [
        finding(Severity.INFO),
        finding(Severity.ERROR, "b"),
        finding(Severity.WARNING),
        finding(Severity.ERROR, "a"),
    ]

    assert by_severity(found) == [found[1], found[3], found[2], found[0]]


def test_all_that_is_said_is_there_each_on_a_line() -> None:
    diagnostic = attrs.evolve(
        finding(Severity.ERROR),
        message="a\nb",
        label="why",
        help="do\tit",
        related=(Related(place=Place("b.yaml", 3, 4), message="first here"),),
    )

    assert paragraphs(diagnostic) == ["a b", "why", "first here: b.yaml:3:4", "help: do it"]


def test_a_line_can_not_steer_a_terminal() -> None:
    assert one_line("a\r\nb\x1b[0m\u202ec\ud800") == "a b\N{REPLACEMENT CHARACTER}[0m�c�"


def test_lines_break_as_in_yaml() -> None:
    assert split_lines("a\r\nb\rc\nd\u2028e") == ["a", "b", "c", "d\u2028e"]


def test_joined_files_are_each_there_once() -> None:
    joined = Joined((Texts(["a", "b"]), Texts(["c", "b"])))

    assert joined.files == ["a", "b", "c"]
    assert joined.text("b") == "a has b"
    assert joined.text("c") == "c has c"
    assert joined.text("x") is None
