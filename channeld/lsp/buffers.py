r"""The texts of open documents: with the client's edits, and positions in the negotiated units.

Everything here and above it counts lines from 0 and columns in code points; only `Buffer` knows UTF-16. Line breaks are
`\n`, `\r\n` and `\r`, as the protocol says, and are equivalent. A byte order mark counts as a column of the first line for
the client only.
"""

import os
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

import attrs

from channeld.config.load import MAX_BYTES, file_system
from channeld.config.source import FileSystem
from channeld.diagnostics.diagnostic import Place

Encoding: TypeAlias = Literal["utf-8", "utf-16", "utf-32"]
_BOM: Final = "\ufeff"
_BREAKS: Final = re.compile(r"\r\n?")


class Caret(NamedTuple):
    """A position between two characters: a line (from 0) and a number of code points."""

    line: int
    column: int


class TextSpan(NamedTuple):
    """The range between two carets."""

    start: Caret
    end: Caret

    @classmethod
    def of(cls, place: Place) -> "TextSpan":
        """The span of a diagnostic's place."""
        start = Caret(place.line - 1, place.column - 1)
        return cls(start, Caret(place.end_line - 1, place.end_column - 1))

    @classmethod
    def within(cls, line: int, start: int, end: int) -> "TextSpan":
        """Part of one line."""
        return cls(Caret(line, start), Caret(line, end))


@attrs.define(eq=False)
class Buffer:
    """One document as the client has it. Positions beyond the end of a line or of the text mean that end."""

    lines: list[str]
    encoding: Encoding = "utf-16"
    version: int | None = None
    has_bom: bool = False

    @classmethod
    def of(cls, text: str, encoding: Encoding = "utf-16", version: int | None = None) -> "Buffer":
        """The buffer of a whole text."""
        lines = _BREAKS.sub("\n", text).split("\n")
        has_bom = lines[0].startswith(_BOM)
        lines[0] = lines[0].removeprefix(_BOM)
        return cls(lines=lines, encoding=encoding, version=version, has_bom=has_bom)

    @property
    def text(self) -> str:
        """The whole text, its lines joined by line feeds."""
        return "\n".join(self.lines)

    def change(self, start: Caret, end: Caret, text: str) -> int:
        """Replace the text between two carets; returns how many lines were added."""
        before = self.lines[start.line][: start.column]
        after = self.lines[end.line][end.column :]
        new = _BREAKS.sub("\n", before + text + after).split("\n")
        self.lines[start.line : end.line + 1] = new
        return len(new) - (end.line + 1 - start.line)

    def caret(self, line: int, units: int) -> Caret:
        """The caret at a client's position."""
        if line >= len(self.lines):
            return Caret(len(self.lines) - 1, len(self.lines[-1]))
        text = self.lines[line]
        if line == 0 and self.has_bom:
            units -= self._width(_BOM)
        if self.encoding == "utf-32" or text.isascii():
            return Caret(line, max(0, min(units, len(text))))
        column = 0
        while column < len(text) and units >= (width := self._width(text[column])):
            units -= width
            column += 1
        return Caret(line, column)

    def position(self, caret: Caret) -> tuple[int, int]:
        """A caret in the client's units."""
        line = min(caret.line, len(self.lines) - 1)
        text = self.lines[line][: caret.column]
        units = len(text) if text.isascii() else sum(map(self._width, text))
        return line, units + (self._width(_BOM) if line == 0 and self.has_bom else 0)

    def _width(self, character: str) -> int:
        match self.encoding:
            case "utf-8":
                return len(character.encode("utf-8", "surrogatepass"))
            case "utf-16":
                return 1 + (character > "\uffff")
            case _:
                return 1


def name_of(uri: str) -> str:
    """A document's file name, relative to the working folder if it is in it.

    A document that is not a file keeps its URI as its name.
    """
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return uri
    path = posixpath.normpath(unquote(parts.path) or "/").replace("//", "/", 1)
    return shown_name(path)


def shown_name(path: str) -> str:
    """A path, relative to the working folder if it is in it; a URI unchanged."""
    if _is_uri(path):
        return path
    whole, here = os.path.abspath(path), os.getcwd()  # noqa: PTH100, PTH109 - no link is followed
    return os.path.relpath(whole, here) if whole.startswith(here.rstrip("/") + "/") else whole


def uri_of(name: str) -> str:
    """The URI of a file."""
    return name if _is_uri(name) else Path(os.path.abspath(name)).as_uri()  # noqa: PTH100 - as above


def _is_uri(name: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", name) is not None


def overlaid(texts: Mapping[str, str], listed: Mapping[str, list[str]] | None = None) -> FileSystem:
    """A file system in which unsaved `texts` replace files.

    `listed` says what patterns match, to avoid searching the disk; other patterns match nothing.
    """
    disk = file_system()
    own = {_key(name): text for name, text in texts.items()}

    def read(file: str) -> bytes:
        text = own.get(_key(file))
        if text is None:
            return disk.read(file)
        data = text.encode("utf-8", "surrogatepass")
        if len(data) > MAX_BYTES:
            raise OSError(f"it is over {MAX_BYTES // 1024**2} MiB")
        return data

    def list_files(pattern: str) -> list[str]:
        return disk.list_files(pattern) if listed is None else listed.get(pattern, [])

    return FileSystem(read=read, list_files=list_files)


def _key(name: str) -> str:
    return name if _is_uri(name) else os.path.abspath(name)  # noqa: PTH100 - as above
