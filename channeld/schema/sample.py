"""A small value that a JSON Schema accepts, for links and examples; simple schemas only, and checked before it is given."""

from collections.abc import Iterator, Mapping
from typing import Final

import attrs
import jsonschema_rs

from channeld.protocol.frames import Json

__all__ = ["sample"]

_TEXTS: Final = (
    "general",
    "1",
    "a",
    "A",
    "abc",
    "ABC",
    "a1",
    "2026-01-01",
    "12:00:00Z",
    "2026-01-01T12:00:00Z",
    "ann@example.com",
    "https://example.com/",
    "6f1c1c1e-6a0b-4d0a-9c57-0d1f5a3f2b11",
    "192.0.2.1",
    "example.com",
    "P1D",
)
"""Strings that satisfy a usual `pattern` or `format`, tried in this order."""
_BOUNDS: Final = (
    ("minimum", 0),
    ("maximum", 0),
    ("exclusiveMinimum", 1),
    ("exclusiveMaximum", -1),
    ("multipleOf", 0),
)
_DEEPEST: Final = 8
_LONGEST: Final = 1000


def sample(
    schema: Json, preferred: str = "text", schemas: Mapping[str, Json] | None = None
) -> Json:
    """A value that the schema accepts; None where none was found.

    Args:
        schema: any; a `$ref` is followed within it and into `schemas`.
        preferred: for strings, where it fits.
        schemas: the configuration's named schemas.
    """
    shared: dict[str, Json] = {"schemas": dict(schemas or {})}
    if isinstance(schema, dict):
        shared |= {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return next(_Sampler(preferred, shared).fitting(schema, 0), None)


@attrs.frozen(slots=True)
class _Sampler:
    """Candidates for schemas that share their definitions."""

    preferred: str
    shared: Mapping[str, Json]

    def fitting(self, schema: Json, depth: int) -> Iterator[Json]:
        """Candidates that this schema accepts by itself, so that a whole needs no search; the likeliest first."""
        return (value for value in self._values(schema, depth) if self._accepts(schema, value))

    def _accepts(self, schema: Json, value: Json) -> bool:
        if not isinstance(schema, dict):
            return schema is not False
        try:
            validator = jsonschema_rs.validator_for(
                {**schema, **self.shared}, validate_formats=True, retriever=_nothing
            )
        except (ValueError, jsonschema_rs.ReferencingError):
            return False
        return validator.is_valid(value)

    def _values(self, schema: Json, depth: int) -> Iterator[Json]:
        if not isinstance(schema, dict) or depth > _DEEPEST:
            yield self.preferred
        elif "$ref" in schema:
            yield from self._values(self._target(schema["$ref"]), depth + 1)
        elif "const" in schema:
            yield schema["const"]
        else:
            for key in ("enum", "examples"):
                choices = schema.get(key)
                yield from choices if isinstance(choices, list) else ()
            yield from self._of_type(schema, depth)

    def _target(self, reference: Json) -> Json:
        found: Json = dict(self.shared)
        for step in str(reference).removeprefix("#/").split("/"):
            found = found.get(step) if isinstance(found, dict) else None
        return found

    def _of_type(self, schema: Mapping[str, Json], depth: int) -> Iterator[Json]:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next(iter(kind), "null")
        if kind == "object":
            yield self._object(schema, depth)
        elif kind == "array":
            yield []
            yield self._array(schema, depth)
        elif kind in ("integer", "number"):
            yield from _numbers(schema)
        elif kind == "string":
            yield from _strings(schema, self.preferred)
        else:
            yield True if kind == "boolean" else None

    def _object(self, schema: Mapping[str, Json], depth: int) -> Json:
        required, properties = schema.get("required"), schema.get("properties")
        names = required if isinstance(required, list) else []
        known = properties if isinstance(properties, dict) else {}
        return {
            str(name): next(self.fitting(known.get(str(name), True), depth + 1), None)
            for name in names
        }

    def _array(self, schema: Mapping[str, Json], depth: int) -> Json:
        least = schema.get("minItems", 1)
        entry = next(self.fitting(schema.get("items", True), depth + 1), None)
        return [entry] * min(least if isinstance(least, int) else 1, _LONGEST)


def _nothing(uri: str) -> Json:
    raise ValueError(f"{uri} is not fetched")


def _numbers(schema: Mapping[str, Json]) -> Iterator[Json]:
    yield 1
    for key, step in _BOUNDS:
        bound = schema.get(key)
        if isinstance(bound, int | float):
            yield bound + step


def _strings(schema: Mapping[str, Json], preferred: str) -> Iterator[str]:
    yield preferred
    yield from _TEXTS
    bounds = (schema.get("minLength"), schema.get("maxLength"))
    length = next((bound for bound in bounds if isinstance(bound, int)), 1)
    for text in (preferred, "a", "A", "1"):
        yield (text * _LONGEST)[: min(length, _LONGEST)]
