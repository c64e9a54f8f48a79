"""What a JSON Schema guarantees about the values it accepts: which properties exist, and of which types.

A property is guaranteed if every case of the schema guarantees it. What is not understood only weakens a case, so the
result is sound but may be incomplete.
"""

from collections.abc import Iterable

import attrs

from channeld.protocol.frames import Json
from channeld.schema.cases import (
    ALL,
    MAX_CASES,
    Case,
    Conjunction,
    Expansion,
    names_of,
    pointed,
    values_of,
)


@attrs.frozen(slots=True, kw_only=True)
class Lookup:
    """What a schema says about the value at a path.

    `guaranteed`: it exists in every accepted value. `possible`: it may exist. `declared`: the schema names it.
    `types`: its possible JSON types, with `integer` separate from `number` (a schema's `number` gives both). `values`: all
    possible values, if the schema lists them; `elements`: the same for elements of a list. `missing`: the first step that
    is not guaranteed; `names`: the properties declared next to it. `known` is false if the schema can't be analysed.
    """

    guaranteed: bool
    possible: bool
    declared: bool
    types: frozenset[str] = ALL
    values: tuple[Json, ...] | None = None
    elements: tuple[Json, ...] | None = None
    missing: str | None = None
    names: tuple[str, ...] = ()
    known: bool = True


class Shape:
    """The guarantees of one self-contained schema (`$ref` only to its own pointers).

    `of_object`: only objects are considered, as with frames and claims.
    """

    __slots__ = ("_roots", "_schema")

    def __init__(self, schema: Json, *, of_object: bool = False) -> None:
        self._schema = schema
        root: Conjunction = (schema, {"type": "object"}) if of_object else (schema,)
        self._roots = self._expansion().cases(root)

    def lookup(self, path: tuple[str, ...]) -> Lookup:
        """What is known about the value at a path of property names; the empty path is the whole value."""
        expansion = self._expansion()
        cases, guaranteed, declared, known = self._roots, True, True, True
        missing: str | None = None
        names: tuple[str, ...] = ()
        for name in path:
            known = known and all(case.known for case in cases)
            if missing is None and not (cases and all(case.requires(name) for case in cases)):
                guaranteed, missing, names = False, name, names_of(cases)
            declared = declared and any(case.declares(name) for case in cases)
            cases = _step(expansion, cases, name)
        known = known and all(case.known for case in cases)
        return Lookup(
            guaranteed=guaranteed,
            possible=bool(cases),
            declared=declared and bool(cases),
            types=frozenset().union(*(case.types for case in cases)),
            values=values_of(cases),
            elements=_elements(expansion, cases),
            missing=missing,
            names=names,
            known=known or guaranteed,
        )

    def property_names(self) -> tuple[str, ...]:
        """The names that `properties` declares at the root, in the schema's order."""
        return names_of(self._roots)

    @property
    def is_open(self) -> bool:
        """Whether undeclared properties are accepted."""
        return any(case.is_open() for case in self._roots)

    @property
    def is_silently_open(self) -> bool:
        """Whether it is open only because `additionalProperties` is missing."""
        return any(case.is_open(unless_said=True) for case in self._roots)

    def may_be_object(self) -> bool:
        """Whether any object can be accepted, judging by types and constants."""
        return any("object" in case.types for case in self._roots)

    def _expansion(self) -> Expansion:
        return Expansion(lambda reference: pointed(self._schema, reference))


class RefusedShape(Shape):
    """The guarantees of an invalid schema: everything, so that one mistake is one finding."""

    __slots__ = ()

    def lookup(self, path: tuple[str, ...]) -> Lookup:
        """Every path is guaranteed."""
        return Lookup(guaranteed=True, possible=True, declared=True, types=frozenset({"string"}))


def _step(expansion: Expansion, cases: Iterable[Case], name: str) -> list[Case]:
    # By identity: in Python `{const: 1}` equals `{const: true}`.
    seen: dict[tuple[int, ...], Conjunction] = {}
    for case in cases:
        below = case.schemas_of(name)
        if below is not None:
            seen[tuple(map(id, below))] = below
    found = [case for below in seen.values() for case in expansion.cases(below)]
    return found if len(found) <= MAX_CASES else [Case(known=False)]


def _elements(expansion: Expansion, cases: Iterable[Case]) -> tuple[Json, ...] | None:
    """All possible values of a list's elements; None if the schema does not list them."""
    found: list[Json] = []
    for case in cases:
        if "array" not in case.types:
            continue
        below = tuple(schema["items"] for schema in case.objects if "items" in schema)
        values = values_of(expansion.cases(below)) if below else None
        if values is None or any("prefixItems" in schema for schema in case.objects):
            return None
        found.extend(values)
    return tuple(found)
