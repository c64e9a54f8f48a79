"""Converts older drafts of JSON Schema (04, 06, 07, 2019-09) to 2020-12, so that nothing else has to know them.

Keywords that 2020-12 knows and the draft does not are removed, since the draft ignores them. Schemas that move to another
pointer are recorded, so that references find them and findings show the original location.
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

import attrs

from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.vocabulary import FORMATS, KEYWORDS, mapping

_BESIDE_REFERENCES: Final = frozenset(
    {"$ref", "definitions", "$defs", "title", "description", "default"}
)

# Each draft knows what the next one knows, without the keywords added there.
_IN_2019: Final = KEYWORDS.keys() - {"prefixItems", "$dynamicRef", "$dynamicAnchor"}
_IN_07: Final = _IN_2019 - {
    *("$anchor", "dependentRequired", "dependentSchemas", "unevaluatedItems"),
    *("unevaluatedProperties", "maxContains", "minContains", "deprecated", "contentSchema"),
    "$vocabulary",
}
_IN_06: Final = _IN_07 - {
    *("if", "then", "else", "$comment", "readOnly", "writeOnly"),
    *("contentMediaType", "contentEncoding"),
}
_IN_04: Final = _IN_06 - {"$id", "const", "contains", "propertyNames", "examples"}
_FORMATS_IN_07: Final = FORMATS - {"duration", "uuid"}
_FORMATS_IN_06: Final = _FORMATS_IN_07 - {
    *("idn-email", "idn-hostname", "iri", "iri-reference", "relative-json-pointer", "regex"),
    *("date", "time"),
}
_FORMATS_IN_04: Final = _FORMATS_IN_06 - {"uri-reference", "uri-template", "json-pointer"}


@attrs.frozen(slots=True, kw_only=True)
class Draft:
    """An older draft: its keywords and formats; `lone_references`: siblings of `$ref` are ignored."""

    keywords: AbstractSet[str]
    formats: AbstractSet[str]
    lone_references: bool = True
    identifier: str = "$id"


_DRAFTS: Final[Mapping[str, Draft]] = {
    "http://json-schema.org/draft-04/schema": Draft(
        keywords=_IN_04, formats=_FORMATS_IN_04, identifier="id"
    ),
    "http://json-schema.org/draft-06/schema": Draft(keywords=_IN_06, formats=_FORMATS_IN_06),
    "http://json-schema.org/draft-07/schema": Draft(keywords=_IN_07, formats=_FORMATS_IN_07),
    "https://json-schema.org/draft/2019-09/schema": Draft(
        keywords=_IN_2019, formats=FORMATS, lone_references=False
    ),
}


def draft_of(schema: Json) -> Draft | None:
    """The older draft that `$schema` names; None for 2020-12, no `$schema`, or an unknown one."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(named, str):
        return None
    dialect = named.removesuffix("#")
    plain = "http" + dialect.removeprefix("https").removeprefix("http")
    return _DRAFTS.get(dialect) or _DRAFTS.get(plain) or _DRAFTS.get(f"https{plain[4:]}")


@attrs.define(eq=False)
class Modern:
    """A document in 2020-12. `moved` maps pointers of the original to those in `value`, if they differ.

    `olds` are the original schemas in older drafts, by pointer.
    """

    value: Json
    moved: dict[str, str] = attrs.field(factory=dict)
    olds: Mapping[str, Json] = attrs.field(factory=dict)

    def now(self, pointer: str) -> str:
        """Map a pointer of the original to `value`."""
        return _translated(pointer, self.moved)

    def then(self, pointer: str) -> str:
        """Map a pointer of `value` to the original."""
        return _translated(pointer, {new: old for old, new in self.moved.items()})


def modern(document: Json) -> Modern:
    """Convert a document: every schema of an older draft in it (the whole, or top-level values) becomes 2020-12."""
    schemas = {"": document}
    if draft_of(document) is None and isinstance(document, dict):
        schemas = {at("", key): child for key, child in document.items() if key not in KEYWORDS}
    olds = {pointer: schema for pointer, schema in schemas.items() if draft_of(schema) is not None}
    moved: dict[str, str] = {}
    new = {pointer: _rewritten(schema, pointer, moved) for pointer, schema in olds.items()}
    if not new or not isinstance(document, dict):
        return Modern(document)
    value = new.get("", {key: new.get(at("", key), child) for key, child in document.items()})
    return Modern(value, moved, olds)


def _rewritten(schema: Json, pointer: str, moved: dict[str, str]) -> Json:
    draft = draft_of(schema)
    if draft is None:
        return schema
    return _Rewriter(draft, moved, _recursion(schema)).schema(schema, pointer, pointer)


def _recursion(root: Json) -> dict[str, Json]:
    """The meaning of `$recursiveRef: "#"` in a resource: its own root, or that of an outer caller."""
    is_dynamic = isinstance(root, dict) and root.get("$recursiveAnchor") is True
    return {"$dynamicRef": "#recursive"} if is_dynamic else {"$ref": "#"}


def _translated(pointer: str, ways: Mapping[str, str]) -> str:
    above = pointer
    while above not in ways and above:
        above = above.rpartition("/")[0]
    return ways.get(above, above) + pointer[len(above) :]


_Schema: TypeAlias = Mapping[str, Json]
_Words: TypeAlias = Iterator[tuple[str, Json]]
"""Keywords of 2020-12, with what they hold."""


