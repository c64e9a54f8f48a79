"""The keywords of JSON Schema 2020-12: what each takes, and where subschemas are."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs
import jsonschema_rs

from channeld.config import aliases
from channeld.config.letters import boolean_help
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.suggest import candidates, did_you_mean

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
TYPES: Final = ("null", "boolean", "object", "array", "number", "string", "integer")
FORMATS: Final = frozenset(
    {
        *(
            "date-time",
            "date",
            "time",
            "duration",
            "email",
            "idn-email",
            "hostname",
            "idn-hostname",
        ),
        *("ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference", "uuid", "uri-template"),
        *("json-pointer", "relative-json-pointer", "regex"),
    }
)

MARK: Final = "x-sensitive"
"""The keyword of channeld's own: `true` hides a value wherever people may read it."""

_TAKING: Final = {
    "text": (
        *("$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$comment"),
        *("pattern", "title", "description", "format", "contentEncoding", "contentMediaType"),
    ),
    "anything": ("$vocabulary", "const", "default"),
    "schema": (
        *("items", "contains", "additionalProperties", "propertyNames", "if", "then", "else"),
        *("not", "unevaluatedItems", "unevaluatedProperties", "contentSchema"),
    ),
    "schemas by name": ("$defs", "properties", "patternProperties", "dependentSchemas"),
    "list of schemas": ("prefixItems", "allOf", "anyOf", "oneOf"),
    "type": ("type",),
    "list": ("enum", "examples"),
    "number": ("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
    "number above 0": ("multipleOf",),
    "count": (
        *("maxLength", "minLength", "maxItems", "minItems"),
        *("maxContains", "minContains", "maxProperties", "minProperties"),
    ),
    "true or false": ("uniqueItems", "deprecated", "readOnly", "writeOnly"),
    "list of names": ("required",),
    "lists of names by name": ("dependentRequired",),
}
KEYWORDS: Final[Mapping[str, str]] = {
    keyword: kind for kind, keywords in _TAKING.items() for keyword in keywords
}
"""What a keyword takes, by the names of the checks below."""

IN_PLACE: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
"""The keywords whose subschemas apply to the same value as the schema itself (`$ref` as well)."""

# Also walk older drafts' containers, so that references into them work.
_CONTAINERS: Final = {"definitions": "schemas by name"}


@attrs.frozen(slots=True)
class SchemaError:
    """An error at `pointer` of a schema's document: code, message, and what to write instead.

    `key`: it concerns the key itself rather than its value.
    """

    code: str
    pointer: str
    message: str
    help: str = ""
    key: bool = attrs.field(default=False, kw_only=True)


def mapping(schema: Json | Mapping[str, Json], keyword: str) -> Mapping[str, Json]:
    """The mapping of a keyword; empty if it is missing or something else."""
    value = schema.get(keyword) if isinstance(schema, dict) else None
    return value if isinstance(value, dict) else {}


def listed(schema: Json | Mapping[str, Json], keyword: str) -> list[Json]:
    """The list of a keyword; empty if it is missing or something else."""
    value = schema.get(keyword) if isinstance(schema, dict) else None
    return value if isinstance(value, list) else []


def as_number(value: Json) -> int | float | None:
    """A value if it is a number (not a boolean), else None."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def subschemas(
    schema: Json | Mapping[str, Json], pointer: str = ""
) -> Iterator[tuple[str, Json, str]]:
    """The direct subschemas of a schema, each with its pointer and keyword."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        kind = KEYWORDS.get(keyword) or _CONTAINERS.get(keyword)
        below = at(pointer, keyword)
        if kind == "schema" and not is_from_another_draft(keyword, value):
            yield below, value, keyword
        elif kind == "schemas by name" and isinstance(value, dict):
            yield from ((at(below, name), child, keyword) for name, child in value.items())
        elif kind == "list of schemas" and isinstance(value, list):
            yield from ((at(below, i), child, keyword) for i, child in enumerate(value))


def rebuilt(
    schema: Mapping[str, Json], change: Callable[[Json, str, str], Json]
) -> dict[str, Json]:
    """A copy of a schema with each direct subschema replaced by `change(subschema, keyword, pointer)`."""
    below = {where: change(child, keyword, where) for where, child, keyword in subschemas(schema)}
    copied: dict[str, Json] = {}
    for keyword, value in schema.items():
        here = at("", keyword)
        if here in below:
            copied[keyword] = below[here]
        elif isinstance(value, dict):
            copied[keyword] = {key: below.get(at(here, key), held) for key, held in value.items()}
        elif isinstance(value, list):
            copied[keyword] = [below.get(at(here, i), held) for i, held in enumerate(value)]
        else:
            copied[keyword] = value
    return copied


def has_keyword(value: Json) -> bool:
    """Whether a value is a mapping with a keyword of JSON Schema."""
    return isinstance(value, dict) and any(key in KEYWORDS or key == "definitions" for key in value)


def is_schema_like(value: Json) -> bool:
    """Whether a document is a schema, or has one at the top level."""
    return has_keyword(value) or (isinstance(value, dict) and any(map(has_keyword, value.values())))


def schema_errors(schema: Json, pointer: str) -> Iterator[SchemaError]:
    """Violations of the meta-schema by one schema, without its subschemas."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        got = "a string" if isinstance(schema, str) else _name(schema)
        message = f"a schema is a mapping, `true` or `false`; got {got}"
        help = ""
        if isinstance(schema, str) and schema.lower() in {*TYPES, *_OTHER_LANGUAGES}:
            help = f"write `{{type: {_OTHER_LANGUAGES.get(schema.lower(), schema.lower())}}}`"
        help = help or boolean_help(schema)
        yield SchemaError("CH201", pointer, message, help)
        return
    for keyword, value in schema.items():
        kind = "true or false" if keyword == MARK else KEYWORDS.get(keyword)
        if kind is None or is_from_another_draft(keyword, value):
            continue
        yield from _value_errors(keyword, kind, value, at(pointer, keyword))
    yield from _dialect_errors(schema, pointer)
    yield from _pattern_errors(schema, pointer)


def fields_as_properties(schema: Json) -> dict[str, Json] | None:
    """Properties written directly into a schema, without `properties`; None if it has keywords.

    Such a schema has no keywords, and all of its entries are types or schemas; it would accept anything.
    """
    if not isinstance(schema, dict) or not schema or any(key in KEYWORDS for key in schema):
        return None
    fields: dict[str, Json] = {}
    for name, held in schema.items():
        if isinstance(held, str) and held.lower() in {*TYPES, *_OTHER_LANGUAGES}:
            fields[name] = {"type": _OTHER_LANGUAGES.get(held.lower(), held.lower())}
        elif has_keyword(held):
            fields[name] = held
        else:
            return None
    return fields


def linear(pattern: str) -> jsonschema_rs.Draft202012Validator:
    """Compile a pattern that matches in linear time.

    Raises:
        ValueError: it is not a regular expression, or needs backtracking.
    """
    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.Draft202012Validator(
        {"pattern": pattern}, pattern_options=options, offline=True
    )


@functools.lru_cache(maxsize=1024)
def why_not_linear(pattern: str) -> str | None:
    """Why a pattern needs backtracking; None if it does not."""
    with contextlib.suppress(ValueError):
        linear(pattern)
        return None
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, offline=True)
    except ValueError:
        return "is not a regular expression that can be compiled"
    return "needs look-around or back-references, which cannot be matched in linear time"


def is_from_another_draft(keyword: str, value: Json) -> bool:
    """Whether a keyword of 2020-12 has a value that only older drafts allow."""
    # These have a finding of their own, CH206, with the correct spelling.
    return (keyword == "items" and isinstance(value, list)) or (
        keyword in {"exclusiveMinimum", "exclusiveMaximum", "required"} and isinstance(value, bool)
    )


def _value_errors(keyword: str, kind: str, value: Json, pointer: str) -> Iterator[SchemaError]:
    if kind == "type":
        yield from _type_errors(value, pointer)
        return
    if _CHECKS[kind](value):
        return
    wanted = _WANTED[kind]
    if kind == "list of names" and isinstance(value, list) and _is_names(value):
        twice = next(name for i, name in enumerate(value) if name in value[:i])
        index = len(value) - 1 - value[::-1].index(twice)
        message = f"`{keyword}` names `{twice}` twice"
        yield SchemaError("CH201", at(pointer, index), message, "keep one")
        return
    message = f"`{keyword}` takes {wanted}; got {_name(value)}"
    help = ""
    if kind == "list of names" and isinstance(value, str):
        help = f"write `{keyword}: [{value}]`"
    elif value is None and kind == "text":
        help = "put it in quotes: a `#` after a space starts a comment"
    elif kind == "true or false":
        help = boolean_help(value)
    yield SchemaError("CH201", pointer, message, help)


def _type_errors(value: Json, pointer: str) -> Iterator[SchemaError]:
    if isinstance(value, list):
        if not value:
            yield SchemaError("CH201", pointer, "`type` is an empty list", "name a type")
        for index, name in enumerate(value):
            yield from _type_name_errors(name, at(pointer, index))
            if name in value[:index]:
                yield SchemaError("CH201", at(pointer, index), f"`type` names `{name}` twice")
    else:
        yield from _type_name_errors(value, pointer)


def _type_name_errors(value: Json, pointer: str) -> Iterator[SchemaError]:
    known = f"the types are {', '.join(TYPES)}"
    if value is None:
        help = "write `type: 'null'` in quotes for the type null"
        yield SchemaError("CH201", pointer, "`type` takes a name; got null", help)
    elif not isinstance(value, str):
        message = f"`type` takes a name or a list of names; got {_name(value)}"
        yield SchemaError("CH201", pointer, message, known)
    elif value not in TYPES:
        message = f"`{value}` is not a JSON Schema type"
        # Common synonyms that difflib does not find.
        usual = _OTHER_LANGUAGES.get(value.lower())
        help = f"did you mean `{usual}`?" if usual else did_you_mean(value, TYPES, known)
        yield SchemaError("CH201", pointer, message, help)


def _dialect_errors(schema: dict[str, Json], pointer: str) -> Iterator[SchemaError]:
    dialect = schema.get("$schema")
    if isinstance(dialect, str) and dialect.removesuffix("#") != DIALECT:
        message = f"the dialect `{dialect}` is not supported"
        help = f"write `$schema: {DIALECT}`, leave it out, or name draft 04, 06, 07 or 2019-09"
        yield SchemaError("CH205", at(pointer, "$schema"), message, help)


def _pattern_errors(schema: dict[str, Json], pointer: str) -> Iterator[SchemaError]:
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        yield from _one_pattern(pattern, at(pointer, "pattern"), key=False)
    for text in mapping(schema, "patternProperties"):
        yield from _one_pattern(text, at(pointer, "patternProperties", text), key=True)


def _one_pattern(pattern: str, pointer: str, *, key: bool) -> Iterator[SchemaError]:
    reason = why_not_linear(pattern)
    if reason is not None:
        help = "use plain groups, classes, repeats and anchors (ECMA 262 syntax); quote it in YAML"
        message = f"the pattern `{pattern}` {reason}"
        yield SchemaError("CH210", pointer, message, help, key=key)


def _is_count(value: Json) -> bool:
    number = as_number(value)
    return number is not None and math.isfinite(number) and number >= 0 and number == int(number)


def _is_names(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_distinct_names(value: Json) -> bool:
    return isinstance(value, list) and _is_names(value) and len(set(map(str, value))) == len(value)


_CHECKS: Final[Mapping[str, Callable[[Json], bool]]] = {
    "anything": lambda _: True,
    "text": lambda value: isinstance(value, str),
    "true or false": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list),
    "number": lambda value: as_number(value) is not None,
    "number above 0": lambda value: (as_number(value) or 0) > 0,
    "count": _is_count,
    "list of names": _is_distinct_names,
    "lists of names by name": lambda value: (
        isinstance(value, dict) and all(map(_is_distinct_names, value.values()))
    ),
    # Subschemas are checked on their own.
    "schema": lambda _: True,
    "schemas by name": lambda value: isinstance(value, dict),
    "list of schemas": lambda value: isinstance(value, list) and bool(value),
}
_WANTED: Final[Mapping[str, str]] = {
    "text": "a string",
    "true or false": "true or false",
    "list": "a list",
    "number": "a number",
    "number above 0": "a number above 0",
    "count": "a whole number, 0 or more",
    "list of names": "a list of property names",
    "lists of names by name": "a mapping of property names to lists of property names",
    "schemas by name": "a mapping of names to schemas",
    "list of schemas": "a list of at least one schema",
}
_OTHER_LANGUAGES: Final = {**aliases.TYPES, "none": "null"}


def _name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            shown = value if len(value) <= 40 else value[:39] + "…"
            return f"the string `{shown}`"
        case list():
            return "an empty list" if not value else "a list"
        case _:
            return "a mapping"


def nearest_keyword(name: str, value: Json) -> str | None:
    """The keyword that `name` is probably a misspelling of, by its letters and value, or None."""
    # Stricter than elsewhere: `other` and `note` are names that people use, not misspellings of `then` and `not`.
    for keyword in candidates(name, KEYWORDS, cutoff=0.75):
        if _fits(KEYWORDS[keyword], value):
            return keyword
    return None


def _fits(kind: str, value: Json) -> bool:
    if kind in {"schema", "schemas by name", "lists of names by name"}:
        return isinstance(value, dict) or (kind == "schema" and isinstance(value, bool))
    if isinstance(value, dict):
        return False
    return kind == "type" or _CHECKS[kind](value)
