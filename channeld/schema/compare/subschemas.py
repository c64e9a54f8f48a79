"""Subschemas and numbers of one schema."""

from collections.abc import Iterator

from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.cases import speaking_of
from channeld.schema.compare.schema_ref import Part
from channeld.schema.vocabulary import listed


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
