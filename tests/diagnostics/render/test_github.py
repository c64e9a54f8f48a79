"""Findings as GitHub annotations."""

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Place, Report, Severity
from channeld.diagnostics.render.github import render_github


@attrs.frozen
class Texts:
    files: list[str]

    def text(self, file: str) -> str | None:
        return None


def rendered(*found: Diagnostic) -> list[str]:
    report = Report()
    report.extend(found)
    return render_github(report, Texts(["c.yaml"])).splitlines()


def finding(severity: Severity, place: Place, message: str = "bad", help: str = "") -> Diagnostic:
    return Diagnostic(code="CH004", severity=severity, message=message, place=place, help=help)


def test_a_span_within_a_line_has_columns() -> None:
    place = Place("c.yaml", 3, 5, 3, 9)

    properties = "file=c.yaml,line=3,col=5,endColumn=9,title=CH004 duplicate-key"

    assert rendered(finding(Severity.ERROR, place, help="fix it")) == [
        f"::error {properties}::bad%0Ahelp: fix it",
        "1 error in c.yaml",
    ]


def test_a_span_of_lines_has_none() -> None:
    [line, _] = rendered(finding(Severity.INFO, Place("c.yaml", 3, 5, 4, 1)))

    assert line == "::notice file=c.yaml,line=3,endLine=4,title=CH004 duplicate-key::bad"


def test_errors_come_first() -> None:
    first = finding(Severity.WARNING, Place("c.yaml", 1, 1, 1, 1))
    second = finding(Severity.ERROR, Place("c.yaml", 2, 1, 2, 1))

    assert [line.split(" ")[0] for line in rendered(first, second)[:2]] == ["::error", "::warning"]


def test_what_a_file_says_can_not_begin_another_command() -> None:
    place = Place("a,b:c%.yaml", 1, 1, 1, 1)

    [line, _] = rendered(finding(Severity.ERROR, place, "100%\r\n::error::x\u2028\x0b"))

    assert line.startswith("::error file=a%2Cb%3Ac%25.yaml,line=1,")
    assert "::100%25 ::error::x" in line


def test_a_code_without_an_entry_is_its_own_title() -> None:
    diagnostic = attrs.evolve(finding(Severity.ERROR, Place("c.yaml")), code="D999")

    assert "title=D999::" in rendered(diagnostic)[0]
