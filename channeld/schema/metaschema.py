"""Validates a schema against the meta-schema of its own draft."""

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
    """Violations of the meta-schema that `$schema` names (by default 2020-12); `pointer` is the schema's."""
    if not isinstance(schema, dict | bool) or jsonschema_rs.meta.is_valid(schema):
        return
    # Imported only for an invalid schema: loading it takes longer than everything else here.
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 - rare

    draft = validators.validator_for(schema, default=Draft202012Validator)
    errors = draft(draft.META_SCHEMA).iter_errors(schema)
    for error in itertools.islice(errors, MAX_FINDINGS):
        words = error.message if len(error.message) <= _LONGEST else f"{error.message[:_LONGEST]}…"
        keyword = f"`{error.path[-1]}`: " if error.path else ""
        yield SchemaError("CH201", at(pointer, *error.absolute_path), f"{keyword}{words}")
