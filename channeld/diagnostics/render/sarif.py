"""Findings as SARIF 2.1.0, with all that GitHub code scanning asks for beyond the schema."""

import hashlib
import json
from typing import TypeAlias
from urllib.parse import quote

from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.diagnostics.diagnostic import Diagnostic, Place, Report, Severity
from channeld.diagnostics.render.texts import Texts, paragraphs, split_lines

_Object: TypeAlias = dict[str, object]
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_SECURITY_SEVERITY = {Severity.ERROR: "7.5", Severity.WARNING: "5.0", Severity.INFO: "2.0"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render_sarif(report: Report, sources: Texts, *, version: str = "") -> str:
    """The log of one run, with a rule for each code found. `version` is channeld's own."""
    found = report.sorted()
    codes = sorted({diagnostic.code for diagnostic in found})
    driver: _Object = {"name": "channeld", "rules": [_rule(code) for code in codes]}
    if version:
        driver["semanticVersion"] = version
    fingerprints = _Fingerprints(sources)
    results = [_result(d, codes.index(d.code), fingerprints.of(d)) for d in found]
    # By default columns count UTF-16 units; ours count code points.
    run = {"columnKind": "unicodeCodePoints", "tool": {"driver": driver}, "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: str) -> _Object:
    entry = CATALOGUE.get(code) or CatalogueEntry(code, code.lower(), Severity.ERROR, code, code)
    is_security = code.startswith("CH4")
    properties: _Object = {
        "tags": ["security"] if is_security else ["configuration"],
        "precision": "very-high",
        "problem.severity": "recommendation" if entry.severity is Severity.INFO else entry.severity,
    }
    if is_security:
        properties["security-severity"] = _SECURITY_SEVERITY[entry.severity]
    return {
        "id": code,
        "name": entry.name,
        "shortDescription": {"text": entry.title},
        "fullDescription": {"text": entry.explanation or entry.title},
        "help": {
            "text": entry.explanation or entry.title,
            "markdown": _markdown(entry),
        },
        "defaultConfiguration": {"level": _LEVELS[entry.severity]},
        "properties": properties,
    }


def _markdown(entry: CatalogueEntry) -> str:
    parts = [entry.explanation or entry.title]
    for title, example in (("Wrong", entry.wrong), ("Right", entry.right)):
        if example:
            parts.append(f"{title}:\n\n```yaml\n{example.strip()}\n```")
    return "\n\n".join(parts)


def _result(diagnostic: Diagnostic, rule: int, fingerprint: str) -> _Object:
    result: _Object = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": "\n".join(paragraphs(diagnostic))},
        "locations": [{"physicalLocation": _location(diagnostic.place)}],
        "partialFingerprints": {"primaryLocationLineHash": fingerprint},
    }
    if diagnostic.related:
        result["relatedLocations"] = [
            {"id": n, "physicalLocation": _location(r.place), "message": {"text": r.message}}
            for n, r in enumerate(diagnostic.related, 1)
        ]
    return result


def _location(place: Place) -> _Object:
    # Non-UTF-8 bytes in file names are lone surrogates (PEP 383).
    uri = quote(place.file.encode("utf-8", "surrogateescape"), safe="/")
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }
    return {"artifactLocation": {"uri": uri}, "region": region}


class _Fingerprints:
    """Identifies a finding even if lines move: by its code, its line's text, and a number among equal ones."""

    def __init__(self, sources: Texts) -> None:
        self._sources = sources
        self._lines: dict[str, list[str]] = {}
        self._count: dict[str, int] = {}

    def of(self, diagnostic: Diagnostic) -> str:
        """Sixteen hex digits, a colon, and a number from 1."""
        place = diagnostic.place
        if place.file not in self._lines:
            self._lines[place.file] = split_lines(self._sources.text(place.file) or "")
        lines = self._lines[place.file]
        line = lines[place.line - 1].strip() if place.line <= len(lines) else ""
        seed = f"{diagnostic.code}\0{place.file}\0{line}".encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(seed).hexdigest()[:16]
        self._count[digest] = self._count.get(digest, 0) + 1
        return f"{digest}:{self._count[digest]}"
