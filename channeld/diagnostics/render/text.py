"""Findings as text: headline, location, code frame with carets, related locations, help, and a count at the end."""

from collections.abc import Iterator

from channeld.diagnostics.diagnostic import Diagnostic, Place, Report, Severity
from channeld.diagnostics.render.frames import CONTEXT
from channeld.diagnostics.render.painter import BLUE, BOLD, FramePainter, where
from channeld.diagnostics.render.texts import Texts, one_line, split_lines, summary

_COLOURS = {
    Severity.ERROR: "\x1b[1;31m",
    Severity.WARNING: "\x1b[1;33m",
    Severity.INFO: "\x1b[1;36m",
}


def render_text(report: Report, sources: Texts, *, colour: bool) -> str:
    """All findings in file order and their count; ANSI colours only on request."""
    found = report.sorted()
    renderer = _Renderer(colour, texts=sources)
    blocks = ["\n".join(renderer.finding(diagnostic)) for diagnostic in found]
    return "\n\n".join([*blocks, summary(found, sources)]) + "\n"


def render_one(diagnostic: Diagnostic, sources: Texts, *, colour: bool = False) -> str:
    """One finding, without the count."""
    return "\n".join(_Renderer(colour, texts=sources).finding(diagnostic)) + "\n"


class _Renderer(FramePainter):
    def finding(self, diagnostic: Diagnostic) -> Iterator[str]:
        """The lines of one finding."""
        severity = _COLOURS[diagnostic.severity]
        headline = self.paint(severity, f"{diagnostic.severity}[{diagnostic.code}]")
        yield f"{headline} {self.paint(BOLD, one_line(diagnostic.message))}"
        yield f"  {where(diagnostic.place)}"
        here = self.frame(diagnostic.place, _context(diagnostic.place))
        others = [(r, self.frame(r.place, context=0)) for r in diagnostic.related]
        frames = [f for f in (here, *(f for _, f in others)) if f is not None]
        gutter = max((len(str(f.lines[-1][0])) for f in frames), default=2)
        if here is not None:
            yield from self.shown(here, gutter, severity, "^", diagnostic.label)
        elif diagnostic.label:
            yield self.note(gutter, "note", diagnostic.label)
        for related, there in others:
            if there is None:
                yield f"  ::: {where(related.place)} {one_line(related.message)}"
            else:
                yield f"  ::: {where(related.place)}"
                yield from self.shown(there, gutter, BLUE, "-", related.message)
        if diagnostic.help:
            yield self.note(gutter, "help", diagnostic.help)

    def note(self, gutter: int, kind: str, text: str) -> str:
        """`= help: …`, further lines under the first."""
        first, *more = [one_line(line) for line in split_lines(text)]
        under = " " * (gutter + len(kind) + 5)
        said = "".join(f"\n{under}{line}" for line in more)
        return (
            f"{' ' * gutter} {self.paint(BLUE, '=')} {self.paint(BOLD, f'{kind}:')} {first}{said}"
        )


def _context(place: Place) -> int:
    # Secrets in a module's other lines are not masked, so show no context.
    return 0 if place.file.endswith(".py") else CONTEXT
