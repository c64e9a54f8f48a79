"""The outline of a document: sections, channels with their messages and events; scenarios with their clients.

Each block is parsed by itself and cached by its text, so a keystroke causes only one to be parsed again.
"""

from collections.abc import Iterator
from typing import Final

import attrs

from channeld.config.file_kinds import is_scenarios
from channeld.config.tree import ListNode, MapNode, Node, ScalarNode, Tree
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.lsp.buffers import Caret, TextSpan
from channeld.lsp.projects import Projects

_SECTIONS: Final = ("auth", "backends", "schemas")


@attrs.frozen(slots=True, kw_only=True)
class OutlineEntry:
    """An entry: name, kind, its range, the range of its name, and its children."""

    name: str
    kind: str
    whole: TextSpan
    span: TextSpan
    detail: str = ""
    below: tuple["OutlineEntry", ...] = ()

    def moved(self, lines: int) -> "OutlineEntry":
        """The same entry moved by some lines."""
        return attrs.evolve(
            self,
            whole=_moved(self.whole, lines),
            span=_moved(self.span, lines),
            below=tuple(one.moved(lines) for one in self.below),
        )


def _moved(span: TextSpan, lines: int) -> TextSpan:
    return TextSpan(*(Caret(line + lines, column) for line, column in span))


@attrs.define(eq=False)
class Outline:
    """Makes outlines, caching each block's entries."""

    _kept: dict[str, tuple[OutlineEntry, ...]] = attrs.field(factory=dict)

    def of(self, projects: Projects, name: str) -> list[OutlineEntry]:
        """The outline of a document; unparsable parts keep their last state, or are left out."""
        blocks = projects.blocks(name)
        if blocks is None:
            return []
        if is_scenarios(name):
            tree = parse("\n".join(blocks.lines), name, Report())
            return [] if tree is None else list(_scenarios(tree))
        kept: dict[str, tuple[OutlineEntry, ...]] = {}
        found: list[OutlineEntry] = []
        channels: list[OutlineEntry] = []
        for index, block in enumerate(blocks.cuts):
            text = blocks.text(index)
            key = f"{block.name}\0{text}"
            made = self._kept.get(key) or _of_block(text, block.name, name)
            kept[key] = made
            here = [one.moved(block.start) for one in made]
            if block.name is not None:
                channels.extend(here)
            else:
                found.extend(here)
        self._kept = kept
        return [_with(one, channels) if one.name == "channels" else one for one in found]


def _with(section: OutlineEntry, channels: list[OutlineEntry]) -> OutlineEntry:
    if not channels:
        return section
    whole = TextSpan(section.whole.start, max(section.whole.end, channels[-1].whole.end))
    return attrs.evolve(section, whole=whole, below=(*section.below, *channels))


def _of_block(text: str, channel: str | None, name: str) -> tuple[OutlineEntry, ...]:
    tree = parse(text, name, Report())
    if tree is None or not isinstance(tree.root, MapNode):
        return ()
    made = _channel if channel is not None else _section
    return tuple(
        made(tree, key, entry.start, entry.node) for key, entry in tree.root.entries.items()
    )


def _section(tree: Tree, key: str, start: int, node: Node) -> OutlineEntry:
    below: Iterator[OutlineEntry] = iter(())
    if isinstance(node, MapNode) and key == "channels":
        below = (_channel(tree, k, e.start, e.node) for k, e in node.entries.items())
    elif isinstance(node, MapNode) and key in _SECTIONS:
        below = _entries(tree, node, "key" if key == "auth" else "object")
    return _entry(tree, key, "module", start, node, tuple(below))


def _channel(tree: Tree, key: str, start: int, node: Node) -> OutlineEntry:
    path = _under(node, "path")
    detail = path.raw if isinstance(path, ScalarNode) else ""
    messages = _entries(tree, _under(node, "messages"), "method")
    below = (*messages, *_entries(tree, _under(node, "events"), "event"))
    return attrs.evolve(_entry(tree, key, "class", start, node, below), detail=detail)


def _entry(
    tree: Tree, key: str, kind: str, start: int, node: Node, below: tuple[OutlineEntry, ...] = ()
) -> OutlineEntry:
    end = start + len(key)
    whole = TextSpan.of(tree.lines.place(start, max(end, node.end)))
    span = TextSpan.of(tree.lines.place(start, end))
    return OutlineEntry(name=key or "?", kind=kind, whole=whole, span=span, below=below)


def _scenarios(tree: Tree) -> Iterator[OutlineEntry]:
    """The scenarios of a file, each with its clients."""
    listed = _under(tree.root, "scenarios")
    for item in listed.items if isinstance(listed, ListNode) else ():
        if not isinstance(item, MapNode):
            continue
        named, clients = _under(item, "name"), _under(item, "clients")
        name = named.raw if isinstance(named, ScalarNode) else "scenario"
        below = tuple(_entries(tree, clients, "variable"))
        start, end = (named.start, named.end) if named else (item.start, item.start)
        span = TextSpan.of(tree.lines.place(start, end))
        whole = TextSpan.of(tree.lines.place(item.start, item.end))
        yield OutlineEntry(name=name or "?", kind="function", whole=whole, span=span, below=below)


def _under(node: Node, key: str) -> Node | None:
    entry = node.entries.get(key) if isinstance(node, MapNode) else None
    return None if entry is None else entry.node


def _entries(tree: Tree, node: Node | None, kind: str) -> Iterator[OutlineEntry]:
    """One entry for each key of a mapping."""
    for key, entry in node.entries.items() if isinstance(node, MapNode) else ():
        yield _entry(tree, key, kind, entry.start, entry.node)
