"""Schemas of an AsyncAPI document as JSON Schema 2020-12: older keywords rewritten, references followed or moved."""

import re
from collections.abc import Iterator
from typing import Final

import attrs

from channeld.pointer import unescaped, value_at
from channeld.protocol.frames import Json
from channeld.schema.definitions import Schema
from channeld.schema.vocabulary import FORMATS, KEYWORDS, rebuilt, why_not_linear

MEMBERS: Final = ("allOf", "anyOf", "oneOf")
"""Keywords whose subschemas apply to the same value."""
_MOST: Final = 64
_MOST_PARTS: Final = 200


def named(text: str, taken: "set[str] | frozenset[str]" = frozenset()) -> str:
    """A valid name made from any text, distinct from those taken."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:48] or "it"
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


@attrs.define(eq=False)
class AsyncapiSchemas:
    """One document's schemas. `named` collects the schemas that are referred to, `problems` what can't be read."""

    document: Json
    problems: list[str] = attrs.field(factory=list)
    dropped: set[str] = attrs.field(factory=set)
    _names: dict[str, str] = attrs.field(factory=dict)
    _waiting: list[str] = attrs.field(factory=list)

    def followed(self, value: Json, where: str) -> Json:
        """A value with its `$ref` followed; None, with a problem, if that leads nowhere."""
        for _ in range(_MOST):
            ref = value.get("$ref") if isinstance(value, dict) else None
            if not isinstance(ref, str):
                return value
            value = self._target(ref, where)
        self.problems.append(f"{where}: the reference refers to itself")
        return None

    def payload(self, value: Json, where: str) -> Schema | bool | None:
        """A message's own schema, in place: what it refers to at the top is written out, since `type` is taken out of it."""
        found = self.followed(value, where)
        if isinstance(found, bool) or not isinstance(found, dict):
            return found if isinstance(found, bool) else None
        changed = self.changed(self._written_out(found, where, [_MOST_PARTS]), where)
        return changed if isinstance(changed, dict) else None

    def _written_out(self, value: Json, where: str, left: list[int]) -> Json:
        """A schema whose `MEMBERS` have no references; a document's cycles and multitudes end with what is `left`."""
        found = self.followed(value, where)
        if not isinstance(found, dict):
            return value if found is None else found
        written = dict(found)
        for keyword in MEMBERS:
            members = found.get(keyword)
            if isinstance(members, list):
                left[0] -= len(members)
                if left[0] < 0:
                    self.problems.append(
                        f"{where}: `{keyword}` refers to itself, or to too many schemas"
                    )
                    return {}
                written[keyword] = [self._written_out(one, where, left) for one in members]
        return written

    def changed(self, value: Json, where: str) -> Json:
        """A schema in the words of 2020-12; a reference leads to `#/schemas/NAME`."""
        if not isinstance(value, dict):
            return value
        modern = _modern(value)
        kept = {key: held for key, held in modern.items() if _has_word(key, held)}
        self.dropped |= {
            f"{key}: {modern[key]}" if key in ("format", "pattern") else key
            for key in modern.keys() - kept.keys()
        }
        ref = kept.get("$ref")
        if isinstance(ref, str):
            kept["$ref"] = f"#/schemas/{self._name(ref, where)}"
        return rebuilt(kept, lambda child, *_: self.changed(child, where))

    def shared(self) -> Iterator[tuple[str, Json]]:
        """Each schema that was referred to, by its name; those that it refers to follow."""
        while self._waiting:
            ref = self._waiting.pop(0)
            yield self._names[ref], self.changed(self._target(ref, ref), ref)

    def _name(self, ref: str, where: str) -> str:
        name = self._names.get(ref)
        if name is None:
            if self._target(ref, where) is None:
                return "missing"
            parts = [part for part in ref.split("/") if part not in ("payload", "schema")]
            name = named(unescaped(parts[-1]), set(self._names.values()))
            self._names[ref] = name
            self._waiting.append(ref)
        return name

    def _target(self, ref: str, where: str) -> Json:
        if not ref.startswith("#"):
            self.problems.append(
                f"{where}: refers to another document, {ref}; put all of it into one first (asyncapi bundle)"
            )
            return None
        found = value_at(self.document, ref[1:]) if ref.startswith("#/") else None
        if found is None:
            self.problems.append(f"{where}: there is nothing at {ref}")
        return found


def _has_word(keyword: str, value: Json) -> bool:
    """Whether 2020-12 has this keyword, and channeld can check it with this value."""
    if keyword == "format":
        return isinstance(value, str) and value in FORMATS
    if keyword == "pattern":
        return isinstance(value, str) and why_not_linear(value) is None
    return keyword in KEYWORDS or keyword == "x-sensitive"


def _modern(schema: Schema) -> Schema:
    """Draft-07 and what OpenAPI adds, in the words of 2020-12, at one level."""
    modern = dict(schema)
    modern.pop("$schema", None)
    modern.pop("$id", None)
    if "definitions" in modern:
        modern["$defs"] = modern.pop("definitions")
    if isinstance(modern.get("items"), list):
        modern["prefixItems"] = modern.pop("items")
        if "additionalItems" in modern:
            modern["items"] = modern.pop("additionalItems")
    modern.pop("additionalItems", None)
    dependencies = modern.pop("dependencies", None)
    if isinstance(dependencies, dict):
        for key, held in dependencies.items():
            word = "dependentRequired" if isinstance(held, list) else "dependentSchemas"
            below = modern.setdefault(word, {})
            if isinstance(below, dict):
                below[key] = held
    _bounds(modern)
    if modern.pop("nullable", None) is True and isinstance(modern.get("type"), str):
        modern["type"] = [modern["type"], "null"]
    if "example" in modern:
        modern.setdefault("examples", [modern.pop("example")])
    return modern


def _bounds(schema: Schema) -> None:
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
            schema[exclusive] = schema.pop(bound)
