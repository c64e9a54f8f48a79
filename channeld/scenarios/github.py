"""Outcomes as GitHub annotations: one at each step that failed."""

from collections.abc import Sequence

from channeld.diagnostics.diagnostic import Place, Report
from channeld.diagnostics.render.github import annotation, render_github
from channeld.scenarios.outcome import FileResult, Outcome, Problem, texts_of
from channeld.scenarios.text import summary


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


def _command(outcome: Outcome, problem: Problem) -> str:
    title = f"{outcome.status.value.upper()} {outcome.name}"
    lines = [problem.headline, problem.label, problem.where, *problem.notes]
    return annotation("error", problem.place, title, filter(None, lines))
