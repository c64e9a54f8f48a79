"""Outcomes as GitHub Actions workflow commands: an annotation at each step that failed."""

from collections.abc import Sequence

from channeld.diagnostics.diagnostic import Report
from channeld.diagnostics.render.github import render_github
from channeld.scenarios.outcome import FileResult, Outcome, Problem
from channeld.scenarios.text import summary
from channeld.scenarios.texts import FileTexts

__all__ = ["render_github_outcomes"]


def render_github_outcomes(results: Sequence[FileResult], seconds: float) -> str:
    """One command a line, failures first since GitHub shows only the first ten of a step; then the count, as text."""
    lines = [
        _command(outcome, problem)
        for result in results
        for outcome in result.outcomes
        for problem in outcome.problems
    ]
    report = Report()
    for result in results:
        report.extend(result.diagnostics)
        if result.unreadable:
            lines.append(f"::error file={_property(result.file)}::{_message(result.unreadable)}")
    if len(report):
        lines += render_github(report, FileTexts(tuple(results))).splitlines()[:-1]
    return "\n".join([*lines, summary(results, seconds)]) + "\n"


def _command(outcome: Outcome, problem: Problem) -> str:
    place = problem.place
    properties = {"file": place.file, "line": str(place.line)}
    if place.line == place.end_line:
        # Columns are refused for a span of several lines.
        properties |= {"col": str(place.column), "endColumn": str(place.end_column)}
    properties["title"] = f"{outcome.status.value.upper()} {outcome.name}"
    said = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    words = [problem.headline, problem.label, problem.where, *problem.notes]
    return f"::error {said}::{_message(chr(10).join(filter(None, words)))}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
