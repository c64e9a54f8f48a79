"""GitHub Actions workflow commands: the one writer of annotations, and findings written with it."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from channeld.diagnostics.catalogue import CATALOGUE
from channeld.diagnostics.diagnostic import Diagnostic, Place, Report, Severity
from channeld.diagnostics.render.texts import Texts, by_severity, paragraphs, summary

AnnotationLevel: TypeAlias = Literal["error", "warning", "notice"]

_LEVELS: dict[Severity, AnnotationLevel] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "notice",
}


def annotation(level: AnnotationLevel, place: Place, title: str, lines: Iterable[str]) -> str:
    """One workflow command, which shows as an annotation of `place` on a pull request. Text is escaped."""
    properties: dict[str, str | int] = {"file": place.file, "line": place.line}
    if place.line == place.end_line:
        properties |= {"col": place.column, "endColumn": place.end_column}
    else:
        # GitHub refuses columns for a multi-line span.
        properties["endLine"] = place.end_line
    properties["title"] = title
    written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{level} {written}::{_message(chr(10).join(lines))}"


def render_github(report: Report, sources: Texts) -> str:
    """One command per line, errors first since GitHub shows only ten per step, then the count as text."""
    found = report.sorted()
    lines = [_command(diagnostic) for diagnostic in by_severity(found)]
    return "\n".join([*lines, summary(found, sources)]) + "\n"


def _command(diagnostic: Diagnostic) -> str:
    entry = CATALOGUE.get(diagnostic.code)
    title = f"{diagnostic.code} {entry.name}" if entry else diagnostic.code
    return annotation(_LEVELS[diagnostic.severity], diagnostic.place, title, paragraphs(diagnostic))


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
