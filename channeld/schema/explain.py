"""Explains why a schema refuses a value, at a bounded cost.

A validator that collects errors builds all of them, and for `anyOf` and `oneOf` those of every branch, so a small message
can cause millions. Only small values are explained in full, and only against schemas that don't multiply errors. Otherwise
the first violation is found with unions wrapped in a double negation, which is evaluated without collecting errors.
"""

import itertools
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final, TypeAlias

import attrs
import jsonschema_rs

from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.cases import pointed, type_of
from channeld.schema.large_enum import KEYWORD as LARGE_ENUM
from channeld.schema.sensitive import Marks, marks_of
from channeld.schema.violations import Violation
from channeld.schema.vocabulary import listed, rebuilt, subschemas
from channeld.schema.words import TYPES

MAX_VIOLATIONS: Final = 10
MAX_SHOWN: Final = 64
MAX_WEIGHT: Final = 300
"""The heaviest value that is explained in full: values in it, and every 64 characters of text."""
MAX_EXPANSION: Final = 2_000
"""The most schemas that one value may be asked of, references followed, for a full explanation."""
_Error: TypeAlias = jsonschema_rs.ValidationError
_UNIONS: Final = ("anyOf", "oneOf")
_DECIDED: Final = frozenset({"not", "if", "contains"})
"""Keywords whose schemas are only decided, never explained."""
_APART: Final = _DECIDED | {"$defs"}
_UNEVALUATED: Final = frozenset({"unevaluatedProperties", "unevaluatedItems"})


class Explainer:
    """Explains what one compiled schema refuses. `options` are its compile options."""

    def __init__(
        self,
        schema: dict[str, Json] | bool,
        validator: jsonschema_rs.Draft202012Validator,
        build: Callable[[dict[str, Json] | bool], jsonschema_rs.Draft202012Validator],
    ) -> None:
        self._schema = schema
        self._validator = validator
        self._build = build

    def explain(self, value: Json) -> list[Violation]:
        """At most 10 violations in the schema's order, one for a large value; empty if accepted."""
        if not self._multiplies and not _is_heavy(value):
            errors = self._validator.iter_errors(value)
            return [self._told(error) for error in itertools.islice(errors, MAX_VIOLATIONS)]
        return [] if self._validator.is_valid(value) else [self._first(value)]

    def _first(self, value: Json) -> Violation:
        try:
            self._brief.validate(value)
        except jsonschema_rs.ValidationError as error:
            return self._told(error)
        return Violation("", "has a field or an item that is not allowed", "unevaluatedProperties")

    def _told(self, error: _Error) -> Violation:
        """The violation, without listed values that are marked as sensitive."""
        found = Violation(at("", *error.instance_path), *_words(error))
        if self._marks is None:
            return found
        if found.keyword in _UNIONS:
            return attrs.evolve(found, message="fits none of the allowed forms")
        if found.keyword in ("const", "enum") and self._marks.is_at(found.path):
            return attrs.evolve(found, message="is not one of the allowed values")
        return found

    @cached_property
    def _marks(self) -> Marks | None:
        return marks_of(self._schema)

    @cached_property
    def _multiplies(self) -> bool:
        return _multiplies(self._schema)

    @cached_property
    def _brief(self) -> jsonschema_rs.Draft202012Validator:
        brief = _without_branches(self._schema, hide_references=self._multiplies, is_root=True)
        return self._build(brief if isinstance(brief, dict) else self._schema)


