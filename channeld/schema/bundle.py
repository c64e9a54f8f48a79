"""Bundles a schema with everything that it refers to, each once under `$defs`.

The bundle is what is compiled, exported and compared, so all three work on the same schema. References become local
pointers, `definitions` are found under `$defs`, and `$id`, `$anchor` and `$schema` are resolved. If `$dynamicRef` is used, whose meaning depends on the documents'
own URIs, whole documents are bundled, each under a generated `$id`.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final
from urllib.parse import quote

import attrs

from channeld.pointer import at, tokens, unescaped
from channeld.protocol.frames import Json
from channeld.schema.documents import Document, Documents, SchemaTarget, value_at
from channeld.schema.vocabulary import SchemaError, mapping, rebuilt

_DONE: Final = frozenset({"$schema", "$id", "$anchor"})
_OLD: Final = "definitions"


def bundle(root: SchemaTarget, documents: Documents, broken: AbstractSet[tuple[str, str]]) -> Json:
    """Make the schema at `root` self-contained.

    Raises:
        LookupError: it reaches a location in `broken` (pairs of document URI and pointer), or a dangling reference.
    """
    try:
        return _Bundle(root, documents, broken).plain()
    except _Dynamic:
        return _Bundle(root, documents, broken).compound()


class _Dynamic(Exception):
    """Something uses `$dynamicRef`: not an error, but it needs another way of bundling."""


@attrs.define(eq=False)
class _Bundle:
    root: SchemaTarget
    documents: Documents
    broken: AbstractSet[tuple[str, str]]
    _names: dict[tuple[str, str], str] = attrs.field(factory=dict, init=False)
    _waiting: list[tuple[str, SchemaTarget]] = attrs.field(factory=list, init=False)
    _taken: set[str] = attrs.field(factory=set, init=False)
    _whole: bool = attrs.field(default=False, init=False)

    def plain(self) -> Json:
        """Bundle every target under `$defs`, with local pointers."""
        value = _value(self.root)
        self._taken.update(mapping(value, "$defs"))
        body = self._copy(self.root, value)
        if not isinstance(body, dict):
            return body
        added = dict(self._drain())
        return {**body, "$defs": {**mapping(body, "$defs"), **added}} if added else body

    def compound(self) -> Json:
        """Bundle whole documents under `$defs`, each with an `$id`, with absolute URIs."""
        self._whole = True
        body: dict[str, Json] = {"$ref": self._reference(self.root)}
        return {**body, "$defs": dict(self._drain())}

    def _drain(self) -> Iterator[tuple[str, Json]]:
        while self._waiting:
            name, target = self._waiting.pop(0)
            yield name, self._copy(target, _value(target))

    def _copy(self, target: SchemaTarget, schema: Json) -> Json:
        document, pointer = _held(target)
        if (document.uri, pointer) in self.broken:
            raise LookupError(pointer)
        if document.is_dynamic and not self._whole:
            raise _Dynamic
        if not isinstance(schema, dict):
            return schema
        copied = rebuilt(
            schema if self._whole else {k: v for k, v in schema.items() if k != _OLD},
            lambda child, _, below: self._copy(SchemaTarget(document, pointer + below), child),
        )
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(reference := copied.get(keyword), str):
                found = self.documents.resolve(reference, document, pointer)
                if found is None or isinstance(found, SchemaError):
                    raise LookupError(reference)
                if found.document is not None:
                    is_dynamic = keyword == "$dynamicRef"
                    copied[keyword] = self._reference(found, reference if is_dynamic else "")
        done = _DONE - {"$anchor"} if self._whole else _DONE
        kept = {keyword: value for keyword, value in copied.items() if keyword not in done}
        if self._whole and pointer in document.resources:
            kept["$id"] = document.resource_uri(pointer)
        return kept

    def _reference(self, target: SchemaTarget, dynamic: str = "") -> str:
        """The reference to a target; `dynamic` is the written one, if its anchor is looked up by name."""
        document, pointer = _held(target)
        if self._whole:
            self._name(SchemaTarget(document, ""))
            anchor = dynamic.partition("#")[2]
            if anchor and not anchor.startswith("/"):
                return f"{document.resource_uri(document.resource_of(pointer))}#{anchor}"
            # By the nearest `$id`: a pointer across one would leave it out of the dynamic scope.
            resource = document.resource_of(pointer)
            fragment = _fragment(pointer[len(resource) :])
            return document.resource_uri(resource) + (f"#{fragment}" if fragment else "")
        root, base = _held(self.root)
        inside = pointer == base or (pointer.startswith(base + "/") and _stays(target, base))
        if document is root and inside:
            return "#" + _fragment(pointer[len(base) :])
        if document.base is not None and _stays(target):
            name = self._name(SchemaTarget(document, ""))
            return f"#/$defs/{_fragment(at('', name)[1:])}{_fragment(pointer)}"
        return f"#/$defs/{_fragment(at('', self._name(target))[1:])}"

    def _name(self, target: SchemaTarget) -> str:
        document, pointer = _held(target)
        key = (document.uri, pointer)
        if key not in self._names:
            name = base = _suggested(document, pointer)
            number = 1
            while name in self._taken:
                number += 1
                name = f"{base}{number}"
            self._taken.add(name)
            self._names[key] = name
            self._waiting.append((name, target))
        return self._names[key]


def _stays(target: SchemaTarget, base: str = "") -> bool:
    """Whether a schema is found where it stood, in a copy of what stands at `base`."""
    document, pointer = _held(target)
    return pointer in document.positions and _OLD not in tokens(pointer[len(base) :])


def _held(target: SchemaTarget) -> tuple[Document, str]:
    if target.document is None:
        raise LookupError(target.pointer)
    return target.document, target.pointer


def _value(target: SchemaTarget) -> Json:
    return value_at(*_held(target))


def _suggested(document: Document, pointer: str) -> str:
    last = (pointer or document.base or document.file).rsplit("/", 1)[-1]
    name = unescaped(last)
    return name if pointer or document.base is not None else name.partition(".")[0] or "schema"


def _fragment(pointer: str) -> str:
    return quote(pointer, safe="/~!$&'()*+,;=:@")
