"""Compiled JSON Schemas: yes or no in a fraction of a microsecond, and in plain words why not."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs
import jsonschema_rs

from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.guarantees import type_of
from channeld.schema.violations import Validator, Violation

__all__ = ["CompiledValidator", "compiled", "validator_of"]

MAX_VIOLATIONS: Final = 10
MAX_SHOWN: Final = 64


@attrs.frozen(slots=True, eq=False)
class CompiledValidator:
    """A `Validator`. `accepts` is the compiled schema's own bound method: nothing stands between it and the caller."""

    accepts: Callable[[Json], bool]
    _iter_errors: Callable[[Json], Iterator[jsonschema_rs.ValidationError]]

    def explain(self, value: Json) -> list[Violation]:
        """Why not: at most 10 violations in the schema's order; empty when it accepts."""
        return [
            Violation(at("", *error.instance_path), *_words(error))
            for error in itertools.islice(self._iter_errors(value), MAX_VIOLATIONS)
        ]


def compiled(schema: Json) -> CompiledValidator:
    """Compile a self-contained schema (dialect 2020-12), `format` asserted, patterns matched in linear time.

    Nothing is ever fetched, whatever the schema refers to.

    Raises:
        TypeError: it is neither a mapping nor a boolean.
        ValueError: it is no schema, refers to what it does not contain, or has a pattern that needs backtracking. The
            library's `instance_path` on it says where.
    """
    if not isinstance(schema, dict | bool):
        raise TypeError(f"a schema is a mapping or a boolean, not {type_of(schema)}")
    validator = jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        offline=True,
        registry=jsonschema_rs.Registry([]),
        pattern_options=jsonschema_rs.RegexOptions(),
    )
    return CompiledValidator(validator.is_valid, validator.iter_errors)


def validator_of(schema: Json) -> Validator:
    """The validator of a built-in schema, such as those of the reserved client frames.

    Raises:
        TypeError, ValueError: as `compiled`; for a built-in schema that is a mistake in the program.
    """
    return compiled(schema)


