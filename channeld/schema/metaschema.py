"""Whether a schema is one by the meta-schema of its own draft, and in words why not."""

import itertools
from collections.abc import Iterator
from typing import Final

import jsonschema_rs

from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.vocabulary import SchemaError

MAX_FINDINGS: Final = 5
_LONGEST: Final = 120


def against_meta_schema(schema: Json, pointer: str = "") -> Iterator[SchemaError]:
    """What the meta-schema that `$schema` names (2020-12 without one) has against a schema; `pointer` is its own."""
    if not isinstance(schema, dict | bool) or jsonschema_rs.meta.is_valid(schema):
        return
    # Only a wrong schema pays for the library that explains it: loading it takes longer than all else here.
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 - rare

    draft = validators.validator_for(schema, default=Draft202012Validator)
    errors = draft(draft.META_SCHEMA).iter_errors(schema)
    for error in itertools.islice(errors, MAX_FINDINGS):
        words = error.message if len(error.message) <= _LONGEST else f"{error.message[:_LONGEST]}…"
        keyword = f"`{error.path[-1]}`: " if error.path else ""
        yield SchemaError("CH201", at(pointer, *error.absolute_path), f"{keyword}{words}")
