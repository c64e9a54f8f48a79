"""Outcomes as JUnit XML: a suite a file, a case a scenario; a file that could not be run is one case with an error."""

import re
from collections.abc import Sequence
from html import escape

from channeld.diagnostics.diagnostic import Report
from channeld.diagnostics.render.text import render_text
from channeld.diagnostics.render.texts import one_line
from channeld.scenarios.outcome import FileResult, Outcome, Status
from channeld.scenarios.text import counts, render_outcome
from channeld.scenarios.texts import FileTexts

__all__ = ["render_junit_outcomes"]

# What XML 1.0 has no way to write.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {Status.FAIL: "failure", Status.ERROR: "error"}


def render_junit_outcomes(results: Sequence[FileResult], seconds: float) -> str:
    """The document; what failed has the whole text of it in its body."""
    suites = "".join(_suite(result) for result in results)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="channeld test" {_numbers(results)} time="{seconds:.3f}">\n'
        f"{suites}</testsuites>\n"
    )


def _numbers(results: Sequence[FileResult]) -> str:
    number = counts(results)
    return (
        f'tests="{sum(number.values())}" failures="{number[Status.FAIL]}" '
        f'errors="{number[Status.ERROR]}" skipped="{number[Status.SKIP]}"'
    )


def _suite(result: FileResult) -> str:
    cases = "".join(_case(outcome, result) for outcome in result.outcomes)
    if result.is_broken:
        cases += _broken(result)
    return (
        f'  <testsuite name={_quoted(result.file)} {_numbers([result])} time="{result.seconds:.3f}">\n'
        f"{cases}  </testsuite>\n"
    )


def _case(outcome: Outcome, result: FileResult) -> str:
    head = (
        f"    <testcase name={_quoted(outcome.name)} classname={_quoted(result.file)} "
        f'file={_quoted(result.file)} line="{outcome.place.line}" time="{outcome.seconds:.3f}"'
    )
    if outcome.status is Status.PASS:
        return f"{head}/>\n"
    if outcome.status is Status.SKIP:
        return f"{head}>\n      <skipped message={_quoted(outcome.reason)}/>\n    </testcase>\n"
    element = _ELEMENTS[outcome.status]
    message = _quoted(one_line(outcome.problems[0].headline))
    body = _escaped(render_outcome(outcome, result.text))
    return f"{head}>\n      <{element} message={message}>{body}</{element}>\n    </testcase>\n"


def _broken(result: FileResult) -> str:
    report = Report()
    report.extend(result.diagnostics)
    words = result.unreadable or render_text(report, FileTexts((result,)), colour=False)
    message = _quoted(result.unreadable or "the file is not valid")
    return (
        f'    <testcase name={_quoted(result.file)} classname={_quoted(result.file)} time="0">\n'
        f"      <error message={message}>{_escaped(words)}</error>\n    </testcase>\n"
    )


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))
