"""The values of one YAML document with the location of each key and value, by JSON pointer (RFC 6901)."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal, TypeAlias

import attrs

from channeld.diagnostics.diagnostic import Place
from channeld.pointer import at, tokens
from channeld.protocol.frames import Json

Style: TypeAlias = Literal["plain", "single", "double", "literal", "folded"]
_INDEX = re.compile(r"0|[1-9][0-9]{0,6}")
_BREAK = re.compile(r"\r\n|\n|\r")


@attrs.frozen(slots=True, kw_only=True)
class ScalarNode:
    """A scalar, its value and its range in code points. `broken`: the value is unknown, which is reported.

    `style` and `raw` say how it was written: `raw` is its text without quotes and escapes.
    """

    start: int
    end: int
    style: Style
    raw: str
    value: Json
    broken: bool = False
    size: int = 1
    height: int = 0


@attrs.frozen(slots=True, kw_only=True)
class ListNode:
    """A list; `size` counts the values in it with aliases expanded, `height` how deep lists and mappings nest."""

    start: int
    end: int
    items: list["Node"]
    size: int
    height: int


@attrs.frozen(slots=True, kw_only=True)
class TreeEntry:
    """A key of a mapping, its range, and its value."""

    start: int
    end: int
    node: "Node"


@attrs.frozen(slots=True, kw_only=True)
class MapNode:
    """A mapping, with merge keys resolved."""

    start: int
    end: int
    entries: dict[str, TreeEntry]
    size: int
    height: int


Node: TypeAlias = ScalarNode | ListNode | MapNode


@attrs.frozen(slots=True, eq=False)
class Lines:
    """Code point offsets of one text as lines and columns."""

    file: str
    text: str
    _starts: list[int] = attrs.field(init=False)

    @_starts.default
    def _found(self) -> list[int]:
        return [0, *(match.end() for match in _BREAK.finditer(self.text))]

    def place(self, start: int, end: int, pointer: str = "") -> Place:
        """The span from one offset to another, which may be the end of the text."""
        line, column = self._position(start)
        end_line, end_column = self._position(max(start, end))
        return Place(self.file, line, column, end_line, end_column, pointer)

    def offset(self, line: int) -> int:
        """Where a line (from 1) starts."""
        return self._starts[line - 1]

    def after(self, line: int) -> Iterator[str]:
        """The lines after one, with their breaks."""
        for start, end in pairwise([*self._starts[line:], len(self.text)]):
            yield self.text[start:end]

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


@attrs.define(eq=False, kw_only=True)
class Tree:
    """One parsed document: its value in file order, and a location for each part.

    Pointers are RFC 6901; one that names nothing gets the location of its nearest ancestor. `unknown`: pointers whose value
    is reported as unreadable; `quoted`: text ranges where `#` does not start a comment; `dropped`: the values of duplicate
    keys.
    """

    file: str
    text: str
    value: Json
    root: Node
    lines: Lines = attrs.field(repr=False)
    unknown: frozenset[str] = frozenset()
    quoted: tuple[tuple[int, int], ...] = attrs.field(default=(), repr=False)
    dropped: tuple[tuple[str, Node], ...] = attrs.field(default=(), repr=False)

    def place(self, pointer: str) -> Place:
        """The location of a value; for an alias, where it is used."""
        found, node, _ = self._find(pointer)
        return self.lines.place(node.start, node.end, found)

    def key_place(self, pointer: str) -> Place:
        """The location of a value's key; of the value itself in a list and at the root."""
        found, node, entry = self._find(pointer)
        return self.lines.place((entry or node).start, (entry or node).end, found)

    def span(self, pointer: str, offset: int, length: int) -> Place:
        """The location of part of a string: exact if the text is the value (one line, no escapes), else the whole."""
        found, node, _ = self._find(pointer)
        if found == pointer and isinstance(node, ScalarNode):
            quote = int(node.style in ("single", "double"))
            start, end = node.start + quote, node.end - quote
            fits = offset >= 0 and offset + length <= end - start
            if fits and self.text[start:end] == node.raw:
                return self.lines.place(start + offset, start + offset + length, pointer)
        return self.lines.place(node.start, node.end, found)

    def node(self, pointer: str) -> Node:
        """The node at this pointer, or its nearest ancestor."""
        return self._find(pointer)[1]

    def at(self, pointer: str) -> Json:
        """The value at this pointer, or of its nearest ancestor."""
        return build(self.node(pointer), pointer, lambda node, _: node.value)

    def _find(self, pointer: str) -> tuple[str, Node, TreeEntry | None]:
        found, node, entry = "", self.root, None
        for token in tokens(pointer):
            if isinstance(node, MapNode) and token in node.entries:
                entry = node.entries[token]
                node = entry.node
            elif isinstance(node, ListNode) and _is_index(token, len(node.items)):
                entry, node = None, node.items[int(token)]
            else:
                break
            found = at(found, token)
        return found, node, entry


def _is_index(key: str, length: int) -> bool:
    return _INDEX.fullmatch(key) is not None and int(key) < length


def build(node: Node, pointer: str, scalar: Callable[[ScalarNode, str], Json]) -> Json:
    """The plain value of a node, with each scalar from `scalar(node, pointer)`; aliases become copies."""
    if isinstance(node, MapNode):
        return {k: build(e.node, at(pointer, k), scalar) for k, e in node.entries.items()}
    if isinstance(node, ListNode):
        return [build(item, at(pointer, i), scalar) for i, item in enumerate(node.items)]
    return scalar(node, pointer)
