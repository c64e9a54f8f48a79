"""Outcomes for machines: one JSON document, JUnit XML, GitHub annotations."""

import json
from collections.abc import Sequence

from channeld.diagnostics.diagnostic import Place, Report
from channeld.diagnostics.render.github import annotation, render_github
from channeld.diagnostics.render.json import finding_fields, place_fields
from channeld.diagnostics.render.junit import JunitCase, JunitSuite, write_junit
from channeld.diagnostics.render.text import render_text
from channeld.scenarios.coverage import Coverage
from channeld.scenarios.outcome import FileResult, Outcome, ScenarioProblem, Status, texts_of
from channeld.scenarios.text import counts, render_outcome, rerun, summary


def render_json_outcomes(
    results: Sequence[FileResult], seconds: float, coverage: Sequence[Coverage] | None = None
) -> str:
    """The document, version 1, in ASCII: later versions of channeld only add fields. `coverage` is included only on request."""
    findings = Report(found for one in results for found in one.diagnostics)
    number = counts(results)
    document: dict[str, object] = {
        "version": 1,
        "files": [one.file for one in results],
        "unreadable": {one.file: one.unreadable for one in results if one.unreadable},
        "scenarios": [_outcome(outcome) for one in results for outcome in one.outcomes],
        "diagnostics": [finding_fields(one) for one in findings.sorted()],
        "summary": {
            "passed": number[Status.PASS],
            "failed": number[Status.FAIL],
            "errors": number[Status.ERROR],
            "skipped": number[Status.SKIP],
            "seconds": round(seconds, 3),
        },
    }
    if coverage is not None:
        document["coverage"] = [_coverage(one) for one in coverage]
    return json.dumps(document, indent=2) + "\n"


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "name": outcome.name,
        "status": outcome.status.value,
        **place_fields(outcome.place),
        "reason": outcome.reason,
        "seconds": round(outcome.seconds, 6),
        "virtual_seconds": round(outcome.virtual, 3),
        "problems": [_problem(problem) for problem in outcome.problems],
        "timeline": [
            {"time": round(e.time, 3), "who": e.who, "mark": e.mark, "text": e.text, "note": e.note}
            for e in (outcome.timeline if outcome.problems else ())
        ],
        "rerun": rerun(outcome),
    }


def _problem(problem: ScenarioProblem) -> dict[str, object]:
    return {
        "message": problem.headline,
        "label": problem.label,
        "where": problem.where,
        **place_fields(problem.place),
        "differences": [
            {"path": one.path, "expected": one.expected, "got": one.got, **place_fields(place)}
            for place, one in problem.differences
        ],
        "notes": list(problem.notes),
    }


def _coverage(one: Coverage) -> dict[str, object]:
    return {
        "config": one.config,
        "percent": one.percent,
        "reached": one.reached,
        "total": one.total,
        "channels": {
            name: {"reached": reached, "total": total}
            for name, (reached, total) in one.channels.items()
        },
        "missed": [
            {
                "channel": missed.point.channel,
                "kind": missed.point.kind,
                "name": missed.point.name,
                "file": missed.place.file,
                "line": missed.place.line,
                "column": missed.place.column,
            }
            for missed in one.missed
        ],
    }


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


def render_github_outcomes(results: Sequence[FileResult], seconds: float) -> str:
    """One command per line, failures first since GitHub shows only ten per step; then the count."""
    lines = [
        _command(outcome, problem)
        for result in results
        for outcome in result.outcomes
        for problem in outcome.problems
    ]
    report = Report(found for result in results for found in result.diagnostics)
    for result in results:
        if result.unreadable:
            place = Place(result.file)
            lines.append(annotation("error", place, "file cannot be read", [result.unreadable]))
    if len(report):
        lines += render_github(report, texts_of(results)).splitlines()[:-1]
    return "\n".join([*lines, summary(results, seconds)]) + "\n"


def _command(outcome: Outcome, problem: ScenarioProblem) -> str:
    title = f"{outcome.status.value.upper()} {outcome.name}"
    lines = [problem.headline, problem.label, problem.where, *problem.notes]
    return annotation("error", problem.place, title, filter(None, lines))
