"""What renderers need of the files, and texts that they share."""

import re
from collections.abc import Iterable
from typing import Protocol

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Severity

_SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.INFO)
_BREAK = re.compile(r"\r\n|\n|\r")
# Control characters affect the terminal, bidirectional overrides reorder a line.
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Texts(Protocol):
    """The files that findings refer to, with secrets masked."""

    @property
    def files(self) -> list[str]:
        """Names, the main file first."""

    def text(self, file: str) -> str | None:
        """The text of one, or None."""


@attrs.frozen
class Joined:
    """Several configurations' files as one, for a report over all of them."""

    _members: tuple[Texts, ...]

    @property
    def files(self) -> list[str]:
        """Names, each once."""
        return list(dict.fromkeys(file for member in self._members for file in member.files))

    def text(self, file: str) -> str | None:
        """The text of a file from the first configuration that has it."""
        texts = (member.text(file) for member in self._members)
        return next((text for text in texts if text is not None), None)


@attrs.frozen
class OneText:
    """One file and its text."""

    _file: str
    _text: str

    @property
    def files(self) -> list[str]:
        """The file itself."""
        return [self._file]

    def text(self, file: str) -> str | None:
        """Its text; None for any other file."""
        return self._text if file == self._file else None


def one_line(text: str) -> str:
    """The text without line breaks and terminal control characters."""
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", _BREAK.sub(" ", text).replace("\t", " "))


def paragraphs(diagnostic: Diagnostic) -> list[str]:
    """The text of a finding for readers without code frames: message, label, related locations, help."""
    said = [diagnostic.message]
    if diagnostic.label:
        said.append(diagnostic.label)
    said += [
        f"{other.message}: {other.place.file}:{other.place.line}:{other.place.column}"
        for other in diagnostic.related
    ]
    if diagnostic.help:
        said.append(f"help: {diagnostic.help}")
    return [one_line(text) for text in said]


def split_lines(text: str) -> list[str]:
    """The lines of a text as YAML 1.2 breaks them, without their breaks."""
    return _BREAK.split(text)


def by_severity(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Errors first, otherwise in the order given."""
    return sorted(diagnostics, key=lambda diagnostic: _SEVERITIES.index(diagnostic.severity))


def summary(diagnostics: Iterable[Diagnostic], texts: Texts) -> str:
    """`2 errors, 1 warning in channels.yaml`, or that there is none."""
    found = list(diagnostics)
    files = list(dict.fromkeys(d.place.file for d in found)) or texts.files
    where = one_line(files[0]) if len(files) == 1 else f"{len(files)} files"
    counts = [(severity, sum(d.severity is severity for d in found)) for severity in _SEVERITIES]
    said = ", ".join(f"{n} {severity}{'s' * (n != 1)}" for severity, n in counts if n)
    return f"{said or 'no problems'} in {where}"
