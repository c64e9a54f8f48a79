"""Splits a configuration's text into blocks that are edited one at a time, so that a keystroke costs only one of them.

A block is one entry of `channels`, or anything else at the top level as a whole. `reduced` is the text with other blocks
blanked: lines and columns stay the same, and parsing takes only as long as what is left. A channel's meaning does not
depend on other channels, except those that it names and the few codes of `WHOLE`.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import attrs

WHOLE: Final = frozenset(
    {"CH090", "CH114", "CH305", "CH306", "CH307", "CH402", "CH436", "CH508", "CH703"}
)
"""Codes that only the whole configuration can give: nothing uses a thing, two channels meet, no file matches."""

_MOST_NAMED: Final = 20
_TOP: Final = re.compile(r"[^\s#]")
_KEY: Final = re.compile(r"""["']?([^\s"':#{\[]+)["']?\s*:(?:\s|$)""")
_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ANCHOR: Final = re.compile(r"(?:^|[\s:\[{,-])&([^\s,\[\]{}]+)")
_ALIAS: Final = re.compile(r"(?:^|[\s:\[{,-])\*([^\s,\[\]{}]+)")


@attrs.frozen(slots=True)
class Cut:
    """Lines `start` to `end` (exclusive) of a text: a section, or the entry `name` of `channels`."""

    section: str
    name: str | None
    start: int
    end: int


@attrs.frozen(slots=True, eq=False)
class Blocks:
    """The blocks of one text, in its order and without gaps."""

    lines: Sequence[str]
    cuts: Sequence[Cut]

    def at(self, first: int, last: int | None = None) -> list[int]:
        """The blocks that contain some of these lines."""
        last = first if last is None else last
        return [i for i, cut in enumerate(self.cuts) if cut.start <= last and first < cut.end]

    @property
    def channels(self) -> dict[str, int]:
        """The blocks of channels, by name."""
        return {cut.name: i for i, cut in enumerate(self.cuts) if cut.name is not None}

    def text(self, index: int) -> str:
        """The lines of a block."""
        return "\n".join(self.lines[self.cuts[index].start : self.cuts[index].end])

    def mentioning(self, words: Iterable[str]) -> list[int]:
        """The channels whose text contains one of these words; a few at most."""
        wanted = [word for word in words if word]
        found = [i for i in self.channels.values() if any(word in self.text(i) for word in wanted)]
        return found[:_MOST_NAMED]

    def reduced(self, focus: Collection[int]) -> str:
        """The text without channels that are neither in `focus` nor named there."""
        kept = {i for i, cut in enumerate(self.cuts) if cut.name is None} | set(focus)
        known = self.channels
        spoken = {word for i in focus for word in _WORD.findall(self.text(i))}
        kept |= set([known[word] for word in known if word in spoken][:_MOST_NAMED])
        if not any(self.cuts[i].name is not None for i in kept):
            kept |= set([*known.values()][:1])
        kept |= self._anchoring(kept)
        parts: list[str] = []
        for i, cut in enumerate(self.cuts):
            blank = [""] * (cut.end - cut.start)
            parts.extend(self.lines[cut.start : cut.end] if i in kept else blank)
        return "\n".join(parts)

    def _anchoring(self, kept: Collection[int]) -> set[int]:
        """The blocks with the anchors of aliases in the kept ones."""
        aliases = {name for i in kept for name in _ALIAS.findall(self.text(i))}
        if not aliases:
            return set()
        others = (i for i in range(len(self.cuts)) if i not in kept)
        return {i for i in others if aliases & set(_ANCHOR.findall(self.text(i)))}


def cut(lines: Sequence[str]) -> Blocks:
    """Split a text into blocks. With unusual formatting, blocks may be larger than necessary."""
    tops = [i for i, line in enumerate(lines) if _TOP.match(line)]
    starts = [_with_comments(lines, i, 0) for i in tops]
    cuts: list[Cut] = []
    if not starts or starts[0] > 0:
        cuts.append(Cut("", None, 0, starts[0] if starts else len(lines)))
    for index, (top, start) in enumerate(zip(tops, starts, strict=True)):
        end = starts[index + 1] if index + 1 < len(starts) else len(lines)
        key = _KEY.match(lines[top])
        section = key[1] if key else ""
        if section == "channels" and not lines[top].partition(":")[2].partition("#")[0].strip():
            cuts.extend(_entries(lines, top, start, end))
        else:
            cuts.append(Cut(section, None, start, end))
    return Blocks(lines, cuts)


def _entries(lines: Sequence[str], top: int, start: int, end: int) -> list[Cut]:
    """The section's head, then a block for each of its entries."""
    indents = [
        len(line) - len(line.lstrip(" "))
        for line in lines[top + 1 : end]
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not indents or indents[0] == 0:
        return [Cut("channels", None, start, end)]
    child = re.compile(" " * indents[0] + r"(?=[^\s#])")
    found = [
        (i, key[1])
        for i in range(top + 1, end)
        if (at := child.match(lines[i])) and (key := _KEY.match(lines[i], at.end()))
    ]
    begins = [_with_comments(lines, i, top + 1) for i, _ in found]
    if not begins:
        return [Cut("channels", None, start, end)]
    ends = [*begins[1:], end]
    return [
        Cut("channels", None, start, begins[0]),
        *(Cut("channels", name, b, e) for (_, name), b, e in zip(found, begins, ends, strict=True)),
    ]


def _with_comments(lines: Sequence[str], line: int, least: int) -> int:
    """Where the comments above a line begin; they belong to it."""
    while line > least and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line
