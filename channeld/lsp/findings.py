"""Converts findings to the protocol's diagnostics: ranges in the client's units, the most severe if there are too many."""

from collections.abc import Callable, Iterable
from typing import Final

from channeld.diagnostics.diagnostic import Diagnostic, Place, Severity
from channeld.lsp.buffers import Buffer, TextSpan
from channeld.protocol.frames import Json

MOST: Final = 1000
"""Findings that are sent of one file. Editors show no more, and each keystroke sends them all."""

_LEVELS: Final = {Severity.ERROR: 1, Severity.WARNING: 2, Severity.INFO: 3}
_UNUSED: Final = frozenset({"CH402", "CH436", "CH508"})
_UNNECESSARY: Final = 1


def words(finding: Diagnostic) -> str:
    """A finding as one text: message, label and help."""
    head = f"{finding.message}: {finding.label}" if finding.label else finding.message
    return f"{head}\nhelp: {finding.help}" if finding.help else head


def range_of(span: TextSpan, buffer: Buffer | None) -> dict[str, Json]:
    """A range in the client's units; in code points if the file cannot be read."""
    ends: dict[str, Json] = {}
    for key, caret in (("start", span.start), ("end", span.end)):
        line, units = caret if buffer is None else buffer.position(caret)
        ends[key] = {"line": line, "character": units}
    return ends


def published(
    findings: Iterable[Diagnostic],
    buffer: Callable[[str], Buffer | None],
    uri: Callable[[str], str],
) -> list[Json]:
    """The findings of one file as `textDocument/publishDiagnostics` sends them."""
    ordered = sorted(findings, key=lambda one: (_LEVELS[one.severity], one.place.line))
    return [_one(finding, buffer, uri) for finding in ordered[:MOST]]


def _one(
    finding: Diagnostic, buffer: Callable[[str], Buffer | None], uri: Callable[[str], str]
) -> Json:
    def span(place: Place) -> dict[str, Json]:
        return range_of(TextSpan.of(place), buffer(place.file))

    shown: dict[str, Json] = {
        "range": span(finding.place),
        "severity": _LEVELS[finding.severity],
        "code": finding.code,
        "source": "channeld",
        "message": words(finding),
    }
    if finding.code in _UNUSED:
        shown["tags"] = [_UNNECESSARY]
    if finding.related:
        shown["relatedInformation"] = [
            {
                "location": {"uri": uri(one.place.file), "range": span(one.place)},
                "message": one.message,
            }
            for one in finding.related
        ]
    return shown
