"""A parsed view of a document around one of its lines: values, locations and meaning.

A view is made from a reduced text (`blocks.py`), so its cost does not depend on the number of channels. If the text does
not parse because somebody is typing, the attempts of `cursor.py` are used.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

import attrs

from channeld.auth.authenticators import authenticator
from channeld.config.file_kinds import is_scenarios
from channeld.config.load import load
from channeld.config.model import Config
from channeld.config.source import Sources
from channeld.config.tree import ListNode, MapNode, Node, ScalarNode, Tree
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.lsp.blocks import Blocks
from channeld.lsp.buffers import Caret, TextSpan
from channeld.lsp.projects import Projects
from channeld.plan.hook_source import HookSource, find_module
from channeld.pointer import at, tokens, value_at
from channeld.protocol.frames import Json
from channeld.schema.schemas import Schemas

_NOWHERE: Final = "\0"
_EXPRESSION: Final = re.compile(r"\{([A-Za-z_][\w.-]*)\??\}")


@attrs.frozen(slots=True, kw_only=True)
class Found:
    """What is at a position: a key (with its value's pointer) or a scalar."""

    pointer: str
    is_key: bool
    text: str
    span: TextSpan
    offset: int = 0

    @property
    def path(self) -> list[str]:
        """The pointer's keys."""
        return tokens(self.pointer)


@attrs.define(eq=False, kw_only=True)
class View:
    """A parsed document: its tree and, for a configuration, the sources and the model as far as possible.

    `channels` are the names of all channels, including those not in view. `is_schema_file`: a schema file of the
    configuration.
    """

    name: str
    root: str
    tree: Tree
    sources: Sources | None = None
    config: Config | None = None
    channels: tuple[str, ...] = ()
    is_schema_file: bool = False

    @property
    def is_scenarios(self) -> bool:
        """Whether it is a scenario file rather than part of a configuration."""
        return is_scenarios(self.name)

    @property
    def merged(self) -> Json:
        """The merged configuration's value; by default the document's own."""
        value = self.sources.value if self.sources is not None else None
        return self.tree.value if value is None else value

    def at(self, *keys: str) -> Json:
        """The value under some keys of the whole configuration."""
        return value_at(self.merged, at("", *keys))

    def names(self, *keys: str) -> list[str]:
        """The names under some keys of the whole configuration, without `x-` keys."""
        value = self.at(*keys)
        if not isinstance(value, dict):
            return []
        return [name for name in value if not name.startswith("x-")]

    @cached_property
    def schemas(self) -> Schemas | None:
        """The schemas of what is in view."""
        if self.config is None or self.sources is None:
            return None
        return Schemas(self.config, self.sources, Report())

    def fields(self, pointer: str, path: tuple[str, ...] = ()) -> dict[str, bool]:
        """The properties that a schema declares at a path, and whether each is guaranteed."""
        if self.schemas is None:
            return {}
        shape = self.schemas.shape(pointer)
        names = shape.property_names() if not path else shape.lookup((*path, _NOWHERE)).names
        return {name: shape.lookup((*path, name)).guaranteed for name in names}

    def authenticators(self, channel: str) -> list[str]:
        """The names of the authenticators of a channel."""
        declared = self.at("channels", channel, "auth")
        if isinstance(declared, dict):
            declared = declared.get("use")
        listed = declared if isinstance(declared, list) else [declared]
        return [name for name in listed if isinstance(name, str)]

    def claims(self, names: list[str], path: tuple[str, ...] = ()) -> dict[str, bool]:
        """The claims that authenticators know at a path, and whether all of them guarantee each."""
        found: dict[str, bool] = {}
        for name in names:
            declared = self.config.auth.get(name) if self.config is not None else None
            if declared is None:
                continue
            known = self.fields(at("/auth", name, "claims"), path) if declared.claims else {}
            if not path:
                standard = authenticator(declared).standard_claims()
                known = {**{c: one.guaranteed for c, one in standard.items()}, **known}
            found = {c: known.get(c, False) and found.get(c, True) for c in {**found, **known}}
        return found


def read(projects: Projects, name: str, text: str) -> View | None:
    """Parse a document's text into a view; None if impossible."""
    root = projects.root_of(name)
    if not root:
        return None
    if is_scenarios(name):
        tree = parse(text, name, Report())
        return None if tree is None else View(name=name, root=root, tree=tree)
    files_of = projects.configuration_files(root)
    files = projects.around(root, name).with_text(name, text)
    loaded = load(root, files, os.environ)
    own = loaded.sources.tree(name) or parse(text, name, Report())
    if own is None:
        return None
    cuts = filter(None, map(projects.blocks, files_of))
    channels = tuple(channel for blocks in cuts for channel in blocks.channels)
    return View(
        name=name, root=root, tree=own, sources=loaded.sources, config=loaded.config, channels=channels,
        is_schema_file=name not in files_of,
    )  # fmt: skip


def reduced(blocks: Blocks, line: int, name: str) -> str:
    """The text around a line: its block and what that refers to."""
    if is_scenarios(name):
        return "\n".join(blocks.lines)
    return blocks.reduced(blocks.at(line))


def view_of(projects: Projects, name: str, line: int) -> View | None:
    """The view around a line of a document; None if the text does not parse."""
    blocks = projects.blocks(name)
    if blocks is None:
        return None
    return read(projects, name, reduced(blocks, line, name))


def found_at(tree: Tree, caret: Caret) -> Found | None:
    """The key or scalar at a caret, including its end."""
    offset = tree.lines.offset(caret.line + 1) + caret.column
    pointer, node = "", tree.root
    while True:
        if isinstance(node, ScalarNode):
            if not node.start <= offset <= node.end:
                return None
            span = TextSpan.of(tree.lines.place(node.start, node.end))
            text = node.raw
            quote = int(node.style in ("single", "double"))
            return Found(
                pointer=pointer, is_key=False, text=text, span=span,
                offset=max(0, offset - node.start - quote),
            )  # fmt: skip
        inner = _below(node, offset)
        if inner is None:
            return None
        key, below, span_of_key = inner
        pointer = at(pointer, key)
        if span_of_key is not None:
            span = TextSpan.of(tree.lines.place(*span_of_key))
            return Found(pointer=pointer, is_key=True, text=str(key), span=span)
        node = below


def at_caret(projects: Projects, name: str, caret: Caret) -> tuple[View, Found] | None:
    """The view around a caret, and the key or scalar at it, or None."""
    view = view_of(projects, name, caret.line)
    found = found_at(view.tree, caret) if view is not None else None
    return None if view is None or found is None else (view, found)


def expression_at(found: Found) -> str | None:
    """The expression between a template's braces around a caret; None outside of one."""
    for expression in _EXPRESSION.finditer(found.text):
        if expression.start() <= found.offset <= expression.end():
            return expression[1]
    return None


def _below(
    node: MapNode | ListNode, offset: int
) -> tuple[str | int, Node, tuple[int, int] | None] | None:
    """The part of a node at an offset, and the range of its key if the offset is in it."""
    if isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            if item.start <= offset <= item.end:
                return index, item, None
        return None
    for key, entry in node.entries.items():
        if entry.start <= offset <= entry.end:
            return key, entry.node, (entry.start, entry.end)
        # Merged keys are located outside of their mapping.
        if entry.node.start <= offset <= entry.node.end and entry.node.end > entry.node.start:
            return key, entry.node, None
    return None


def scalars(node: Node, pointer: str = "") -> Iterator[tuple[str, ScalarNode]]:
    """Every scalar below a node, with its pointer."""
    if isinstance(node, ScalarNode):
        yield pointer, node
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from scalars(item, at(pointer, index))
    else:
        for key, entry in node.entries.items():
            yield from scalars(entry.node, at(pointer, key))


def hook_root(view: View) -> Path:
    """The folder of hook modules."""
    path = view.config.hooks.path if view.config is not None else posixpath.dirname(view.root)
    return Path(path or ".")


def hook_source(root: Path, module: str) -> HookSource | None:
    """The source of a hook module, or None."""
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    path = find_module(module, root)
    if path is None:
        return None
    try:
        source = HookSource.read(path)
    except OSError:
        return None
    return source if isinstance(source, HookSource) else None
