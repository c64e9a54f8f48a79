"""What a JSON Schema guarantees about the values it accepts: which properties exist, and of which types.

A schema is expanded to *cases*, each a plain conjunction: an accepted value satisfies at least one of them. `anyOf`,
`oneOf`, `if` and an `enum` of objects make cases; `$ref` and `allOf` add to one. A property is guaranteed when every
case guarantees it. Whatever is not understood (`not`, `$dynamicRef`, a disjunction too wide to expand) is left out of
the conjunction, which only weakens it: what is said to be guaranteed always is, but not all that is guaranteed is said.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

import attrs

from channeld.pointer import tokens
from channeld.protocol.frames import Json
from channeld.schema.cases import (
    ALL,
    Case,
    Conjunction,
    closure,
    dependents,
    names_of,
    restrict,
    type_of,
    values_of,
)

__all__ = ["Lookup", "Shape", "pointed", "type_of"]

MAX_CASES: Final = 64
MAX_STEPS: Final = 5_000


@attrs.frozen(slots=True, kw_only=True)
class Lookup:
    """What a schema says of the value at a path.

    `guaranteed`: it exists in every accepted value. `possible`: it may exist. `declared`: the schema names it.
    `types`: the JSON types that it can have, `integer` apart from `number` (a schema's `number` gives both). `values`:
    all that it can be, where the schema lists them. `missing`: the first step that is not guaranteed; `names`: the
    properties declared beside it. `known` is false where the schema can't be analysed and so nothing was found.
    """

    guaranteed: bool
    possible: bool
    declared: bool
    types: frozenset[str] = ALL
    values: tuple[Json, ...] | None = None
    missing: str | None = None
    names: tuple[str, ...] = ()
    known: bool = True


class Shape:
    """The guarantees of one self-contained schema (`$ref` only to its own pointers); None: it is not known.

    `of_object` says that only objects are ever asked about, as with frames and claims.
    """

    __slots__ = ("_budget", "_roots", "_schema")

    def __init__(self, schema: Json, *, of_object: bool = False, known: bool = True) -> None:
        self._schema = schema
        self._budget = MAX_STEPS
        root: Conjunction = (schema, {"type": "object"}) if of_object else (schema,)
        self._roots = self._expand(root)
        if not known:
            for case in self._roots:
                case.known = False

    def lookup(self, path: tuple[str, ...]) -> Lookup:
        """What is known of the value at a path of property names; the empty path is the whole value."""
        self._budget = MAX_STEPS
        cases, guaranteed, declared, known = self._roots, True, True, True
        missing: str | None = None
        names: tuple[str, ...] = ()
        for name in path:
            known = known and all(case.known for case in cases)
            if missing is None and not (cases and all(case.requires(name) for case in cases)):
                guaranteed, missing, names = False, name, names_of(cases)
            declared = declared and any(case.declares(name) for case in cases)
            cases = self._step(cases, name)
        known = known and all(case.known for case in cases)
        return Lookup(
            guaranteed=guaranteed,
            possible=bool(cases),
            declared=declared and bool(cases),
            types=frozenset().union(*(case.types for case in cases)),
            values=values_of(cases),
            missing=missing,
            names=names,
            known=known or guaranteed,
        )

    def property_names(self) -> tuple[str, ...]:
        """The names that `properties` declares at the root, in the schema's order."""
        return names_of(self._roots)

    @property
    def is_open(self) -> bool:
        """Whether an object with a property that nobody declared can be accepted."""
        return any(case.is_open() for case in self._roots)

    @property
    def is_silently_open(self) -> bool:
        """Whether it is open because nothing is said (`additionalProperties` is missing)."""
        return any(case.is_open(unless_said=True) for case in self._roots)

    def may_be_object(self) -> bool:
        """Whether any object can be accepted, as far as types and constants tell."""
        return any("object" in case.types for case in self._roots)

    def _step(self, cases: Iterable[Case], name: str) -> list[Case]:
        # By identity: Python holds `{const: 1}` and `{const: true}` for equal.
        seen: dict[tuple[int, ...], Conjunction] = {}
        for case in cases:
            below = case.schemas_of(name)
            if below is not None:
                seen[tuple(map(id, below))] = below
        found = [case for below in seen.values() for case in self._expand(below)]
        return found if len(found) <= MAX_CASES else [Case(known=False)]

    def _expand(self, conjunction: Conjunction) -> list[Case]:
        cases = [Case()]
        for schema in conjunction:
            cases = [grown for case in cases for grown in self._grow(case, schema)]
            if len(cases) > MAX_CASES:
                return [Case(known=False)]
        return [done for case in cases for done in self._depend(case)]

    def _grow(self, case: Case, schema: Json) -> list[Case]:
        """The cases of `case and schema`; none where that is impossible."""
        if not isinstance(schema, dict):
            return [] if schema is False else [case]
        self._budget -= 1
        if self._budget < 0:
            return [attrs.evolve(case, known=False)]
        cases = restrict(case, schema)
        for conjunct in self._conjuncts(schema):
            cases = [grown for each in cases for grown in self._grow_reference(each, conjunct)]
        for branches in _disjunctions(schema):
            wider = [
                grown
                for each in cases
                for branch in branches
                for grown in self._grow_all(each, branch)
            ]
            if len(wider) > MAX_CASES:
                cases = [attrs.evolve(each, known=False) for each in cases]
            else:
                cases = wider
        return cases

    def _grow_all(self, case: Case, schemas: Sequence[Json]) -> list[Case]:
        cases = [case]
        for schema in schemas:
            cases = [grown for each in cases for grown in self._grow(each, schema)]
        return cases

    def _grow_reference(self, case: Case, conjunct: "str | Json") -> list[Case]:
        if not isinstance(conjunct, str):
            return self._grow(case, conjunct)
        if conjunct in case.followed:
            return [case]
        try:
            target = pointed(self._schema, conjunct)
        except LookupError:
            return [attrs.evolve(case, known=False)]
        before = case.followed
        grown = self._grow(attrs.evolve(case, followed=before | {conjunct}), target)
        return [attrs.evolve(each, followed=before) for each in grown]

    def _conjuncts(self, schema: Mapping[str, Json]) -> Iterator["str | Json"]:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference
        all_of = schema.get("allOf")
        if isinstance(all_of, list):
            yield from (each for each in all_of if isinstance(each, dict | bool))

    def _depend(self, case: Case) -> list[Case]:
        """Add what `dependentRequired` and `dependentSchemas` say of the names that are required."""
        applied: set[int] = set()
        cases, done = [case], []
        while cases:
            each = cases.pop()
            if each.types != {"object"}:
                done.append(each)
                continue
            each.required = closure(each)
            pending = [s for s in dependents(each) if id(s) not in applied]
            if not pending or len(done) + len(cases) > MAX_CASES:
                done.append(each)
                continue
            applied.update(map(id, pending))
            cases.extend(self._grow_all(each, pending))
        return done


def pointed(schema: Json, reference: str) -> Json:
    """What a local reference (`#`, `#/…`) points at in a schema.

    Raises:
        LookupError: nothing is there, or the reference is no local pointer.
    """
    if reference != "#" and not reference.startswith("#/"):
        raise LookupError(reference)
    value = schema
    for key in tokens(unquote(reference[1:])):
        if isinstance(value, dict):
            value = value[key]
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]*", key):
            value = value[int(key)]
        else:
            raise LookupError(reference)
    return value


def _disjunctions(schema: Mapping[str, Json]) -> Iterator[list[tuple[Json, ...]]]:
    for keyword in ("anyOf", "oneOf"):
        branches = schema.get(keyword)
        if isinstance(branches, list) and branches:
            yield [(branch,) for branch in branches]
    if "if" in schema:
        yield [(schema["if"], schema.get("then", True)), (schema.get("else", True),)]
