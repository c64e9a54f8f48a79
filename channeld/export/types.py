"""Converts JSON Schema to types of a programming language.

A type accepts everything that the schema accepts, and may accept more, since types can't express patterns, lengths or
`not`. A schema is expanded to cases (`schema/cases.py`), each becomes a type, and the whole is their union.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

import attrs

from channeld.protocol.frames import Json
from channeld.schema.cases import Case, Conjunction, Expansion, closure, names_of, type_of
from channeld.schema.definitions import PREFIX

MAX_CASES: Final = 32
DEEPEST: Final = 12
_ANNOTATIONS: Final = frozenset(
    {
        "$comment", "default", "deprecated", "description", "examples", "readOnly", "title", "writeOnly",
    }
)  # fmt: skip


@attrs.frozen(slots=True)
class Plain:
    """A type without parts; `unknown` is any value, `never` none."""

    name: Literal["unknown", "never", "null", "boolean", "integer", "number", "string"]


@attrs.frozen(slots=True)
class Constant:
    """One scalar value."""

    value: str | int | float | bool | None


@attrs.frozen(slots=True)
class Named:
    """A definition, by its name."""

    name: str


@attrs.frozen(slots=True)
class ListOf:
    """A list of values of one type."""

    of: "Type"


@attrs.frozen(slots=True)
class TupleOf:
    """A list whose first values have types of their own; `least` are always there, the rest have type `rest`."""

    first: tuple["Type", ...]
    least: int
    rest: "Type"


@attrs.frozen(slots=True)
class MapOf:
    """An object with any names, whose values are of one type."""

    of: "Type"


@attrs.frozen(slots=True)
class Property:
    """One property of a record."""

    name: str
    type: "Type"
    required: bool
    description: str = ""


@attrs.frozen(slots=True)
class Record:
    """An object with known properties; `open`: there may be others."""

    properties: tuple[Property, ...]
    open: bool


@attrs.frozen(slots=True)
class Union:
    """Any of several types, at least two."""

    of: tuple["Type", ...]


Type: TypeAlias = Plain | Constant | Named | ListOf | TupleOf | MapOf | Record | Union

UNKNOWN: Final = Plain("unknown")
NEVER: Final = Plain("never")


@attrs.define(eq=False)
class Types:
    """The types of schemas that refer to definitions."""

    definitions: Mapping[str, Json]
    _depth: int = attrs.field(default=0, init=False)

    def definition(self, name: str) -> Type:
        """The type of a definition, without its name."""
        return self._of((self.definitions[name],), named=False)

    def needed(self, names: Iterable[str]) -> dict[str, Type]:
        """The types of definitions and of all that they name, in the order of the definitions."""
        found: dict[str, Type] = {}
        waiting = [*names]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self.definition(name)
                waiting.extend(_names_in(found[name]))
        return {name: found[name] for name in self.definitions if name in found}

    def of(self, schema: Json) -> Type:
        """The type of a schema."""
        return self._of((schema,))

    def _of(self, conjunction: Conjunction, *, named: bool = True) -> Type:
        name = _only_reference(conjunction) if named else None
        if name is not None:
            return Named(name) if name in self.definitions else UNKNOWN
        if self._depth >= DEEPEST:
            return UNKNOWN
        self._depth += 1
        try:
            branches = _only_branches(conjunction)
            if branches is not None:
                return union(self._of((branch,)) for branch in branches)
            return union(
                self._of_case(case)
                for case in Expansion(self._followed, MAX_CASES).cases(conjunction)
            )
        finally:
            self._depth -= 1

    def _of_case(self, case: Case) -> Type:
        if len(case.types) == 7 and case.values is None:
            return UNKNOWN
        return union(self._of_type(case, name) for name in _ORDER if name in case.types)

    def _of_type(self, case: Case, name: str) -> Type:
        match name:
            case "object":
                return self._record(case)
            case "array":
                return self._list(case)
            case "integer" if "number" in case.types:
                return NEVER
            case "null" | "boolean" | "integer" | "number" | "string":
                return _constants(case.values, name) if case.values is not None else Plain(name)
            case _:
                return UNKNOWN

    # ---------------------------------------------------------------------------------------------------- objects

    def _record(self, case: Case) -> Type:
        required = closure(case)
        properties = []
        for name in dict.fromkeys((*names_of([case]), *sorted(required))):
            schemas = case.schemas_of(name)
            type = NEVER if schemas is None else self._of(schemas)
            if type == NEVER and name in required:
                return NEVER
            if schemas is not None:
                properties.append(Property(name, type, name in required, _description(schemas)))
        others = [*_others(case)]
        if not properties and others:
            return MapOf(union(self._of((schema,)) for schema in others))
        return Record(tuple(properties), case.is_open() or bool(others))

    # ------------------------------------------------------------------------------------------------------ lists

    def _list(self, case: Case) -> Type:
        rests = [schema["items"] for schema in case.objects if "items" in schema]
        rest = self._of(tuple(rests)) if rests else UNKNOWN
        tuples = [s["prefixItems"] for s in case.objects if isinstance(s.get("prefixItems"), list)]
        if not tuples:
            return ListOf(rest)
        least = max((_count(schema.get("minItems")) for schema in case.objects), default=0)
        (first, *others) = tuples
        if others or not isinstance(first, list):
            return ListOf(UNKNOWN)
        types = tuple(self._of((schema,)) for schema in first)
        return TupleOf(types, min(least, len(types)), rest)

    def _followed(self, reference: str) -> Json:
        return self.definitions[reference.removeprefix(PREFIX)]


_ORDER: Final = ("string", "number", "integer", "boolean", "array", "object", "null")


def union(types: Iterable[Type]) -> Type:
    """The union of types: without duplicates and `never`; `unknown` absorbs the others."""
    found: dict[Type | tuple[str, Type], Type] = {}
    for type in types:
        for each in type.of if isinstance(type, Union) else (type,):
            # Python holds `Constant(1)` and `Constant(True)` for equal.
            key = (str(each.value.__class__), each) if isinstance(each, Constant) else each
            found.setdefault(key, each)
    kinds = [each for each in found.values() if each != NEVER]
    if UNKNOWN in kinds:
        return UNKNOWN
    plain = {each.name for each in kinds if isinstance(each, Plain)}
    kinds = [
        each
        for each in kinds
        if not (isinstance(each, Constant) and type_of(each.value) in plain - {"string"})
    ]
    if not kinds:
        return NEVER
    return kinds[0] if len(kinds) == 1 else Union(tuple(kinds))


def _names_in(type: Type) -> Iterator[str]:
    match type:
        case Named(name):
            yield name
        case ListOf(of) | MapOf(of):
            yield from _names_in(of)
        case TupleOf(first, _, rest):
            for each in (*first, rest):
                yield from _names_in(each)
        case Union(kinds):
            for each in kinds:
                yield from _names_in(each)
        case Record(properties):
            for one in properties:
                yield from _names_in(one.type)
        case _:
            pass


def _only_reference(conjunction: Conjunction) -> str | None:
    """The definition that a conjunction merely refers to, if so."""
    if len(conjunction) != 1 or not isinstance(conjunction[0], dict):
        return None
    schema = {key: v for key, v in conjunction[0].items() if key not in _ANNOTATIONS}
    if len(schema) != 1:
        return None
    reference, all_of = schema.get("$ref"), schema.get("allOf")
    if isinstance(reference, str):
        return reference.removeprefix(PREFIX)
    return _only_reference(tuple(all_of)) if isinstance(all_of, list) else None


def _others(case: Case) -> Iterator[Json]:
    """The schemas of properties that are known by no name."""
    if case.is_open():
        yield next(
            (
                schema["additionalProperties"]
                for schema in case.objects
                if isinstance(schema.get("additionalProperties"), dict)
            ),
            True,
        )
    for schema in case.objects:
        patterns = schema.get("patternProperties")
        yield from patterns.values() if isinstance(patterns, dict) else ()


def _description(schemas: Conjunction) -> str:
    for schema in schemas:
        text = schema.get("description") if isinstance(schema, dict) else None
        if isinstance(text, str):
            return text
    return ""


def _only_branches(conjunction: Conjunction) -> list[Json] | None:
    """The alternatives, if a conjunction consists of nothing else."""
    if len(conjunction) != 1 or not isinstance(conjunction[0], dict):
        return None
    schema = {key: v for key, v in conjunction[0].items() if key not in _ANNOTATIONS}
    branches = schema.get("anyOf", schema.get("oneOf"))
    return branches if len(schema) == 1 and isinstance(branches, list) else None


def _constants(values: Iterable[Json], name: str) -> Type:
    # `integer` values are listed under `number` if a schema allows both.
    names = ("integer", "number") if name == "number" else (name,)
    return union(
        Constant(value)
        for value in values
        if (value is None or isinstance(value, str | int | float)) and type_of(value) in names
    )


def _count(value: Json) -> int:
    return int(value) if isinstance(value, int | float) else 0
