"""Compares two schemas by what they accept: sound about values still accepted, careful about values lost.

Every keyword only excludes values, so a schema accepts all that another does if each of its keywords is implied by the
other's. If that can't be decided, the effect is unknown. A pair of schemas whose comparison is already under way counts as
equal: values are finite, so a difference shows at some depth or nowhere.
"""

import itertools
from collections.abc import Iterator
from typing import Final

import attrs

from channeld.pointer import at
from channeld.schema.cases import identity
from channeld.schema.compare.difference import ITEM, OTHER, Effect, Fact, SchemaPosition, Spot, Step
from channeld.schema.compare.keyword_rules import defaults, facets, values
from channeld.schema.compare.normal_form import Constraint, Form
from channeld.schema.compare.normalize import form_of
from channeld.schema.compare.schema_ref import Node
from channeld.schema.words import types_in_words

MAX_COMPARISONS: Final = 5_000
MAX_DEPTH: Final = 50
Branches = tuple[Constraint, list[Node]]


def compare(old: Node, new: Node) -> list[Fact]:
    """All differences between two schemas, in the order of the old one's keywords; empty if they accept the same."""
    root = SchemaPosition(None, None, old, new)
    for node, which in ((old, "old"), (new, "new")):
        if not node.is_sound():
            return [_undecided(root, f"the {which} schema can't be compiled")]
    return list(_Comparison().at(root))


def _undecided(here: SchemaPosition, reason: str) -> Fact:
    words = f"{here.subject()} changed in a way that cannot be decided"
    return Fact("D399", Effect.UNKNOWN, here, words, new=Spot.whole(here.new), note=reason)


