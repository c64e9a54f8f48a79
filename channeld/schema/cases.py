"""Expands a schema into cases, plain conjunctions of keywords, for guarantees, types and samples.

An accepted value satisfies at least one case. `anyOf`, `oneOf`, `if` and an `enum` of objects make cases; `$ref` and
`allOf` add to one. Whatever is not understood (`not`, `$dynamicRef`, too many alternatives) is left out of the conjunction,
which only weakens it, and the case is marked as incomplete.
"""

import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import unquote

import attrs
import jsonschema_rs

from channeld.pointer import tokens
from channeld.protocol.frames import Json
from channeld.schema.vocabulary import IN_PLACE, TYPES, linear, listed, mapping, subschemas

ALL: Final = frozenset(TYPES)
MAX_CASES: Final = 64
MAX_ENUM_CASES: Final = 16
MAX_STEPS: Final = 5_000
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
    """One conjunction that holds for every value of the case. `required` and `objects` apply if it is an object."""

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
        """The schemas that a property must satisfy if it exists; None if it can't exist."""
        found: list[Json] = []
        for schema in self.objects:
            found += property_schemas(schema, name)
        refused = False in found or (self._leaves_nothing_over() and not self.declares(name))
        if "object" not in self.types or refused:
            return None
        return tuple(found)

    def _leaves_nothing_over(self) -> bool:
        # `unevaluatedProperties: false` only refuses what nothing else evaluated, and evaluation is incomplete here.
        closed = any(schema.get("unevaluatedProperties") is False for schema in self.objects)
        depends = any("dependentSchemas" in schema for schema in self.objects)
        return closed and self.known and not depends and all(one is False for one in self._rest())

    def _rest(self) -> list[Json]:
        """What the schemas say about undeclared properties."""
        return [
            schema[keyword]
            for schema in self.objects
            for keyword in ("additionalProperties", "unevaluatedProperties")
            if keyword in schema
        ]

    def declares(self, name: str) -> bool:
        """Whether some schema names the property."""
        return any(
            name in mapping(schema, "properties")
            or any(_matches(p, name) for p in mapping(schema, "patternProperties"))
            for schema in self.objects
        )

    def is_open(self, *, unless_said: bool = False) -> bool:
        """Whether undeclared properties may exist; `unless_said`: only if no keyword says so."""
        rest = self._rest()
        return "object" in self.types and (not rest if unless_said else False not in rest)


def type_of(value: object) -> str:
    """The JSON Schema type of a value; `integer` for a number without a fraction."""
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return _TYPES_OF.get(type(value), "object")


def restrict(case: Case, schema: Mapping[str, Json]) -> list[Case]:
    """Add a schema's own keywords to a case, without applicators to the same value; none if impossible."""
    grown = attrs.evolve(case, objects=(*case.objects, schema))
    if "$dynamicRef" in schema:
        grown.known = False
    grown.types = grown.types & declared_types(schema)
    names = {name for name in listed(schema, "required") if isinstance(name, str)}
    grown.required = grown.required | names
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
    known = {identity(value) for value in before}
    return tuple(value for value in now if identity(value) in known)


def declared_types(schema: Mapping[str, Json]) -> frozenset[str]:
    """The types that `type` allows: all if missing; `number` includes `integer`."""
    declared = schema.get("type")
    if declared is None:
        return ALL
    listed = declared if isinstance(declared, list) else [declared]
    names = {name for name in listed if isinstance(name, str)}
    return frozenset(names | {"integer"} if "number" in names else names)


def identity(value: Json) -> str:
    """A text that is equal for equal JSON values: 1 and 1.0 are equal, 1 and true are not."""
    match value:
        case bool() | None:
            return str(value)
        case int() | float():
            is_whole = math.isfinite(value) and value == int(value)
            return f"{int(value)}" if is_whole else repr(value)
        case str():
            return repr(value)
        case list():
            return f"[{','.join(map(identity, value))}]"
        case _:
            return f"{{{','.join(f'{key!r}:{identity(value[key])}' for key in sorted(value))}}}"


def closure(case: Case) -> frozenset[str]:
    """The required names, including those from `dependentRequired`."""
    required, size = set(case.required), -1
    while size != len(required):
        size = len(required)
        for schema in case.objects:
            for name, needs in mapping(schema, "dependentRequired").items():
                if name in required and isinstance(needs, list):
                    required.update(need for need in needs if isinstance(need, str))
    return frozenset(required)


def _dependents(case: Case) -> Iterator[Json]:
    """The schemas of `dependentSchemas` that the required names bring in."""
    for schema in case.objects:
        for name, dependent in mapping(schema, "dependentSchemas").items():
            if name in case.required:
                yield dependent


def speaking_of(schema: Mapping[str, Json], name: str) -> list[tuple[str, ...]]:
    """The paths (keyword, key) to the subschemas that a property must satisfy."""
    found: list[tuple[str, ...]] = []
    if name in mapping(schema, "properties"):
        found.append(("properties", name))
    patterns = mapping(schema, "patternProperties")
    found += [("patternProperties", pattern) for pattern in patterns if _matches(pattern, name)]
    if not found and "additionalProperties" in schema:
        found.append(("additionalProperties",))
    return found


def property_schemas(schema: Mapping[str, Json], name: str) -> list[Json]:
    """The subschemas that a property must satisfy."""
    return [
        mapping(schema, keyword)[key[0]] if key else schema[keyword]
        for keyword, *key in speaking_of(schema, name)
    ]


