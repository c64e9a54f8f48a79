"""Values worth trying against two schemas: what they list, the ends of their ranges, and values beyond."""

import itertools
from collections.abc import Iterator
from typing import Final

import attrs

from channeld.protocol.frames import Json
from channeld.schema.cases import identity, type_of
from channeld.schema.compare.difference import OTHER, SchemaPosition
from channeld.schema.compare.normal_form import Form
from channeld.schema.compare.normalize import form_of
from channeld.schema.compare.schema_ref import Node, number
from channeld.schema.sample import numbers, texts
from channeld.schema.vocabulary import as_number

MANY: Final = 200
DEEPEST: Final = 6
MOST: Final = 160
SPARE: Final = ("other", "extra", "zz")


@attrs.define(eq=False)
class Prober:
    """Generates values. `budget` bounds their total number for one prober."""

    budget: int = 20_000

    def values(self, one: Node, other: Node, depth: int = 0) -> Iterator[Json]:
        """Values to try against `one` and `other`, natural ones first; at most a few hundred."""
        seen: set[str] = set()
        for value in itertools.islice(self._candidates(one, other, depth), MOST):
            self.budget -= 1
            key = identity(value)
            if key not in seen and self.budget > 0:
                seen.add(key)
                yield value

    def fitting(self, one: Node, other: Node, depth: int = 0) -> Json:
        """A value that both accept, else one that the first accepts, else None."""
        first: list[Json] = []
        for value in self.values(one, other, depth):
            if one.accepts(value):
                if other.accepts(value):
                    return value
                first = first or [value]
        return first[0] if first else None

    def around(self, position: SchemaPosition, value: Json, *, swapped: bool) -> Iterator[Json]:
        """Whole values with `value` at a position; `swapped`: the new schema is the one to satisfy."""
        values = [value]
        for here in position.up():
            above = here.above
            if above is None or here.step is None:
                continue
            one, other = (above.new, above.old) if swapped else (above.old, above.new)
            wrapped = (w for each in values for w in self._wrapped(here, each, one, other))
            values = list(itertools.islice(wrapped, 16))
        yield from values

    def _wrapped(self, here: SchemaPosition, value: Json, one: Node, other: Node) -> Iterator[Json]:
        step = here.step
        if isinstance(step, str) or step is OTHER:
            for base in self._objects(one, other, 1):
                name = step if isinstance(step, str) else next(s for s in SPARE if s not in base)
                yield {**base, name: value}
        else:
            forms = form_of(one), form_of(other)
            own = max(form.prefix() for form in forms)
            at = step if isinstance(step, int) else own
            before = [self.fitting(forms[0].item(i), forms[1].item(i), 1) for i in range(at)]
            least = [form.counts["minItems"].value for form in forms if "minItems" in form.counts]
            size = max([at + 1, *(int(str(n)) for n in least if str(n).isdecimal())])
            yield [*before, value]
            yield [*before, *([value] * min(size - at, MANY))]

    def _candidates(self, one: Node, other: Node, depth: int) -> Iterator[Json]:
        forms = form_of(one), form_of(other)
        for form in forms:
            yield from (form.values or [])[:20]
            yield from _examples(form.node)
        for form in forms:
            yield from itertools.islice(_scalars(form), 20)
        types = forms[0].types | forms[1].types
        if "string" in types:
            lengths = dict.fromkeys(_around(forms, ("maxLength", "minLength")))
            yield from texts(lengths)
        if "object" in types and depth < DEEPEST:
            yield from self._all_objects(one, other, depth)
        if types & {"integer", "number"}:
            yield from _numbers(forms)
        if "array" in types and depth < DEEPEST:
            yield from self._arrays(forms, depth)
        yield from (v for v in (True, False, None) if type_of(v) in types)
        for branch in (b for form in forms for _, nodes in form.branches for b in nodes):
            if depth < DEEPEST:
                yield from itertools.islice(self.values(branch, other, depth + 1), 20)

    def _objects(self, one: Node, other: Node, depth: int) -> Iterator[dict[str, Json]]:
        """Objects with what both require; then with what the first requires only."""
        mine, theirs = form_of(one), form_of(other)
        both = list(dict.fromkeys((*mine.required, *theirs.required)))
        whole = {n: self.fitting(mine.child(n), theirs.child(n), depth + 1) for n in both}
        yield whole
        if len(whole) > len(mine.required):
            yield {name: whole[name] for name in mine.required}
        for _, nodes in (*mine.branches, *theirs.branches):
            for branch in nodes[:8]:
                form = form_of(branch)
                own = {
                    n: self.fitting(form.child(n), mine.child(n), depth + 1) for n in form.required
                }
                yield {**whole, **own}

    def _all_objects(self, one: Node, other: Node, depth: int) -> Iterator[Json]:
        forms = form_of(one), form_of(other)
        names = list(dict.fromkeys(n for form in forms for n in form.properties()))[:MANY]
        for base in self._objects(one, other, depth):
            yield dict(base)
            for name in base:
                yield {key: value for key, value in base.items() if key != name}
            for name in names:
                for value in self._telling(forms[0].child(name), forms[1].child(name), depth + 2):
                    yield {**base, name: value}
            yield {**base, next(s for s in SPARE if s not in base): 1}
            for count in _around(forms, ("maxProperties", "minProperties")):
                spare = {f"f{i}": 1 for i in range(min(count, MANY))}
                yield dict(list({**base, **spare}.items())[: max(count, len(base))])

    def _telling(self, one: Node, other: Node, depth: int) -> Iterator[Json]:
        """A few values of each kind: accepted by both, by one of them, by neither."""
        told: dict[tuple[bool, bool], int] = {}
        for value in self.values(one, other, depth):
            kind = one.accepts(value), other.accepts(value)
            told[kind] = told.get(kind, 0) + 1
            if told[kind] <= 2:
                yield value

    def _arrays(self, forms: tuple[Form, Form], depth: int) -> Iterator[Json]:
        own = max(form.prefix() for form in forms)
        before = [
            self.fitting(forms[0].item(i), forms[1].item(i), depth + 1) for i in range(min(own, 20))
        ]
        entry = self.fitting(forms[0].items(), forms[1].items(), depth + 1)
        yield before
        yield [*before, entry]
        yield [*before, entry, entry]
        items = self.values(forms[0].items(), forms[1].items(), depth + 2)
        several = list(itertools.islice(items, 12))
        for count in _around(forms, ("maxItems", "minItems")):
            size = max(0, min(count, MANY))
            yield (before + [entry] * size)[:size]
            yield (before + several + list(range(size)))[:size]
        for value in several:
            yield [*before, value]
        yield []


