"""Diagnostics: a problem, its location and what to do about it, as produced by every check."""

import enum
from collections.abc import Iterable, Iterator

import attrs


class Severity(enum.StrEnum):
    """Errors stop the server and fail CI; warnings fail with `--strict`; infos never fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@attrs.frozen(slots=True)
class Place:
    """A span of a file: lines and columns from 1, in code points; the end is exclusive.

    `path` is the JSON pointer (RFC 6901) of the value inside the file, or empty.
    """

    file: str
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1
    path: str = ""

    def within(self, offset: int, length: int) -> "Place":
        """Part of a one-line span, starting `offset` characters in; the whole span if it does not fit."""
        if self.line != self.end_line or self.column + offset + length > self.end_column:
            return self
        start = self.column + offset
        return attrs.evolve(self, column=start, end_column=start + length)


@attrs.frozen(slots=True, kw_only=True)
class Related:
    """A related location of a diagnostic: `first defined here`."""

    place: Place
    message: str


@attrs.frozen(slots=True, kw_only=True)
class Diagnostic:
    """One finding. `message` is self-contained, lower case, without a full stop; only `help` says how to fix it."""

    code: str
    severity: Severity
    message: str
    place: Place
    help: str = ""
    label: str = ""
    related: tuple[Related, ...] = ()


class Report:
    """Findings in the order they were made; `sorted()` gives file order. Adding never raises.

    `wrong` are the pointers at which there are errors, those of every alias of a wrong value included.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic] = ()) -> None:
        self.wrong: set[str] = set()
        self._found: dict[tuple[str, Place], Diagnostic] = {}
        self.extend(diagnostics)

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a finding, unless it is a duplicate (same code and location)."""
        # A mistake that an alias repeats is one mistake, whatever its pointers.
        place = attrs.evolve(diagnostic.place, path="")
        if diagnostic.severity is Severity.ERROR:
            self.wrong.add(diagnostic.place.path)
        self._found.setdefault((diagnostic.code, place), diagnostic)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Add several findings."""
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def sorted(self) -> list[Diagnostic]:
        """The findings by file, line and column."""
        return sorted(self, key=lambda d: (d.place.file, d.place.line, d.place.column, d.code))

    @property
    def errors(self) -> list[Diagnostic]:
        """The findings that stop the server."""
        return [d for d in self if d.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[Diagnostic]:
        """The findings that fail with `--strict`."""
        return [d for d in self if d.severity is Severity.WARNING]
