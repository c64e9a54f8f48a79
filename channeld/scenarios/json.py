"""Outcomes as one JSON document, version 1: later versions of channeld only add fields to it."""

import json
from collections.abc import Sequence

from channeld.diagnostics.diagnostic import Report
from channeld.diagnostics.render.json import finding_fields, place_fields
from channeld.scenarios.coverage import Coverage
from channeld.scenarios.outcome import FileResult, Outcome, Problem, Status
from channeld.scenarios.text import counts, rerun


def render_json_outcomes(
    results: Sequence[FileResult], seconds: float, coverage: Sequence[Coverage] | None = None
) -> str:
    """The document, in ASCII. `coverage` is included only on request."""
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


def _problem(problem: Problem) -> dict[str, object]:
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
