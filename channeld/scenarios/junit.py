"""Outcomes as JUnit XML: one suite per file, one case per scenario, or one with an error if a file could not be run."""

from collections.abc import Sequence

from channeld.diagnostics.diagnostic import Report
from channeld.diagnostics.render.junit import JunitCase, JunitSuite, write_junit
from channeld.diagnostics.render.text import render_text
from channeld.scenarios.outcome import FileResult, Outcome, Status, texts_of
from channeld.scenarios.text import render_outcome


def render_junit_outcomes(results: Sequence[FileResult], seconds: float) -> str:
    """The document; failures have their full text in the body."""
    return write_junit("channeld test", [_suite(result) for result in results], seconds)


def _suite(result: FileResult) -> JunitSuite:
    cases = [_case(outcome, result) for outcome in result.outcomes]
    if result.is_broken:
        cases.append(_broken(result))
    return JunitSuite(file=result.file, cases=cases, seconds=result.seconds)


def _case(outcome: Outcome, result: FileResult) -> JunitCase:
    name, line, seconds = outcome.name, outcome.place.line, outcome.seconds
    if outcome.status is Status.PASS:
        return JunitCase(name=name, line=line, seconds=seconds)
    if outcome.status is Status.SKIP:
        return JunitCase(
            name=name, line=line, seconds=seconds, outcome="skipped", message=outcome.reason
        )
    return JunitCase(
        name=name,
        line=line,
        seconds=seconds,
        outcome="failure" if outcome.status is Status.FAIL else "error",
        message=outcome.problems[0].headline,
        body=render_outcome(outcome, result.text),
    )


def _broken(result: FileResult) -> JunitCase:
    report = Report(result.diagnostics)
    return JunitCase(
        name=result.file,
        outcome="error",
        message=result.unreadable or "the file is not valid",
        body=result.unreadable or render_text(report, texts_of([result]), colour=False),
    )
