"""Quick fixes: the edits that a finding's help suggests, each tried before it is offered.

A help says in words what to write (``did you mean `x`?``, ``write `x` ``, ``add `x` ``, `remove it`). Possible edits are
tried, and offered only if they remove the finding and cause no new one.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import attrs

from channeld.config.file_kinds import is_scenarios
from channeld.config.tree import MapNode, Tree
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Diagnostic, Report, Severity
from channeld.lsp.blocks import cut
from channeld.lsp.buffers import Buffer, Caret, TextSpan
from channeld.lsp.checking import part, scenario_part
from channeld.lsp.projects import Projects
from channeld.lsp.view import reduced
from channeld.pointer import tokens
from channeld.suggest import candidates

_MOST_TRIED: Final = 8
_MOST_FINDINGS: Final = 4
_ADVICE: Final = re.compile(
    r"(did you mean|write|quote it:|add) `([^`\n]+)`|\b(or) `(\w+: [^`\n]+)`"
)
# A placeholder that the author has to replace.
_GAPS: Final = re.compile(r"…|://$|\.\.\.|\bNAME\b|\bPATH\b|: N$")
# An anchor in place of an alias parses, but is meaningless.
_NOT_FIXED: Final = frozenset({"CH007"})
_REMOVE: Final = re.compile(
    r"\bremove (?:it|the (?:comment|code|key)|`[^`]+`)|\bleave it out\b|\bdrop it\b"
)
_WORDS: Final = (re.compile(r"[\w.?-]+"), re.compile(r"[\w-]+"))
_KEY_VALUE: Final = re.compile(r"([A-Za-z_]\w*): (\S.*)")


@attrs.frozen(slots=True)
class Fix:
    """An edit: its description, the finding that it fixes, the range, and the new text."""

    title: str
    finding: Diagnostic
    span: TextSpan
    text: str
    is_preferred: bool = False


def fixes(projects: Projects, name: str, span: TextSpan) -> list[Fix]:
    """The fixes for the findings that touch a span."""
    buffer = projects.buffer(name)
    if buffer is None:
        return []
    touched = [
        one
        for one in projects.of_document(name)
        if TextSpan.of(one.place).start <= span.end and span.start <= TextSpan.of(one.place).end
    ]
    return [
        fix for finding in touched[:_MOST_FINDINGS] for fix in _of(projects, name, buffer, finding)
    ]


def _of(projects: Projects, name: str, buffer: Buffer, finding: Diagnostic) -> Iterator[Fix]:
    trial = _Attempt(projects, name, buffer, finding)
    if not trial.is_there:
        return
    titles: set[str] = set()
    for fix in islice(_candidates(buffer, name, finding), _MOST_TRIED):
        if fix.title not in titles and trial.helps(fix):
            yield attrs.evolve(fix, is_preferred=not titles)
            titles.add(fix.title)
    if finding.severity is not Severity.ERROR:
        silence = _silence(buffer, finding)
        if trial.helps(silence):
            yield silence


@attrs.frozen
class _Attempt:
    """A document and its findings after an edit."""

    projects: Projects
    name: str
    buffer: Buffer
    finding: Diagnostic
    before: list[Diagnostic] = attrs.field(init=False)

    @before.default
    def _found_before(self) -> list[Diagnostic]:
        return self._check(self.buffer.lines, self.finding.place.line - 1)

    @property
    def is_there(self) -> bool:
        """Whether a trial can reproduce the finding; some need the whole configuration."""
        return self._count(self.before) > 0

    def helps(self, fix: Fix) -> bool:
        """Whether the finding is gone after the edit, and no error is new."""
        edited = Buffer(lines=list(self.buffer.lines))
        edited.change(*fix.span, fix.text)
        is_line_more = fix.span.start == fix.span.end and "\n" in fix.text
        line = min(self.finding.place.line - 1 + is_line_more, len(edited.lines) - 1)
        after = self._check(edited.lines, line)
        is_fewer = self._count(after) < self._count(self.before)
        return is_fewer and _errors(after) <= _errors(self.before)

    def _count(self, found: Sequence[Diagnostic]) -> int:
        return sum(one.code == self.finding.code for one in found)

    def _check(self, lines: list[str], line: int) -> list[Diagnostic]:
        if is_scenarios(self.name):
            return scenario_part(self.name, "\n".join(lines))
        root = self.projects.root_of(self.name) or self.name
        blocks = cut(lines)
        around = self.projects.around(root, self.name)
        return part(root, self.name, blocks, blocks.at(line), around, of=self.name)


def _errors(found: Sequence[Diagnostic]) -> int:
    return sum(one.severity is Severity.ERROR for one in found)


def _candidates(buffer: Buffer, name: str, finding: Diagnostic) -> Iterator[Fix]:
    """The edits that a help text may mean."""
    span = TextSpan.of(finding.place)
    if finding.code == "CH002":
        row, column = span.start
        tab = TextSpan.within(row, column, column + 1)
        yield Fix("Replace the tab with spaces", finding, tab, "  ")
    advice = [(a or b, words or pair) for a, words, b, pair in _ADVICE.findall(finding.help)]
    for verb, words in advice:
        if _GAPS.search(words) or finding.code in _NOT_FIXED:
            continue
        for where, text in _placed(buffer, name, finding, verb, words):
            title = f"Add `{words}`" if verb == "add" else f"Write `{words}`"
            yield Fix(title, finding, where, text)
    if _REMOVE.search(finding.help):
        for where in _removals(buffer, name, finding):
            yield Fix("Remove it", finding, where, "")


def _placed(
    buffer: Buffer, name: str, finding: Diagnostic, verb: str, words: str
) -> Iterator[tuple[TextSpan, str]]:
    """Where a text may go: instead of the finding, of a word in it, of its value, or as a new key."""
    span = TextSpan.of(finding.place)
    written = _text(buffer, span)
    pair = _KEY_VALUE.fullmatch(words)
    if pair is not None and verb != "quote it:":
        if tokens(finding.place.path)[-1:] == [pair[1]]:
            yield span, pair[2]
        yield from _insertions(buffer, name, finding, words)
        return
    if not written or verb == "add":
        return
    if verb != "quote it:":
        yield from _within(span, written, words)
    if "{" not in written or "{" in words:
        quote = written[:1] if written[:1] in ("'", '"') and words[:1] not in ("'", '"') else ""
        yield span, f"{quote}{words}{quote}"


def _within(span: TextSpan, written: str, words: str) -> Iterator[tuple[TextSpan, str]]:
    """The word of a longer text to replace: the last one, a field of the first."""
    for tokens_of in _WORDS:
        found = [one for one in tokens_of.finditer(written) if one[0] != written]
        near = candidates(words, [one[0] for one in found], cutoff=0.5)[:1]
        for one in reversed(found):
            if [one[0]] == near:
                row, column = span.start
                yield TextSpan.within(row, column + one.start(), column + one.end()), words
                break


def _insertions(
    buffer: Buffer, name: str, finding: Diagnostic, words: str
) -> Iterator[tuple[TextSpan, str]]:
    """Insert a new key: in the finding's mapping, or on the first line."""
    tree = _tree(buffer, name, finding)
    node = tree.node(finding.place.path) if tree is not None else None
    if tree is not None and isinstance(node, MapNode) and node.entries:
        first = next(iter(node.entries.values()))
        start = TextSpan.of(tree.lines.place(first.start, first.end)).start
        if tree.text[node.start : node.start + 1] == "{":
            yield TextSpan(start, start), f"{words}, "
        else:
            yield TextSpan(start, start), f"{words}\n{' ' * start.column}"
    if not finding.place.path or finding.code == "CH101":
        top = Caret(TextSpan.of(finding.place).start.line, 0)
        yield TextSpan(top, top), f"{words}\n"


