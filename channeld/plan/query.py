"""Query parameters of a channel's URL: their declarations, and how they are read."""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from channeld.auth.authenticators import authenticator
from channeld.auth.token_places import placed
from channeld.config.model import Channel, Config
from channeld.plan.paths import converter, is_refused
from channeld.plan.template_scope import Resolved
from channeld.plan.templates import TemplateCompiler
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.cases import type_of
from channeld.schema.schemas import Schemas

QueryReader: TypeAlias = Callable[[Mapping[str, str]], Mapping[str, Json] | str]
"""Reads a query: its declared parameters, converted, or the name of one that its schema refuses."""

TEXT = frozenset({"string"})
POSSIBLE = frozenset({"string", "integer", "number", "boolean"})
# Parameters that the server itself reads.
OWN = frozenset({"since", "offset", "live", "cursor", "ready"})


def query_types(channel: Channel, schemas: Schemas) -> Mapping[str, Resolved]:
    """What templates know about each parameter: its types, and whether it may be missing (no default)."""
    found: dict[str, Resolved] = {}
    for name, schema in channel.query.items():
        shape = schemas.shape(at("/channels", channel.name, "query", name)).lookup(())
        types = (shape.types & POSSIBLE) if shape.known and shape.types else TEXT
        found[name] = Resolved(types or TEXT, maybe=not _has_default(schema))
    return found


def compile_query(
    config: Config, channel: Channel, templates: TemplateCompiler, schemas: Schemas
) -> QueryReader | None:
    """Make the function that reads a query, None if nothing is declared. Invalid declarations are reported."""
    if not channel.query:
        return None
    readers: dict[str, Callable[[str], object]] = {}
    defaults: dict[str, Json] = {}
    taken = OWN | _of_tokens(config, channel)
    for name, schema in channel.query.items():
        pointer = at("/channels", channel.name, "query", name)
        if name in taken:
            finding = f"the query parameter `{name}` is channeld's own"
            help = "give the parameter another name"
            templates.find("CH353", finding, pointer, help, key=True)
        shape = schemas.shape(pointer).lookup(())
        types = shape.types if shape.known and shape.types else TEXT
        if not types & POSSIBLE:
            finding = f"no query parameter can satisfy the schema of `{name}`"
            help = "give it `type: string`, `integer`, `number` or `boolean`"
            templates.find("CH330", finding, pointer, help)
        validator = schemas.validator(pointer)
        accepts = validator.accepts if validator is not None else None
        readers[name] = converter(types, accepts)
        if isinstance(schema, dict) and _has_default(schema):
            defaults[name] = default = schema["default"]
            if not _may_be(default, types & POSSIBLE, readers[name], accepts):
                finding = f"the default of the query parameter `{name}` is not one of its values"
                help = "give a default that its schema allows and that a URL can contain"
                templates.find("CH355", finding, at(pointer, "default"), help)
    return _reader(readers, defaults)


def _may_be(
    value: Json,
    types: frozenset[str],
    read: Callable[[str], object],
    accepts: Callable[[Json], bool] | None,
) -> bool:
    """Whether a default is a value that the parameter could also get from a URL."""
    if isinstance(value, str):
        return "string" in types and read(value) == value
    if isinstance(value, float) and not math.isfinite(value):
        return False
    kinds = {"number", "integer"} if isinstance(value, int | float) else {type_of(value)}
    kinds = {"boolean"} if isinstance(value, bool) else kinds
    return not types.isdisjoint(kinds) and (accepts is None or accepts(value))


def _reader(
    readers: Mapping[str, Callable[[str], object]], defaults: Mapping[str, Json]
) -> QueryReader:
    def read(query: Mapping[str, str]) -> Mapping[str, Json] | str:
        found = dict(defaults)
        for name, convert in readers.items():
            if name in query:
                value = convert(query[name])
                if is_refused(value):
                    return name
                found[name] = value  # type: ignore[assignment]
        return found

    return read


def _has_default(schema: Json) -> bool:
    return isinstance(schema, dict) and "default" in schema


def _of_tokens(config: Config, channel: Channel) -> frozenset[str]:
    places = [
        placed(place)
        for name in channel.auth.names
        if name in config.auth
        for place in authenticator(config.auth[name]).token_from()
    ]
    return frozenset(name for kind, name in places if kind == "query")
