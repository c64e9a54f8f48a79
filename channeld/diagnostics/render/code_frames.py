"""Code frames: the lines around a location, with carets under it that match its width on screen."""

import unicodedata

import attrs

from channeld.diagnostics.diagnostic import Place
from channeld.diagnostics.render.texts import one_line

TAB = 4
WIDEST = 140
CONTEXT = 2
_BEFORE = 40


@attrs.frozen(slots=True, kw_only=True)
class Frame:
    """Numbered lines, and the start and width of the mark under the last one, in screen cells."""

    lines: tuple[tuple[int, str], ...]
    indent: int
    width: int


def frame(lines: list[str], place: Place, context: int = CONTEXT) -> Frame | None:
    """The line of a location with up to `context` lines before it; None if the text has no such line.

    A multi-line span is marked to the end of its first line. A line that is too long is cut around the mark.
    """
    if not 1 <= place.line <= len(lines):
        return None
    text = lines[place.line - 1]
    start = min(place.column, len(text) + 1) - 1
    ends_here = place.end_line == place.line
    end = min(place.end_column - 1, len(text)) if ends_here else len(text.rstrip())
    cells = _cells(text)
    indent = sum(map(len_on_screen, cells[:start]))
    width = max(1, sum(map(len_on_screen, cells[start:end])))
    first = max(1, place.line - context)
    while first < place.line and not lines[first - 1].strip():
        first += 1
    cut = _cut(cells, start)
    above = [(n, _shown(_cells(lines[n - 1]), 0)) for n in range(first, place.line)]
    if cut:
        indent -= sum(map(len_on_screen, cells[:cut])) - 1
    width = min(width, max(1, WIDEST - indent))
    here = ("…" if cut else "") + _shown(cells[cut:], int(cut > 0))
    return Frame(lines=(*above, (place.line, here)), indent=indent, width=width)


def len_on_screen(cell: str) -> int:
    """The width of a text in terminal columns: wide characters take two, combining ones none."""
    return sum(
        0
        if unicodedata.category(c) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in cell
    )


def _cells(text: str) -> list[str]:
    """What is shown for each character: itself, spaces for a tab, a replacement for control characters."""
    return [" " * TAB if c == "\t" else one_line(c) for c in text]


def _cut(cells: list[str], start: int) -> int:
    """How many characters to cut before the mark to keep it visible."""
    if sum(map(len_on_screen, cells[: start + 1])) < WIDEST - _BEFORE:
        return 0
    return max(0, start - _BEFORE)


def _shown(cells: list[str], used: int) -> str:
    """As many characters as fit, with an ellipsis if cut."""
    for count, cell in enumerate(cells):
        used += len_on_screen(cell)
        if used > WIDEST:
            return "".join(cells[:count]) + "…"
    return "".join(cells).rstrip()