@attrs.define(eq=False)
class _Comparison:
    """One walk over two schemas, with its bounds."""

    _under_way: set[object] = attrs.field(factory=set)
    _count: int = 0

    def at(self, here: SchemaPosition) -> Iterator[Fact]:
        """Compare the two schemas at a position."""
        key = (here.old.key, here.new.key)
        if key in self._under_way or here.old.text() == here.new.text():
            return
        self._count += 1
        if self._count > MAX_COMPARISONS or len(self._under_way) > MAX_DEPTH:
            yield _undecided(here, "the schemas are too large")
            return
        self._under_way.add(key)
        yield from self._forms(here)
        self._under_way.discard(key)

    def _forms(self, here: SchemaPosition) -> Iterator[Fact]:
        old, new = here.forms
        if old.whole or new.whole:
            yield _undecided(here, new.whole or old.whole)
            return
        yield from defaults(here, old, new)
        if old.values is not None or new.values is not None:
            yield from values(here, old, new)
            return
        yield from facets(here, old, new)
        common = old.types & new.types
        if "array" in common:
            yield from self._arrays(here, old, new)
        if "object" in common:
            yield from self._objects(here, old, new)
        yield from self._alternatives(here, old, new)
        yield from _opaque(here, old, new)

    def _below(
        self, here: SchemaPosition, step: Step | None, old: Node, new: Node
    ) -> Iterator[Fact]:
        yield from self.at(SchemaPosition(here, step, old, new))

    def _arrays(self, here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
        for index in range(max(old.prefix(), new.prefix())):
            yield from self._below(here, index, old.item(index), new.item(index))
        yield from self._below(here, ITEM, old.items(), new.items())

    def _objects(self, here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
        olds, news = old.properties(), new.properties()
        always = old.required.keys() & new.required.keys()
        alone = (olds.keys() ^ news.keys()) - always
        for name in {**olds, **news}:
            if name not in alone:
                yield from self._below(here, name, old.child(name), new.child(name))
            elif name in olds:
                yield from self._gone(here, old, new, name)
            else:
                yield from self._come(here, old, new, name)
        for name in new.required:
            if name not in old.required and (name not in alone or name in olds):
                yield _required(here, new, name)
        for name in old.required:
            if name not in new.required and (name not in alone or name in news):
                yield _optional(here, old, name)
        yield from self._others(here, old.others(), new.others())

    def _gone(self, here: SchemaPosition, old: Form, new: Form, name: str) -> Iterator[Fact]:
        was, now = old.child(name), new.child(name)
        closed = not form_of(now).types
        effect = Effect.NARROWS if closed else Effect.WIDENS
        facts = list(self._below(here, name, was, now))
        if not closed and any(fact.may_lose() for fact in facts):
            effect = Effect.CHANGES
        holder = next(
            (
                part
                for part in new.objects
                if isinstance(part.schema, dict) and "properties" in part.schema
            ),
            None,
        )
        gone = Fact(
            "D303",
            effect,
            here,
            f"{here.subject(name)} is gone",
            new=Spot(holder, "properties", key=True) if holder else Spot.whole(here.new),
            old=_declared(old, name),
            label="no other fields are allowed here" if closed else "",
            name=name,
            keyword="properties",
        )
        yield attrs.evolve(gone, required=name in old.required)

    def _come(self, here: SchemaPosition, old: Form, new: Form, name: str) -> Iterator[Fact]:
        was, now = old.child(name), new.child(name)
        facts = list(self._below(here, name, was, now))
        loses, wins = any(f.may_lose() for f in facts), any(f.may_win() for f in facts)
        if name in new.required:
            yield attrs.evolve(_required(here, new, name), closed=wins)
            return
        effect = (Effect.CHANGES if loses else Effect.WIDENS) if wins else Effect.NOTHING
        effect = Effect.NARROWS if loses and not wins else effect
        words, place = f"{here.subject(name)} is a new optional field", _declared(new, name)
        come = Fact("D304", effect, here, words, new=place, name=name, keyword="properties")
        yield attrs.evolve(come, closed=wins)

    def _others(self, here: SchemaPosition, old: Node, new: Node) -> Iterator[Fact]:
        was, now = bool(form_of(old).types), bool(form_of(new).types)
        if was == now:
            yield from self._below(here, OTHER, old, new)
            return
        keyword, here_now = "additionalProperties", Spot.whole(here.new)
        if was:
            words, place = (
                f"{here.subject()} now takes no other fields",
                Spot.whole(new) or here_now,
            )
            yield Fact("D313", Effect.NARROWS, here, words, new=place, keyword=keyword)
        else:
            words, gone = f"{here.subject()} may now have other fields", Spot.whole(old)
            yield Fact("D314", Effect.WIDENS, here, words, new=here_now, old=gone, keyword=keyword)

    def _alternatives(self, here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
        olds, news = old.branches, new.branches
        if len(olds) > 1 or len(news) > 1:
            texts = [{n.text() for _, nodes in groups for n in nodes} for groups in (olds, news)]
            if texts[0] != texts[1] or len(olds) != len(news):
                yield _undecided(here, "several `anyOf` or `oneOf` hold together")
        elif olds and news:
            yield from self._branches(here, olds[0], news[0])
        elif olds or news:
            ((held, _),) = olds or news
            spot = Spot(held.part, held.keyword, key=True)
            yield _came_or_went(here, held.keyword, None if news else spot, spot if news else None)

    def _branches(self, here: SchemaPosition, old: Branches, new: Branches) -> Iterator[Fact]:
        """Compare alternatives: equal ones are set aside, similar ones compared, the others added or removed."""
        before, after = [{node.text() for node in nodes} for _, nodes in (old, new)]
        gone = [node for node in old[1] if node.text() not in after]
        come = [node for node in new[1] if node.text() not in before]
        for was, now in itertools.product(tuple(gone), tuple(come)):
            if was in gone and now in come and _mark(was) == _mark(now):
                gone.remove(was)
                come.remove(now)
                yield from self._below(here, None, was, now)
        spot = Spot(new[0].part, new[0].keyword, key=True)
        for node in gone:
            words = f"{here.subject()} may no longer be {_form(node)}"
            there = Spot.whole(node)
            yield Fact("D305", Effect.NARROWS, here, words, new=spot, old=there, keyword="anyOf")
        for node in come:
            words = f"{here.subject()} may also be {_form(node)}"
            place = Spot.whole(node)
            yield Fact("D306", Effect.WIDENS, here, words, new=place, keyword="anyOf")


def _required(here: SchemaPosition, new: Form, name: str) -> Fact:
    words = f"{here.subject(name)} is now required"
    place = Spot.of(new.required[name])
    return Fact("D301", Effect.NARROWS, here, words, new=place, name=name, keyword="required")


def _optional(here: SchemaPosition, old: Form, name: str) -> Fact:
    words, was = f"{here.subject(name)} may now be missing", Spot.of(old.required[name])
    # The list that the name is no longer in, or else the schema.
    held = next(iter(form_of(here.new).required.values()), None)
    now = Spot(held.part, "required", key=True) if held else Spot.whole(here.new)
    known = Fact("D302", Effect.WIDENS, here, words, new=now, old=was, name=name)
    return attrs.evolve(known, keyword="required")


def _declared(form: Form, name: str) -> Spot:
    return Spot(form.properties()[name], at("", "properties", name)[1:], key=True)


def _opaque(here: SchemaPosition, old: Form, new: Form) -> Iterator[Fact]:
    """Keywords that are only compared textually."""
    was = {(held.keyword, str(held.value)): held for held in old.opaque}
    now = {(held.keyword, str(held.value)): held for held in new.opaque}
    gone = {held.keyword: held for key, held in was.items() if key not in now}
    come = {held.keyword: held for key, held in now.items() if key not in was}
    for keyword in {**gone, **come}:
        before, after = gone.get(keyword), come.get(keyword)
        old_spot = Spot(before.part, keyword, key=True) if before is not None else None
        new_spot = Spot(after.part, keyword, key=True) if after is not None else None
        yield _came_or_went(here, keyword, old_spot, new_spot)


def _came_or_went(here: SchemaPosition, keyword: str, old: Spot | None, new: Spot | None) -> Fact:
    effect, words = Effect.UNKNOWN, "changed in a way that cannot be decided"
    # `patternProperties` exempts properties from `additionalProperties`, so it can both exclude and allow.
    if (old is None or new is None) and keyword != "patternProperties":
        effect = Effect.MAY_NARROW if old is None else Effect.MAY_WIDEN
        words = "is new" if old is None else "is gone"
    message = f"`{keyword}` of {here.subject()} {words}"
    place = new or Spot.whole(here.new)
    return Fact("D399", effect, here, message, new=place, old=old, keyword=keyword)


def _mark(node: Node) -> tuple[frozenset[str], tuple[tuple[str, str], ...]]:
    """What distinguishes an alternative: its types, and its constant fields."""
    form = form_of(node)
    constants: list[tuple[str, str]] = []
    for name in sorted(form.required):
        found = form_of(form.child(name)).values
        if found is not None and len(found) == 1:
            constants.append((name, identity(found[0])))
    return form.types, tuple(constants)


def _form(node: Node) -> str:
    types, constants = _mark(node)
    said = ", ".join(f"{name}: {value}" for name, value in constants)
    return f"the form with `{said}`" if said else types_in_words(types)
