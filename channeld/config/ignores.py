"""Applies `# channeld: ignore[CH412] reason` comments, and reports those that silence nothing."""

import re
from collections.abc import Collection, Iterable, Sequence

import attrs

from channeld.config.tree import Tree
from channeld.diagnostics.catalogue import CATALOGUE, diagnose
from channeld.diagnostics.diagnostic import Diagnostic, Place, Report, Severity

_COMMENT = re.compile(
    r"(?:(?<=\s)|(?<![^\r\n]))#[ \t]*channeld:[ \t]*ignore\b(?:\[([^\]\r\n]*)\])?"
)

_CODE = re.compile(r"[^\s,]+")


@attrs.frozen(slots=True, kw_only=True)
class Ignore:
    """One comment: the line that it applies to, its codes, its location and that of each code."""

    file: str
    line: int
    codes: tuple[str, ...]
    place: Place
    places: tuple[Place, ...]


def find_ignores(tree: Tree) -> Iterable[Ignore]:
    """Find the comments of one document. A comment on a line of its own applies to the next line with YAML on it."""
    for match in _COMMENT.finditer(tree.text):
        if any(start <= match.start() < end for start, end in tree.quoted):
            continue
        place = tree.lines.place(match.start(), match.end())
        codes = list(_CODE.finditer(tree.text, match.start(1), match.end(1)))
        alone = not tree.text[tree.lines.offset(place.line) : match.start()].strip()
        line = _next_line(tree, place.line) if alone else place.line
        yield Ignore(
            file=tree.file,
            line=line,
            codes=tuple(code[0] for code in codes),
            place=place,
            places=tuple(tree.lines.place(code.start(), code.end()) for code in codes),
        )


def _next_line(tree: Tree, line: int) -> int:
    for text in tree.lines.after(line):
        line += 1
        if text.strip() and not text.lstrip().startswith("#"):
            break
    return line


def apply_ignores(
    report: Report, ignores: Sequence[Ignore], *, unchecked: Collection[str] = ()
) -> Report:
    """Remove what comments silence from the report; only warnings and infos can be silenced.

    A comment that names an error gets CH091. One that silences nothing gets CH090, but not after an error (some checks did
    not run then) and not for codes that start with one of `unchecked`.
    """
    used: set[tuple[Place, str]] = set()
    kept = Report()
    for diagnostic in report:
        found = _match(diagnostic, ignores)
        if found is not None:
            used.add((found.place, diagnostic.code))
        if found is None or diagnostic.severity is Severity.ERROR:
            kept.add(diagnostic)
        if found is not None and diagnostic.severity is Severity.ERROR:
            message = f"{diagnostic.code} is an error, which cannot be ignored"
            help = "fix the error and remove the comment"
            kept.add(diagnose("CH091", message, found.place, help=help))
    for ignore in ignores:
        for code, place in zip(ignore.codes, ignore.places, strict=True):
            if (ignore.place, code) not in used and not code.startswith(tuple(unchecked)):
                _unused(kept, code, ignore.line, place, failed=bool(report.errors))
        if not ignore.codes:
            help = "name the codes to ignore, such as `ignore[CH005]`"
            kept.add(diagnose("CH090", "the comment does not name a code", ignore.place, help=help))
    return kept


def _match(diagnostic: Diagnostic, ignores: Sequence[Ignore]) -> Ignore | None:
    place = diagnostic.place
    here = (one for one in ignores if (one.file, one.line) == (place.file, place.line))
    return next((one for one in here if diagnostic.code in one.codes), None)


def _unused(report: Report, code: str, line: int, place: Place, *, failed: bool) -> None:
    if code not in CATALOGUE:
        help = "use the code in brackets of the finding, such as `ignore[CH005]`"
        report.add(diagnose("CH090", f"`{code}` is not a known code", place, help=help))
    elif not failed:
        message = f"{code} does not occur on line {line}, so there is nothing to ignore"
        report.add(diagnose("CH090", message, place, help="remove the code, or the comment"))
