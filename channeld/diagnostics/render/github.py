"""Findings as GitHub Actions workflow commands, which show as annotations on a pull request."""

from channeld.diagnostics.catalogue import CATALOGUE
from channeld.diagnostics.diagnostic import Diagnostic, Report, Severity
from channeld.diagnostics.render.texts import Texts, by_severity, paragraphs, summary

__all__ = ["render_github"]

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render_github(report: Report, sources: Texts) -> str:
    """One command a line, errors first since GitHub shows only the first ten of a step; then the count, as text."""
    found = report.sorted()
    lines = [_command(diagnostic) for diagnostic in by_severity(found)]
    return "\n".join([*lines, summary(found, sources)]) + "\n"


def _command(diagnostic: Diagnostic) -> str:
    place = diagnostic.place
    entry = CATALOGUE.get(diagnostic.code)
    properties: dict[str, str | int] = {"file": place.file, "line": place.line}
    if place.line == place.end_line:
        properties |= {"col": place.column, "endColumn": place.end_column}
    else:
        # Columns are refused for a span of several lines.
        properties["endLine"] = place.end_line
    properties["title"] = f"{diagnostic.code} {entry.name}" if entry else diagnostic.code
    said = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{_COMMANDS[diagnostic.severity]} {said}::{_message(chr(10).join(paragraphs(diagnostic)))}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
