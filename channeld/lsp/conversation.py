"""What a scenario file refers to: its configuration, its clients' channels, and their names."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from channeld.config.tree import Tree
from channeld.lsp.buffers import shown_name
from channeld.lsp.checking import above
from channeld.lsp.projects import Projects
from channeld.lsp.view import View, scalars, view_of
from channeld.plan.path_syntax import parse_path
from channeld.plan.paths import PathTable
from channeld.pointer import at, tokens, value_at

FRAMES: Final = re.compile(
    r"/scenarios/\d+/steps/\d+/[^/]+/(send|expect|expect_unordered|absent)(/\d+)?(/\$exact)?/type"
)
"""Where the type of a client's frame stands."""

PUBLISHED: Final = re.compile(r"/scenarios/\d+/steps/\d+/publish/event/type")
"""Where the type of a published event stands."""

_PATHS: Final = re.compile(r"/scenarios/\d+/(clients/[^/]+|steps/\d+/[^/]+/connect)/path")
_DECLARED: Final = re.compile(r"""\bpath:\s*["']?(/[^\s"',}]*(?:\}[^\s"',}]*)*)""")
_HOOKS: Final = re.compile(
    r"""\b(?:hook|connect|close|subscribe|unsubscribe|call|lifespan):\s*["']?([A-Za-z_][\w.]*:[A-Za-z_][\w.]*)"""
)


@attrs.define(eq=False)
class Conversation:
    """One scenario file, and its configuration (`root`, empty if there is none)."""

    projects: Projects
    name: str
    tree: Tree
    root: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        written = value_at(self.tree.value, "/config")
        if isinstance(written, str):
            self.root = shown_name(posixpath.join(posixpath.dirname(self.name), written))
        else:
            self.root = next(iter(above(self.name)), "")

    def paths(self) -> dict[str, str]:
        """The paths of the configuration's channels, by channel."""
        return {
            channel: found[1]
            for channel, text in self._channels()
            if (found := _DECLARED.search(text))
        }

    def _channels(self) -> Iterator[tuple[str, str]]:
        for file in self.projects.configuration_files(self.root) if self.root else ():
            blocks = self.projects.blocks(file)
            if blocks is not None:
                yield from ((channel, blocks.text(i)) for channel, i in blocks.channels.items())

    def hooks(self) -> list[str]:
        """The hooks that the configuration names."""
        files = self.projects.configuration_files(self.root) if self.root else []
        texts = [self.projects.text(file) or "" for file in files]
        return list(dict.fromkeys(name for text in texts for name in _HOOKS.findall(text)))

    def channels_of_clients(self) -> Mapping[tuple[str, str], set[str]]:
        """The channels that each client is on, by the scenario's index and the client's name."""
        table: PathTable[str] = PathTable()
        for channel, path in self.paths().items():
            pattern = parse_path(path, [])
            if pattern is not None:
                table.add(pattern, channel)
        found: dict[tuple[str, str], set[str]] = {}
        for pointer, node in scalars(self.tree.root):
            if _PATHS.fullmatch(pointer):
                keys = tokens(pointer)
                client = keys[3] if keys[2] == "clients" else keys[4]
                match = table.match(node.raw.partition("?")[0])
                found.setdefault((keys[1], client), set()).update([match[0]] if match else [])
        return found

    def channels_at(self, pointer: str) -> list[str]:
        """The channels of a step: its client's, or the one that is published to."""
        path = tokens(pointer)
        if len(path) < 5 or path[2] != "steps":
            return []
        if path[4] == "publish":
            named = value_at(self.tree.value, at("", *path[:5], "channel"))
            return [named] if isinstance(named, str) else []
        return sorted(self.channels_of_clients().get((path[1], path[4]), ()))

    def view_of(self, channel: str) -> View | None:
        """The view of a channel."""
        for file in self.projects.configuration_files(self.root) if self.root else ():
            blocks = self.projects.blocks(file)
            index = blocks.channels.get(channel) if blocks is not None else None
            if blocks is not None and index is not None:
                return view_of(self.projects, file, blocks.cuts[index].end - 1)
        return None
