"""Compiles JSON Schemas, which then validate in a fraction of a microsecond."""

import jsonschema_rs

from channeld.protocol.frames import Json
from channeld.schema.cases import type_of
from channeld.schema.explain import Explainer
from channeld.schema.large_enum import KEYWORD, LargeEnum, with_sets
from channeld.schema.violations import Validator


def compiled(schema: Json) -> Validator:
    """Compile a self-contained schema (dialect 2020-12), `format` asserted, patterns matched in linear time.

    Nothing is ever fetched, whatever the schema refers to.

    Raises:
        TypeError: it is neither a mapping nor a boolean.
        ValueError: it is not a valid schema, has a dangling reference, or a pattern that needs backtracking. The
            exception's `instance_path` says where.
    """
    if not isinstance(schema, dict | bool):
        raise TypeError(f"a schema is a mapping or a boolean, not {type_of(schema)}")
    validator = _built(schema)
    return Validator(schema, validator.is_valid, Explainer(schema, validator, _built).explain)


def _built(schema: dict[str, Json] | bool) -> jsonschema_rs.Draft202012Validator:
    prepared = with_sets(schema)
    return jsonschema_rs.Draft202012Validator(
        prepared if isinstance(prepared, dict) else schema,
        keywords={KEYWORD: LargeEnum},
        validate_formats=True,
        offline=True,
        registry=jsonschema_rs.Registry([]),
        pattern_options=jsonschema_rs.RegexOptions(),
    )
