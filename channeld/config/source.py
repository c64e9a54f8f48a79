"""Reads the files of a configuration: includes, merging, environment variables, and a location for every value."""

import errno
import hashlib
import os
import posixpath
from collections.abc import Callable, Mapping
from typing import NamedTuple

import attrs

from channeld.config.environment import SECTIONS, Environment
from channeld.config.ignores import Ignore, find_ignores
from channeld.config.redact import redacted
from channeld.config.tree import MapNode, Tree, build
from channeld.config.yaml import parse
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Place, Related, Report
from channeld.pointer import at, value_at
from channeld.protocol.frames import Json

SHARED = ("auth", "backends", "channels")
MAX_FILES = 1000
_NOT_THERE = os.strerror(errno.ENOENT)
_ABSENT = "check its name and the current folder; `channeld init` creates a project"
_NO_FILE = "check its name, its size, and that this user may read it"


@attrs.define(eq=False, kw_only=True)
class Sources:
    """Every file that was read for one configuration.

    `root` is the name of the main file; `value` is the merged configuration with environment variables replaced. After a
    syntax error, or if a file can't be read, `value` is None and `readable` false: there is nothing to check. `is_sound`:
    every value has a valid form, so what a rule doesn't find does not exist. `unset`: pointers in `value` without a real
    value (already reported): check nothing there. `refused`: pointers of what the checker left out after a finding: don't
    report it as missing. `from_environment`: pointers whose text came, at least in part, from a variable or its default.
    `report` receives what `read_document` finds; set it to use another report than the one given to `read_sources`.
    """

    root: str
    report: Report = attrs.field(repr=False)
    readable: bool = False
    is_sound: bool = True
    value: Json = attrs.field(default=None, repr=False)
    unset: set[str] = attrs.field(factory=set)
    refused: set[str] = attrs.field(factory=set)
    from_environment: set[str] = attrs.field(factory=set)
    unreadable: dict[str, str] = attrs.field(factory=dict)
    read: Callable[[str], bytes] = attrs.field(repr=False)
    _trees: dict[str, Tree | None] = attrs.field(factory=dict, repr=False)
    _texts: dict[str, str] = attrs.field(factory=dict, repr=False)
    _shown: dict[str, str] = attrs.field(factory=dict, repr=False)
    _origins: dict[str, str] = attrs.field(factory=dict, repr=False)
    _veiled: set[str] = attrs.field(factory=set, repr=False)
    _hidden: list[str] = attrs.field(factory=list, repr=False)

    @property
    def files(self) -> list[str]:
        """The main file, then every other file that was read."""
        return list(dict.fromkeys([self.root, *self._texts]))

    @property
    def version(self) -> str:
        """Twelve hex digits that change with the files' texts; environment variables are not included."""
        digest = hashlib.sha256()
        for text in self._texts.values():
            digest.update(hashlib.sha256(text.encode()).digest())
        return digest.hexdigest()[:12]

    @property
    def ignores(self) -> list[Ignore]:
        """All `# channeld: ignore[…]` comments."""
        return [i for tree in self._trees.values() if tree is not None for i in find_ignores(tree)]

    def tree(self, file: str) -> Tree | None:
        """The document of a file; None if it is empty or was not read."""
        return self._trees.get(file)

    def text(self, file: str) -> str | None:
        """The text of a file for code frames, secrets masked; None if it could not be read."""
        if file in self._veiled:
            return None
        text = self._texts.get(file)
        if text is None:
            return self._shown.get(file)
        hidden = [pointer for pointer in self._hidden if self.file_of(pointer) == file]
        return redacted(text, self._trees.get(file), hidden)

    def hide(self, pointer: str) -> None:
        """Mask a value of the merged configuration in code frames."""
        self._hidden.append(pointer)

    def show(self, file: str, text: str) -> None:
        """Keep the text of another file, such as a hook module, for code frames."""
        self._shown[file] = text

    def veil(self, file: str) -> None:
        """Hide the text of a file that turned out to be something else, unless it is the main file."""
        if file != self.root:
            self._veiled.add(file)

    def written(self, pointer: str) -> Json:
        """What the files have at a pointer, valid or not, short forms unexpanded; None if nothing or null."""
        return value_at(self.value, pointer)

    def file_of(self, pointer: str) -> str:
        """The file that has a value of the merged configuration."""
        return self._origins.get("/".join(pointer.split("/", 3)[:3]), self.root)

    def place(self, pointer: str, *, key: bool = False, file: str | None = None) -> Place:
        """The location of a value or its key; without `file` the pointer is into the merged configuration."""
        name = self.file_of(pointer) if file is None else file
        tree = self._trees.get(name)
        if tree is None:
            return Place(name)
        return tree.key_place(pointer) if key else tree.place(pointer)

    def span(self, pointer: str, offset: int, length: int, *, file: str | None = None) -> Place:
        """The location of part of a string; of the whole if the string is written with escapes or folding."""
        name = self.file_of(pointer) if file is None else file
        tree = self._trees.get(name)
        if tree is None:
            return Place(name)
        if file is None and pointer in self.from_environment:
            return tree.place(pointer)
        return tree.span(pointer, offset, length)

    def adopt(self, pointer: str, file: str) -> None:
        """Record that a value of the merged configuration (`/channels/NAME`) is in an included file."""
        self._origins[pointer] = file

    def read_document(self, file: str) -> Tree | None:
        """Read a JSON or YAML file once and cache it; errors in it go to the report.

        None if it can't be read (then `unreadable[file]` says why, and the caller reports it, located where the file is
        named) or has no value (which is already reported).
        """
        if file not in self._trees and file not in self.unreadable:
            try:
                data = self.read(file)
            except OSError as problem:
                self.unreadable[file] = problem.strerror or str(problem)
            else:
                self._texts[file] = data.decode("utf-8", "replace").removeprefix("\ufeff")
                self._trees[file] = parse(data, file, self.report)
        return self._trees.get(file)


