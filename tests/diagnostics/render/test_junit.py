"""Findings as JUnit XML."""

from xml.etree import ElementTree as ET

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Place, Report, Severity
from channeld.diagnostics.render.junit import render_junit


@attrs.frozen
class Texts:
    files: list[str]

    def text(self, file: str) -> str | None:
        return "a: <&>\n"


def rendered(*found: Diagnostic, strict: bool = False) -> ET.Element:
    report = Report()
    report.extend(found)
    text = render_junit(report, Texts(["c.yaml", "r.yaml"]), strict=strict)
    return ET.fromstring(text)


def finding(severity: Severity, message: str = "bad", line: int = 1) -> Diagnostic:
    place = Place("c.yaml", line, 4, line, 7)
    return Diagnostic(code="CH004", severity=severity, message=message, place=place)


def test_an_error_is_a_failed_case_with_its_text() -> None:
    suites = rendered(finding(Severity.ERROR, '<"bad"> & \x1b \ud800'))

    assert suites.attrib["failures"] == "1"
    assert suites.attrib["tests"] == "2"
    [case] = suites.findall("testsuite[@name='c.yaml']/testcase")
    assert (case.attrib["name"], case.attrib["classname"]) == ("CH004 1:4", "c.yaml")
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib == {"message": '<"bad"> & � �', "type": "CH004"}
    assert failure.text is not None
    assert "1 | a: <&>" in failure.text


def test_a_file_without_findings_is_a_passed_case() -> None:
    suites = rendered()

    assert [case.attrib["name"] for case in suites.iter("testcase")] == ["valid", "valid"]
    assert suites.find(".//failure") is None


def test_a_warning_fails_only_if_strict() -> None:
    warning, info = finding(Severity.WARNING), finding(Severity.INFO, line=2)

    usual, strict = rendered(warning, info), rendered(warning, info, strict=True)

    assert (usual.attrib["failures"], strict.attrib["failures"]) == ("0", "1")
    assert len(usual.findall(".//system-out")) == 2
    assert len(strict.findall(".//failure")) == 1
