"""How differences between schemas are put into words."""

import json
from typing import Final

from channeld.protocol.frames import Json
from channeld.schema.compare.difference import SchemaPosition

_LONGEST: Final = 60
_NAMES: Final = {
    "null": "null",
    "boolean": "a boolean",
    "object": "an object",
    "array": "an array",
    "string": "a string",
}
_UNITS: Final = {"string": "character", "array": "item", "object": "field"}


def subject(here: SchemaPosition, name: str = "") -> str:
    """What a sentence is about: `text`, or the frame."""
    way = ".".join(filter(None, (here.shown(), name)))
    return f"`{way}`" if way else "the frame"


def shown(value: Json) -> str:
    """A value as JSON on one line, cut when it is long; whole numbers without a fraction."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def choices(values: list[Json]) -> str:
    """`"a", "b" or "c"`, the first five of them."""
    if len(values) > 5:
        return f"{', '.join(map(shown, values[:5]))} and {len(values) - 5} more"
    *most, last = [shown(value) for value in values] or ["nothing"]
    return f"{', '.join(most)} or {last}" if most else last


def types_in_words(types: frozenset[str]) -> str:
    """`a string or null`; `number` stands for numbers that are not integers."""
    if len(types) == 7:
        return "anything"
    named = [words for kind, words in _NAMES.items() if kind in types]
    if "number" in types:
        named.insert(0, "a number")
    elif "integer" in types:
        named.insert(0, "an integer")
    if "null" in types:
        named.append(named.pop(named.index("null")))
    return " or ".join(named) or "nothing"


def unit(kind: str, count: Json) -> str:
    """`1 character`, `2 items`, `3 fields`."""
    return f"{shown(count)} {_UNITS[kind]}{'' if count == 1 else 's'}"
