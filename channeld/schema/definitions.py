"""Collects definitions from many self-contained schemas, each once, under one flat list of names.

A declared schema describes a frame without its `type` and `id`; the actual frame has them, and possibly stamped fields and
a position. So a schema can be copied *around fields*: everything in it about the frame itself (not values inside it) is
rewritten to ignore those fields.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote

import attrs

from channeld.protocol.frames import Json
from channeld.schema.cases import pointed, walked
from channeld.schema.compiled import compiled
from channeld.schema.vocabulary import IN_PLACE, listed, mapping, rebuilt, subschemas

PREFIX: Final = "#/$defs/"
Schema: TypeAlias = dict[str, Json]

_CONDITIONS: Final = ("not", "if", "then", "else")
_UNSURE: Final = frozenset({"dependentRequired", "dependentSchemas"})


class Unframeable(Exception):
    """The schema's meaning depends on its own URIs (`$dynamicRef`), so fields can't be added to it."""


def references(schema: Json) -> Iterator[str]:
    """The names of the definitions that a schema refers to, as often as it does."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith(PREFIX):
            yield reference.removeprefix(PREFIX)
        for _, below, _ in subschemas(schema):
            yield from references(below)


def with_prefix(schema: Json, prefix: str) -> Json:
    """A copy of a schema with its references to definitions under another prefix."""
    if not isinstance(schema, dict):
        return schema
    copied = rebuilt(schema, lambda below, *_: with_prefix(below, prefix))
    if isinstance(reference := schema.get("$ref"), str):
        copied["$ref"] = reference.replace(PREFIX, prefix, 1)
    return copied


def numbers() -> Callable[[str], str]:
    """Numbered names."""
    given = itertools.count(1)
    return lambda hint: str(next(given))


@attrs.define(eq=False)
class Definitions:
    """All definitions of a contract by name, in the order in which they were first needed.

    `name` makes unique names from hints.
    """

    name: Callable[[str], str]
    _schemas: dict[str, Json] = attrs.field(factory=dict)
    _known: dict[str, str] = attrs.field(factory=dict)

    def all(self) -> Mapping[str, Json]:
        """Every definition."""
        return dict(self._schemas)

    def add(self, hint: str, schema: Json) -> str:
        """The name of a definition with a schema whose own references are to definitions already; equal ones share a name."""
        key = json.dumps(["added", hint, schema], sort_keys=True)
        if key not in self._known:
            self._known[key] = name = self.name(hint)
            self._schemas[name] = schema
        return self._known[key]

    def copy(self, schema: Json, root: Json, hint: str) -> Json:
        """Copy a schema from the self-contained `root`, with references to definitions.

        Raises:
            Unframeable: it uses `$dynamicRef`.
        """
        return _Copy(self, root, hint).nested(schema)

    def copy_whole(self, root: Json, hint: str) -> Json:
        """Copy a self-contained schema; one that uses `$dynamicRef` becomes one that accepts anything."""
        try:
            return self.copy(root, root, hint)
        except Unframeable:
            return True

    def around(self, root: Json, fields: Iterable[str], hint: str) -> Schema:
        """Rewrite a self-contained schema so that it ignores further fields of the object.

        Constraints on those fields are left out, and so is whatever depends on them. The result accepts at least what
        `root` accepts.

        Raises:
            Unframeable: it uses `$dynamicRef`.
        """
        names = frozenset(fields)
        loose = _mentions(root, names)
        copied = _Copy(self, root, hint, names, loose).in_place(root)
        if isinstance(copied, dict):
            return copied
        return {} if copied else {"not": {}}

    def define(self, key: str, hint: str) -> tuple[str, bool]:
        """The name for a key, and whether it is new; if so, call `fill`."""
        new = key not in self._known
        if new:
            self._known[key] = self.name(hint)
            self._schemas[self._known[key]] = True
        return self._known[key], new

    def fill(self, name: str, schema: Json) -> None:
        """Set the schema of a new definition."""
        self._schemas[name] = schema


