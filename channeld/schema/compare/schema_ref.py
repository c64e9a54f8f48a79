"""A schema, or a conjunction, in a configuration: what it accepts, and whether two are equal."""

import json
from collections.abc import Collection, Iterator
from typing import Final

import attrs

from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.bundle import bundle
from channeld.schema.cases import speaking_of
from channeld.schema.compiled import compiled
from channeld.schema.documents import Document, SchemaTarget
from channeld.schema.schemas import Schemas, Surveyed
from channeld.schema.violations import Validator, Violation
from channeld.schema.vocabulary import FORMATS, KEYWORDS, listed, rebuilt, subschemas

_WORDS_ONLY: Final = frozenset(
    {"title", "description", "examples", "$comment", "deprecated", "readOnly", "writeOnly"}
    | {"contentEncoding", "contentMediaType", "contentSchema", "$schema", "$id", "$anchor"}
)
_UNORDERED: Final = frozenset({"required", "type", "enum"})

IMPLIED: Final = "channeld:/implied/"
_IN_ANY_ORDER: Final = frozenset({"oneOf", "anyOf", "allOf"})

Part = Surveyed
"""One schema of a conjunction, with the document and pointer where it stands."""


def implied(schema: Json, name: str) -> Part:
    """A schema that is in no file: the language's own requirement."""
    document = Document(uri=f"{IMPLIED}{name}", value=schema, file="")
    return Part(document, "", schema)


def canonical(schema: Json) -> Json:
    """The schema without annotations, and with unordered lists sorted."""
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Json] = {}
    for keyword, value in rebuilt(schema, lambda child, *_: canonical(child)).items():
        if keyword in _WORDS_ONLY or keyword not in KEYWORDS:
            continue
        if keyword == "format" and value not in FORMATS:
            continue
        if keyword in _UNORDERED and isinstance(value, list):
            value = sorted(value, key=_text)  # noqa: PLW2901 - the same list, sorted
        kept[keyword] = value
    return kept


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


@attrs.define(eq=False)
class Book:
    """The schemas of one configuration, compiled and bundled on first use."""

    schemas: Schemas
    forms: dict[object, object] = attrs.field(factory=dict, init=False)
    _wholes: dict[tuple[str, str], Json] = attrs.field(factory=dict, init=False)
    _validators: dict[tuple[str, str], Validator | None] = attrs.field(factory=dict, init=False)

    def whole(self, part: Part) -> Json:
        """The schema with all it refers to.

        Raises:
            LookupError: it has a dangling reference.
        """
        if part.key not in self._wholes:
            target = SchemaTarget(part.document, part.pointer)
            self._wholes[part.key] = bundle(target, self.schemas.documents, frozenset())
        return self._wholes[part.key]

    def text(self, part: Part) -> str:
        """The schema as canonical text, equal for schemas written alike; unique if unavailable."""
        try:
            return _text(canonical(self.whole(part)))
        except LookupError:
            return f"unknown {id(self)} {part.key}"

    def group(self, part: Part, keywords: Collection[str]) -> str:
        """Some keywords of a schema as canonical text."""
        schema = part.schema if isinstance(part.schema, dict) else {}
        below: list[str] = []
        holders: set[str] = set()
        for pointer, child, keyword in subschemas(schema, part.pointer):
            if keyword in keywords:
                holders.add(keyword)
                name = keyword if keyword in _IN_ANY_ORDER else pointer[len(part.pointer) :]
                below.append(f"{name} {self.text(Part(part.document, pointer, child))}")
        plain = {k: v for k, v in schema.items() if k in keywords and k not in holders}
        return "\n".join((*sorted(below), _text(plain)))

    def validator(self, part: Part) -> Validator | None:
        """The compiled schema; None if it has errors."""
        if part.key not in self._validators:
            try:
                self._validators[part.key] = compiled(self.whole(part))
            except (LookupError, TypeError, ValueError):
                self._validators[part.key] = None
        return self._validators[part.key]


@attrs.frozen(slots=True, eq=False)
class Node:
    """A conjunction of schemas; empty: anything is accepted."""

    book: Book
    parts: tuple[Part, ...]

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Its identity, the same for the same schemas."""
        return tuple(sorted({part.key for part in self.parts}))

    def text(self) -> str:
        """Equal for two nodes whose schemas are written alike."""
        return "\n".join(sorted({self.book.text(part) for part in self.parts} - {"{}", "true"}))

    def is_sound(self) -> bool:
        """Whether all of it can be compiled."""
        return all(self.book.validator(part) is not None for part in self.parts)

    def accepts(self, value: Json) -> bool:
        """Whether a value satisfies all of it; no for a schema that can't be compiled."""
        validators = map(self.book.validator, self.parts)
        return all(each is not None and each.accepts(value) for each in validators)

    def explain(self, value: Json) -> list[Violation]:
        """Why it does not."""
        validators = filter(None, map(self.book.validator, self.parts))
        return [found for validator in validators for found in validator.explain(value)]


def property_parts(part: Part, name: str) -> Iterator[Part]:
    """The subschemas that a property must satisfy."""
    if isinstance(part.schema, dict):
        found = [below(part, *way) for way in speaking_of(part.schema, name)]
        yield from (each for each in found if each is not None)


def item_part(part: Part, index: int) -> Part | None:
    """The subschema that the item at an index must satisfy."""
    if index < len(listed(part.schema, "prefixItems")):
        return below(part, "prefixItems", index)
    return below(part, "items")


def below(part: Part, keyword: str, *keys: str | int) -> Part | None:
    """The subschema of a keyword, or one of several; None if there is none."""
    value: Json = part.schema
    for key in (keyword, *keys):
        if isinstance(value, dict) and key in value:
            value = value[str(key)]
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key]
        else:
            return None
    return Part(part.document, at(part.pointer, keyword, *keys), value)


def number(value: Json) -> float:
    """A value that is a number; 0 for any other."""
    return value if isinstance(value, int | float) else 0.0
