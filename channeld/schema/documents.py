"""Documents that contain schemas, and the resolution of `$ref` between them.

A document is one inline schema, one named schema, or one file. A reference resolves to a `SchemaTarget` (a document and a
pointer in it), to a `SchemaError`, or to None if the error is already reported. Nothing outside the configuration's own
files is ever read.
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Final, TypeAlias
from urllib.parse import quote, unquote, urljoin

import attrs

from channeld.config.model import Config
from channeld.config.source import Sources
from channeld.config.tree import Tree
from channeld.diagnostics.diagnostic import Place
from channeld.pointer import at, tokens, unescaped
from channeld.protocol.frames import Json
from channeld.schema.drafts import Modern, modern
from channeld.schema.vocabulary import DIALECT, SchemaError, is_schema_like, subschemas
from channeld.suggest import did_you_mean

_SCHEME: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:|//)")


@attrs.define(eq=False, kw_only=True)
class Document:
    """One schema document. `base` is its pointer in the configuration, None for a file; `file` contains it.

    `uri` is generated and unique. `resources` maps the pointers of schemas that carry an `$id` to it, the root first;
    `positions` are the pointers of all schemas reached from the root through keywords. `value` and all pointers are in
    2020-12; `origin` maps them to the file. `is_foreign`: published by a third party.
    """

    uri: str
    value: Json
    file: str
    base: str | None = None
    tree: Tree | None = None
    origin: Modern = attrs.field(factory=lambda: Modern(None))
    is_foreign: bool = False
    resources: dict[str, str] = attrs.field(factory=dict)
    anchors: dict[tuple[str, str], str] = attrs.field(factory=dict)
    positions: set[str] = attrs.field(factory=set)
    is_dynamic: bool = False

    def __attrs_post_init__(self) -> None:
        self.resources[""] = ""
        self._scan(self.value, "", "")

    def _scan(self, schema: Json, pointer: str, resource: str) -> None:
        self.positions.add(pointer)
        if isinstance(schema, dict):
            identifier = schema.get("$id")
            if isinstance(identifier, str):
                resource, outer = pointer, self.resources[resource]
                self.resources[pointer] = urljoin(outer, identifier)
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(name := schema.get(keyword), str):
                    self.anchors[resource, name] = pointer
            if "$dynamicRef" in schema or "$dynamicAnchor" in schema:
                self.is_dynamic = True
        for below, child, _ in subschemas(schema, pointer):
            self._scan(child, below, resource)

    def resource_of(self, pointer: str) -> str:
        """The pointer of the nearest schema with an `$id` at or above; by default the root's."""
        above = (p for p in self.resources if pointer == p or pointer.startswith(p + "/"))
        return max(above, key=len)

    def resource_uri(self, resource: str) -> str:
        """The generated URI of a resource of this document."""
        return f"{self.uri}?{quote(resource, safe='')}" if resource else self.uri


@attrs.frozen(slots=True)
class SchemaTarget:
    """The target of a reference: a schema of a document. No document: one of the dialect's own meta-schemas."""

    document: Document | None
    pointer: str


Resolution: TypeAlias = SchemaTarget | SchemaError | None
"""The target of a reference, or its error; None if the error is already reported."""


