"""What a schema says of a value: accepted or not, and each violation with its place; the two values everybody passes on."""

from collections.abc import Callable

import attrs

from channeld.protocol.frames import Json


@attrs.frozen(slots=True)
class Violation:
    """One reason why a schema refuses a value, as the wire shows it: a JSON pointer, words, the keyword."""

    path: str
    message: str
    keyword: str


@attrs.frozen(slots=True, eq=False)
class Validator:
    """A compiled JSON Schema, which holds all that it refers to; the two verbs agree.

    `accepts` is the compiled schema's own bound method: nothing stands between it and the caller. `explain` says why not:
    at most 10 violations, values longer than 64 characters cut; empty when it accepts.
    """

    schema: Json
    accepts: Callable[[Json], bool]
    explain: Callable[[Json], list[Violation]]
