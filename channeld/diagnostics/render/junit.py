"""JUnit XML: writes test suites, and findings as such (one suite per file, one case per finding)."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, Literal, TypeAlias

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Report, Severity
from channeld.diagnostics.render.text import render_one
from channeld.diagnostics.render.texts import Texts, one_line

# Characters that XML 1.0 cannot contain.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_Outcome: TypeAlias = Literal["passed", "failure", "error", "skipped"]
_COUNTED: Final[tuple[_Outcome, ...]] = ("failure", "error", "skipped")


@attrs.frozen(slots=True, kw_only=True)
class JunitCase:
    """One test case. `message` is the headline of a failure, an error or a skip, `body` the full text."""

    name: str
    outcome: _Outcome = "passed"
    line: int | None = None
    seconds: float = 0.0
    message: str = ""
    type: str = ""
    body: str = ""


@attrs.frozen(slots=True, kw_only=True)
class JunitSuite:
    """The cases of one file."""

    file: str
    cases: Sequence[JunitCase]
    seconds: float = 0.0


def write_junit(name: str, suites: Sequence[JunitSuite], seconds: float = 0.0) -> str:
    """The document: suites in the order given, under the name of the command."""
    every = [case for suite in suites for case in suite.cases]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name={_quoted(name)} {_counts(every)} time="{seconds:.3f}">\n'
        f"{''.join(map(_suite, suites))}</testsuites>\n"
    )


def _suite(suite: JunitSuite) -> str:
    cases = "".join(_case(case, suite.file) for case in suite.cases)
    head = f'name={_quoted(suite.file)} {_counts(suite.cases)} time="{suite.seconds:.3f}"'
    return f"  <testsuite {head}>\n{cases}  </testsuite>\n"


def _counts(cases: Iterable[JunitCase]) -> str:
    outcomes = [case.outcome for case in cases]
    failures, errors, skipped = (outcomes.count(outcome) for outcome in _COUNTED)
    return f'tests="{len(outcomes)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'


def _case(case: JunitCase, file: str) -> str:
    where = f' file={_quoted(file)} line="{case.line}"' if case.line is not None else ""
    head = (
        f"    <testcase name={_quoted(case.name)} classname={_quoted(file)}{where}"
        f' time="{case.seconds:.3f}"'
    )
    if case.outcome == "passed":
        output = f"<system-out>{_escaped(case.body)}</system-out>" if case.body else ""
        return f"{head}>\n      {output}\n    </testcase>\n" if output else f"{head}/>\n"
    attributes = f"message={_quoted(one_line(case.message))}"
    if case.type:
        attributes += f" type={_quoted(case.type)}"
    body = f">{_escaped(case.body)}</{case.outcome}>" if case.body else "/>"
    return f"{head}>\n      <{case.outcome} {attributes}{body}\n    </testcase>\n"


def render_junit(report: Report, sources: Texts, *, strict: bool = False) -> str:
    """The document. Errors are failures, and so are warnings if `strict`; other findings are output of a passed case."""
    found = report.sorted()
    files = dict.fromkeys([*sources.files, *(d.place.file for d in found)])
    suites = [
        JunitSuite(
            file=file,
            cases=[_finding(d, sources, strict) for d in found if d.place.file == file]
            or [JunitCase(name="valid")],
        )
        for file in files
    ]
    return write_junit("channeld validate", suites)


def _finding(diagnostic: Diagnostic, sources: Texts, strict: bool) -> JunitCase:
    place = diagnostic.place
    name = f"{diagnostic.code} {place.line}:{place.column}"
    body = render_one(diagnostic, sources)
    fails = diagnostic.severity is Severity.ERROR or (
        strict and diagnostic.severity is Severity.WARNING
    )
    if not fails:
        return JunitCase(name=name, body=body)
    return JunitCase(
        name=name,
        outcome="failure",
        message=diagnostic.message,
        type=diagnostic.code,
        body=body,
    )


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))
