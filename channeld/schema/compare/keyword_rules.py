"""Compares keywords that do not contain schemas."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import attrs

from channeld.protocol.frames import Json
from channeld.schema.cases import identity
from channeld.schema.compare.difference import Effect, Fact, SchemaPosition, Spot
from channeld.schema.compare.normal_form import COUNTS, Constraint, Edge, Form
from channeld.schema.compare.schema_ref import number
from channeld.schema.words import choices, shown, types_in_words

_UNITS: Final = {"string": "character", "array": "item", "object": "field"}


def values(here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
    """Values lost and gained if a schema lists its values: each is tried with the other schema."""
    who, place = here.subject(), Spot.of(new.values_at) or Spot.whole(here.new)
    was = Spot.of(old.values_at)
    if old.values is None:
        words = f"{who} may now only be {choices(new.values or [])}"
        before = f"{types_in_words(old.types)} before"
        yield Fact("D308", Effect.NARROWS, here, words, new=place, label=before, keyword="enum")
    elif lost := [value for value in old.values if not here.new.accepts(value)]:
        words = f"{who} may no longer be {choices(lost)}"
        more = Fact("D308", Effect.NARROWS, here, words, new=place, old=was, keyword="enum")
        yield attrs.evolve(more, values=tuple(lost))
    extensible = new.extensible or old.extensible
    if new.values is None:
        words = f"{who} may now be more than {choices(old.values or [])}"
        more = Fact("D309", Effect.WIDENS, here, words, new=place, old=was, keyword="enum")
        yield attrs.evolve(more, extensible=extensible)
    elif gained := [value for value in new.values if not here.old.accepts(value)]:
        words = f"{who} may also be {choices(gained)}"
        more = Fact("D309", Effect.WIDENS, here, words, new=place, keyword="enum")
        yield attrs.evolve(more, values=tuple(gained), extensible=extensible)


def defaults(here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
    """Compares `default`."""
    was, now = old.default, new.default
    if was is None or now is None or identity(was.value) == identity(now.value):
        return
    words = f"the default of {here.subject()} is now {shown(now.value)}"
    label = f"{shown(was.value)} before"
    yield Fact("D317", Effect.NOTHING, here, words, new=Spot.of(now), label=label)


def facets(here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
    """Compares types, limits, patterns and formats, for types that both allow."""
    yield from _types(here, old, new)
    common = old.types & new.types
    for keyword, (kind, _) in COUNTS.items():
        if kind in common:
            yield from _count(here, keyword, old.counts.get(keyword), new.counts.get(keyword))
    if "array" in common:
        yield from _unique(here, old, new)
    if common & {"integer", "number"}:
        yield from _edge(here, old.upper, new.upper, is_upper=True)
        yield from _edge(here, old.lower, new.lower, is_upper=False)
        yield from _multiples(here, old, new)
    if "string" in common:
        yield from _texts(here, old, new, "pattern")
        yield from _texts(here, old, new, "format")


def _told(
    here: SchemaPosition,
    change: tuple[str, Effect],
    words: str,
    held: tuple[Constraint | Edge | None, Constraint | Edge | None],
    keyword: str,
    label: str = "",
) -> Fact:
    """A difference in one keyword; `held` is what contains it, before and now."""
    was, now = held
    place = Spot.of(now) or Spot.whole(here.new)
    words = f"{here.subject()} {words}"
    return Fact(*change, here, words, new=place, old=Spot.of(was), label=label, keyword=keyword)


def _before(value: Json) -> str:
    return "no limit before" if value is None else f"{shown(value)} before"


def _types(here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
    lost, gained = old.types - new.types, new.types - old.types
    if not lost and not gained:
        return
    now = types_in_words(new.types)
    if lost and gained:
        code, effect, words = "D307", Effect.CHANGES, f"is now {now}"
    elif lost == {"null"}:
        code, effect, words = "D315", Effect.NARROWS, "may no longer be null"
    elif lost:
        words = f"may now only be {now}" if new.types else "is no longer allowed"
        code, effect = "D305", Effect.NARROWS
    elif gained == {"null"}:
        code, effect, words = "D316", Effect.WIDENS, "may now be null"
    else:
        code, effect, words = "D306", Effect.WIDENS, f"may now be {now}"
    label = f"{types_in_words(old.types)} before"
    yield _told(here, (code, effect), words, (old.types_at, new.types_at), "type", label)


def _moved(narrows: bool) -> tuple[str, Effect]:
    return ("D310", Effect.NARROWS) if narrows else ("D311", Effect.WIDENS)


def _count(
    here: SchemaPosition, keyword: str, was: Constraint | None, now: Constraint | None
) -> Iterator[Fact]:
    kind, is_upper = COUNTS[keyword]
    before = was.value if was is not None else None
    after = now.value if now is not None else None
    if identity(before) == identity(after):
        return
    narrows = before is None or (after is not None and (number(after) < number(before)) == is_upper)
    unit = f"{_UNITS[kind]}{'' if after == 1 else 's'}"
    words = f"now has at {'most' if is_upper else 'least'} {shown(after)} {unit}"
    if after is None:
        words = f"is no longer limited by `{keyword}`"
    yield _told(here, _moved(narrows), words, (was, now), keyword, _before(before))


def _unique(here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
    if bool(old.unique) == bool(new.unique):
        return
    words = f"may {'no longer' if new.unique else 'now'} contain an item twice"
    change = _moved(new.unique is not None)
    yield _told(here, change, words, (old.unique, new.unique), "uniqueItems")


def _edge(
    here: SchemaPosition, was: Edge | None, now: Edge | None, *, is_upper: bool
) -> Iterator[Fact]:
    before = (was.value, was.open) if was is not None else None
    after = (now.value, now.open) if now is not None else None
    held = now or was
    if before == after or held is None:
        return
    narrows = before is None or (after is not None and _is_inside(after, before, is_upper))
    if after is None:
        words = f"is no longer limited by `{held.keyword}`"
    elif after[1]:
        words = f"must now be {'less' if is_upper else 'more'} than {shown(after[0])}"
    else:
        words = f"must now be at {'most' if is_upper else 'least'} {shown(after[0])}"
    label = _before(None if before is None else before[0])
    yield _told(here, _moved(narrows), words, (was, now), held.keyword, label)


def _is_inside(one: tuple[float, bool], other: tuple[float, bool], is_upper: bool) -> bool:
    if one[0] == other[0]:
        return one[1]
    return (one[0] < other[0]) == is_upper


def _multiples(here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
    olds, news = ({Fraction(str(h.value)) for h in form.multiples} for form in (old, new))
    kept = all(any(o % n == 0 for o in olds) for n in news)
    won = all(any(n % o == 0 for n in news) for o in olds)
    if kept and won:
        return
    code, effect = _moved(not kept)
    now = " and ".join(shown(held.value) for held in new.multiples)
    words = f"must now be a multiple of {now}" if now else "is no longer limited by `multipleOf`"
    first = new.multiples[0] if new.multiples else None
    before = old.multiples[0] if old.multiples else None
    change = code, effect if kept or won else Effect.CHANGES
    label = "" if before is None else _before(before.value)
    yield _told(here, change, words, (before, first), "multipleOf", label)


def _texts(here: SchemaPosition, old: Form, new: Form, keyword: str) -> Iterator[Fact]:
    was = {text: held for (kind, text), held in old.texts.items() if kind == keyword}
    now = {text: held for (kind, text), held in new.texts.items() if kind == keyword}
    gone, come = sorted(was.keys() - now.keys()), sorted(now.keys() - was.keys())
    if not gone and not come:
        return
    listed = " and ".join(f"`{text}`" for text in come)
    label = f"{' and '.join(f'`{text}`' for text in gone)} before" if gone else ""
    if gone and come:
        effect, words = Effect.UNKNOWN, f"now has another {keyword}: {listed}"
    elif come:
        effect, words = Effect.NARROWS, f"must now match the {keyword} {listed}"
    else:
        effect, words = Effect.WIDENS, f"need not match a {keyword} any more"
    held = was[gone[0]] if gone else None, now[come[0]] if come else None
    yield _told(here, ("D312", effect), words, held, keyword, label)
