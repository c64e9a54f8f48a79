"""`diff.accept`: intended changes, and entries that match nothing (any more)."""

from collections.abc import Iterable
from datetime import date

import attrs

from channeld.config.model import Accepted
from channeld.diagnostics.catalogue import CATALOGUE, diagnose
from channeld.diagnostics.diagnostic import Diagnostic
from channeld.diff.change import Change
from channeld.diff.side import Side
from channeld.pointer import at
from channeld.suggest import did_you_mean


@attrs.frozen(slots=True, kw_only=True)
class Judged:
    """The changes, with accepted ones marked, and problems with the entries of `diff.accept`."""

    changes: list[Change]
    warnings: list[Diagnostic]


def accept(changes: Iterable[Change], new: Side, today: date) -> Judged:
    """Mark the changes that the new configuration accepts on a given date; an entry's last day is included."""
    found = list(changes)
    entries = new.config.diff.accept
    live = [entry for entry in entries if not _is_over(entry, today)]
    marked: list[Change] = []
    used: set[int] = set()
    for change in found:
        fitting = [entry for entry in live if _fits(entry, change)]
        used.update(entries.index(entry) for entry in fitting)
        if fitting:
            marked.append(attrs.evolve(change, accepted=fitting[0]))
        else:
            marked.append(change)
    warnings = [
        _warning(entry, index, new, found, today)
        for index, entry in enumerate(entries)
        if index not in used
    ]
    return Judged(changes=marked, warnings=warnings)


def _fits(entry: Accepted, change: Change) -> bool:
    return entry.code == change.code and (not entry.path or change.is_under(entry.path))


def _is_over(entry: Accepted, today: date) -> bool:
    return entry.until is not None and entry.until < today.isoformat()


def _warning(
    entry: Accepted, index: int, new: Side, changes: Iterable[Change], today: date
) -> Diagnostic:
    pointer = at("/diff/accept", index)
    if _is_over(entry, today) and any(_fits(entry, change) for change in changes):
        place = new.place(at(pointer, "until"))
        help = "extend it, revert the change, or remove the entry"
        message = f"{entry.code} is no longer accepted: {entry.until} has passed"
        return diagnose("D704", message, place, help=help)
    if entry.code not in CATALOGUE:
        codes = [code for code in CATALOGUE if code.startswith("D")]
        help = did_you_mean(entry.code, codes, "`channeld explain` lists all codes")
        place = new.place(at(pointer, "code"))
        return diagnose("D703", f"there is no code {entry.code}", place, help=help)
    same = sorted({change.path for change in changes if change.code == entry.code})
    where = f" at `{entry.path}`" if entry.path else ""
    help = f"{entry.code} is at {', '.join(f'`{p}`' for p in same[:3])}" if same else ""
    message = f"no change is {entry.code}{where}"
    return diagnose("D703", message, new.place(pointer), help=help or "remove the entry")
