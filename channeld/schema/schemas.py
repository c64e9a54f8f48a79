"""All JSON Schemas of a configuration: finds, resolves and compiles each once, with its guarantees."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs
import jsonschema_rs

from channeld.config.language import joined, last_key
from channeld.config.meant import entry
from channeld.config.model import Config
from channeld.config.source import Sources
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Report
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.bundle import bundle
from channeld.schema.compiled import compiled
from channeld.schema.documents import Document, Documents, SchemaTarget, value_at
from channeld.schema.guarantees import RefusedShape, Shape
from channeld.schema.violations import Validator
from channeld.schema.vocabulary import (
    SchemaError,
    fields_as_properties,
    is_from_another_draft,
    schema_errors,
    subschemas,
)

_REFUSED: Final = RefusedShape(True)


@attrs.frozen(slots=True, eq=False)
class Surveyed:
    """A schema or subschema that the configuration reaches: its document, its pointer there, its value."""

    document: Document
    pointer: str
    schema: Json

    @property
    def key(self) -> tuple[str, str]:
        """Its identity."""
        return self.document.uri, self.pointer


class Schemas:
    """The compiled schemas of one configuration. Errors go to the report; nothing is raised.

    Pointers are those of a schema, or of its file's name, in the merged configuration.
    """

    def __init__(self, config: Config, sources: Sources, report: Report) -> None:
        self.documents = Documents(config, sources)
        self._sources = sources
        self._report = report
        self._surveyed: dict[tuple[str, str], Surveyed] = {}
        self._broken: set[tuple[str, str]] = set()
        self._roots: dict[str, SchemaTarget | None] = {}
        self._compiled: dict[str, Validator | None] = {}
        self._validators: dict[str, Validator | None] = {}
        self._shapes: dict[str, Shape] = {}
        self._bundles: dict[str, Json] = {}
        for pointer, schema in declared_schemas(config):
            root = self._roots[pointer] = self._root(pointer, schema)
            if root is not None:
                self._survey(root)
        self._check_older_drafts()
        for pointer in self._roots:
            self._compile(pointer)

    def validator(self, pointer: str) -> Validator | None:
        """The validator of a schema; None if it could not be compiled, which is reported."""
        return self._validators.get(pointer)

    def compile_at(self, pointer: str, schema: Json) -> Validator | None:
        """Compile a schema at a pointer that is not a declared one; None after findings."""
        root = self._roots[pointer] = SchemaTarget(self.documents.inline(pointer, schema), "")
        self._survey(root)
        self._compile(pointer)
        return self._validators[pointer]

    def shape(self, pointer: str) -> Shape:
        """What a schema guarantees. Schemas of messages, events and claims only apply to objects."""
        if pointer not in self._shapes:
            if pointer in self._bundles:
                of_object = not _is_of_url(pointer) and not pointer.startswith("/schemas/")
                self._shapes[pointer] = Shape(self._bundles[pointer], of_object=of_object)
            else:
                self._shapes[pointer] = _REFUSED
        return self._shapes[pointer]

    def claims(self, authenticator: str) -> Shape | None:
        """What an authenticator's `claims` guarantee; None if it declares none."""
        pointer = at("/auth", authenticator, "claims")
        return self.shape(pointer) if pointer in self._roots else None

    def resolved(self, pointer: str) -> Json:
        """The schema with everything it refers to under `$defs`, or None."""
        return self._bundles.get(pointer)

    def root(self, pointer: str) -> SchemaTarget | None:
        """The schema's document and the pointer in it; None if its file or pointer is invalid."""
        return self._roots.get(pointer)

    def surveyed(self) -> Sequence[Surveyed]:
        """Every schema and subschema that is reached, each once."""
        return tuple(self._surveyed.values())

    def referred(self, one: Surveyed) -> Surveyed | None:
        """The target of the schema's `$ref`; None if it has none, or it is dangling or external."""
        reference = one.schema.get("$ref") if isinstance(one.schema, dict) else None
        if not isinstance(reference, str):
            return None
        found = self.documents.resolve(reference, one.document, one.pointer)
        return self.at(found) if isinstance(found, SchemaTarget) else None

    def at(self, target: SchemaTarget) -> Surveyed | None:
        """The surveyed schema at a target."""
        return None if target.document is None else self.at_pointer(target.document, target.pointer)

    def at_pointer(self, document: Document, pointer: str) -> Surveyed | None:
        """The surveyed schema at a pointer of a document."""
        return self._surveyed.get((document.uri, pointer))

    def _root(self, pointer: str, schema: Json) -> SchemaTarget | None:
        fields = None if pointer.startswith("/schemas/") else fields_as_properties(schema)
        if fields is not None:
            self._refuse_fields(pointer, fields)
            return None
        if not isinstance(schema, str) or not _may_be_path(pointer):
            return SchemaTarget(self.documents.inline(pointer, schema), "")
        found = self.documents.entry(pointer, schema)
        if isinstance(found, SchemaError):
            place = self._sources.place(pointer)
            self._report.add(diagnose(found.code, found.message, place, help=found.help))
            return None
        return found

    def _refuse_fields(self, pointer: str, fields: dict[str, Json]) -> None:
        """CH201 for a schema that is only fields."""
        key = last_key(pointer)
        listed = joined([f"`{name}`" for name in fields], "and")
        if key == "schema" or len(fields) > 1 or not _is_of_url(pointer):
            help = f"write {entry(key, {'type': 'object', 'properties': fields})}"
        else:
            help = f"write {entry(key, next(iter(fields.values())))}"
        message = f"{listed} {'stand' if len(fields) > 1 else 'stands'} in place of keywords"
        self._report.add(diagnose("CH201", message, self._sources.place(pointer), help=help))

    def _survey(self, target: SchemaTarget) -> None:
        waiting = [target]
        while waiting:
            target = waiting.pop()
            document, pointer = target.document, target.pointer
            if document is None or (document.uri, pointer) in self._surveyed:
                continue
            one = Surveyed(document, pointer, value_at(document, pointer))
            self._surveyed[one.key] = one
            self._note(one, schema_errors(one.schema, pointer))
            if isinstance(one.schema, dict) and any(
                is_from_another_draft(keyword, value) for keyword, value in one.schema.items()
            ):
                self._broken.add(one.key)
            below = [
                SchemaTarget(document, where) for where, _, _ in subschemas(one.schema, pointer)
            ]
            if document.is_dynamic:
                # Such documents are bundled whole, so errors anywhere in them matter.
                waiting.append(SchemaTarget(document, ""))
            waiting.extend(reversed([*self._references(one), *below]))

    def _references(self, one: Surveyed) -> Iterator[SchemaTarget]:
        if not isinstance(one.schema, dict):
            return
        for keyword in ("$ref", "$dynamicRef"):
            reference = one.schema.get(keyword)
            if not isinstance(reference, str):
                continue
            found = self.documents.resolve(reference, one.document, one.pointer)
            if isinstance(found, SchemaTarget):
                yield found
            elif found is not None:
                self._note(one, [attrs.evolve(found, pointer=at(one.pointer, keyword))])
            else:
                self._broken.add(one.key)

    def _note(self, one: Surveyed, found: Iterable[SchemaError]) -> None:
        for error in found:
            self._broken.add(one.key)
            if self.documents.is_unknown(one.document, error.pointer):
                continue
            place = self.documents.place(one.document, error.pointer, key=error.key)
            self._report.add(diagnose(error.code, error.message, place, help=error.help))

    def _check_older_drafts(self) -> None:
        """Check against an older draft's own meta-schema, unless the 2020-12 checks have found something."""
        documents = {one.document.uri: one for one in self._surveyed.values()}
        for one in documents.values():
            if not any(uri == one.document.uri for uri, _ in self._broken):
                for pointer, schema in one.document.origin.olds.items():
                    for found in against_meta_schema(schema, pointer):
                        moved = one.document.origin.now(found.pointer)
                        self._note(one, [attrs.evolve(found, pointer=moved)])

    def _compile(self, pointer: str) -> None:
        root = self._roots[pointer]
        self._validators[pointer] = None
        if root is None:
            return
        try:
            whole = bundle(root, self.documents, self._broken)
        except LookupError:
            return
        text = json.dumps(whole, sort_keys=True)
        if text not in self._compiled:
            self._compiled[text] = self._validator(whole, pointer)
        self._validators[pointer] = self._compiled[text]
        if self._compiled[text] is not None:
            self._bundles[pointer] = whole

    def _validator(self, whole: Json, pointer: str) -> Validator | None:
        try:
            return compiled(whole)
        except ValueError as problem:
            # The checks above give better messages; this one catches everything else.
            better = next(against_meta_schema(whole), None)
            words = better.message if better is not None else str(problem).split("\n", 1)[0]
            place = self._sources.place(pointer)
            self._report.add(diagnose("CH201", f"the schema can't be compiled: {words}", place))
            return None


