"""`require`: which claims are asked for, and which values of them will do."""

from collections.abc import Iterator, Mapping, Sequence

from channeld.diff.change import Change, Level
from channeld.diff.comparison import Comparison
from channeld.plan.requires import with_type_spoken_of
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.cases import identity
from channeld.schema.compare.inclusion import inclusion
from channeld.schema.compare.words import choices

__all__ = ["requirements"]


def requirements(
    comparison: Comparison,
    old: Sequence[Mapping[str, Json]],
    new: Sequence[Mapping[str, Json]],
    pointers: tuple[str, str],
    who: str,
) -> Iterator[Change]:
    """What changed between two `require`; `pointers` are where they stand, in the new file and in the old one."""
    if len(old) <= 1 and len(new) <= 1:
        was, now = (dict(one[0]) if one else {} for one in (old, new))
        yield from _entries(comparison, was, now, pointers, who)
        return
    pointer, before = pointers
    known, listed = ([identity(dict(one)) for one in several] for several in (old, new))
    # One alternative less, or some where there was none: anyone who had only that one is shut out.
    if new and (not old or any(each not in listed for each in known)):
        gone = [one for one, each in zip(old, known, strict=True) if each not in listed]
        words = " or ".join(map(_alternative, gone)) or "no claim at all"
        message = f"{words} will no longer do"
        yield comparison.change("D403", Level.BREAKING, message, pointer, affects=(who,))
    if not new:
        yield comparison.gone(
            "D404", Level.SAFE, "no claim is asked for any longer", before, near=pointer,
            affects=(who,), security=True,
        )  # fmt: skip
    elif old:
        come = [one for one, each in zip(new, listed, strict=True) if each not in known]
        for one in come:
            message = f"{_alternative(one)} will do now"
            yield comparison.change(
                "D404", Level.SAFE, message, pointer, affects=(who,), security=True
            )


def _alternative(entries: Mapping[str, Json]) -> str:
    return " and ".join(f"`{claim}` {_any_of(value)}" for claim, value in entries.items())


def _entries(
    comparison: Comparison,
    was: Mapping[str, Json],
    now: Mapping[str, Json],
    pointers: tuple[str, str],
    who: str,
) -> Iterator[Change]:
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
    """The options of `these` that are not options of `among`, nor inside one of its schemas."""
    others = _options(among)
    known = {identity(each) for each in others}
    schemas = [each for each in others if isinstance(each, dict)]
    return [
        each
        for each in _options(these)
        if identity(each) not in known and not any(_is_inside(each, other) for other in schemas)
    ]


def _is_inside(one: Json, other: dict[str, Json]) -> bool:
    if not isinstance(one, dict):
        return False
    found = inclusion(with_type_spoken_of(one), with_type_spoken_of(other))
    return found.refuted is None and not found.undecided
