"""`require`: which claims are asked for, and which values of them will do."""

from collections.abc import Iterator, Mapping

from channeld.diff.change import Change, Level
from channeld.diff.comparison import Comparison
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.cases import identity
from channeld.schema.compare.words import choices

__all__ = ["requirements"]


def requirements(
    comparison: Comparison,
    old: Mapping[str, Json] | None,
    new: Mapping[str, Json] | None,
    pointers: tuple[str, str],
    who: str,
) -> Iterator[Change]:
    """What changed between two `require`; `pointers` are where they stand, in the new file and in the old one."""
    was, now = dict(old or {}), dict(new or {})
    pointer, before = pointers
    for claim, value in now.items():
        place = at(pointer, claim)
        if claim not in was:
            words = f"`{claim}` must be {_any_of(value)} now"
            yield comparison.change("D403", Level.BREAKING, words, place, affects=(who,))
            continue
        lost = _missing(was[claim], value)
        gained = _missing(value, was[claim])
        if lost:
            words = f"{choices(lost)} will no longer do for `{claim}`"
            yield comparison.change("D403", Level.BREAKING, words, place, affects=(who,))
        if gained:
            words = f"{choices(gained)} will do for `{claim}` now"
            yield comparison.change("D404", Level.SAFE, words, place, affects=(who,), security=True)
    for claim in was:
        if claim not in now:
            words = f"`{claim}` is no longer asked for"
            yield comparison.gone(
                "D404", Level.SAFE, words, at(before, claim), near=pointer, affects=(who,),
                security=True,
            )  # fmt: skip


def _options(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _any_of(value: Json) -> str:
    return choices(_options(value))


def _missing(these: Json, among: Json) -> list[Json]:
    known = {identity(each) for each in _options(among)}
    return [each for each in _options(these) if identity(each) not in known]
