"""Finds probable mistakes in one schema: keywords, drafts, bounds, formats, patterns, numbers."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.cases import declared_types, identity, type_of
from channeld.schema.vocabulary import (
    FORMATS,
    KEYWORDS,
    SchemaError,
    as_number,
    mapping,
    nearest_keyword,
    why_not_linear,
)
from channeld.suggest import did_you_mean

Schema = dict[str, Json]

# Older drafts' keywords, and their 2020-12 equivalents.
_FORMERLY: Final[Mapping[str, str]] = {
    "definitions": "`$defs` (and `#/$defs/…` in the references)",
    "dependencies": "`dependentRequired` for names, `dependentSchemas` for schemas",
    "additionalItems": "`items`, next to `prefixItems`",
    "$recursiveRef": "`$dynamicRef`",
    "$recursiveAnchor": "`$dynamicAnchor`",
    "divisibleBy": "`multipleOf`",
}
_BOUNDS: Final = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minContains", "maxContains"),
    ("minimum", "maximum"),
)
_NESTED_QUANTIFIER: Final = re.compile(r"\((?:[^()\\]|\\.)*[+*](?:[^()\\]|\\.)*\)[+*{]")


def lint(schema: Json, pointer: str, referred: Callable[[str], bool]) -> Iterator[SchemaError]:
    """Find probable mistakes in one schema, without its subschemas.

    `referred(pointer)`: whether some `$ref` leads below the pointer, so that it is in use.
    """
    if not isinstance(schema, dict):
        return
    yield from _drafts(schema, pointer)
    yield from _keywords(schema, pointer, referred)
    yield from _bounds(schema, pointer)
    yield from _constants(schema, pointer)
    yield from _impossible_names(schema, pointer)
    yield from _formats(schema, pointer)
    yield from _nested_quantifiers(schema, pointer)


def _drafts(schema: Schema, pointer: str) -> Iterator[SchemaError]:
    for keyword, value in schema.items():
        advice = _FORMERLY.get(keyword) or _former_value(keyword, value)
        if advice is not None:
            written = f"`{keyword}: {_brief(value)}`" if keyword in KEYWORDS else f"`{keyword}`"
            message = f"{written} is from an older draft of JSON Schema"
            help = f"in 2020-12 write {advice}"
            yield SchemaError("CH206", at(pointer, keyword), message, help, key=True)


def _former_value(keyword: str, value: Json) -> str | None:
    if keyword == "items" and isinstance(value, list):
        return "`prefixItems: [...]`; `items` is the schema of the rest"
    if keyword in {"exclusiveMinimum", "exclusiveMaximum"} and isinstance(value, bool):
        inclusive = "minimum" if keyword == "exclusiveMinimum" else "maximum"
        return f"`{keyword}: NUMBER` in place of `{inclusive}`"
    if keyword == "required" and isinstance(value, bool):
        return "`required: [NAME]` next to `properties`"
    if keyword == "id" and isinstance(value, str):
        return "`$id`"
    return None


def _brief(value: Json) -> str:
    return "[...]" if isinstance(value, list) else str(value).lower()


def _keywords(
    schema: Schema, pointer: str, referred: Callable[[str], bool]
) -> Iterator[SchemaError]:
    for keyword, value in schema.items():
        here = at(pointer, keyword)
        known = keyword in KEYWORDS or keyword in _FORMERLY or keyword.startswith("x-")
        if known or _former_value(keyword, value) is not None or referred(here):
            continue
        match = nearest_keyword(keyword, value)
        message = f"`{keyword}` is not a JSON Schema keyword"
        if match is not None and match not in schema:
            yield SchemaError("CH202", here, message, f"did you mean `{match}`?", key=True)
        else:
            help = _advice(keyword, value, schema)
            message = f"{message}, so it checks nothing"
            yield SchemaError("CH219", here, message, help, key=True)


def _advice(keyword: str, value: Json, schema: Schema) -> str:
    if keyword == "nullable":
        return "write `type: [string, 'null']`, with the type that it may have besides"
    if isinstance(value, dict | bool) and schema.get("type", "object") == "object":
        return "indent a property under `properties`, or start the name of a note with `x-`"
    return "start the name of a note with `x-`, or remove it"


def _bounds(schema: Schema, pointer: str) -> Iterator[SchemaError]:
    for low, high in _BOUNDS:
        least, most = as_number(schema.get(low)), as_number(schema.get(high))
        if least is not None and most is not None and least > most:
            yield _never(at(pointer, low), f"`{low}: {least:g}` is above `{high}: {most:g}`")
    for low, high in (
        ("exclusiveMinimum", "exclusiveMaximum"),
        ("minimum", "exclusiveMaximum"),
        ("exclusiveMinimum", "maximum"),
    ):
        least, most = as_number(schema.get(low)), as_number(schema.get(high))
        if least is not None and most is not None and least >= most:
            message = f"no number fits `{low}: {least:g}` and `{high}: {most:g}`"
            yield _never(at(pointer, low), message)


def _constants(schema: Schema, pointer: str) -> Iterator[SchemaError]:
    options = schema.get("enum")
    if isinstance(options, list):
        if not options:
            yield _never(at(pointer, "enum"), "`enum` is empty, so it matches nothing", "list it")
        elif not any(_has_type(option, schema) for option in options):
            message = f"no value of `enum` is of `type: {_types(schema)}`"
            yield _never(at(pointer, "enum"), message)
    if "const" in schema:
        value = schema["const"]
        if not _has_type(value, schema):
            message = f"`const` is of type {type_of(value)}, but `type` is {_types(schema)}"
            yield _never(at(pointer, "const"), message)
        # An empty `enum` has its own finding.
        elif (
            isinstance(options, list) and options and identity(value) not in map(identity, options)
        ):
            yield _never(at(pointer, "const"), "`const` is not one of the values of `enum`")


def _impossible_names(schema: Schema, pointer: str) -> Iterator[SchemaError]:
    required, properties = schema.get("required"), schema.get("properties", {})
    if not isinstance(required, list) or not isinstance(properties, dict):
        return
    for index, name in enumerate(required):
        here = at(pointer, "required", index)
        if not isinstance(name, str):
            continue
        if properties.get(name) is False:
            yield _never(here, f"`{name}` is required, but `properties` forbids it")
        elif is_shut_out(schema, name):
            help = did_you_mean(name, properties, f"declare `{name}` under `properties`")
            message = f"`{name}` is required, but `additionalProperties: false` forbids it"
            yield _never(here, message, help)
    most = as_number(schema.get("maxProperties"))
    if most is not None and len(required) > most:
        message = f"{len(required)} properties are required, but `maxProperties` is {most:g}"
        yield _never(at(pointer, "maxProperties"), message)


def is_shut_out(schema: Json, name: str) -> bool:
    """Whether `additionalProperties: false` excludes the property."""
    if not isinstance(schema, dict) or "patternProperties" in schema:
        return False
    is_closed = schema.get("additionalProperties") is False
    return is_closed and name not in mapping(schema, "properties")


def _formats(schema: Schema, pointer: str) -> Iterator[SchemaError]:
    name = schema.get("format")
    if isinstance(name, str) and name not in FORMATS:
        usual = {"url": "uri", "datetime": "date-time", "timestamp": "date-time", "ip": "ipv4"}
        known = f"the formats are {', '.join(sorted(FORMATS))}"
        help = did_you_mean(name, FORMATS, known)
        if name in usual:
            help = f"did you mean `{usual[name]}`?"
        message = f"the format `{name}` is unknown, so it is not checked"
        yield SchemaError("CH212", at(pointer, "format"), message, help)


def _nested_quantifiers(schema: Schema, pointer: str) -> Iterator[SchemaError]:
    pattern = schema.get("pattern")
    if not isinstance(pattern, str) or why_not_linear(pattern) is not None:
        return
    found = _NESTED_QUANTIFIER.search(pattern)
    if found is not None:
        message = f"the pattern repeats `{found[0][:-1]}`, which repeats inside"
        clients = "clients with a backtracking engine can hang on it"
        help = f"use one repetition instead of two; {clients}"
        yield SchemaError("CH218", at(pointer, "pattern"), message, help)


def _never(
    pointer: str, message: str, help: str = "no value can match; change one of the two"
) -> SchemaError:
    return SchemaError("CH209", pointer, message, help)


def _types(schema: Schema) -> str:
    declared = schema.get("type")
    return ", ".join(map(str, declared)) if isinstance(declared, list) else str(declared)


def _has_type(value: Json, schema: Schema) -> bool:
    return type_of(value) in declared_types(schema)
