"""Findings as one JSON document, version 1: later versions of channeld only add fields to it."""

import json

from channeld.diagnostics.diagnostic import Diagnostic, Report
from channeld.diagnostics.render.texts import Texts

__all__ = ["render_json"]


def render_json(report: Report, sources: Texts) -> str:
    """The document, in ASCII, so that no terminal or pipe can spoil it."""
    document = {
        "version": 1,
        "files": sources.files,
        "diagnostics": [_finding(diagnostic) for diagnostic in report.sorted()],
        "summary": {"errors": len(report.errors), "warnings": len(report.warnings)},
    }
    return json.dumps(document, indent=2) + "\n"


def _finding(diagnostic: Diagnostic) -> dict[str, str | int]:
    place = diagnostic.place
    return {
        "code": diagnostic.code,
        "severity": str(diagnostic.severity),
        "message": diagnostic.message,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
        "path": place.path,
        "help": diagnostic.help,
    }
