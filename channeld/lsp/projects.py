"""The language server's state: open documents, what belongs together, and the findings.

Findings are updated twice: by `quick` right after an edit, for what was edited, and by `settle` when the worker has checked
the whole. In between, other findings stay, and move with their lines.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from channeld.config.file_kinds import is_configuration, is_scenarios
from channeld.config.load import file_system
from channeld.diagnostics.diagnostic import Diagnostic, Place
from channeld.lsp.blocks import Blocks, cut
from channeld.lsp.buffers import Buffer, Caret, Encoding, name_of
from channeld.lsp.checking import (
    VERSION,
    Around,
    Checkup,
    is_of,
    part,
    scenario_part,
)

MOST_BLOCKS: Final = 8
MOST_LINES: Final = 10_000
"""Larger edits, such as a paste or a file that is one large block, are left to the worker."""

# Findings of a scenario file about its configuration, which only the worker reads.
_OF_CONFIGURATION: Final = frozenset({"CH811", "CH812", "CH814"})


@attrs.define(eq=False)
class Projects:
    """The open documents by name, and the last findings of each configuration or scenario file."""

    encoding: Encoding = "utf-16"
    buffers: dict[str, Buffer] = attrs.field(factory=dict)
    uris: dict[str, str] = attrs.field(factory=dict)
    checkups: dict[str, Checkup] = attrs.field(factory=dict)
    shown: dict[str, list[Diagnostic]] = attrs.field(factory=dict)
    _edited: dict[str, tuple[int, int]] = attrs.field(factory=dict)
    _cut: dict[str, Blocks] = attrs.field(factory=dict)
    _disk: dict[str, tuple[tuple[int, int], Buffer]] = attrs.field(factory=dict)

    # ------------------------------------------------------------------------------------------------ documents

    def open(self, uri: str, buffer: Buffer) -> str:
        """Open a document; returns its name."""
        name = name_of(uri)
        self.buffers[name], self.uris[name] = buffer, uri
        self._cut.pop(name, None)
        self._edited.pop(name, None)
        return name

    def close(self, uri: str) -> str:
        """Close a document, so that its file is read from disk again."""
        name = name_of(uri)
        self.buffers.pop(name, None)
        self.uris.pop(name, None)
        self._cut.pop(name, None)
        self._edited.pop(name, None)
        return name

    def replace(self, name: str, text: str, version: int | None) -> None:
        """Replace the whole text."""
        old = self.buffers[name]
        self.buffers[name] = Buffer.of(text, old.encoding, version)
        self._cut.pop(name, None)
        self._edited[name] = (0, len(self.buffers[name].lines))

    def edit(self, name: str, start: Caret, end: Caret, text: str) -> None:
        """Change part of a text; findings below it move."""
        buffer = self.buffers[name]
        more = buffer.change(start, end, text)
        self._cut.pop(name, None)
        first, last = self._edited.get(name, (start.line, start.line))
        last = max(last + more if last >= end.line else last, end.line + more)
        self._edited[name] = (min(first, start.line), last)
        if more:
            self._move(name, end.line + 1, more)

    def _move(self, name: str, below: int, more: int) -> None:
        for root, findings in self.shown.items():
            self.shown[root] = [_moved(one, name, below, more) for one in findings]

    def text(self, name: str) -> str | None:
        """The text of an open document or a file, or None."""
        buffer = self.buffer(name)
        return None if buffer is None else buffer.text

    def buffer(self, name: str) -> Buffer | None:
        """The buffer of an open document or a file, or None."""
        if name in self.buffers:
            return self.buffers[name]
        try:
            stat = os.stat(name)  # noqa: PTH116 - names may be URIs
            stamp = (stat.st_mtime_ns, stat.st_size)
            if name not in self._disk or self._disk[name][0] != stamp:
                text = file_system().read(name).decode("utf-8", "replace")
                self._disk[name] = (stamp, Buffer.of(text, self.encoding))
                self._cut.pop(name, None)
        except (OSError, ValueError):
            return None
        return self._disk[name][1]

    def blocks(self, name: str) -> Blocks | None:
        """The blocks of a document, or None."""
        buffer = self.buffer(name)
        if buffer is None:
            return None
        if name not in self._cut:
            self._cut[name] = cut(buffer.lines)
        return self._cut[name]

    @property
    def texts(self) -> dict[str, str]:
        """The texts of all open documents."""
        return {name: buffer.text for name, buffer in self.buffers.items()}

    # ----------------------------------------------------------------------------------------------- belonging

    def root_of(self, name: str) -> str:
        """The configuration or scenario file that a document belongs to; empty if none or not known yet."""
        if is_scenarios(name) or is_configuration(name) or self._says_so(name):
            return name
        return next((root for root, known in self.checkups.items() if name in known.files), "")

    def _says_so(self, name: str) -> bool:
        buffer = self.buffer(name)
        return buffer is not None and any(map(VERSION.match, buffer.lines))

    def concerned(self, name: str) -> list[str]:
        """What to check again when a document has changed: an open document for each root."""
        roots = {name, *(root for root, known in self.checkups.items() if name in known.files)}
        roots |= {root for root, known in self.checkups.items() if roots & set(known.files)}
        return sorted(roots)

    def configuration_files(self, root: str) -> list[str]:
        """The main file and what it includes, without schema files."""
        included = (file for names in self.listed(root).values() for file in names)
        return list(dict.fromkeys([root, *included]))

    def listed(self, root: str) -> Mapping[str, list[str]]:
        """What `include` patterns matched in the last complete check."""
        reading = (known for known in self.checkups.values() if root in known.files)
        known = self.checkups.get(root) or next(reading, None)
        return {} if known is None else known.listed

    def around(self, root: str, name: str) -> Around:
        """The rest of a document's configuration, without other channels."""
        texts = {other: buffer.text for other, buffer in self.buffers.items() if other != name}
        for other in self.configuration_files(root):
            blocks = self.blocks(other) if other != name else None
            if blocks is not None:
                texts[other] = blocks.reduced(())
        return Around(texts=texts, listed=self.listed(root))

    # ------------------------------------------------------------------------------------------------ findings

    def quick(self, name: str) -> str:
        """Check what was edited since the last time; returns the root whose findings may have changed, or empty."""
        edited = self._edited.pop(name, None)
        root, blocks = self.root_of(name), self.blocks(name)
        if edited is None or not root or blocks is None:
            return ""
        before = self.shown.get(root, [])
        if is_scenarios(name):
            kept = [one for one in before if one.code in _OF_CONFIGURATION]
            self.shown[root] = [*kept, *scenario_part(name, self.text(name) or "")]
            return root
        if name not in self.configuration_files(root):
            return self._quick_schema(root, name)
        focus = blocks.at(*edited)
        if len(focus) > MOST_BLOCKS or _size(blocks, focus) > MOST_LINES:
            return ""
        found = part(root, name, blocks, focus, self.around(root, name))
        kept = [one for one in before if not is_of(one, name, blocks, focus)]
        self.shown[root] = [*kept, *found]
        return root

    def _quick_schema(self, root: str, name: str) -> str:
        """Findings inside of a schema file, from the channels that use it."""
        blocks = self.blocks(root)
        buffer = self.buffers[name]
        if blocks is None or len(buffer.lines) > MOST_LINES:
            return ""
        focus = blocks.mentioning([Path(name).name])
        found = part(root, root, blocks, focus, self.around(root, root), of=name)
        kept = [one for one in self.shown.get(root, []) if one.place.file != name]
        self.shown[root] = [*kept, *found]
        return root

    def settle(self, name: str, checkup: Checkup) -> list[str]:
        """Take over the worker's findings for a document; returns the roots whose findings may have changed."""
        root = checkup.root
        if not root:
            self.checkups.pop(name, None)
            return [name] if self.shown.pop(name, None) else []
        self.checkups[root] = checkup
        self.shown[root] = list(checkup.findings)
        return [root]

    def forget(self, root: str) -> None:
        """Drop a root of which nothing is open any more."""
        self.checkups.pop(root, None)
        self.shown.pop(root, None)

    def is_wanted(self, root: str) -> bool:
        """Whether any document of a root is open."""
        known = self.checkups.get(root)
        return root in self.buffers or (
            known is not None and any(name in self.buffers for name in known.files)
        )

    def of_document(self, name: str) -> Iterator[Diagnostic]:
        """The findings in a document from all of its roots, without duplicates."""
        seen: set[tuple[str, Place]] = set()
        for findings in self.shown.values():
            for one in findings:
                key = (one.code, one.place)
                if one.place.file == name and key not in seen:
                    seen.add(key)
                    yield one


def _size(blocks: Blocks, focus: Iterable[int]) -> int:
    chosen = set(focus)
    return sum(
        one.end - one.start for i, one in enumerate(blocks.cuts) if one.name is None or i in chosen
    )


def _moved(finding: Diagnostic, name: str, below: int, more: int) -> Diagnostic:
    place = _moved_place(finding.place, name, below, more)
    related = tuple(
        attrs.evolve(one, place=_moved_place(one.place, name, below, more))
        for one in finding.related
    )
    if place is finding.place and related == finding.related:
        return finding
    return attrs.evolve(finding, place=place, related=related)


def _moved_place(place: Place, name: str, below: int, more: int) -> Place:
    if place.file != name or place.line - 1 < below:
        return place
    return attrs.evolve(place, line=place.line + more, end_line=place.end_line + more)