class Documents:
    """All documents of a configuration; files are read when they are first referred to."""

    def __init__(self, config: Config, sources: Sources) -> None:
        self._config = config
        self._sources = sources
        self._inline: dict[str, Document] = {}
        self._files: dict[str, Document | None] = {}

    def inline(self, pointer: str, value: Json) -> Document:
        """The document of an inline schema."""
        document = self._inline.get(pointer)
        if document is None:
            origin = modern(value)
            document = Document(
                uri=f"channeld:/config{quote(pointer)}",
                value=origin.value,
                file=self._sources.place(pointer).file,
                base=pointer,
                origin=origin,
            )
            self._inline[pointer] = document
        return document

    def named(self, name: str) -> Document | None:
        """The document of one of the configuration's named schemas."""
        if name not in self._config.schemas:
            return None
        return self.inline(at("/schemas", name), self._config.schemas[name])

    def file(self, path: str) -> Document | None:
        """The document that is a file; None when it can't be read."""
        if path not in self._files:
            tree = self._sources.read_document(path)
            self._files[path] = None if tree is None else _of_file(path, tree)
            if tree is None or not is_schema_like(tree.value):
                # Any file may be named by mistake, even a private one.
                self._sources.veil(path)
        return self._files[path]

    def place(self, document: Document, pointer: str, *, key: bool = False) -> Place:
        """The location of a part of a document, or of its key."""
        pointer = document.origin.then(pointer)
        if document.tree is not None:
            tree = document.tree
            return tree.key_place(pointer) if key and pointer else tree.place(pointer)
        return self._sources.place((document.base or "") + pointer, key=key)

    def is_unknown(self, document: Document, pointer: str) -> bool:
        """Whether the value is reported as unknown."""
        pointer = document.origin.then(pointer)
        if document.tree is not None:
            return pointer in document.tree.unknown
        return (document.base or "") + pointer in self._sources.unset

    def entry(self, pointer: str, reference: str) -> Resolution:
        """Resolve a message's `schema: PATH[#/pointer]`."""
        file = self._sources.place(pointer).file
        path, _, fragment = reference.partition("#")
        if not path and fragment.startswith("/schemas/"):
            return self._in_named(fragment, pointer)
        if not path:
            help = "write `PATH#/pointer`, or `#/schemas/NAME` for a named schema"
            message = f"`{reference}` does not name a file"
            return SchemaError("CH203", pointer, message, help)
        return self._in_file(path, fragment, file, pointer)

    def resolve(self, reference: str, document: Document, pointer: str) -> Resolution:
        """Resolve the `$ref` of the schema at `pointer` of a document; errors point at the `$ref`."""
        here = at(pointer, "$ref")
        uri, _, fragment = reference.partition("#")
        resource = document.resource_of(pointer)
        if not uri:
            return self._local(fragment, document, resource, here)
        identified = self._identified(urljoin(document.resources[resource], uri), document)
        if identified is not None:
            return self._local(fragment, *identified, here)
        if uri.startswith(DIALECT.removesuffix("schema")):
            return SchemaTarget(None, reference)
        return self._in_file(uri, fragment, document.file, here)

    def _identified(self, absolute: str, document: Document) -> tuple[Document, str] | None:
        others = (*self._inline.values(), *filter(None, self._files.values()))
        for each in (document, *others):
            for resource, identifier in each.resources.items():
                if identifier and identifier.removesuffix("#") == absolute:
                    return each, resource
        return None

    def _local(self, fragment: str, document: Document, resource: str, here: str) -> Resolution:
        decoded = unquote(fragment)
        if decoded.startswith("/schemas/") and document.base is not None:
            top = document.value
            if not (isinstance(top, dict) and "schemas" in top):
                return self._in_named(decoded, here)
        if decoded and not decoded.startswith("/"):
            return _anchored(decoded, document, resource, here)
        return _pointed(document, resource, decoded, here)

    def _in_named(self, fragment: str, here: str) -> Resolution:
        token, *rest = fragment.removeprefix("/schemas/").split("/")
        name = unescaped(token)
        document = self.named(name)
        if document is None:
            known = [f"#/schemas/{each}" for each in self._config.schemas]
            otherwise = "declare it under the top-level `schemas`"
            help = did_you_mean(f"#/schemas/{name}", known, otherwise)
            message = f"there is no schema `{name}` under `schemas`"
            return SchemaError("CH203", here, message, help)
        return _pointed(document, "", "".join("/" + step for step in rest), here)

    def _in_file(self, uri: str, fragment: str, beside: str, here: str) -> Resolution:
        if _SCHEME.match(uri):
            help = "save a copy next to the configuration and refer to its path"
            message = f"`{uri}` is remote; schemas are never fetched"
            return SchemaError("CH204", here, message, help)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(beside), unquote(uri)))
        document = self.file(path)
        if document is not None:
            return self._local(fragment, document, "", here)
        reason = self._sources.unreadable.get(path)
        if reason is None:
            return None
        help = f"paths are relative to `{beside}`"
        if path in self._config.schemas:
            help = f'write `{{$ref: "#/schemas/{path}"}}`, or `"#/schemas/{path}"`'
        message = f"the schema file `{path}` can't be read: {reason}"
        return SchemaError("CH203", here, message, help)


def _of_file(path: str, tree: Tree) -> Document:
    origin = modern(tree.value)
    return Document(
        uri=f"channeld:/file/{quote(path)}",
        value=origin.value,
        file=path,
        tree=tree,
        origin=origin,
        is_foreign=bool(origin.olds) or _is_published(tree.value),
    )


def _is_published(schema: Json) -> bool:
    """Whether a file says at which web address it is published."""
    named = schema.get("$id", schema.get("id")) if isinstance(schema, dict) else None
    return isinstance(named, str) and named.startswith(("http://", "https://"))


def _anchored(name: str, document: Document, resource: str, here: str) -> Resolution:
    pointer = document.anchors.get((resource, name))
    if pointer is not None:
        return SchemaTarget(document, pointer)
    known = [f"#{anchor}" for of, anchor in document.anchors if of == resource]
    help = did_you_mean(f"#{name}", known, f"write `#/{name}` if it is a pointer")
    message = f"`#{name}` is not an anchor in `{document.file}`"
    return SchemaError("CH203", here, message, help)


def _pointed(document: Document, resource: str, fragment: str, here: str) -> Resolution:
    pointer, value = resource, value_at(document, resource)
    now = document.origin.now(document.origin.then(resource) + fragment)
    for key in tokens(now.removeprefix(resource)):
        below = dict(_children(value))
        if key not in below:
            written = pointer[len(resource) :]
            close = [f"#{at(written, each)}" for each in below]
            help = did_you_mean(f"#{at(written, key)}", close, "check the pointer, step by step")
            if document.base is not None and fragment.startswith("/components/"):
                name = fragment.rpartition("/")[2]
                help = f"write `#/schemas/{name}`, with the schema under the top-level `schemas`"
            called = "this schema" if document.base is not None else f"`{document.file}`"
            message = f"`#{fragment}` does not exist in {called}"
            return SchemaError("CH203", here, message, help)
        pointer, value = at(pointer, key), below[key]
    return SchemaTarget(document, pointer)


def _children(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(i), child) for i, child in enumerate(value))


def value_at(document: Document, pointer: str) -> Json:
    """The value at a pointer of a document.

    Raises:
        LookupError: there is none.
    """
    value = document.value
    for key in tokens(pointer):
        value = dict(_children(value))[key]
    return value
