"""The interface of validators, and violations with their locations."""

from collections.abc import Callable

import attrs

from channeld.protocol.frames import Json


@attrs.frozen(slots=True)
class Violation:
    """One reason why a schema refuses a value, as on the wire: a JSON pointer, a message, the keyword."""

    path: str
    message: str
    keyword: str


@attrs.frozen(slots=True, eq=False)
class Validator:
    """A compiled, self-contained JSON Schema; `accepts` and `explain` agree.

    `accepts` is the compiled schema's own bound method, without any wrapper. `explain` returns at most 10 violations, with
    values cut at 64 characters; empty if it accepts.
    """

    schema: Json
    accepts: Callable[[Json], bool]
    explain: Callable[[Json], list[Violation]]
