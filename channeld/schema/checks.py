"""Checks a configuration's schemas, beyond errors that prevent compilation."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs

from channeld.config.model import Channel, Config, Event, Message
from channeld.config.scalars import format_size
from channeld.config.source import Sources
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Diagnostic, Place
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.cases import type_of
from channeld.schema.documents import Document
from channeld.schema.lint import is_shut_out, lint
from channeld.schema.schemas import Schemas, Surveyed
from channeld.schema.violations import Validator
from channeld.schema.vocabulary import IN_PLACE, KEYWORDS, SchemaError, listed, mapping, subschemas
from channeld.suggest import did_you_mean

USUAL_MESSAGE_SIZE = 64 * 1024
_TAKEN_OFF = ("type", "id")
_IDLE_WORDS = frozenset({"CH202", "CH212", "CH218", "CH219"})


def check_schemas(config: Config, schemas: Schemas, sources: Sources) -> Iterable[Diagnostic]:
    """Report everything about the schemas that `Schemas` itself has not."""
    checks = _Checks(config, schemas, sources)
    yield from checks.of_each_schema()
    yield from checks.of_loops()
    yield from checks.of_required_names()
    yield from checks.of_claims()
    for channel in config.channels.values():
        declared: Mapping[str, Message | Event]
        for declared in (channel.messages, channel.events or {}):
            for type_, one in declared.items():
                yield from checks.of_type(channel, type_, one)


@attrs.frozen(eq=False)
class _Checks:
    config: Config
    schemas: Schemas
    sources: Sources

    def of_each_schema(self) -> Iterator[Diagnostic]:
        """Check each schema by itself."""
        referred: dict[str, list[str]] = {}
        for one in self.schemas.surveyed():
            referred.setdefault(one.document.uri, []).append(one.pointer)
        for one in self.schemas.surveyed():
            reached = referred[one.document.uri]
            for error in lint(one.schema, one.pointer, _under(reached)):
                if not _is_idle(error, one.document):
                    yield self._found(error, one)

    def of_loops(self) -> Iterator[Diagnostic]:
        """Find references that lead back to themselves without a step into the value."""
        done: set[tuple[str, str]] = set()
        for start in self.schemas.surveyed():
            for closing in self._loops(start, [], done):
                reference = closing.schema.get("$ref") if isinstance(closing.schema, dict) else ""
                message = f"`$ref: {reference}` refers to itself"
                help = "refer to it from `properties` or `items`, or remove the reference"
                where = at(closing.pointer, "$ref")
                yield self._found(SchemaError("CH216", where, message, help), closing)

    def of_required_names(self) -> Iterator[Diagnostic]:
        """Find names in `required` that are not properties of the same object."""
        for head in self._heads():
            together = list(self._in_place(head))
            if any(_speaks_of_any_name(one.schema) for one in together):
                continue
            names = {name for one in together for name in mapping(one.schema, "properties")}
            for one in together:
                yield from self._undeclared(one, names)

    def of_claims(self) -> Iterator[Diagnostic]:
        """Find claims schemas that no token can satisfy."""
        for name, authenticator in self.config.auth.items():
            pointer = at("/auth", name, "claims")
            if authenticator.claims is not None and self._never_an_object(pointer):
                yield self._not_an_object(pointer, f"the claims of `{name}`")

    def of_type(
        self, channel: Channel, type_: str, declared: Message | Event
    ) -> Iterator[Diagnostic]:
        """Check the schema of a message or event type."""
        word = "message" if isinstance(declared, Message) else "event"
        below = at("/channels", channel.name, f"{word}s", type_)
        if self.schemas.resolved(at(below, "schema")) is None:
            return
        if self._never_an_object(at(below, "schema")):
            yield self._not_an_object(at(below, "schema"), f"{word} `{type_}`")
            return
        if isinstance(declared, Message):
            yield from self._of_message(channel, type_, at(below, "schema"))
        else:
            yield from self._taken_off(at(below, "schema"), "type")
        yield from self._examples(below, f"{word} `{type_}`", declared.examples)

    def _of_message(self, channel: Channel, type_: str, pointer: str) -> Iterator[Diagnostic]:
        for name in _TAKEN_OFF:
            yield from self._taken_off(pointer, name)
        if _reaches_others(channel.messages[type_]) and self._is_silently_open(pointer):
            words = f"message `{type_}` accepts any extra field and passes it on to others"
            help = "add `additionalProperties: false`, or `emit` the fields that may pass"
            yield diagnose("CH207", words, self._schema_place(pointer), help=help)
        yield from self._unbounded(channel, pointer)

    def _found(self, error: SchemaError, one: Surveyed) -> Diagnostic:
        place = self.schemas.documents.place(one.document, error.pointer, key=error.key)
        return diagnose(error.code, error.message, place, help=error.help)

    def _loops(
        self, one: Surveyed, path: list[Surveyed], done: set[tuple[str, str]]
    ) -> Iterator[Surveyed]:
        keys = [each.key for each in path]
        if one.key in keys:
            loop = path[keys.index(one.key) :]
            yield next(each for each in reversed(loop) if self.schemas.referred(each) is not None)
            return
        if one.key in done:
            return
        for below in self._beside(one):
            yield from self._loops(below, [*path, one], done)
        done.add(one.key)

    def _beside(self, one: Surveyed, *, negated: bool = True) -> Iterator[Surveyed]:
        """The subschemas that apply to the same value, one step away."""
        target = self.schemas.referred(one)
        if target is not None:
            yield target
        for pointer, _, keyword in subschemas(one.schema, one.pointer):
            if keyword in IN_PLACE and (negated or keyword != "not"):
                below = self.schemas.at_pointer(one.document, pointer)
                if below is not None:
                    yield below

    def _in_place(self, head: Surveyed) -> Iterator[Surveyed]:
        waiting, seen = [head], set()
        while waiting:
            one = waiting.pop()
            if one.key not in seen:
                seen.add(one.key)
                yield one
                waiting.extend(self._beside(one, negated=False))

    def _heads(self) -> Iterator[Surveyed]:
        """The schemas that describe a value of their own, not an aspect of another one's."""
        inner: set[tuple[str, str]] = set()
        for one in self.schemas.surveyed():
            inner.update(below.key for below in self._beside(one))
            for pointer, _, keyword in subschemas(one.schema, one.pointer):
                if keyword in {"$defs", "definitions"}:
                    inner.add((one.document.uri, pointer))
        yield from (one for one in self.schemas.surveyed() if one.key not in inner)

    def _undeclared(self, one: Surveyed, names: set[str]) -> Iterator[Diagnostic]:
        for index, name in enumerate(listed(one.schema, "required")):
            if not isinstance(name, str) or name in names or is_shut_out(one.schema, name):
                continue
            message = f"`{name}` is required, but there is no such property"
            help = did_you_mean(name, sorted(names), f"declare `{name}` under `properties`")
            pointer = at(one.pointer, "required", index)
            yield self._found(SchemaError("CH208", pointer, message, help), one)

    def _never_an_object(self, pointer: str) -> bool:
        known = self.schemas.resolved(pointer) is not None
        return known and not self.schemas.shape(pointer).may_be_object()

    def _not_an_object(self, pointer: str, what: str) -> Diagnostic:
        help = "a frame is a JSON object: write `type: object`, with its fields under `properties`"
        message = f"the schema of {what} accepts no object, so nothing can match it"
        return diagnose("CH217", message, self._schema_place(pointer, "type"), help=help)

    def _schema_place(self, pointer: str, keyword: str = "") -> Place:
        """The location of a schema (its key), or of one keyword's value, in its file if it has one."""
        root = self.schemas.root(pointer)
        if root is None or root.document is None:
            return self.sources.place(pointer)
        one = self.schemas.at(root)
        if keyword and one is not None and isinstance(one.schema, dict) and keyword in one.schema:
            return self.schemas.documents.place(root.document, at(root.pointer, keyword))
        return self.schemas.documents.place(root.document, root.pointer, key=True)

    def _taken_off(self, pointer: str, name: str) -> Iterator[Diagnostic]:
        found = self.schemas.shape(pointer).lookup((name,))
        root = self.schemas.root(pointer)
        head = self.schemas.at(root) if root is not None else None
        if head is None or not (found.declared or found.guaranteed):
            return
        code, keyword = ("CH215", "required") if found.guaranteed else ("CH214", "properties")
        said = "is required" if found.guaranteed else "is declared"
        message = f"`{name}` {said}, but it is removed before the schema is checked"
        help = f"remove `{name}` from the schema: every frame has its own"
        for one in self._in_place(head):
            where = _spelled(one, keyword, name)
            if where is not None:
                yield self._found(SchemaError(code, where, message, help, key=True), one)
                return

    def _is_silently_open(self, pointer: str) -> bool:
        is_anything = self.schemas.resolved(pointer) is True
        return not is_anything and self.schemas.shape(pointer).is_silently_open

    def _unbounded(self, channel: Channel, pointer: str) -> Iterator[Diagnostic]:
        size = channel.limits.message_size or self.config.server.limits.message_size
        root = self.schemas.root(pointer)
        head = self.schemas.at(root) if root is not None else None
        if size <= USUAL_MESSAGE_SIZE or head is None:
            return
        for one in self._in_place(head):
            for name, field in mapping(one.schema, "properties").items():
                if _is_unbounded(field):
                    where = at(one.pointer, "properties", name)
                    most = f"messages may have {format_size(size)}"
                    message = f"`{name}` has no `maxLength`, and {most}"
                    error = SchemaError("CH211", where, message, "add `maxLength: N`", key=True)
                    yield self._found(error, one)

    def _examples(self, below: str, what: str, examples: Iterable[Json]) -> Iterator[Diagnostic]:
        validator = self.schemas.validator(at(below, "schema"))
        if validator is None:
            return
        for index, example in enumerate(examples):
            first = _violation(validator, example)
            if first is None:
                continue
            path, words = first
            help = "correct the example, or the schema"
            if isinstance(example, dict):
                bare = {name: v for name, v in example.items() if name not in _TAKEN_OFF}
                if validator.accepts(bare) and len(bare) < len(example):
                    help = "leave `type` and `id` out of examples, as in the schema"
            where = f"`{path}` " if path else ""
            yield diagnose(
                "CH213",
                f"example {index + 1} of {what} does not match its schema: {where}{words}",
                self.sources.place(at(below, "examples", index) + path),
                help=help,
            )


