"""Checks a document: the edited blocks at once, and the whole as `channeld validate` does.

`whole` runs in the worker process. `part` runs between two keystrokes: the same checks on a reduced text, of which only
findings inside of the edited blocks count. Neither imports a hook module.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from channeld.config.file_kinds import CONFIGURATIONS, is_configuration, is_scenarios
from channeld.config.source import FileSystem
from channeld.diagnostics.diagnostic import Diagnostic
from channeld.lsp.blocks import WHOLE, Blocks
from channeld.lsp.buffers import overlaid, shown_name
from channeld.plan.load import check, check_any

VERSION: Final = re.compile(r"^channeld[ \t]*:", re.MULTILINE)
"""A line that makes a file a configuration, whatever it is called."""

_STRUCTURE: Final = "CH2"
_LEVELS: Final = 16


@attrs.frozen(slots=True, kw_only=True)
class Checkup:
    """The result of checking a document.

    `root` is the configuration or scenario file that it belongs to, empty if none; `files` is what was read for it.
    `listed` is what the patterns of `include` matched, for `part`.
    """

    root: str = ""
    findings: tuple[Diagnostic, ...] = ()
    files: tuple[str, ...] = ()
    listed: Mapping[str, list[str]] = attrs.field(factory=dict)


@attrs.frozen(slots=True, kw_only=True)
class Around:
    """What is read with a document: texts by name (reduced if possible), and what `include` patterns match."""

    texts: Mapping[str, str]
    listed: Mapping[str, list[str]]

    def with_text(self, name: str, text: str) -> FileSystem:
        """The files with this text for the document, without searching the disk."""
        return overlaid({**self.texts, name: text}, self.listed)


def whole(name: str, texts: Mapping[str, str]) -> Checkup:
    """Check a document and everything that belongs to it, as `channeld validate --no-hooks` does; `texts` are the open documents.

    The document is a configuration, a scenario file, or a file that a configuration above it reads.
    """
    files, listed = _noting(overlaid(texts))
    if is_scenarios(name):
        return attrs.evolve(_scenarios(name, files), listed=listed)
    own = is_configuration(name) or VERSION.search(texts.get(name, "")) is not None
    candidates = [name] if own else list(above(name))
    for root in candidates:
        checked = check_any(root, import_hooks=False, files=files)
        read = tuple(map(shown_name, checked.sources.files))
        if name in read:
            findings = tuple(map(_renamed, checked.report.sorted()))
            return Checkup(root=root, findings=findings, files=read, listed=listed)
    return Checkup()


def _renamed(finding: Diagnostic) -> Diagnostic:
    """Rename the file of a finding that is above the working folder."""
    if not finding.place.file.startswith(".."):
        return finding
    place = attrs.evolve(finding.place, file=shown_name(finding.place.file))
    return attrs.evolve(finding, place=place)


def above(name: str) -> Iterator[str]:
    """The configurations that could read a file: those in its folder and the folders above."""
    if ":" in name.partition("/")[0]:
        return
    folder = Path(name).absolute().parent
    for at in [folder, *folder.parents][:_LEVELS]:
        for candidate in CONFIGURATIONS:
            if (at / candidate).is_file():
                yield shown_name(str(at / candidate))


def _scenarios(name: str, files: FileSystem) -> Checkup:
    from channeld.scenarios.suite import Options, Runs, config_file, read_text  # noqa: PLC0415 - it brings the engine

    try:
        text = files.read(name).decode("utf-8", "surrogateescape")
    except OSError:
        return Checkup(root=name)
    parsed = read_text(text, name)
    report = Runs(Options(), import_hooks=False, files=files).check(parsed)
    config = config_file(parsed.content) if parsed.content is not None else None
    read = (name,) if config is None else (name, shown_name(config))
    return Checkup(root=name, findings=tuple(report.sorted()), files=read)


def _noting(files: FileSystem) -> tuple[FileSystem, dict[str, list[str]]]:
    """The same files, recording what their patterns match."""
    listed: dict[str, list[str]] = {}

    def list_files(pattern: str) -> list[str]:
        listed[pattern] = files.list_files(pattern)
        return listed[pattern]

    return FileSystem(read=files.read, list_files=list_files), listed


def part(
    root: str,
    name: str,
    blocks: Blocks,
    focus: Collection[int],
    around: Around,
    of: str = "",
) -> list[Diagnostic]:
    """Find problems inside of the blocks in `focus`, which were edited, from those blocks and what they refer to.

    `root` is the configuration that the document belongs to. All findings `of` another file are given instead, such as a schema
    file that those blocks name.
    """
    files = around.with_text(name, blocks.reduced(focus))
    checked = check(root, import_hooks=False, files=files)
    if of:
        return [one for one in map(_renamed, checked.report) if one.place.file == of]
    return [one for one in checked.report if is_of(one, name, blocks, focus)]


def is_of(finding: Diagnostic, name: str, blocks: Blocks, focus: Collection[int]) -> bool:
    """Whether `part` reports a finding for these blocks."""
    if finding.place.file != name or finding.code in WHOLE:
        return False
    line = finding.place.line - 1
    for index in focus:
        cut = blocks.cuts[index]
        if cut.start <= line < cut.end:
            # A section's findings may depend on any channel.
            return cut.name is not None or finding.code < _STRUCTURE
    return False


def scenario_part(name: str, text: str) -> list[Diagnostic]:
    """Check a scenario file by itself."""
    from channeld.scenarios.suite import read_text  # noqa: PLC0415 - as above

    return list(read_text(text, name).report)