def _is_heavy(value: Json) -> bool:
    weight, waiting = 0, [value]
    while waiting and weight <= MAX_WEIGHT:
        one = waiting.pop()
        weight += 1
        if isinstance(one, dict):
            weight += sum(len(name) // MAX_SHOWN for name in itertools.islice(one, MAX_WEIGHT))
            waiting.extend(itertools.islice(one.values(), MAX_WEIGHT))
        elif isinstance(one, list):
            waiting.extend(one[:MAX_WEIGHT])
        elif isinstance(one, str):
            weight += len(one) // MAX_SHOWN
    return weight > MAX_WEIGHT


def _multiplies(root: Json) -> bool:
    """Whether a schema with all references expanded is too large or infinite."""
    count, waiting = 0, [root]
    while waiting and count <= MAX_EXPANSION:
        schema = waiting.pop()
        count += 1
        if not isinstance(schema, dict):
            continue
        if "$dynamicRef" in schema:
            return True
        waiting += [child for _, child, keyword in subschemas(schema) if keyword not in _APART]
        if isinstance(reference := schema.get("$ref"), str):
            try:
                waiting.append(pointed(root, reference))
            except LookupError:
                return True
    return count > MAX_EXPANSION


def _without_branches(schema: Json, *, hide_references: bool, is_root: bool = False) -> Json:
    """An equivalent schema (except for `unevaluated…`) that does not collect errors in branches."""
    hides = (*_UNIONS, "$ref", "$dynamicRef") if hide_references and not is_root else _UNIONS
    if not isinstance(schema, dict):
        return schema

    def inner(child: Json, keyword: str, _: str) -> Json:
        decided = keyword in _DECIDED
        return child if decided else _without_branches(child, hide_references=hide_references)

    kept = rebuilt(schema, inner)
    hidden: list[Json] = [{"not": {"not": {key: schema[key]}}} for key in schema if key in hides]
    for keyword in kept.keys() & {*hides, *_UNEVALUATED}:
        del kept[keyword]
    if hidden:
        kept["allOf"] = [*listed(kept, "allOf"), *hidden]
    return kept


def shown(value: object) -> str:
    """A value as JSON, cut at 64 characters."""
    if isinstance(value, str):
        value = value[: MAX_SHOWN + 1]
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _words(error: _Error) -> tuple[str, str]:
    keyword = error.kind.name
    last = next((step for step in reversed(error.schema_path) if isinstance(step, str)), "")
    if keyword == "falseSchema" and last in {"additionalProperties", "unevaluatedProperties"}:
        # The library's short form of `additionalProperties: false` without other properties.
        return "has a field that is not allowed", last
    if keyword in {"contains", "required"} and last in _COUSINS:
        keyword = last
    wording = _WORDS.get(keyword)
    if keyword == LARGE_ENUM:
        return "is not one of the allowed values", "enum"
    if keyword == "not":
        return _HIDDEN_WORDS[_hidden(error)], _hidden(error) or keyword
    return (wording(error) if wording else f"is refused by `{keyword}`"), keyword


def _asked(error: _Error, name: str) -> object:
    return error.kind.as_dict().get(name)


def _names(error: _Error, name: str) -> list[object]:
    found = _asked(error, name)
    return found if isinstance(found, list) else []


def _type(error: _Error) -> str:
    wanted = [_ARTICLES.get(str(name), str(name)) for name in _names(error, "types")]
    got = _ARTICLES[type_of(error.instance)]
    return f"must be {' or '.join(wanted)}, not {'a number' if 'an integer' in got else got}"


def _enum(error: _Error) -> str:
    options = [shown(option) for option in _names(error, "options")]
    listed = ", ".join(options[:8]) + (", …" if len(options) > 8 else "")
    return f"must be one of {listed}" if len(options) != 1 else f"must be {listed}"


def _unexpected(error: _Error) -> str:
    names = _names(error, "unexpected")
    listed = ", ".join(shown(name) for name in names[:5]) + (", …" if len(names) > 5 else "")
    many = len(names) > 1
    return f"{listed} {'are' if many else 'is'} not allowed here"


def _no_branch(error: _Error) -> str:
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
    """A path of keys in the usual notation, cut at 64 characters."""
    text = ".".join(map(str, path))
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _branches(error: _Error) -> list[list[_Error]]:
    context = _asked(error, "context")
    return context if isinstance(context, list) else []


def _hidden(error: _Error) -> str:
    """The keyword that a double negation replaces; empty for any other `not`."""
    match _asked(error, "schema"):
        case {"not": {"anyOf": _}}:
            return "anyOf"
        case {"not": {"oneOf": _}}:
            return "oneOf"
        case {"not": {"$ref": _} | {"$dynamicRef": _}}:
            return "$ref"
        case _:
            return ""


_HIDDEN_WORDS: Final = {
    "": "has a form that is not allowed",
    "anyOf": "fits none of the allowed forms",
    "oneOf": "fits none of the allowed forms, or more than one",
    "$ref": "does not have the required form",
}


def _distance(branch: list[_Error]) -> tuple[bool, int]:
    # In most unions a wrong constant means that this alternative was not intended.
    other = any(error.kind.name in {"const", "enum", "type", "falseSchema"} for error in branch)
    return other, len(branch)


def _property_name(error: _Error) -> str:
    inner = _asked(error, "error")
    name = shown(getattr(inner, "instance", None))
    words = _words(inner)[0] if isinstance(inner, jsonschema_rs.ValidationError) else "is invalid"
    return f"the field name {name} {words}"


def _counted(word: str, noun: str) -> Callable[[_Error], str]:
    def words(error: _Error) -> str:
        limit = _asked(error, "limit")
        return f"must have {word} {limit} {noun}{'' if limit == 1 else 's'}"

    return words


def _filled(words: str) -> Callable[[_Error], str]:
    """Fill a message's braces from the library's data about the keyword."""
    return lambda error: words.format_map(error.kind.as_dict())


_COUSINS: Final = frozenset({"minContains", "maxContains", "dependentRequired"})
_ARTICLES: Final[Mapping[str, str]] = {**TYPES, "boolean": "true or false"}
_WORDS: Final[Mapping[str, Callable[[_Error], str]]] = {
    "type": _type,
    "enum": _enum,
    "const": lambda error: f"must be {shown(_asked(error, 'expected_value'))}",
    "required": lambda error: f"{shown(_asked(error, 'property'))} is required",
    "dependentRequired": lambda error: (
        f"{shown(_asked(error, 'property'))} is required next to the fields sent"
    ),
    "additionalProperties": _unexpected,
    "unevaluatedProperties": _unexpected,
    "unevaluatedItems": _filled("has more items than are allowed"),
    "additionalItems": _filled("has more items than are allowed"),
    "falseSchema": _filled("is not allowed"),
    "anyOf": _no_branch,
    "oneOf": lambda error: (
        "fits more than one of the allowed forms"
        if sum(not branch for branch in _branches(error)) > 1
        else _no_branch(error)
    ),
    "propertyNames": _property_name,
    "contains": _filled("has no item of the required form"),
    "minContains": _filled("has too few items of the required form"),
    "maxContains": _filled("has too many items of the required form"),
    "uniqueItems": _filled("must not contain the same item twice"),
    "minLength": _counted("at least", "character"),
    "maxLength": _counted("at most", "character"),
    "minItems": _counted("at least", "item"),
    "maxItems": _counted("at most", "item"),
    "minProperties": _counted("at least", "field"),
    "maxProperties": _counted("at most", "field"),
    "minimum": _filled("must be at least {limit}"),
    "maximum": _filled("must be at most {limit}"),
    "exclusiveMinimum": _filled("must be more than {limit}"),
    "exclusiveMaximum": _filled("must be less than {limit}"),
    "multipleOf": _filled("must be a multiple of {multiple_of}"),
    "pattern": lambda error: f"must match {shown(_asked(error, 'pattern'))}",
    "format": _filled("must be a valid {format}"),
}
