"""Renders changes as text: headline, location, code frame, the previous value, who is affected, and the witness."""

import json
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from channeld.dev.rights import right_words
from channeld.diagnostics.diagnostic import Diagnostic
from channeld.diagnostics.render import Texts, render_one
from channeld.diagnostics.render.painter import BOLD, DIM, FramePainter
from channeld.diagnostics.render.texts import one_line
from channeld.diff.change import Change, Level, Witness
from channeld.diff.rights import RightChange
from channeld.protocol.frames import Json

_COLOURS: Final = {
    Level.BREAKING: "\x1b[1;31m",
    Level.DANGEROUS: "\x1b[1;33m",
    Level.SAFE: "\x1b[1;32m",
}
GREEN: Final = "\x1b[32m"
RED: Final = "\x1b[31m"
LONGEST_TEXT: Final = 60
LONGEST_LINE: Final = 400
LONGEST_URL: Final = 100


@attrs.frozen(slots=True, kw_only=True)
class DiffResult:
    """The result of a comparison: names of both sides, changes, warnings about `diff.accept`, changed rights."""

    old: str
    new: str
    changes: tuple[Change, ...]
    warnings: tuple[Diagnostic, ...] = ()
    rights: tuple[RightChange, ...] = ()


def render_text(outcome: DiffResult, texts: Texts, *, colour: bool) -> str:
    """Changed rights, all changes in the order of the new files, and how many of each level; ANSI colours only if asked for."""
    painter = FramePainter(colour, texts=texts)
    blocks = ["\n".join(_rights(outcome.rights, painter))] if outcome.rights else []
    blocks += ["\n".join(_lines(change, painter)) for change in outcome.changes]
    blocks += [render_one(each, texts, colour=colour).rstrip("\n") for each in outcome.warnings]
    return "\n\n".join([*blocks, summary(outcome)]) + "\n" + _how_to_accept(outcome)


def _rights(changes: Iterable[RightChange], painter: FramePainter) -> Iterator[str]:
    yield painter.paint(BOLD, "who may do what:")
    channel = None
    for change in changes:
        if change.channel != channel:
            channel = change.channel
            yield f"  {one_line(channel)}"
        title = one_line(change.title)
        before, after = (
            None if right is None else one_line(right_words(right))
            for right in (change.before, change.after)
        )
        if before is None or after is None:
            mark, colour = ("+", GREEN) if before is None else ("-", RED)
            yield f"    {painter.paint(colour, mark)} {title}: {after or before}"
            continue
        yield f"    {painter.paint(BOLD, '~')} {title}: {after}"
        yield f"      {' ' * len(title)}  {painter.paint(DIM, f'before: {before}')}"


def _how_to_accept(outcome: DiffResult) -> str:
    """The entry that would accept the first breaking change."""
    for change in outcome.changes:
        if change.level is Level.BREAKING and change.accepted is None:
            entry = f"{{code: {change.code}, path: {json.dumps(change.path)}, reason: …}}"
            return f"To accept an intended change, list it in `diff.accept`: [{entry}].\n"
    return ""


def summary(outcome: DiffResult) -> str:
    """`1 breaking, 2 safe (1 of them for security) from main to channels.yaml`, or that nothing changed."""
    where = f"from {one_line(outcome.old)} to {one_line(outcome.new)}"
    counts = counted(outcome.changes)
    security = counts.pop("security")
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    aside = f" ({security} of them for security)" if security else ""
    return f"{said or 'nothing changed for clients'}{aside} {where}"


def counted(changes: Iterable[Change]) -> dict[str, int]:
    """How many changes there are of each level; accepted ones are counted apart. `security` ones are counted twice."""
    found = list(changes)
    live = [change for change in found if change.accepted is None]
    counts = {str(level): sum(change.level is level for change in live) for level in Level}
    counts["security"] = sum(change.security for change in live)
    counts["accepted"] = len(found) - len(live)
    return counts


def shortened(value: Json) -> str:
    """A frame as one line of JSON with long strings and lists truncated, or a URL."""
    if isinstance(value, str):
        return one_line(value if len(value) <= LONGEST_URL else f"{value[: LONGEST_URL - 1]}…")
    text = json.dumps(_cut(value), ensure_ascii=False)
    return one_line(text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…")


def _cut(value: Json) -> Json:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:12]}… ({len(value)} characters)"
    if isinstance(value, list):
        rest = [f"… ({len(value)} items)"] if len(value) > 8 else []
        return [*map(_cut, value[:8]), *rest]
    if isinstance(value, dict):
        shown = {key: _cut(each) for key, each in list(value.items())[:12]}
        more: dict[str, Json] = {"…": f"({len(value)} fields)"} if len(value) > 12 else {}
        return {**shown, **more}
    return value


def _lines(change: Change, painter: FramePainter) -> Iterator[str]:
    colour = _COLOURS[change.level] if change.accepted is None else DIM
    level = "accepted" if change.accepted is not None else str(change.level)
    security = " " + painter.paint(BOLD, "security:") if change.security else ""
    headline = painter.paint(colour, f"{level}[{change.code}]")
    yield f"{headline}{security} {painter.paint(BOLD, one_line(change.message))}"
    yield from painter.details(change, colour, _notes(change))


def _notes(change: Change) -> Iterator[tuple[str, str]]:
    if change.note:
        yield "note", change.note
    if change.affects:
        yield "affects", ", ".join(change.affects)
    if change.witness is not None:
        yield from _witness(change.witness)
    if change.accepted is not None:
        until = f" (until {change.accepted.until})" if change.accepted.until else ""
        yield "accepted", change.accepted.reason + until


def _witness(witness: Witness) -> Iterator[tuple[str, str]]:
    yield witness.title, shortened(witness.value)
    kind, _, rest = witness.outcome.partition(": ")
    yield (kind, rest) if rest else ("now", witness.outcome)