def _violation(validator: Validator, example: Json) -> tuple[str, str] | None:
    if not isinstance(example, dict):
        return "", f"it must be an object, not {type_of(example)}"
    found = [] if validator.accepts(example) else validator.explain(example)
    return (found[0].path, found[0].message) if found else None


def _under(pointers: list[str]) -> Callable[[str], bool]:
    return lambda here: any(p == here or p.startswith(here + "/") for p in pointers)


def _is_idle(error: SchemaError, document: Document) -> bool:
    """Whether a finding is about a word of the schema's own draft, or without effect in a file of others."""
    if error.code == "CH206" and error.pointer.rpartition("/")[2] not in KEYWORDS:
        return document.is_foreign or bool(document.origin.olds)
    return document.is_foreign and error.code in _IDLE_WORDS


def _reaches_others(message: Message) -> bool:
    others = any(route.to in {"room", "user", "global"} for route in message.route)
    return others and message.emit is None


def _speaks_of_any_name(schema: Json) -> bool:
    return isinstance(schema, dict) and (
        "patternProperties" in schema
        or "$dynamicRef" in schema
        or any(
            schema.get(keyword) not in (None, False)
            for keyword in ("additionalProperties", "unevaluatedProperties")
        )
    )


def _spelled(one: Surveyed, keyword: str, name: str) -> str | None:
    value = one.schema.get(keyword) if isinstance(one.schema, dict) else None
    if isinstance(value, list) and name in value:
        return at(one.pointer, keyword, value.index(name))
    if isinstance(value, dict) and name in value:
        return at(one.pointer, keyword, name)
    return None


def _is_unbounded(field: Json) -> bool:
    bounding = ("maxLength", "enum", "const", "format", "pattern")
    return (
        isinstance(field, dict)
        and field.get("type") == "string"
        and not any(keyword in field for keyword in bounding)
    )
