"""One conjunction of JSON Schema keywords: what holds of every value in it, as far as names and types go."""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs
import jsonschema_rs

from channeld.protocol.frames import Json
from channeld.schema.vocabulary import TYPES

__all__ = [
    "ALL",
    "MAX_ENUM_CASES",
    "Case",
    "Conjunction",
    "closure",
    "dependents",
    "names_of",
    "restrict",
    "type_of",
    "values_of",
]

ALL: Final = frozenset(TYPES)
MAX_ENUM_CASES: Final = 16
Conjunction: TypeAlias = tuple[Json, ...]

_TYPES_OF: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    str: "string",
    list: "array",
}


@attrs.define(slots=True)
class Case:
    """One conjunction: what holds of every value in it. `required` and `objects` speak of it if it is an object."""

    types: frozenset[str] = ALL
    values: tuple[Json, ...] | None = None
    required: frozenset[str] = frozenset()
    objects: tuple[Mapping[str, Json], ...] = ()
    followed: frozenset[str] = frozenset()
    known: bool = True

    def requires(self, name: str) -> bool:
        """Whether every value has the property."""
        return self.types == {"object"} and name in self.required

    def schemas_of(self, name: str) -> Conjunction | None:
        """What the property must satisfy if it exists; None where it can't."""
        found: list[Json] = []
        for schema in self.objects:
            found.extend(_applied_to(schema, name))
        refused = False in found or (self._leaves_nothing_over() and not self.declares(name))
        if "object" not in self.types or refused:
            return None
        return tuple(found)

    def _leaves_nothing_over(self) -> bool:
        # `unevaluatedProperties: false` refuses only what nothing else looked at, and here not all is looked into.
        closed = any(schema.get("unevaluatedProperties") is False for schema in self.objects)
        return (
            closed
            and self.known
            and not any("dependentSchemas" in schema for schema in self.objects)
            and all(
                schema.get(keyword, False) is False
                for schema in self.objects
                for keyword in ("additionalProperties", "unevaluatedProperties")
            )
        )

    def declares(self, name: str) -> bool:
        """Whether some schema names the property."""
        return any(
            name in _mapping(schema, "properties")
            or any(_matches(p, name) for p in _mapping(schema, "patternProperties"))
            for schema in self.objects
        )

    def is_open(self, *, unless_said: bool = False) -> bool:
        """Whether a property that nobody declared may exist; `unless_said`: only where nothing is said of it."""
        if "object" not in self.types:
            return False
        rest = [
            schema[keyword]
            for schema in self.objects
            for keyword in ("additionalProperties", "unevaluatedProperties")
            if keyword in schema
        ]
        return not rest if unless_said else False not in rest


def type_of(value: object) -> str:
    """The JSON Schema type of a value; `integer` for a number without a fraction."""
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return _TYPES_OF.get(type(value), "object")


def restrict(case: Case, schema: Mapping[str, Json]) -> list[Case]:
    """The case with one more schema's own keywords, not those that hold schemas for the same value; none if impossible."""
    grown = attrs.evolve(case, objects=(*case.objects, schema))
    if "$dynamicRef" in schema:
        grown.known = False
    declared = schema.get("type")
    if declared is not None:
        grown.types = grown.types & _expanded(declared)
    required = schema.get("required")
    if isinstance(required, list):
        grown.required = grown.required | {name for name in required if isinstance(name, str)}
    cases = [grown] if grown.types else []
    if "const" in schema:
        cases = [narrow for each in cases for narrow in _equal_to(each, [schema["const"]])]
    options = schema.get("enum")
    if isinstance(options, list):
        cases = [narrow for each in cases for narrow in _equal_to(each, options)]
    return cases


def _equal_to(case: Case, options: Sequence[Json]) -> list[Case]:
    fitting = [value for value in options if type_of(value) in case.types]
    if not fitting:
        return []
    objects = [value for value in fitting if isinstance(value, dict)]
    if not objects or len(fitting) > MAX_ENUM_CASES:
        values = _both(case.values, fitting)
        return [attrs.evolve(case, types=frozenset(map(type_of, values)), values=values)]
    scalars = [value for value in fitting if not isinstance(value, dict)]
    cases = [_spelled_out(case, value) for value in objects]
    return cases + (_equal_to(case, scalars) if scalars else [])


def _spelled_out(case: Case, value: dict[str, Json]) -> Case:
    exact: dict[str, Json] = {
        "properties": {name: {"const": child} for name, child in value.items()},
        "additionalProperties": False,
    }
    return attrs.evolve(
        case,
        types=frozenset({"object"}),
        values=_both(case.values, [value]),
        required=case.required | value.keys(),
        objects=(*case.objects, exact),
    )


def _both(before: tuple[Json, ...] | None, now: Sequence[Json]) -> tuple[Json, ...]:
    if before is None:
        return tuple(now)
    return tuple(value for value in now if value in before)


def _expanded(declared: Json) -> frozenset[str]:
    listed = declared if isinstance(declared, list) else [declared]
    names = {name for name in listed if isinstance(name, str)}
    return frozenset(names | {"integer"} if "number" in names else names)


def closure(case: Case) -> frozenset[str]:
    """The required names, with those that `dependentRequired` adds."""
    required, size = set(case.required), -1
    while size != len(required):
        size = len(required)
        for schema in case.objects:
            for name, needs in _mapping(schema, "dependentRequired").items():
                if name in required and isinstance(needs, list):
                    required.update(need for need in needs if isinstance(need, str))
    return frozenset(required)


def dependents(case: Case) -> Iterator[Json]:
    """The schemas of `dependentSchemas` that the required names bring in."""
    for schema in case.objects:
        for name, dependent in _mapping(schema, "dependentSchemas").items():
            if name in case.required:
                yield dependent


def _applied_to(schema: Mapping[str, Json], name: str) -> list[Json]:
    properties = _mapping(schema, "properties")
    found = [properties[name]] if name in properties else []
    found += [s for p, s in _mapping(schema, "patternProperties").items() if _matches(p, name)]
    if not found and "additionalProperties" in schema:
        found.append(schema["additionalProperties"])
    return found


def _mapping(schema: Mapping[str, Json], keyword: str) -> Mapping[str, Json]:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


@functools.lru_cache(maxsize=1024)
def _matches(pattern: str, name: str) -> bool:
    options = jsonschema_rs.RegexOptions()
    try:
        matcher = jsonschema_rs.Draft202012Validator(
            {"pattern": pattern}, pattern_options=options, offline=True
        )
    except ValueError:
        return True
    return matcher.is_valid(name)


def names_of(cases: Iterable[Case]) -> tuple[str, ...]:
    """The properties that any of the cases declares, in the schemas' order."""
    ordered = {
        name: None
        for case in cases
        for schema in case.objects
        for name, below in _mapping(schema, "properties").items()
        if below is not False
    }
    return tuple(ordered)


def values_of(cases: Sequence[Case]) -> tuple[Json, ...] | None:
    """All values that any of the cases allows; None unless each lists them."""
    if not cases or any(case.values is None for case in cases):
        return None
    found = {
        json.dumps(value, sort_keys=True): value
        for case in cases
        for value in case.values or ()
        if type_of(value) in case.types
    }
    return tuple(found.values())
