"""Values of a finding, and reports of them."""

from channeld.diagnostics.catalogue import CATALOGUE, diagnose
from channeld.diagnostics.diagnostic import Place, Report, Severity


def test_a_part_of_a_line_is_a_place_within() -> None:
    place = Place("c.yaml", 3, 5, 3, 15, "/a")

    assert place.within(2, 3) == Place("c.yaml", 3, 7, 3, 10, "/a")
    assert place.within(2, 30) == place


def test_a_part_of_several_lines_is_the_whole() -> None:
    place = Place("c.yaml", 3, 5, 4, 15)

    assert place.within(0, 1) == place


def test_a_report_keeps_a_finding_once_and_sorts_by_place() -> None:
    report = Report()
    later = diagnose("CH005", "a", Place("c.yaml", 2))
    first = diagnose("CH004", "b", Place("c.yaml", 1))

    report.extend([later, first, diagnose("CH005", "other words", Place("c.yaml", 2))])

    assert list(report) == [later, first]
    assert report.sorted() == [first, later]
    assert (report.errors, report.warnings) == ([first], [later])
    assert len(report) == 2


def test_a_finding_has_the_severity_of_its_code() -> None:
    found = diagnose("CH005", "a", Place("c.yaml"), help="h", label="l")

    assert (found.severity, found.help, found.label) == (Severity.WARNING, "h", "l")
    assert CATALOGUE["CH005"].severity is Severity.WARNING