@attrs.frozen(eq=False)
class _Copy:
    definitions: Definitions
    root: Json
    hint: str
    fields: frozenset[str] = frozenset()
    loose: bool = False

    def nested(self, schema: Json) -> Json:
        """A copy of a schema of some value inside the frame."""
        if not isinstance(schema, dict):
            return schema
        return {
            keyword: self._reference(value, framed=False)
            if keyword == "$ref"
            else self._below(keyword, value, framed=False)
            for keyword, value in schema.items()
            if not _is_left_out(keyword)
        }

    def in_place(self, schema: Json) -> Json:
        """A copy of a schema of the frame itself."""
        if not isinstance(schema, dict):
            return schema
        copied: Schema = {}
        also: list[Json] = []
        for keyword, value in schema.items():
            if keyword in ("examples", "default") or _is_left_out(keyword):
                continue
            if keyword in ("const", "enum"):
                also.append(self._one_of(value if isinstance(value, list) else [value]))
            elif self.loose and keyword == "oneOf":
                also.append({"anyOf": self._below(keyword, value, framed=True)})
            elif not (self.loose and (keyword in _CONDITIONS or keyword in _UNSURE)):
                copied[keyword] = self._keyword(keyword, value)
        if _closes(schema):
            open_: Schema = dict.fromkeys(sorted(self.fields), True)
            copied["properties"] = {**mapping(copied, "properties"), **open_}
        if also:
            copied["allOf"] = [*listed(copied, "allOf"), *also]
        return copied

    def _keyword(self, keyword: str, value: Json) -> Json:  # noqa: PLR0911 - one return a keyword
        if keyword == "$ref":
            return self._reference(value, framed=True)
        if keyword in IN_PLACE:
            return self._below(keyword, value, framed=True)
        if keyword == "required" and isinstance(value, list):
            return [name for name in value if name not in self.fields]
        if keyword == "properties" and isinstance(value, dict):
            kept = {name: child for name, child in value.items() if name not in self.fields}
            return self._below(keyword, kept, framed=False)
        if keyword == "patternProperties" and isinstance(value, dict):
            return {self._apart(text): self.nested(child) for text, child in value.items()}
        if keyword == "propertyNames":
            return {"anyOf": [{"enum": [*sorted(self.fields)]}, self.nested(value)]}
        if keyword == "maxProperties" and isinstance(value, int | float):
            return value + len(self.fields)
        return self._below(keyword, value, framed=False)

    def _below(self, keyword: str, value: Json, *, framed: bool) -> Json:
        copy = self.in_place if framed else self.nested
        return rebuilt({keyword: value}, lambda child, *_: copy(child))[keyword]

    def _reference(self, reference: Json, *, framed: bool) -> Json:
        if isinstance(reference, str) and reference.startswith("channeld:"):
            # A bundle of whole documents under generated names (schema/bundle.py).
            raise Unframeable(reference)
        if not isinstance(reference, str) or not reference.startswith("#"):
            return reference
        target = pointed(self.root, reference)
        key = json.dumps([reference, _closure(self.root, reference)], sort_keys=True)
        last = unquote(reference).rsplit("/", 1)[-1]
        hint = last if reference.startswith(PREFIX) else self.hint
        if framed:
            key += json.dumps([*sorted(self.fields), self.loose])
            hint += " fields"
        name, new = self.definitions.define(key, hint)
        if new:
            self.definitions.fill(name, self.in_place(target) if framed else self.nested(target))
        return PREFIX + name

    def _apart(self, pattern: str) -> str:
        validator = compiled({"pattern": pattern})
        if not any(validator.accepts(name) for name in self.fields):
            return pattern
        # Readers of an export support look-ahead, although patterns of a configuration may not use it.
        names = "|".join(map(re.escape, sorted(self.fields)))
        return f"^(?!(?:{names})$)(?=[\\s\\S]*?(?:{pattern}))"

    def _one_of(self, values: list[Json]) -> Json:
        exact: list[Json] = []
        for value in values:
            if isinstance(value, dict):
                kept = {name: child for name, child in value.items() if name not in self.fields}
                constants: Schema = {name: {"const": child} for name, child in kept.items()}
                open_: Schema = dict.fromkeys(sorted(self.fields), True)
                body: Schema = {"required": [*kept], "properties": {**constants, **open_}}
                exact.append({**body, "additionalProperties": False})
        return exact[0] if len(exact) == 1 else {"anyOf": exact} if exact else False


def _is_left_out(keyword: str) -> bool:
    if keyword in ("$dynamicRef", "$dynamicAnchor", "$id"):
        raise Unframeable(keyword)
    return keyword in ("$defs", "$schema", "$anchor")


def _closes(schema: Mapping[str, Json]) -> bool:
    return any(
        schema.get(keyword, True) is not True
        for keyword in ("additionalProperties", "unevaluatedProperties")
    )


def _mentions(root: Json, names: frozenset[str]) -> bool:
    """Whether a schema's constraints on the frame itself depend on one of the names, or on their number."""
    try:
        return any(
            "maxProperties" in schema or "minProperties" in schema or _named(schema) & names
            for schema in walked(root, [root], in_place=True)
        )
    except LookupError:
        return True


def _named(schema: Mapping[str, Json]) -> frozenset[str]:
    names: set[str] = set()
    for keyword in ("properties", "dependentRequired", "dependentSchemas"):
        names.update(mapping(schema, keyword))
    for needed in (listed(schema, "required"), *mapping(schema, "dependentRequired").values()):
        if isinstance(needed, list):
            names.update(name for name in needed if isinstance(name, str))
    return frozenset(names)


def _closure(root: Json, reference: str) -> Mapping[str, Json]:
    """Everything that a reference reaches in its root, by pointer, to distinguish targets of the same name."""
    reached: dict[str, Json] = {}
    waiting = [reference]
    while waiting:
        here = waiting.pop()
        if here in reached:
            continue
        target = pointed(root, here)
        reached[here] = target
        if isinstance(target, dict):
            reached[here] = {k: v for k, v in target.items() if k != "$defs"}
        waiting.extend(_local_references(target))
    return reached


def _local_references(schema: Json) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        yield reference
    for _, below, keyword in subschemas(schema):
        if keyword != "$defs":
            yield from _local_references(below)
