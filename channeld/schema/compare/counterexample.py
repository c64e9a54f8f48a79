"""Finds a frame that shows a difference between two schemas: checked to be accepted by one and refused by the other."""

import itertools
import json
from collections.abc import Iterator
from typing import Final

from channeld.protocol.frames import Json
from channeld.schema.compare.candidates import Prober
from channeld.schema.compare.difference import Fact, SchemaPosition
from channeld.schema.sensitive import marks_of

_ENOUGH: Final = 24
_TAKEN_OFF: Final = ("type", "id")

Shown = tuple[Json, str]
"""A value, and in words why it is refused."""


def find(fact: Fact, *, gained: bool, is_frame: bool = True) -> Shown | None:
    """Find the clearest value that was accepted and is now refused; with `gained`, the other way round.

    None if nothing was found. Results are checked with both compiled schemas.
    """
    *_, root = fact.position.up()
    accepting, refusing = (root.new, root.old) if gained else (root.old, root.new)
    best: tuple[tuple[bool, int, int], Shown] | None = None
    for count, frame in enumerate(_frames(fact, gained=gained)):
        if is_frame and isinstance(frame, dict) and any(name in frame for name in _TAKEN_OFF):
            continue
        if not accepting.accepts(frame) or refusing.accepts(frame):
            continue
        violations = refusing.explain(frame)
        if not violations:
            continue
        other = fact.keyword not in {v.keyword for v in violations} | {""}
        rank = (other, len(violations), len(json.dumps(frame)))
        words = f"`{violations[0].path}` {violations[0].message}".replace("`` ", "")
        if best is None or rank < best[0]:
            best = (rank, (frame, words))
        if count >= _ENOUGH:
            break
    if best is None:
        return None
    value, words = best[1]
    return _masked(root, value), words


def _masked(root: SchemaPosition, value: Json) -> Json:
    """The value with what either schema marks as sensitive masked, since examples and constants are tried as well."""
    for node in (root.old, root.new):
        for part in node.parts:
            marks = marks_of(node.book.whole(part))
            value = marks.masked(value) if marks is not None else value
    return value


def _frames(fact: Fact, *, gained: bool) -> Iterator[Json]:
    """Whole values that probably only one of the two accepts, judging by the difference's position."""
    prober = Prober()
    here = fact.position
    one, other = (here.new, here.old) if gained else (here.old, here.new)
    for value in itertools.chain(fact.values, prober.values(one, other)):
        if one.accepts(value) and not other.accepts(value) and _is_about(fact, value, gained):
            yield from prober.around(here, value, swapped=gained)


def _is_about(fact: Fact, value: Json, gained: bool) -> bool:
    """Whether a value can show this difference rather than another at the same place."""
    if not isinstance(value, dict) or not fact.name or (fact.code == "D303" and gained):
        return True
    is_there = fact.name in value
    return not is_there if fact.code in ("D301", "D302") else is_there