def declared_schemas(config: Config) -> Iterator[tuple[str, Json]]:
    """Every declared schema with its pointer, in the order for reports."""
    for name, schema in config.schemas.items():
        yield at("/schemas", name), schema
    for name, authenticator in config.auth.items():
        if authenticator.claims is not None:
            yield at("/auth", name, "claims"), authenticator.claims
    for name, channel in config.channels.items():
        below = at("/channels", name)
        for section, schemas in (("params", channel.params), ("query", channel.query)):
            yield from ((at(below, section, key), schema) for key, schema in schemas.items())
        if channel.presence is not None and channel.presence.state is not None:
            yield at(below, "presence", "state"), channel.presence.state
        for type_, message in channel.messages.items():
            yield at(below, "messages", type_, "schema"), message.schema
        for type_, event in (channel.events or {}).items():
            yield at(below, "events", type_, "schema"), event.schema


def _is_of_url(pointer: str) -> bool:
    """Whether it is the schema of a param or a query parameter, which need not be objects."""
    parts = pointer.split("/")
    return len(parts) > 3 and parts[1] == "channels" and parts[3] in ("params", "query")


def _may_be_path(pointer: str) -> bool:
    return pointer.startswith("/channels/") and pointer.endswith(("/schema", "/presence/state"))


MAX_FINDINGS: Final = 5
_LONGEST: Final = 120


def against_meta_schema(schema: Json, pointer: str = "") -> Iterator[SchemaError]:
    """Violations of the meta-schema that `$schema` names (by default 2020-12); `pointer` is the schema's."""
    if not isinstance(schema, dict | bool) or jsonschema_rs.meta.is_valid(schema):
        return
    # Imported only for an invalid schema: loading it takes longer than everything else here.
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 - rare

    draft = validators.validator_for(schema, default=Draft202012Validator)
    errors = draft(draft.META_SCHEMA).iter_errors(schema)
    for error in itertools.islice(errors, MAX_FINDINGS):
        words = error.message if len(error.message) <= _LONGEST else f"{error.message[:_LONGEST]}…"
        keyword = f"`{error.path[-1]}`: " if error.path else ""
        yield SchemaError("CH201", at(pointer, *error.absolute_path), f"{keyword}{words}")