def shown(value: object) -> str:
    """A value as JSON, cut at 64 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _words(error: jsonschema_rs.ValidationError) -> tuple[str, str]:
    keyword = error.kind.name
    last = next((step for step in reversed(error.schema_path) if isinstance(step, str)), "")
    if keyword == "falseSchema" and last in {"additionalProperties", "unevaluatedProperties"}:
        # The library's short form of `additionalProperties: false` with no properties beside it.
        return "has a field that is not allowed", last
    if keyword in {"contains", "required"} and last in _COUSINS:
        keyword = last
    wording = _WORDS.get(keyword)
    return (wording(error) if wording else _shortened(error.message)), keyword


def _shortened(text: str) -> str:
    return text if len(text) <= 2 * MAX_SHOWN else text[: 2 * MAX_SHOWN - 1] + "…"


def _asked(error: jsonschema_rs.ValidationError, name: str) -> object:
    return error.kind.as_dict().get(name)


def _names(error: jsonschema_rs.ValidationError, name: str) -> list[object]:
    found = _asked(error, name)
    return found if isinstance(found, list) else []


def _type(error: jsonschema_rs.ValidationError) -> str:
    wanted = [_ARTICLES.get(str(name), str(name)) for name in _names(error, "types")]
    got = _ARTICLES[type_of(error.instance)]
    return f"must be {' or '.join(wanted)}, not {'a number' if 'an integer' in got else got}"


def _enum(error: jsonschema_rs.ValidationError) -> str:
    options = [shown(option) for option in _names(error, "options")]
    listed = ", ".join(options[:8]) + (", …" if len(options) > 8 else "")
    return f"must be one of {listed}" if len(options) != 1 else f"must be {listed}"


def _unexpected(error: jsonschema_rs.ValidationError) -> str:
    names = _names(error, "unexpected")
    listed = ", ".join(shown(name) for name in names[:5]) + (", …" if len(names) > 5 else "")
    many = len(names) > 1
    return f"{listed} {'are' if many else 'is'} not allowed here"


def _no_branch(error: jsonschema_rs.ValidationError) -> str:
    branches = [branch for branch in _branches(error) if branch]
    closest = min(branches, key=_distance, default=[])
    if not closest:
        return "fits none of the allowed forms"
    first = closest[0]
    words, _ = _words(first)
    # The paths of errors inside a branch start at the document's root, as the branch's own.
    inside = first.instance_path[len(error.instance_path) :]
    where = f"`{shown_path(inside)}` " if inside else ""
    return f"fits none of the allowed forms; of the closest, {where}{words}"


def shown_path(path: list[str | int]) -> str:
    """A path of keys as people write it, cut at 64 characters."""
    text = ".".join(map(str, path))
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _branches(error: jsonschema_rs.ValidationError) -> list[list[jsonschema_rs.ValidationError]]:
    context = error.kind.as_dict().get("context")
    return context if isinstance(context, list) else []


def _distance(branch: list[jsonschema_rs.ValidationError]) -> tuple[bool, int]:
    # A wrong constant is how most unions say "not this form at all".
    other = any(error.kind.name in {"const", "enum", "type", "falseSchema"} for error in branch)
    return other, len(branch)


def _property_name(error: jsonschema_rs.ValidationError) -> str:
    inner = error.kind.as_dict().get("error")
    name = shown(getattr(inner, "instance", None))
    words = _words(inner)[0] if isinstance(inner, jsonschema_rs.ValidationError) else "is invalid"
    return f"the field name {name} {words}"


def _counted(
    word: str, singular: str, plural: str
) -> Callable[[jsonschema_rs.ValidationError], str]:
    def words(error: jsonschema_rs.ValidationError) -> str:
        limit = _asked(error, "limit")
        return f"must have {word} {limit} {singular if limit == 1 else plural}"

    return words


def _limited(words: str) -> Callable[[jsonschema_rs.ValidationError], str]:
    return lambda error: f"{words} {_asked(error, 'limit')}"


def _plain(words: str) -> Callable[[jsonschema_rs.ValidationError], str]:
    return lambda _: words


_COUSINS: Final = frozenset({"minContains", "maxContains", "dependentRequired"})
_ARTICLES: Final[Mapping[str, str]] = {
    "null": "null",
    "boolean": "true or false",
    "object": "an object",
    "array": "an array",
    "number": "a number",
    "string": "a string",
    "integer": "an integer",
}
_WORDS: Final[Mapping[str, Callable[[jsonschema_rs.ValidationError], str]]] = {
    "type": _type,
    "enum": _enum,
    "const": lambda error: f"must be {shown(_asked(error, 'expected_value'))}",
    "required": lambda error: f"{shown(_asked(error, 'property'))} is required",
    "dependentRequired": lambda error: (
        f"{shown(_asked(error, 'property'))} is required beside the fields sent"
    ),
    "additionalProperties": _unexpected,
    "unevaluatedProperties": _unexpected,
    "unevaluatedItems": _plain("has more items than are allowed"),
    "additionalItems": _plain("has more items than are allowed"),
    "falseSchema": _plain("is not allowed"),
    "anyOf": _no_branch,
    "oneOf": lambda error: (
        "fits more than one of the allowed forms"
        if sum(not branch for branch in _branches(error)) > 1
        else _no_branch(error)
    ),
    "not": _plain("has a form that is not allowed"),
    "propertyNames": _property_name,
    "contains": _plain("has no item of the required form"),
    "minContains": _plain("has too few items of the required form"),
    "maxContains": _plain("has too many items of the required form"),
    "uniqueItems": _plain("must not hold the same item twice"),
    "minLength": _counted("at least", "character", "characters"),
    "maxLength": _counted("at most", "character", "characters"),
    "minItems": _counted("at least", "item", "items"),
    "maxItems": _counted("at most", "item", "items"),
    "minProperties": _counted("at least", "field", "fields"),
    "maxProperties": _counted("at most", "field", "fields"),
    "minimum": _limited("must be at least"),
    "maximum": _limited("must be at most"),
    "exclusiveMinimum": _limited("must be more than"),
    "exclusiveMaximum": _limited("must be less than"),
    "multipleOf": lambda error: f"must be a multiple of {_asked(error, 'multiple_of')}",
    "pattern": lambda error: f"must match {shown(_asked(error, 'pattern'))}",
    "format": lambda error: f"must be a valid {_asked(error, 'format')}",
}
