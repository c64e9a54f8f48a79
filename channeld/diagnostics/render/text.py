"""Findings as text: headline, location, code frame with carets, related locations, help, and a count at the end."""

from collections.abc import Iterator

from channeld.diagnostics.diagnostic import Diagnostic, Report, Severity
from channeld.diagnostics.render.painter import BOLD, FramePainter
from channeld.diagnostics.render.texts import Texts, one_line, summary

_COLOURS = {
    Severity.ERROR: "\x1b[1;31m",
    Severity.WARNING: "\x1b[1;33m",
    Severity.INFO: "\x1b[1;36m",
}


def render_text(report: Report, sources: Texts, *, colour: bool) -> str:
    """All findings in file order and their count; ANSI colours only on request."""
    found = report.sorted()
    painter = FramePainter(colour, texts=sources)
    blocks = ["\n".join(_lines(diagnostic, painter)) for diagnostic in found]
    return "\n\n".join([*blocks, summary(found, sources)]) + "\n"


def render_one(diagnostic: Diagnostic, sources: Texts, *, colour: bool = False) -> str:
    """One finding, without the count."""
    return "\n".join(_lines(diagnostic, FramePainter(colour, texts=sources))) + "\n"


def _lines(diagnostic: Diagnostic, painter: FramePainter) -> Iterator[str]:
    colour = _COLOURS[diagnostic.severity]
    headline = painter.paint(colour, f"{diagnostic.severity}[{diagnostic.code}]")
    yield f"{headline} {painter.paint(BOLD, one_line(diagnostic.message))}"
    notes = [("help", diagnostic.help)] if diagnostic.help else []
    yield from painter.details(diagnostic, colour, notes)
