"""Changes for machines and pull requests: one JSON document, GitHub annotations, a Markdown comment."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from channeld.dev.rights import TITLES, Right, right_words
from channeld.diagnostics.catalogue import CATALOGUE
from channeld.diagnostics.diagnostic import Place
from channeld.diagnostics.render.github import AnnotationLevel, annotation
from channeld.diagnostics.render.json import finding_fields, place_fields
from channeld.diagnostics.render.markdown import table
from channeld.diagnostics.render.texts import one_line
from channeld.diff.change import Change, Level
from channeld.diff.rights import RightChange
from channeld.diff.text import DiffResult, counted, shortened, summary

_LEVELS: Final[Mapping[Level, AnnotationLevel]] = {
    Level.BREAKING: "error",
    Level.DANGEROUS: "warning",
    Level.SAFE: "notice",
}
_TITLES: Final = {
    Level.BREAKING: "🔴 Breaking",
    Level.DANGEROUS: "🟡 Dangerous",
    Level.SAFE: "🟢 Safe",
}


EMPTY: Final[Mapping[str, object]] = {
    "old": "", "new": "", "access": [], "changes": [], "diagnostics": [], "summary": None,
}  # fmt: skip
"""The other fields of the JSON document if nothing could be compared."""


def render_json(outcome: DiffResult) -> str:
    """The document, in ASCII; later versions only add fields."""
    document = {
        "version": 1,
        "old": outcome.old,
        "new": outcome.new,
        "access": [_right_object(change) for change in outcome.rights],
        "changes": [_object(change) for change in outcome.changes],
        "diagnostics": [finding_fields(each) for each in outcome.warnings],
        "summary": counted(outcome.changes),
    }
    return json.dumps(document, indent=2) + "\n"


def _right_object(change: RightChange) -> dict[str, object]:
    def shown(right: Right | None) -> dict[str, object] | None:
        if right is None:
            return None
        names = ("who", "requires", "effect", "hooks")
        return {name: getattr(right, name) for name in names}

    return {
        "channel": change.channel,
        "what": change.right.what,
        "of": change.right.of,
        "before": shown(change.before),
        "after": shown(change.after),
    }


def _object(change: Change) -> dict[str, object]:
    witness, accepted = change.witness, change.accepted
    before = change.related[0].place if change.related else None
    return {
        "code": change.code,
        "name": CATALOGUE[change.code].name,
        "level": str(change.level),
        "security": change.security,
        "message": change.message,
        **place_fields(change.place),
        "path": change.path,
        "label": change.label,
        "note": change.note,
        "old_place": place_fields(before) if before is not None else None,
        "uses": list(change.uses),
        "affects": list(change.affects),
        "witness": None if witness is None else attrs.asdict(witness, recurse=False),
        "accepted": accepted and {"reason": accepted.reason, "until": accepted.until},
    }


def render_github(outcome: DiffResult, prefix: str) -> str:
    """Workflow commands, the worst first since GitHub shows only ten of a step; then the count, as text.

    File names of the new side start with `prefix`, which those of the pull request don't have.
    """
    levels = list(Level)
    ordered = sorted(outcome.changes, key=lambda c: (c.accepted is not None, levels.index(c.level)))
    lines = [_command(change, prefix) for change in ordered]
    lines += [
        annotation("warning", _in_repository(w.place, prefix), w.code, [w.message])
        for w in outcome.warnings
    ]
    return "\n".join([*lines, summary(outcome)]) + "\n"


def _command(change: Change, prefix: str) -> str:
    accepted = change.accepted is not None
    kind = "notice" if accepted else _LEVELS[change.level]
    title = f"{change.code} {'accepted' if accepted else change.level}"
    place = _in_repository(change.place, prefix)
    return annotation(kind, place, title, map(one_line, _said(change)))


def _said(change: Change) -> Iterator[str]:
    yield change.message
    yield from (text for text in (change.label, change.note) if text)
    if change.affects:
        yield f"affects {', '.join(change.affects)}"
    if change.witness is not None:
        shown = shortened(change.witness.value)
        yield f"{change.witness.title}: {shown}"
        yield change.witness.outcome
    if change.accepted is not None:
        yield f"accepted: {change.accepted.reason}"


def _in_repository(place: Place, prefix: str) -> Place:
    return attrs.evolve(place, file=place.file.removeprefix(prefix))


def render_markdown(outcome: DiffResult) -> str:
    """A comment for a pull request: changed rights, what breaks, both open, and what is safe folded in."""
    blocks = [f"### channeld: {_plain(summary(outcome))}"]
    if outcome.rights:
        blocks += ["#### 🔑 Who may do what", _right_table(outcome.rights)]
    live = [change for change in outcome.changes if change.accepted is None]
    for level in (Level.BREAKING, Level.DANGEROUS):
        found = [change for change in live if change.level is level]
        if found:
            blocks.append(f"#### {_TITLES[level]}")
            blocks += map(_entry, found)
    safe = [change for change in live if change.level is Level.SAFE]
    # A change that allows more is safe for clients, but reviewers should see it.
    open_now = [change for change in safe if change.security]
    if open_now:
        blocks.append("#### 🔓 Security")
        blocks += map(_entry, open_now)
    folded = [change for change in safe if not change.security]
    blocks += _folded(f"{_TITLES[Level.SAFE]} ({len(folded)})", folded)
    accepted = [change for change in outcome.changes if change.accepted is not None]
    blocks += _folded(f"Accepted ({len(accepted)})", accepted)
    for warning in outcome.warnings:
        blocks.append(f"> ⚠️ **{warning.code}** {_plain(warning.message)} ({_at(warning.place)})")
    return "\n\n".join(blocks) + "\n"


def _right_table(changes: Iterable[RightChange]) -> str:
    rows = []
    for change in changes:
        before, after = (
            "—" if right is None else _plain(right_words(right))
            for right in (change.before, change.after)
        )
        subject = f" `{one_line(change.right.of)}`" if change.right.of else ""
        # A backtick's text is shown as it is, but a bar would end the cell.
        what = TITLES[change.right.what] + subject.replace("|", "\\|")
        rows.append([f"`{one_line(change.channel)}`", what, before, after])
    return table(["channel", "what", "before", "now"], rows)


def _folded(title: str, changes: list[Change]) -> Iterator[str]:
    if changes:
        yield f"<details><summary>{title}</summary>"
        yield from map(_entry, changes)
        yield "</details>"


def _entry(change: Change) -> str:
    lines = [f"- **{change.code}** {_plain(change.message)} ({_at(change.place)})"]
    more = "; ".join(text for text in (change.label, change.note) if text)
    if more:
        lines.append(f"  {_plain(more)}")
    if change.affects:
        lines.append(f"  Affects {_plain(', '.join(change.affects))}.")
    if change.witness is not None:
        shown = shortened(change.witness.value)
        lines += [f"  {change.witness.title.capitalize()}:", "  ```json", f"  {one_line(shown)}"]
        lines += ["  ```", f"  {_plain(change.witness.outcome)}"]
    if change.accepted is not None:
        lines.append(f"  Accepted: {_plain(change.accepted.reason)}")
    return "\n".join(lines)


def _at(place: Place) -> str:
    return f"`{one_line(place.file)}:{place.line}`"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is; what stands between backticks stays code."""
    parts = one_line(text).split("`")
    for index in range(0, len(parts), 2):
        for sign in "\\*_<>[]|#":
            parts[index] = parts[index].replace(sign, f"\\{sign}")
    return "`".join(parts)
