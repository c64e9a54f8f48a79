"""The pages of the documentation and the fenced blocks in them: what the tests of this folder look at."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
    key=str,
)

_FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^ *\2 *$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@attrs.frozen(kw_only=True)
class Block:
    """One fenced block. `words` are those of its first line: the language, then what the tests should know."""

    page: Path
    line: int
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def file(self) -> str:
        """The name of the file that the block shows: a word with a dot in it, as in `python hooks.py`."""
        return next((word for word in self.words[1:] if "." in word), "")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        indent = len(found[1])
        body = "\n".join(line[indent:] for line in found[4].splitlines()) + "\n"
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page=page, line=line, words=tuple(found[3].split()), text=body)


def prose(page: Path) -> str:
    """A page without its blocks and without code in lines."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"`[^`\n]+`", "", text)


def links(page: Path) -> Iterator[str]:
    # A link's text may hold code, which `prose` would take away together with its brackets.
    yield from _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))


@cache
def anchors(page: Path) -> frozenset[str]:
    """What a link to a part of the page may name, by GitHub's rule."""
    found = Counter[str]()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found[slug] += 1
    return frozenset(
        f"{slug}-{number}" if number else slug
        for slug, same in found.items()
        for number in range(same)
    )
