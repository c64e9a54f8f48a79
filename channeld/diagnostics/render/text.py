"""Findings as text: headline, place, code frame with carets, the other places, help, and a last line that counts."""

from collections.abc import Iterable, Iterator

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Place, Report, Severity
from channeld.diagnostics.render.frames import CONTEXT, Frame, frame
from channeld.diagnostics.render.texts import Texts, one_line, split_lines, summary

__all__ = ["render_one", "render_text"]

# ECMA-48 "select graphic rendition".
_RESET, _BOLD, _BLUE = "\x1b[0m", "\x1b[1m", "\x1b[1;34m"
_COLOURS = {
    Severity.ERROR: "\x1b[1;31m",
    Severity.WARNING: "\x1b[1;33m",
    Severity.INFO: "\x1b[1;36m",
}


def render_text(report: Report, sources: Texts, *, colour: bool) -> str:
    """All findings in the order of the files, and how many there are; ANSI colours only if asked for."""
    found = report.sorted()
    renderer = _Renderer(sources, colour)
    blocks = ["\n".join(renderer.finding(diagnostic)) for diagnostic in found]
    return "\n\n".join([*blocks, summary(found, sources)]) + "\n"


def render_one(diagnostic: Diagnostic, sources: Texts, *, colour: bool = False) -> str:
    """One finding, without the last line."""
    return "\n".join(_Renderer(sources, colour).finding(diagnostic)) + "\n"


@attrs.define(eq=False)
class _Renderer:
    sources: Texts
    colour: bool
    lines: dict[str, list[str]] = attrs.field(factory=dict, init=False)

    def finding(self, diagnostic: Diagnostic) -> Iterator[str]:
        """The lines of one finding."""
        severity = _COLOURS[diagnostic.severity]
        headline = self.paint(severity, f"{diagnostic.severity}[{diagnostic.code}]")
        yield f"{headline} {self.paint(_BOLD, one_line(diagnostic.message))}"
        yield f"  {_where(diagnostic.place)}"
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
                yield f"  ::: {_where(related.place)} {one_line(related.message)}"
            else:
                yield f"  ::: {_where(related.place)}"
                yield from self.shown(there, gutter, _BLUE, "-", related.message)
        if diagnostic.help:
            yield self.note(gutter, "help", diagnostic.help)

    def frame(self, place: Place, context: int) -> Frame | None:
        """The frame of a place, if its file can be shown."""
        if place.file not in self.lines:
            text = self.sources.text(place.file)
            self.lines[place.file] = [] if text is None else split_lines(text)
        return frame(self.lines[place.file], place, context)

    def shown(self, it: Frame, gutter: int, colour: str, mark: str, label: str) -> Iterable[str]:
        """A frame's lines, and the marks under the last."""
        bar = self.paint(_BLUE, "|")
        yield f"{' ' * gutter} {bar}"
        for number, text in it.lines:
            yield f"{self.paint(_BLUE, f'{number:>{gutter}}')} {bar} {text}".rstrip()
        marks = self.paint(colour, f"{mark * it.width} {one_line(label)}".rstrip())
        yield f"{' ' * gutter} {bar} {' ' * it.indent}{marks}"

    def note(self, gutter: int, kind: str, text: str) -> str:
        """`= help: …`, further lines under the first."""
        first, *more = [one_line(line) for line in split_lines(text)]
        under = " " * (gutter + len(kind) + 5)
        said = "".join(f"\n{under}{line}" for line in more)
        return (
            f"{' ' * gutter} {self.paint(_BLUE, '=')} {self.paint(_BOLD, f'{kind}:')} {first}{said}"
        )

    def paint(self, colour: str, text: str) -> str:
        """The text in a colour, if there is colour."""
        return f"{colour}{text}{_RESET}" if self.colour else text


def _context(place: Place) -> int:
    # Nothing covers the secrets in a module's other lines.
    return 0 if place.file.endswith(".py") else CONTEXT


def _where(place: Place) -> str:
    return f"{one_line(place.file)}:{place.line}:{place.column}"
