"""Locates a cursor in an incomplete text: under which key, in which value, in which template.

The text is parsed with a marker in place of the word at the cursor. If that is not valid YAML, further attempts follow: as
a key, with quotes and brackets closed, without the rest. The first one that parses locates the cursor.
"""

import re
import string
from collections.abc import Iterator
from typing import Final

import attrs

from channeld.config.tree import ListNode, MapNode, Node, Tree
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.lsp.blocks import Blocks, cut
from channeld.lsp.buffers import Caret, TextSpan
from channeld.lsp.projects import Projects
from channeld.lsp.view import View, read, reduced
from channeld.pointer import at, tokens

MARK: Final = "zZcursorZz"
_AFTER: Final = string.ascii_letters + string.digits + "_-"
_BEFORE: Final = _AFTER + "$/.:#"
_TOKENS: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^']|'')*'?|#.*|[\[\]{}]|[^\"'\[\]{}#]+")
_CLOSING: Final = {"{": "}", "[": "]"}


@attrs.frozen(slots=True, kw_only=True)
class Cursor:
    """A cursor: `pointer` is that of the value around it or, for a key, of the key's mapping.

    `word` is the text left of the cursor that would be replaced, `span` the range of the whole word. `before` is the text
    of the scalar up to the cursor. `own_line`: the scalar is on a line below its key, so it may become a mapping.
    `has_colon`: a colon follows the word.
    """

    view: View
    pointer: str
    is_key: bool
    word: str
    span: TextSpan
    before: str = ""
    own_line: bool = False
    siblings: tuple[str, ...] = ()
    has_colon: bool = False

    @property
    def path(self) -> list[str]:
        """The pointer's keys."""
        return tokens(self.pointer)

    @property
    def template(self) -> str | None:
        """The text between the last open brace and the cursor; None outside of braces."""
        opened = self.before.replace("{{", "  ").rfind("{")
        inside = self.before[opened + 1 :]
        return inside if opened >= 0 and "}" not in inside and not self.is_key else None


def cursor_at(projects: Projects, name: str, caret: Caret) -> Cursor | None:
    """Locate a cursor; None if no attempt to parse the text succeeds."""
    blocks = projects.blocks(name)
    if blocks is None:
        return None
    line = blocks.lines[caret.line]
    before, after = line[: caret.column], line[caret.column :]
    if _is_comment(before):
        return None
    start, end = len(before.rstrip(_BEFORE)), len(line) - len(after.lstrip(_AFTER))
    for lines in _attempts(blocks, caret.line, start, end):
        text = reduced(cut(lines), min(caret.line, len(lines) - 1), name)
        tree = parse(text, name, Report())
        spot = _marked(tree.root) if tree is not None else None
        view = read(projects, name, text) if spot is not None else None
        if tree is None or spot is None or view is None:
            continue
        span = TextSpan.within(caret.line, start, end)
        cursor = _cursor(view, tree, spot, before[start:], span)
        return attrs.evolve(cursor, has_colon=line[end:].lstrip("'\"").startswith(":"))
    return None


@attrs.frozen(slots=True)
class _Spot:
    pointer: str
    is_key: bool
    raw: str = ""
    siblings: tuple[str, ...] = ()


def _cursor(view: View, tree: Tree, spot: _Spot, word: str, span: TextSpan) -> Cursor:
    own_line = False
    if not spot.is_key and spot.pointer:
        key, value = tree.key_place(spot.pointer), tree.place(spot.pointer)
        own_line = value.line > key.line or key == value
    return Cursor(
        view=view,
        pointer=spot.pointer,
        is_key=spot.is_key,
        word=word,
        span=span,
        before=spot.raw.partition(MARK)[0] + word,
        own_line=own_line,
        siblings=spot.siblings,
    )


def _attempts(blocks: Blocks, row: int, start: int, end: int) -> Iterator[list[str]]:
    """Texts with the marker, likeliest first."""
    lines = list(blocks.lines)
    head, tail = lines[row][:start], lines[row][end:]
    block = blocks.cuts[(blocks.at(row) or [0])[-1]]
    above, below, beyond = lines[:row], lines[row + 1 : block.end], lines[block.end :]
    quote = _open_quote(head)
    closing = _closing([*lines[block.start : row], head])
    for rest in (below + beyond, beyond, []):
        yield [*above, head + MARK + tail, *rest]
        yield [*above, f"{head}{MARK}: {tail.lstrip(' :')}", *rest]
        yield [*above, head + MARK + quote + closing, *rest]
        yield [*above, f"{head}{MARK}{quote}:{closing}", *rest]
        yield [*above, f"{head}{MARK}{quote}: {tail}", *rest]
        yield [*above, f'{head}"{MARK}"{closing}', *rest]


def _is_comment(text: str) -> bool:
    """Whether the line is in a comment; a `#` within a word does not start one."""
    parts = _TOKENS.finditer(text)
    return any(p[0][0] == "#" and text[p.start() - 1 : p.start()].strip() == "" for p in parts)


def _open_quote(text: str) -> str:
    """The quote that a line leaves open."""
    last = ""
    for part in _TOKENS.findall(text):
        closed = len(part) > 1 and part[-1] == part[0]
        last = part[0] if part[0] in "\"'" and not closed else ""
    return last


def _closing(lines: list[str]) -> str:
    """The closing brackets for these lines. A bracket followed by a less indented line is a mistake."""
    opened: list[tuple[str, int]] = []
    for line in lines:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        opened = [one for one in opened if one[1] < indent]
        for part in _TOKENS.findall(line):
            if part in _CLOSING:
                opened.append((part, indent))
            elif part in "]}" and opened:
                opened.pop()
    return "".join(_CLOSING[part] for part, _ in reversed(opened))


def _marked(node: Node, pointer: str = "") -> _Spot | None:
    """Find the marker below a node."""
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            if MARK in key:
                others = tuple(other for other in node.entries if other != key)
                return _Spot(pointer, is_key=True, raw=key, siblings=others)
            inner = _marked(entry.node, at(pointer, key))
            if inner is not None:
                return inner
        return None
    if isinstance(node, ListNode):
        parts = (_marked(item, at(pointer, i)) for i, item in enumerate(node.items))
        return next((found for found in parts if found is not None), None)
    if MARK in node.raw:
        return _Spot(pointer, is_key=False, raw=node.raw)
    return None
