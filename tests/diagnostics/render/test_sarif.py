"""Findings as SARIF 2.1.0. The properties checked here are those that the schema and GitHub ask for."""

import json
from typing import Any

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Place, Related, Report, Severity
from channeld.diagnostics.render.sarif import render_sarif


@attrs.frozen
class Texts:
    lines: str = "a: 1\na: 2\n"

    @property
    def files(self) -> list[str]:
        return ["c.yaml"]

    def text(self, file: str) -> str | None:
        return self.lines


def finding(code: str = "CH004", line: int = 2, file: str = "c.yaml") -> Diagnostic:
    place = Place(file, line, 1, line, 2)
    return Diagnostic(code=code, severity=Severity.ERROR, message="set twice", place=place)


def run(*found: Diagnostic, texts: Texts | None = None) -> dict[str, Any]:
    report = Report()
    report.extend(found)
    document = json.loads(render_sarif(report, texts or Texts(), version="1.2.3"))
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    [only] = document["runs"]
    assert isinstance(only, dict)
    return only


def fingerprints(result: dict[str, Any]) -> list[str]:
    return [r["partialFingerprints"]["primaryLocationLineHash"] for r in result["results"]]


def test_a_run_names_the_tool_and_counts_code_points() -> None:
    found = run()

    assert found == {
        "columnKind": "unicodeCodePoints",
        "tool": {"driver": {"name": "channeld", "rules": [], "semanticVersion": "1.2.3"}},
        "results": [],
    }


def test_without_a_version_there_is_none() -> None:
    document = json.loads(render_sarif(Report(), Texts()))

    assert "semanticVersion" not in document["runs"][0]["tool"]["driver"]


def test_a_result_has_its_message_level_and_place() -> None:
    there = Related(place=Place("b c.yaml", 1, 1, 1, 2), message="first set here")
    [result] = run(attrs.evolve(finding(), related=(there,), help="keep one"))["results"]

    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("CH004", 0, "error")
    assert result["message"]["text"] == ("set twice\nfirst set here: b c.yaml:1:1\nhelp: keep one")
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "c.yaml"},
                "region": {"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 2},
            }
        }
    ]
    [related] = result["relatedLocations"]
    assert related["physicalLocation"]["artifactLocation"]["uri"] == "b%20c.yaml"


def test_rules_come_from_the_catalogue_once_each() -> None:
    found = run(finding("CH005", 1), finding("CH004"), finding("CH004", 1))
    rules = found["tool"]["driver"]["rules"]

    assert [rule["id"] for rule in rules] == ["CH004", "CH005"]
    assert [result["ruleIndex"] for result in found["results"]] == [0, 1, 0]
    assert rules[1]["name"] == "yaml11-value"
    assert rules[1]["defaultConfiguration"] == {"level": "warning"}
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert "```yaml" in rule["help"]["markdown"]


def test_security_rules_say_how_severe_they_are() -> None:
    found = run(finding("CH499"), finding("CH004"))
    plain, security = found["tool"]["driver"]["rules"]

    assert security["properties"]["tags"] == ["security"]
    assert security["properties"]["security-severity"] == "7.5"
    assert "security-severity" not in plain["properties"]


def test_a_fingerprint_stays_when_the_line_moves_and_differs_between_lines() -> None:
    before = fingerprints(run(finding(line=1), finding(line=2)))
    after = fingerprints(run(finding(line=4), finding(line=5), texts=Texts("\n\n\na: 1\na: 2")))

    assert before == after
    assert len(set(before)) == 2


def test_two_findings_on_equal_lines_are_numbered() -> None:
    found = fingerprints(run(finding(line=1), finding(line=2), texts=Texts("a: 1\na: 1")))

    assert [print_.split(":")[1] for print_ in found] == ["1", "2"]
    assert len({print_.split(":")[0] for print_ in found}) == 1


def test_a_place_behind_the_text_has_a_fingerprint_too() -> None:
    assert len(fingerprints(run(finding(line=99)))) == 1