def _examples(node: Node) -> Iterator[Json]:
    for part in node.parts:
        for keyword in ("examples", "default"):
            found = part.schema.get(keyword) if isinstance(part.schema, dict) else None
            yield from found if isinstance(found, list) else () if found is None else (found,)


def _scalars(form: Form) -> Iterator[Json]:
    """All scalars in a schema that can't be compared, and strings as long as its numbers: they may matter."""
    is_closed = bool(form.opaque or form.whole)
    waiting: list[Json] = [part.schema for part in form.node.parts] if is_closed else []
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, dict):
            waiting += [each for key, each in value.items() if key not in ("type", "$ref")]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            yield value.strip("^$")
        elif (count := as_number(value)) is not None:
            yield from (count, count + 1, count - 1)
            size = int(min(abs(count), MANY))
            yield from (("abcd" * MANY)[:size], ("abcd" * MANY)[: size + 1])


def _around(forms: tuple[Form, Form], keywords: tuple[str, ...]) -> Iterator[int]:
    """The counts that keywords name, and adjacent ones."""
    for form in forms:
        for held in filter(None, map(form.counts.get, keywords)):
            count = int(number(held.value))
            yield from (max(0, n) for n in (count, count + 1, count - 1))


def _numbers(forms: tuple[Form, Form]) -> Iterator[Json]:
    ends = [edge.value for form in forms for edge in (form.upper, form.lower) if edge is not None]
    return numbers(ends, [number(held.value) for form in forms for held in form.multiples])
