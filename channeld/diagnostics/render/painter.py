"""Terminal output shared by all renderers: colours, and code frames with their marks."""

from collections.abc import Iterator

import attrs

from channeld.diagnostics.diagnostic import Place
from channeld.diagnostics.render.frames import Frame, frame
from channeld.diagnostics.render.texts import Texts, one_line, split_lines

# ECMA-48 "select graphic rendition".
_RESET, BOLD, BLUE, DIM = "\x1b[0m", "\x1b[1m", "\x1b[1;34m", "\x1b[2m"


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


def where(place: Place) -> str:
    """`file:line:column`, safe for a terminal."""
    return f"{one_line(place.file)}:{place.line}:{place.column}"
