"""Outcomes as text: what failed, where, what arrived instead, the conversation, a command to rerun it, the count."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from channeld.diagnostics.render.painter import BLUE, BOLD, DIM, FramePainter, Painter, where
from channeld.diagnostics.render.texts import OneText, one_line
from channeld.scenarios.outcome import (
    FileResult,
    Outcome,
    ScenarioProblem,
    Status,
    TimelineEntry,
    shown_seconds,
)

MOST_LINES: Final = 40
_COLOURS: Final = {
    Status.PASS: "\x1b[1;32m",
    Status.FAIL: "\x1b[1;31m",
    Status.ERROR: "\x1b[1;35m",
    Status.SKIP: "\x1b[1;33m",
}


def verdict(painter: Painter, status: Status) -> str:
    """The status in capitals, such as `FAIL`, in its colour."""
    return painter.paint(_COLOURS[status], f"{status.value.upper():<5}")


def render_outcome(outcome: Outcome, text: str, *, colour: bool = False) -> str:
    """The report of one scenario; `text` is its file's, for the code frame. One line if it passed."""
    painter = FramePainter(colour, texts=OneText(outcome.place.file, text))
    name = painter.paint(BOLD, one_line(outcome.name))
    head = f"{verdict(painter, outcome.status)} {name}"
    if outcome.status is Status.SKIP:
        return f"{head}: {one_line(outcome.reason)}\n"
    lines = [head]
    for problem in outcome.problems:
        lines += _problem(problem, painter, outcome.status)
    if outcome.problems:
        lines += _timeline(outcome.timeline, painter)
        lines.append(f"  re-run:  {rerun(outcome)}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def rerun(outcome: Outcome) -> str:
    """The command that runs the scenario again."""
    return f"channeld test {shlex.quote(outcome.place.file)} -k {shlex.quote(outcome.name)}"


def _problem(problem: ScenarioProblem, painter: FramePainter, status: Status) -> Iterator[str]:
    place = problem.place
    step = f"   {problem.where}" if problem.where else ""
    yield f" --> {where(place)}{step}"
    shown = painter.frame(place, 0)
    gutter = len(str(place.line))
    if shown is not None:
        yield from painter.shown(shown, gutter, _COLOURS[status], "^", problem.label)
    blank = " " * gutter
    equals = painter.paint(BLUE, "=")
    yield f"{blank} {equals} {one_line(problem.headline)}"
    if shown is None and problem.label:
        yield f"{blank} {equals} {one_line(problem.label)}"
    for at, one in problem.differences[1:]:
        words = f"{one.path or '/'} expected {one.expected}, got {one.got}"
        yield f"{blank} {equals} also at {at.line}:{at.column}, {one_line(words)}"
    for note in problem.notes:
        yield f"{blank} {equals} {one_line(note)}"


def _timeline(entries: Sequence[TimelineEntry], painter: Painter) -> Iterator[str]:
    if not entries:
        return
    yield "  timeline"
    shown = entries[-MOST_LINES:]
    if len(shown) < len(entries):
        yield f"    … {len(entries) - len(shown)} earlier"
    width = max(len(entry.who) for entry in shown)
    for entry in shown:
        note = f"   {painter.paint(BOLD, entry.note)}" if entry.note else ""
        words = f"{one_line(entry.who):<{width}} {entry.mark} {one_line(entry.text)}"
        yield f"    {painter.paint(DIM, f'+{entry.time:.3f}s')}  {words}{note}"


def counts(results: Iterable[FileResult]) -> dict[Status, int]:
    """How many scenarios have each status."""
    found = list(results)
    return {status: sum(one.count(status) for one in found) for status in Status}


def summary(results: Sequence[FileResult], seconds: float) -> str:
    """`7 passed, 1 failed, 0 errors, 0 skipped in 0.09s (virtual 6m30s)`."""
    number = counts(results)
    virtual = sum(outcome.virtual for one in results for outcome in one.outcomes)
    errors = "1 error" if number[Status.ERROR] == 1 else f"{number[Status.ERROR]} errors"
    return (
        f"{number[Status.PASS]} passed, {number[Status.FAIL]} failed, {errors}, "
        f"{number[Status.SKIP]} skipped in {seconds:.2f}s (virtual {shown_seconds(virtual)})"
    )
