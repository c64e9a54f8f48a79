"""JSON values and their types in words, as findings and refusals name them."""

import json
from typing import Final

from channeld.protocol.frames import Json

_LONGEST: Final = 60
TYPES: Final = {
    "number": "a number",
    "integer": "an integer",
    "boolean": "a boolean",
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "null": "null",
}
"""The types of JSON Schema, with their article."""


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
    told = types - {"integer"} if "number" in types else types
    return " or ".join(words for kind, words in TYPES.items() if kind in told) or "nothing"