@attrs.frozen(eq=False)
class _Rewriter:
    draft: Draft
    moved: dict[str, str]
    recursion: Mapping[str, Json]

    def schema(self, schema: Json, old: str, new: str) -> Json:
        """One schema, and those below it."""
        if old != new:
            self.moved[old] = new
        if not isinstance(schema, dict):
            return schema
        if new and isinstance(schema.get(self.draft.identifier), str):
            return attrs.evolve(self, recursion=_recursion(schema)).keywords(schema, old, new)
        return self.keywords(schema, old, new)

    def keywords(self, schema: Mapping[str, Json], old: str, new: str) -> Json:
        """Convert the keywords of one schema."""
        written: dict[str, Json] = {}
        alone = self.draft.lone_references and isinstance(schema.get("$ref"), str)
        for keyword, value in schema.items():
            if alone and keyword not in _BESIDE_REFERENCES:
                continue
            rewrite = _REWRITES.get(keyword)
            if rewrite is not None:
                for word, held in rewrite(self, schema, old, new):
                    # `dependencies` may be used together with its new names.
                    before = written.get(word) if isinstance(held, dict) else None
                    written[word] = {**before, **held} if isinstance(before, dict) else held  # type: ignore[dict-item]
            elif keyword not in KEYWORDS or keyword in self.draft.keywords:
                written[keyword] = self.below(keyword, value, (old, keyword), (new, keyword))
        return written

    def below(self, keyword: str, value: Json, old: tuple[str, ...], new: tuple[str, ...]) -> Json:
        """Convert the schemas inside a keyword's value."""
        kind = "schemas by name" if keyword == "definitions" else KEYWORDS.get(keyword)
        here, there = at(*old), at(*new)
        if kind == "schema":
            return self.schema(value, here, there)
        if here != there:
            self.moved[here] = there
        if kind == "schemas by name" and isinstance(value, dict):
            return {
                name: self.schema(child, at(here, name), at(there, name))
                for name, child in value.items()
            }
        if kind == "list of schemas" and isinstance(value, list):
            return [self.schema(child, at(here, i), at(there, i)) for i, child in enumerate(value)]
        return value

    # ----------------------------------------------------------------------------------------------- other words

    def identifier(self, schema: _Schema, _old: str, _new: str) -> _Words:
        """`id`, or an `$id` that is an anchor."""
        value = schema.get(self.draft.identifier)
        uri, _, anchor = value.partition("#") if isinstance(value, str) else ("", "", "")
        if uri:
            yield "$id", uri
        if anchor and not anchor.startswith("/"):
            yield "$anchor", anchor

    def items(self, schema: _Schema, old: str, new: str) -> _Words:
        """A list under `items` is `prefixItems`, and `additionalItems` what comes after."""
        items = schema["items"]
        if not isinstance(items, list):
            yield "items", self.schema(items, at(old, "items"), at(new, "items"))
            return
        if items:
            ways = (old, "items"), (new, "prefixItems")
            yield "prefixItems", self.below("prefixItems", items, *ways)
        if "additionalItems" in schema:
            rest = schema["additionalItems"]
            yield "items", self.schema(rest, at(old, "additionalItems"), at(new, "items"))

    def dependencies(self, schema: _Schema, old: str, new: str) -> _Words:
        """Lists of names are `dependentRequired`, schemas `dependentSchemas`."""
        for name, needs in mapping(schema, "dependencies").items():
            keyword = "dependentRequired" if isinstance(needs, list) else "dependentSchemas"
            here, there = at(old, "dependencies", name), at(new, keyword, name)
            yield keyword, {name: self.schema(needs, here, there)}

    def exclusive(self, schema: _Schema, old: str, new: str) -> _Words:
        """In draft 04 `exclusiveMinimum: true` says that `minimum` itself is outside."""
        for keyword, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            value, limit = schema.get(keyword), schema.get(bound)
            is_open = self.draft.identifier == "id" and value is True and limit is not None
            if is_open:
                yield keyword, limit
                self.moved[at(old, bound)] = at(new, keyword)
            elif limit is not None:
                yield bound, limit
            if value is not None and not isinstance(value, bool):
                yield keyword, value

    def format(self, schema: _Schema, _old: str, _new: str) -> _Words:
        """Drops formats that the draft does not know."""
        if schema["format"] in self.draft.formats or not isinstance(schema["format"], str):
            yield "format", schema["format"]

    def recursive(self, _schema: _Schema, _old: str, _new: str) -> _Words:
        """`$recursiveRef: "#"`."""
        return iter(() if self.draft.lone_references else self.recursion.items())

    def anchor(self, schema: _Schema, _old: str, _new: str) -> _Words:
        """`$recursiveAnchor: true`."""
        if schema["$recursiveAnchor"] is True and not self.draft.lone_references:
            yield "$dynamicAnchor", "recursive"

    def nothing(self, _schema: _Schema, _old: str, _new: str) -> _Words:
        """Drops a keyword that is handled elsewhere."""
        return iter(())


_Rewrite = Callable[[_Rewriter, _Schema, str, str], _Words]
_REWRITES: Final[Mapping[str, _Rewrite]] = {
    "$schema": _Rewriter.nothing,
    "id": _Rewriter.identifier,
    "$id": _Rewriter.identifier,
    "items": _Rewriter.items,
    "additionalItems": _Rewriter.nothing,
    "dependencies": _Rewriter.dependencies,
    "minimum": _Rewriter.exclusive,
    "maximum": _Rewriter.exclusive,
    "exclusiveMinimum": _Rewriter.exclusive,
    "exclusiveMaximum": _Rewriter.exclusive,
    "format": _Rewriter.format,
    "$recursiveRef": _Rewriter.recursive,
    "$recursiveAnchor": _Rewriter.anchor,
}
