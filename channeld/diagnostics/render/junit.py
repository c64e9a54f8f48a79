"""Findings as JUnit XML: a suite a file, a case a finding, and one passing case for a file without any."""

import re
from html import escape

from channeld.diagnostics.diagnostic import Diagnostic, Report, Severity
from channeld.diagnostics.render.text import render_one
from channeld.diagnostics.render.texts import Texts, one_line

__all__ = ["render_junit"]

# What XML 1.0 has no way to write.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: Report, sources: Texts, *, strict: bool = False) -> str:
    """The document. Errors are failures, and so are warnings if `strict`; other findings are output of a passed case."""
    found = report.sorted()
    files = dict.fromkeys([*sources.files, *(d.place.file for d in found)])
    suites: list[str] = []
    failures = 0
    for file in files:
        here = [d for d in found if d.place.file == file]
        failed = sum(_fails(d, strict) for d in here)
        failures += failed
        cases = [_case(d, sources, strict) for d in here] or [_passed(file)]
        suites.append(
            f'  <testsuite name={_quoted(file)} tests="{len(cases)}" failures="{failed}" errors="0"'
            f' skipped="0" time="0">\n{"".join(cases)}  </testsuite>\n'
        )
    tests = sum(max(1, sum(d.place.file == file for d in found)) for file in files)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="channeld validate" tests="{tests}" failures="{failures}" errors="0"'
        f' time="0">\n{"".join(suites)}</testsuites>\n'
    )


def _fails(diagnostic: Diagnostic, strict: bool) -> bool:
    return diagnostic.severity is Severity.ERROR or (
        strict and diagnostic.severity is Severity.WARNING
    )


def _passed(file: str) -> str:
    return f'    <testcase name="valid" classname={_quoted(file)} time="0"/>\n'


def _case(diagnostic: Diagnostic, sources: Texts, strict: bool) -> str:
    place = diagnostic.place
    name = _quoted(f"{diagnostic.code} {place.line}:{place.column}")
    body = _escaped(render_one(diagnostic, sources))
    if _fails(diagnostic, strict):
        message = _quoted(one_line(diagnostic.message))
        outcome = f'<failure message={message} type="{diagnostic.code}">{body}</failure>'
    else:
        outcome = f"<system-out>{body}</system-out>"
    return (
        f'    <testcase name={name} classname={_quoted(place.file)} time="0">\n'
        f"      {outcome}\n    </testcase>\n"
    )


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))