class FileSystem(NamedTuple):
    """File access: `read` returns bytes or raises OSError, `list_files` what a pattern matches."""

    read: Callable[[str], bytes]
    list_files: Callable[[str], list[str]]


def read_sources(
    file: str,
    files: FileSystem,
    environ: Mapping[str, str],
    report: Report,
    *,
    missing_is_error: bool,
) -> Sources:
    """Read a configuration and all that it includes. All errors go to `report`; nothing is raised.

    If the result's `readable` is false, the report says why, and nothing can be checked. `missing_is_error`: whether an unset
    variable is an error (to run) or a warning (to validate).
    """
    sources = Sources(root=file, report=report, read=files.read)
    main = sources.read_document(file)
    if main is None:
        if (reason := sources.unreadable.get(file)) is not None:
            message = f"the file cannot be read: {reason}"
            report.add(
                diagnose(
                    "CH117",
                    message,
                    Place(file),
                    help=_ABSENT if reason == _NOT_THERE else _NO_FILE,
                )
            )
        return sources
    environment = Environment(variables=environ, report=report, missing_is_error=missing_is_error)
    sources.unset |= main.unknown
    value = _value(main, environment)
    included = _included(sources, main, files.list_files)
    if isinstance(value, dict):
        for tree in included:
            _merge(sources, value, tree, environment)
    sources.unset |= environment.unset
    sources.from_environment |= environment.used
    # What an unreadable file defines is unknown, so further checks would only report consequences.
    whole = all(sources.tree(name) is not None for name in sources.files)
    sources.readable = whole and not sources.unreadable
    sources.value = value if sources.readable else None
    return sources


def _value(tree: Tree, environment: Environment) -> Json:
    """The document's value, with references replaced in the sections that allow them and refused elsewhere."""
    if not isinstance(tree.root, MapNode) or not isinstance(tree.value, dict):
        return tree.value
    return {key: _replaced(tree, at("", key), environment) for key in tree.value}


