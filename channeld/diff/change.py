"""One change for clients: its code, level, location in the new file, and the frame that proves it."""

import enum
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from channeld.config.model import Accepted
from channeld.diagnostics.diagnostic import Place, Related
from channeld.protocol.frames import Json


class Level(enum.StrEnum):
    """How a change affects existing clients: breaks them, may break them, or does not."""

    BREAKING = "breaking"
    DANGEROUS = "dangerous"
    SAFE = "safe"


_ORDER: Final = (Level.BREAKING, Level.DANGEROUS, Level.SAFE)


def worst(levels: Iterable[Level]) -> Level:
    """The worst of several levels; safe if there are none."""
    return min(levels, key=_ORDER.index, default=Level.SAFE)


@attrs.frozen(slots=True, kw_only=True)
class Witness:
    """A frame (or URL) that exactly one of the two configurations allows, checked with both.

    `title` says which one allows it, `outcome` what the other does.
    """

    title: str
    value: Json
    outcome: str


@attrs.frozen(slots=True, kw_only=True)
class Change:
    """One change. `message` is a full sentence; `label` is the note at its location, such as the previous value.

    `path` is the JSON pointer, in the merged configuration, of what changed (in the old one for what is gone); `uses` are
    the pointers of the channels' parts that it affects, if it is elsewhere; `affects` describes who is affected.
    `security`: something is allowed now that was not. `accepted` is the entry of `diff.accept` that accepts it.
    """

    code: str
    level: Level
    message: str
    place: Place
    path: str
    label: str = ""
    note: str = ""
    security: bool = False
    related: tuple[Related, ...] = ()
    uses: tuple[str, ...] = ()
    affects: tuple[str, ...] = ()
    witness: Witness | None = None
    accepted: Accepted | None = None

    def is_under(self, pointer: str) -> bool:
        """Whether the change, or each part that it affects, is at or below a pointer."""
        return _is_under(self.path, pointer) or (
            bool(self.uses) and all(_is_under(use, pointer) for use in self.uses)
        )


def _is_under(path: str, pointer: str) -> bool:
    pointer = pointer.rstrip("/")
    return path == pointer or path.startswith(f"{pointer}/")


def merged(changes: Iterable[Change]) -> Iterator[Change]:
    """The changes in the order of the new files; a change shared by several parts of the file is one change."""
    together: dict[object, Change] = {}
    for change in changes:
        accepted = change.accepted and (change.accepted.reason, change.accepted.until)
        key = (change.code, change.level, change.place, change.message, accepted)
        known = together.get(key)
        together[key] = change if known is None else _joined(known, change)
    places = {change.place.file: None for change in together.values()}
    files = list(places)
    yield from sorted(
        together.values(),
        key=lambda c: (files.index(c.place.file), c.place.line, c.place.column, c.code, c.path),
    )


def _joined(one: Change, other: Change) -> Change:
    return attrs.evolve(
        one,
        uses=tuple(dict.fromkeys((*one.uses, *other.uses))),
        affects=tuple(dict.fromkeys((*one.affects, *other.affects))),
        witness=one.witness or other.witness,
    )
