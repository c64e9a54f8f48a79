"""What a schema says of a value: accepted or not, and each violation with its place; the two values everybody passes on."""

from typing import Protocol

import attrs

from channeld.protocol.frames import Json

__all__ = ["Validator", "Violation"]


@attrs.frozen(slots=True)
class Violation:
    """One reason why a schema refuses a value, as the wire shows it: a JSON pointer, words, the keyword."""

    path: str
    message: str
    keyword: str


class Validator(Protocol):
    """A compiled JSON Schema, which holds all that it refers to; the two verbs agree."""

    @property
    def schema(self) -> Json:
        """What was compiled."""

    def accepts(self, value: Json) -> bool:
        """Yes or no, fast."""

    def explain(self, value: Json) -> list[Violation]:
        """Why not: at most 10 violations, values longer than 64 characters cut; empty when it accepts."""
