"""Looks up large `enum`s of objects or lists in a set; the library would compare them one by one.

A list of such values would cost its length times the `enum`'s, which is seconds for one message.
"""

from typing import Final

from channeld.protocol.frames import CheckedJson, Json
from channeld.schema.cases import identity
from channeld.schema.vocabulary import listed, rebuilt

KEYWORD: Final = "x-channeld-enum"
LARGEST: Final = 16
"""The most objects and lists in an `enum` that the library compares itself."""


class LargeEnum:
    """The custom keyword for jsonschema-rs."""

    def __init__(self, parent_schema: object, value: CheckedJson, schema_path: object) -> None:
        self._known = frozenset(map(identity, value))

    def validate(self, instance: CheckedJson) -> None:
        """Accept a listed value.

        Raises:
            ValueError: it is not.
        """
        if identity(instance) not in self._known:
            raise ValueError("not listed")


def with_sets(schema: Json) -> Json:
    """The schema with the keyword in place of each large `enum`."""
    if not isinstance(schema, dict):
        return schema
    copied = rebuilt(schema, lambda child, *_: with_sets(child))
    if _is_large(schema):
        copied[KEYWORD] = copied.pop("enum")
    return copied


def _is_large(schema: Json) -> bool:
    return sum(isinstance(o, dict | list) for o in listed(schema, "enum")) > LARGEST
