"""Values that a schema marks with `x-sensitive: true`: found in a value, and masked in output for people."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from channeld.pointer import at, tokens
from channeld.protocol.frames import Json
from channeld.schema.cases import property_schemas, walked
from channeld.schema.vocabulary import MARK, mapping

MASK: Final = "•••"
_HEAD: Final = 40
_Schemas = Sequence[Mapping[str, Json]]


def marks_of(schema: Json) -> "Marks | None":
    """The marks of a self-contained schema, or None."""
    return Marks(schema) if f'"{MARK}"' in json.dumps(schema) else None


@attrs.frozen(slots=True, eq=False)
class Marks:
    """Where a schema marks values. References that can't be followed count as marked."""

    schema: Json

    def masked(self, value: Json) -> Json:
        """A copy of a value with everything marked masked."""
        return self._masked(value, (self.schema,), lambda _: None)

    def secrets(self, value: Json) -> list[Json]:
        """The marked parts of a value."""
        found: list[Json] = []
        self._masked(value, (self.schema,), found.append)
        return found

    def touches(self, path: Sequence[str]) -> bool:
        """Whether something at a path of property names, above it or below it is marked."""
        schemas: Sequence[Json] = (self.schema,)
        for name in path:
            here = self._together(schemas)
            if here is None or _is_marked(here):
                return True
            schemas = [*_of_property(here, name)]
        try:
            return _is_marked([*walked(self.schema, schemas)])
        except LookupError:
            return True

    def places(self) -> Iterator[str]:
        """JSON pointers of the outermost marked values; `0` stands for every entry of a list."""
        seen: set[frozenset[int]] = set()
        waiting: list[tuple[str, Sequence[Json]]] = [("", (self.schema,))]
        while waiting:
            pointer, schemas = waiting.pop()
            here = self._together(schemas) or []
            # A schema that refers to itself is entered once.
            if _is_marked(here):
                yield pointer
            elif (those := frozenset(map(id, here))) not in seen:
                seen.add(those)
                waiting += [(at(pointer, name), [*_of(here, name)]) for name in _parts(here)]

    def declares(self, pointer: str) -> bool:
        """Whether the schema names every step of a pointer."""
        schemas: Sequence[Json] = (self.schema,)
        for token in tokens(pointer):
            here = self._together(schemas) or []
            if token not in _parts(here):
                return False
            schemas = [*_of(here, token)]
        return True

    def is_at(self, pointer: str) -> bool:
        """Whether the value at a JSON pointer, or one around it, is marked."""
        schemas: Sequence[Json] = (self.schema,)
        for token in (*tokens(pointer), None):
            here = self._together(schemas)
            if here is None or _is_marked(here):
                return True
            if token is not None:
                index = [*_of_item(here, int(token))] if token.isdecimal() else []
                schemas = [*_of_property(here, token), *index]
        return False

    def _masked(self, value: Json, schemas: Sequence[Json], found: Callable[[Json], None]) -> Json:
        if not schemas:
            return value
        here = self._together(schemas)
        if here is None or _is_marked(here):
            found(value)
            return MASK
        if isinstance(value, dict):
            return {
                name: self._masked(child, [*_of_property(here, name)], found)
                for name, child in value.items()
            }
        if isinstance(value, list):
            return [
                self._masked(child, [*_of_item(here, index)], found)
                for index, child in enumerate(value)
            ]
        return value

    def _together(self, schemas: Sequence[Json]) -> _Schemas | None:
        """All schemas that apply to the same value; None if a reference can't be followed."""
        try:
            return [*walked(self.schema, schemas, in_place=True)]
        except LookupError:
            return None


def _is_marked(schemas: _Schemas) -> bool:
    return any(schema.get(MARK) is True for schema in schemas)


def _parts(schemas: _Schemas) -> set[str]:
    """The names of the declared properties, and `0` for the entries of a list."""
    names = {name for schema in schemas for name in mapping(schema, "properties")}
    return names | {"0" for schema in schemas if {"items", "prefixItems"} & schema.keys()}


def _of(schemas: _Schemas, token: str) -> Iterator[Json]:
    yield from _of_property(schemas, token)
    if token.isdecimal():
        yield from _of_item(schemas, int(token))


def _of_property(schemas: _Schemas, name: str) -> Iterator[Json]:
    for schema in schemas:
        yield from property_schemas(schema, name)
        yield schema.get("unevaluatedProperties", True)


def _of_item(schemas: _Schemas, index: int) -> Iterator[Json]:
    for schema in schemas:
        first = schema.get("prefixItems")
        if isinstance(first, list) and index < len(first):
            yield first[index]
        else:
            yield schema.get("items", True)
        yield from (schema[key] for key in ("contains", "unevaluatedItems") if key in schema)


def scrubbed(text: str, secrets: Sequence[str]) -> str:
    """A text with all secrets masked, including ones truncated after 40 characters."""
    for secret in sorted(secrets, key=len, reverse=True):
        head, start = secret[:_HEAD], 0
        while head and (start := text.find(head, start)) >= 0:
            end = start + len(head)
            while end < len(text) and text[start : end + 1] == secret[: end + 1 - start]:
                end += 1
            text = text[:start] + MASK + text[end:]
            start += len(MASK)
    return text
