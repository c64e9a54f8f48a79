"""A document as it is understood around one of its lines: the values there, their places, and what they mean.

A view is made of a reduced text (`blocks.py`), so it costs the same in a file of a thousand channels. Where the text cannot be
read as it stands, because somebody is in the middle of typing, the attempts of `cursor.py` read it as it may be meant.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

import attrs

from channeld.auth.types import authenticator
from channeld.config.load import load
from channeld.config.model import Config
from channeld.config.source import Sources
from channeld.config.tree import ListNode, MapNode, Node, ScalarNode, Tree
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.lsp.blocks import Blocks
from channeld.lsp.buffers import Caret, TextSpan
from channeld.lsp.checking import is_scenarios
from channeld.lsp.projects import Projects
from channeld.plan.hook_source import HookSource, find_module
from channeld.pointer import at, tokens, value_at
from channeld.protocol.frames import Json
from channeld.schema.schemas import Schemas

_NOWHERE: Final = "\0"
_EXPRESSION: Final = re.compile(r"\{([A-Za-z_][\w.-]*)\??\}")


@attrs.frozen(slots=True, kw_only=True)
class Found:
    """What stands at a place: a key (its pointer is that of its value), or a scalar."""

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
    """A document read: its tree, and (of a configuration) the sources and the model, as far as they are understood.

    `channels` are the names of all channels, also of those that are not in view. `is_schema_file`: it holds schemas, which
    the configuration names.
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
        """The configuration's value with what it includes; the document's own where that is not known."""
        value = self.sources.value if self.sources is not None else None
        return self.tree.value if value is None else value

    def at(self, *keys: str) -> Json:
        """What stands under some keys of the whole configuration."""
        return value_at(self.merged, at("", *keys))

    def names(self, *keys: str) -> list[str]:
        """The names under some keys of the whole configuration, comments in it (`x-`) left out."""
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
        """The properties that a schema declares at a path, and whether each is always there."""
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
        """The claims that authenticators know of at a path, and whether each of them guarantees one."""
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
    """The view of a document whose text is this; None where it cannot be read."""
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
    """The text around a line: its block, and what that names."""
    if is_scenarios(name):
        return "\n".join(blocks.lines)
    return blocks.reduced(blocks.at(line))


def view_of(projects: Projects, name: str, line: int) -> View | None:
    """What is understood around a line of a document, as it stands; None where it cannot be read."""
    blocks = projects.blocks(name)
    if blocks is None:
        return None
    return read(projects, name, reduced(blocks, line, name))


def found_at(tree: Tree, caret: Caret) -> Found | None:
    """The key or scalar at a caret; at its end counts as well."""
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
    """What is understood around a caret, and the key or scalar at it; None where there is neither."""
    view = view_of(projects, name, caret.line)
    found = found_at(view.tree, caret) if view is not None else None
    return None if view is None or found is None else (view, found)


def expression_at(found: Found) -> str | None:
    """What stands between the braces of a template around a caret; None outside of one."""
    for expression in _EXPRESSION.finditer(found.text):
        if expression.start() <= found.offset <= expression.end():
            return expression[1]
    return None


def _below(
    node: MapNode | ListNode, offset: int
) -> tuple[str | int, Node, tuple[int, int] | None] | None:
    """The part of a node that holds an offset, and the ends of the key if that does."""
    if isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            if item.start <= offset <= item.end:
                return index, item, None
        return None
    for key, entry in node.entries.items():
        if entry.start <= offset <= entry.end:
            return key, entry.node, (entry.start, entry.end)
        # What a merge key brings stands elsewhere than its mapping.
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
    """The source of a hook module; None where it has none that can be read."""
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
