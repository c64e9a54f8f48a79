"""Terminal output shared by all renderers: colours, and code frames with their marks."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import attrs

from channeld.diagnostics.diagnostic import Place, Related
from channeld.diagnostics.render.code_frames import CONTEXT, Frame, frame
from channeld.diagnostics.render.texts import Texts, one_line, split_lines

# ECMA-48 "select graphic rendition".
_RESET, BOLD, BLUE, DIM = "\x1b[0m", "\x1b[1m", "\x1b[1;34m", "\x1b[2m"


class _Labelled(Protocol):
    """What has a place with a label, and related places."""

    @property
    def place(self) -> Place: ...
    @property
    def label(self) -> str: ...
    @property
    def related(self) -> Sequence[Related]: ...


@attrs.frozen
class Painter:
    """Applies colours, or doesn't."""

    colour: bool = False

    def paint(self, colour: str, text: str) -> str:
        """The text in a colour, if colours are enabled."""
        return f"{colour}{text}{_RESET}" if self.colour and text else text


@attrs.frozen(eq=False)
class FramePainter(Painter):
    """Draws code frames of the files that `texts` can show."""

    texts: Texts = attrs.field(kw_only=True)
    _lines: dict[str, list[str]] = attrs.field(factory=dict, init=False)

    def details(
        self, of: _Labelled, colour: str, notes: Iterable[tuple[str, str]]
    ) -> Iterator[str]:
        """The lines below a headline: the place with its code frame, the related places, and notes by their kind."""
        yield f"  {where(of.place)}"
        here = self.frame(of.place, _context(of.place))
        others = [(r, self.frame(r.place, context=0)) for r in of.related]
        frames = [f for f in (here, *(f for _, f in others)) if f is not None]
        gutter = max((len(str(f.lines[-1][0])) for f in frames), default=2)
        if here is not None:
            yield from self.shown(here, gutter, colour, "^", of.label)
        elif of.label:
            yield self._note(gutter, "note", of.label)
        for related, there in others:
            if there is None:
                yield f"  ::: {where(related.place)} {one_line(related.message)}"
            else:
                yield f"  ::: {where(related.place)}"
                yield from self.shown(there, gutter, BLUE, "-", related.message)
        for kind, text in notes:
            yield self._note(gutter, kind, text)

    def _note(self, gutter: int, kind: str, text: str) -> str:
        """`= help: …`, further lines under the first."""
        first, *more = [one_line(line) for line in split_lines(text)]
        under = " " * (gutter + len(kind) + 5)
        said = "".join(f"\n{under}{line}" for line in more)
        return (
            f"{' ' * gutter} {self.paint(BLUE, '=')} {self.paint(BOLD, f'{kind}:')} {first}{said}"
        )

    def frame(self, place: Place, context: int) -> Frame | None:
        """The frame of a place, if its file can be shown."""
        if place.file not in self._lines:
            text = self.texts.text(place.file)
            self._lines[place.file] = [] if text is None else split_lines(text)
        return frame(self._lines[place.file], place, context)

    def shown(self, it: Frame, gutter: int, colour: str, mark: str, label: str) -> Iterator[str]:
        """A frame's lines, and the marks under the last."""
        bar = self.paint(BLUE, "|")
        yield f"{' ' * gutter} {bar}"
        for number, text in it.lines:
            yield f"{self.paint(BLUE, f'{number:>{gutter}}')} {bar} {text}".rstrip()
        marks = self.paint(colour, f"{mark * it.width} {one_line(label)}".rstrip())
        yield f"{' ' * gutter} {bar} {' ' * it.indent}{marks}"


def _context(place: Place) -> int:
    # Secrets in a module's other lines are not masked, so show no context.
    return 0 if place.file.endswith(".py") else CONTEXT


def where(place: Place) -> str:
    """`file:line:column`, safe for a terminal."""
    return f"{one_line(place.file)}:{place.line}:{place.column}"