def _removals(buffer: Buffer, name: str, finding: Diagnostic) -> Iterator[TextSpan]:
    """Remove the finding's entry: whole lines, or a part between commas; or a comment, or a code in it."""
    span = TextSpan.of(finding.place)
    line = buffer.lines[span.start.line]
    if line[span.start.column :].startswith("#") or "#" in line[: span.start.column]:
        before = line[: line.index("#")]
        if before.strip():
            yield TextSpan.within(span.start.line, len(before.rstrip()), len(line))
        else:
            yield TextSpan(Caret(span.start.line, 0), Caret(span.start.line + 1, 0))
        return
    tree = _tree(buffer, name, finding)
    if tree is None or not finding.place.path:
        return
    path = finding.place.path
    key = TextSpan.of(tree.key_place(path))
    row, end = max(TextSpan.of(tree.place(path)).end, key.end)
    if not buffer.lines[key.start.line][: key.start.column].strip():
        if row + 1 < len(buffer.lines) and not buffer.lines[row][end:].strip(" #"):
            yield TextSpan(Caret(key.start.line, 0), Caret(row + 1, 0))
        return
    rest = re.match(r"\s*,\s*", buffer.lines[row][end:])
    if rest is not None:
        yield TextSpan(key.start, Caret(row, end + rest.end()))
        return
    ahead = re.search(r"\s*,\s*$", buffer.lines[key.start.line][: key.start.column])
    if ahead is not None:
        yield TextSpan(Caret(key.start.line, ahead.start()), Caret(row, end))


def _silence(buffer: Buffer, finding: Diagnostic) -> Fix:
    """A comment that silences the finding, on the line above."""
    row = finding.place.line - 1
    line = buffer.lines[row]
    indent = line[: len(line) - len(line.lstrip())]
    start = Caret(row, 0)
    text = f"{indent}# channeld: ignore[{finding.code}]\n"
    return Fix(f"Ignore {finding.code} here", finding, TextSpan(start, start), text)


def _tree(buffer: Buffer, name: str, finding: Diagnostic) -> Tree | None:
    return parse(reduced(cut(buffer.lines), finding.place.line - 1, name), name, Report())


def _text(buffer: Buffer, span: TextSpan) -> str:
    if span.start.line != span.end.line:
        return ""
    return buffer.lines[span.start.line][span.start.column : span.end.column]