@functools.lru_cache(maxsize=4096)
def _matches(pattern: str, name: str) -> bool:
    # Exports look ahead past a frame's own fields; no pattern of a configuration can.
    for compile in (linear, _backtracking):
        with contextlib.suppress(ValueError):
            return compile(pattern).is_valid(name)
    return True


def _backtracking(pattern: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"pattern": pattern})


def names_of(cases: Iterable[Case]) -> tuple[str, ...]:
    """The properties that any of the cases declares, in the schemas' order."""
    declared = (mapping(schema, "properties") for case in cases for schema in case.objects)
    named = (name for one in declared for name, below in one.items() if below is not False)
    return tuple(dict.fromkeys(named))


def values_of(cases: Sequence[Case]) -> tuple[Json, ...] | None:
    """All values that the cases allow; None unless each case lists them."""
    if not cases or any(case.values is None for case in cases):
        return None
    values = ((case, value) for case in cases for value in case.values or ())
    return tuple({identity(v): v for case, v in values if type_of(v) in case.types}.values())


@attrs.define(eq=False)
class Expansion:
    """Expands conjunctions into cases; `follow` resolves a `$ref`, or raises `LookupError`.

    Work is bounded by `max_cases` at a time and by a total number of steps.
    """

    follow: Callable[[str], Json]
    max_cases: int = MAX_CASES
    _steps: int = attrs.field(default=MAX_STEPS, init=False)

    def cases(self, conjunction: Conjunction) -> list[Case]:
        """The cases of a conjunction of schemas; empty if no value can satisfy it."""
        cases = self._grow_all([Case()], conjunction)
        return [done for case in cases for done in self._depend(case)]

    def _grow(self, case: Case, schema: Json) -> list[Case]:
        """The cases of `case and schema`; empty if impossible."""
        if not isinstance(schema, dict):
            return [] if schema is False else [case]
        if schema.get("not") in ({}, True):
            return []
        self._steps -= 1
        if self._steps < 0:
            return [attrs.evolve(case, known=False)]
        cases = restrict(case, schema)
        if isinstance(reference := schema.get("$ref"), str):
            cases = [grown for each in cases for grown in self._refer(each, reference)]
        cases = self._grow_all(cases, listed(schema, "allOf"))
        for branches in _disjunctions(schema):
            wider = [grown for branch in branches for grown in self._grow_all(cases, branch)]
            cases = self._bounded(cases, wider)
        return cases

    def _grow_all(self, cases: list[Case], schemas: Iterable[Json]) -> list[Case]:
        for schema in schemas:
            grown = [each for case in cases for each in self._grow(case, schema)]
            cases = self._bounded(cases, grown)
        return cases

    def _bounded(self, before: list[Case], now: list[Case]) -> list[Case]:
        """The new cases, or the old ones if there are too many: leaving a schema out is never wrong, only weaker."""
        if len(now) <= self.max_cases:
            return now
        return [attrs.evolve(case, known=False) for case in before]

    def _refer(self, case: Case, reference: str) -> list[Case]:
        if reference in case.followed:
            return [case]
        try:
            target = self.follow(reference)
        except LookupError:
            return [attrs.evolve(case, known=False)]
        before = case.followed
        grown = self._grow(attrs.evolve(case, followed=before | {reference}), target)
        return [attrs.evolve(each, followed=before) for each in grown]

    def _depend(self, case: Case) -> list[Case]:
        """Apply `dependentRequired` and `dependentSchemas` for the required names."""
        applied: set[int] = set()
        cases, done = [case], []
        while cases:
            each = cases.pop()
            if each.types != {"object"}:
                done.append(each)
                continue
            each.required = closure(each)
            pending = [s for s in _dependents(each) if id(s) not in applied]
            if not pending or len(done) + len(cases) > self.max_cases:
                done.append(each)
                continue
            applied.update(map(id, pending))
            cases.extend(self._grow_all([each], pending))
        return done


def _disjunctions(schema: Mapping[str, Json]) -> Iterator[list[Conjunction]]:
    for keyword in ("anyOf", "oneOf"):
        if branches := listed(schema, keyword):
            yield [(branch,) for branch in branches]
    if "if" in schema:
        yield [(schema["if"], schema.get("then", True)), (schema.get("else", True),)]


def walked(
    root: Json, schemas: Iterable[Json], *, in_place: bool = False
) -> Iterator[Mapping[str, Json]]:
    """Some schemas within `root`, and all below them and that they refer to; each that is a mapping, once.

    With `in_place`, of those below only the ones that apply to the same value.

    Raises:
        LookupError: a reference can't be followed.
    """
    seen: set[int] = set()
    waiting = [*schemas]
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, dict) or id(schema) in seen:
            continue
        seen.add(id(schema))
        yield schema
        below = subschemas(schema)
        waiting += [each for _, each, word in below if word in IN_PLACE or not in_place]
        references = filter(None, map(schema.get, ("$ref", "$dynamicRef")))
        waiting += [pointed(root, str(reference)) for reference in references]


def pointed(schema: Json, reference: str) -> Json:
    """Resolve a local reference (`#`, `#/…`) in a schema.

    Raises:
        LookupError: nothing is there, or the reference is not a local pointer.
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