def _replaced(tree: Tree, pointer: str, environment: Environment) -> Json:
    read = environment.value if pointer[1:] in SECTIONS else environment.refuse
    return build(tree.node(pointer), pointer, lambda n, below: read(tree, n, below))


def _included(sources: Sources, main: Tree, list_files: Callable[[str], list[str]]) -> list[Tree]:
    """The documents that `include` names, each once; reports CH114 and CH117."""
    patterns = main.value.get("include") if isinstance(main.value, dict) else None
    found: list[Tree] = []
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
        if not isinstance(pattern, str) or "${" in pattern:
            continue
        place = main.place(f"/include/{index}")
        names = sorted(list_files(posixpath.join(posixpath.dirname(main.file), pattern)))
        others = [
            name for name in names if posixpath.normpath(name) != posixpath.normpath(main.file)
        ]
        if not others:
            _not_found(sources.report, pattern, place, itself=bool(names))
        for name in others[:MAX_FILES]:
            if name in sources.files or name in sources.unreadable:
                continue
            tree = sources.read_document(name)
            if (reason := sources.unreadable.get(name)) is not None:
                message = f"`{name}` cannot be read: {reason}"
                sources.report.add(diagnose("CH117", message, place, help=_NO_FILE))
            elif tree is not None:
                found.append(tree)
    return found


def _not_found(report: Report, pattern: str, place: Place, *, itself: bool) -> None:
    if itself:
        message, help = f"`{pattern}` matches only the file that contains it", "remove it"
    else:
        message = f"`{pattern}` matches no file"
        help = "the pattern is relative to the file that contains it"
    report.add(diagnose("CH114", message, place, help=help))


def _merge(sources: Sources, value: dict[str, Json], tree: Tree, environment: Environment) -> None:
    """Merge an included file's entries into the sections that it may have."""
    if not isinstance(tree.root, MapNode):
        message = "an included file must be a mapping with `auth`, `backends` or `channels`"
        sources.report.add(diagnose("CH115", message, tree.place("")))
        return
    for section, entry in tree.root.entries.items():
        pointer = at("", section)
        if section.startswith("x-"):
            continue
        if section not in SHARED:
            _foreign(sources.report, section, tree.key_place(pointer))
        elif not isinstance(entry.node, MapNode):
            message = f"`{section}` must be a mapping of names"
            sources.report.add(diagnose("CH115", message, tree.place(pointer)))
        else:
            _add_names(sources, value, tree, pointer, environment)


def _foreign(report: Report, section: str, place: Place) -> None:
    if section == "include":
        message = "an included file cannot include others"
        help = "list all files in the main file's `include`"
        report.add(diagnose("CH114", message, place, help=help))
        return
    message = f"`{section}` is not allowed in an included file"
    help = "it may contain `auth`, `backends` and `channels`; move this to the main file"
    report.add(diagnose("CH115", message, place, help=help))


def _add_names(
    sources: Sources, value: dict[str, Json], tree: Tree, pointer: str, environment: Environment
) -> None:
    section = pointer[1:]
    into = value.get(section)
    if into is None:
        into = value[section] = {}
    read = _replaced(tree, pointer, environment)
    if not isinstance(into, dict) or not isinstance(read, dict):
        return
    for name, named in read.items():
        below = at(pointer, name)
        if name.startswith("x-"):
            continue
        if name not in into:
            into[name] = named
            sources.adopt(below, tree.file)
            sources.unset.update(p for p in tree.unknown if p == below or p.startswith(f"{below}/"))
            continue
        there = Related(place=sources.place(below, key=True), message="first defined here")
        message = f"`{name}` in `{section}` is defined twice"
        place = tree.key_place(below)
        help = "rename one of them"
        sources.report.add(diagnose("CH116", message, place, help=help, related=(there,)))
