"""Findings as JSON."""

import json

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Place, Report, Severity
from channeld.diagnostics.render.json import render_json


@attrs.frozen
class Texts:
    files: list[str]

    def text(self, file: str) -> str | None:
        return None


def test_the_document_has_exactly_these_fields() -> None:
    report = Report()
    report.add(
        Diagnostic(
            code="CH310",
            severity=Severity.WARNING,
            message="no é",
            place=Place("c.yaml", 31, 28, 31, 40, "/channels/room"),
            help="write it",
            label="not in JSON",
        )
    )

    text = render_json(report, Texts(["c.yaml", "r.yaml"]))

    assert text.isascii()
    assert json.loads(text) == {
        "version": 1,
        "files": ["c.yaml", "r.yaml"],
        "diagnostics": [
            {
                "code": "CH310",
                "severity": "warning",
                "message": "no é",
                "file": "c.yaml",
                "line": 31,
                "column": 28,
                "end_line": 31,
                "end_column": 40,
                "path": "/channels/room",
                "help": "write it",
            }
        ],
        "summary": {"errors": 0, "warnings": 1},
    }


def test_an_empty_report_is_a_document_too() -> None:
    assert json.loads(render_json(Report(), Texts(["c.yaml"])))["diagnostics"] == []
