"""Generates small values that a JSON Schema accepts, and strings and numbers for comparisons to try."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import attrs
import jsonschema_rs

from channeld.protocol.frames import Json
from channeld.schema.cases import Case, Conjunction, Expansion, closure, pointed
from channeld.schema.compiled import compiled
from channeld.schema.vocabulary import as_number, listed

_TEXTS: Final = (
    *("hello", "a", "", "1", "A", "a b", "a-1", "ä", "?"),
    *("2026-01-31", "12:00:00Z", "2026-01-31T12:00:00Z", "ann@example.com"),
    *("https://example.com/", "6f1c1c1e-6a0b-4d0a-9c57-0d1f5a3f2b11", "192.0.2.1", "::1"),
    *("example.com", "P1D", "abc", "ABC", "a1"),
)
"""Strings that satisfy a usual `pattern` or `format`, tried in this order."""
EDGES: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_ORDER: Final = ("string", "integer", "number", "array", "object", "boolean", "null")
_DEEPEST: Final = 8
_LONGEST: Final = 5_000
_MOST_ITEMS: Final = 1_000


def texts(lengths: Iterable[int], preferred: str = "") -> Iterator[str]:
    """Strings worth trying, the preferred one first; some are as long as one of `lengths`."""
    yield from (preferred,) if preferred else ()
    yield from _TEXTS
    for length in lengths:
        if length <= _LONGEST:
            for text in (preferred, "a", "1", "A", "ab-"):
                yield from ((text * length)[:length],) if text else ()


def numbers(edges: Iterable[float], multiples: Iterable[float]) -> Iterator[Json]:
    """Numbers worth trying: small ones, those at and next to the ends of ranges, and multiples."""
    yield from (1, 0, -1, 1.5)
    for edge in edges:
        for value in (edge, edge + 1, edge - 1, edge + 0.5, edge - 0.5):
            yield int(value) if float(value).is_integer() else value
    for step in multiples:
        yield from (step, step * 2, step * 3, step / 2)
    yield from (100, -100, 10**9, -0.5, 10**15)


def sample(
    schema: Json, preferred: str = "text", schemas: Mapping[str, Json] | None = None
) -> Json:
    """A value that the schema accepts, or None; a string is `preferred` if that fits.

    A `$ref` is followed within the schema and into `schemas`, the configuration's named ones.
    """
    shared: dict[str, Json] = {"schemas": dict(schemas or {})}
    if isinstance(schema, dict):
        shared["$defs"] = schema.get("$defs", {})
    return next(_Sampler(preferred, shared).fitting((schema,), 0), None)


@attrs.frozen(slots=True)
class _Sampler:
    """Candidates for schemas that share their definitions."""

    preferred: str
    shared: Mapping[str, Json]

    def fitting(self, conjunction: Conjunction, depth: int) -> Iterator[Json]:
        """Candidates that the schemas accept by themselves, likeliest first, so that the whole needs no search."""
        cases = Expansion(lambda ref: pointed({**self.shared}, ref)).cases(conjunction)
        if depth > _DEEPEST or not cases:
            return
        try:
            accepts = compiled({"allOf": [True, *conjunction], **self.shared}).accepts
        except (ValueError, jsonschema_rs.ReferencingError):
            return
        yield from (
            value for case in cases for value in self._values(case, depth) if accepts(value)
        )

    def _values(self, case: Case, depth: int) -> Iterator[Json]:
        yield from case.values or ()
        for schema in case.objects:
            yield from listed(schema, "examples")
        first = "object" if any({"properties", "required"} & s.keys() for s in case.objects) else ""
        for kind in dict.fromkeys((first, *_ORDER)):
            if kind in case.types:
                yield from self._of_type(kind, case, depth)

    def _of_type(self, kind: str, case: Case, depth: int) -> Iterator[Json]:
        match kind:
            case "string":
                lengths = bounds(case, ("minLength", "maxLength"))
                yield from texts(map(int, lengths), self.preferred)
            case "integer" | "number":
                yield from numbers(bounds(case, EDGES), bounds(case, ("multipleOf",)))
            case "array":
                yield from self._arrays(case, depth)
            case "object":
                yield from self._objects(case, depth)
            case "boolean":
                yield from (True, False)
            case _:
                yield None

    def _objects(self, case: Case, depth: int) -> Iterator[Json]:
        found: dict[str, Json] = {}
        for name in _in_order(case):
            schemas = case.schemas_of(name)
            fitting = [*islice(self.fitting(schemas, depth + 1), 1)] if schemas is not None else []
            if not fitting:
                return
            found[name] = fitting[0]
        yield found

    def _arrays(self, case: Case, depth: int) -> Iterator[Json]:
        yield []
        items = tuple(schema["items"] for schema in case.objects if "items" in schema)
        least = max((int(n) for n in bounds(case, ("minItems",))), default=1)
        for entry in islice(self.fitting(items, depth + 1), 1):
            yield [entry] * min(least, _MOST_ITEMS)


def _in_order(case: Case) -> Sequence[str]:
    """The names that are required, in the schemas' order."""
    names = [str(name) for schema in case.objects for name in listed(schema, "required")]
    return [*dict.fromkeys((*names, *sorted(closure(case))))]


def bounds(case: Case, keywords: Iterable[str]) -> Iterator[float]:
    """The numbers that these keywords hold in any of the case's schemas."""
    found = (as_number(schema.get(key)) for key in keywords for schema in case.objects)
    return (bound for bound in found if bound is not None)
