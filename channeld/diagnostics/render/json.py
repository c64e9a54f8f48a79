"""Findings as one JSON document, version 1: later versions of channeld only add fields to it."""

import json

from channeld.diagnostics.diagnostic import Diagnostic, Place, Report
from channeld.diagnostics.render.texts import Texts


def render_json(report: Report, sources: Texts) -> str:
    """The document, in ASCII, so that it passes any terminal or pipe."""
    document = {
        "version": 1,
        "files": sources.files,
        "diagnostics": [finding_fields(diagnostic) for diagnostic in report.sorted()],
        "summary": {"errors": len(report.errors), "warnings": len(report.warnings)},
    }
    return json.dumps(document, indent=2) + "\n"


def finding_fields(diagnostic: Diagnostic) -> dict[str, str | int]:
    """One finding's fields."""
    return {
        "code": diagnostic.code,
        "severity": str(diagnostic.severity),
        "message": diagnostic.message,
        **place_fields(diagnostic.place),
        "path": diagnostic.place.path,
        "help": diagnostic.help,
    }


def place_fields(place: Place) -> dict[str, str | int]:
    """A location, the same in all JSON output: lines and columns count from 1."""
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
    }
