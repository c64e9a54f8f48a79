"""An OpenAPI 3.1 document of the requests that channeld sends to backends, and of their answers.

One operation per backend and path, with the schemas of the messages sent there. A backend's types and stubs can be
generated from it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from channeld.config.model import Config
from channeld.config.rules.backends import remote_hooks
from channeld.config.source import Sources
from channeld.export.contract import Contract
from channeld.export.frame_schemas import one_of
from channeld.pointer import at, tokens
from channeld.protocol.frames import Json
from channeld.schema.definitions import Schema, with_prefix

_SCHEMAS: Final = "#/components/schemas/"
# Explicit, because generators assume that an object without `properties` is empty.
_ANY: Final[Schema] = {"type": "object", "additionalProperties": True}
_USER: Final[Schema] = {
    "type": "object",
    "required": ["id", "claims"],
    "properties": {"id": {"type": "string"}, "claims": _ANY},
}
_PUBLICATION: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["to", "event"],
    "properties": {
        "to": {"enum": ["room", "user", "global"]},
        "room": {"type": "string"},
        "user": {"type": "string"},
        "channel": {"type": "string"},
        "event": {**_ANY, "required": ["type"], "properties": {"type": {"type": "string"}}},
    },
}  # fmt: skip
_REJECTION: Final[Schema] = {
    **_ANY,
    "required": ["message"],
    "properties": {
        "message": {"type": "string"},
        # No `default`: generators would make the field required.
        "code": {"type": "string", "description": "`REJECTED` if there is none."},
        "close": {"type": "integer"},
    },
}
_HANDSHAKE: Final[Schema] = {
    "type": "object",
    "required": ["path", "query", "headers", "address"],
    "properties": {
        "path": {"type": "string"},
        "query": {"type": "object", "additionalProperties": {"type": "string"}},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "address": {"type": "string"},
        "token": {"type": "string"},
    },
}
_SIGNED: Final[tuple[tuple[str, str], ...]] = (
    ("webhook-id", "Id of the request; the same again when it is sent a second time."),
    ("webhook-timestamp", "Whole seconds since the Unix epoch."),
    ("webhook-signature", "`v1,` and base64 of HMAC-SHA256 over id, timestamp and body."),
)


@attrs.frozen(slots=True)
class _RemoteUse:
    """One hook that a backend answers: its kind, and the channel and message type that it is of."""

    kind: str
    channel: str | None
    type: str | None


def hooks_document(
    contract: Contract, config: Config, sources: Sources, *, title: str, release: str
) -> Schema:
    """Make the document; its `paths` are empty if no hook uses a backend. Needs no secrets."""
    uses: dict[tuple[str, str], list[_RemoteUse]] = {}
    for hook, pointer in remote_hooks(config):
        uses.setdefault((hook.backend or "", hook.path), []).append(_use(pointer))
    paths: dict[str, Json] = {}
    for (backend, path), found in uses.items():
        # OpenAPI allows each path once, so the path of a second backend gets a fragment.
        key = path if path not in paths else f"{path}#{backend}"
        paths[key] = {
            "servers": [{"url": _url(sources, backend), "description": f"backend {backend}"}],
            "post": _operation(contract, backend, path, found),
        }
    schemas = {name: with_prefix(schema, _SCHEMAS) for name, schema in contract.definitions.items()}
    schemas |= {
        "HookUser": _USER, "HookPublication": _PUBLICATION, "HookRejection": _REJECTION,
        "HookHandshake": _HANDSHAKE,
    }  # fmt: skip
    named = _named(paths, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": release},
        "paths": paths,
        "components": {"schemas": {name: schemas[name] for name in schemas if name in named}},
    }


def _url(sources: Sources, backend: str) -> str:
    """A backend's URL as written; `/`, OpenAPI's default, if it depends on an unset variable."""
    pointer = at("/backends", backend, "url")
    url = sources.written(pointer)
    return "/" if pointer in sources.unset else str(url).rstrip("/")


def _use(pointer: str) -> _RemoteUse:
    """The kind of a hook and what it belongs to, from its pointer."""
    keys = tokens(pointer)
    if keys[0] == "auth":
        return _RemoteUse("authenticate", None, None)
    if keys[2] == "messages":
        return _RemoteUse("message", keys[1], keys[3])
    return _RemoteUse("subscribe" if keys[2] == "rooms" else keys[3], keys[1], None)


def _operation(contract: Contract, backend: str, path: str, uses: list[_RemoteUse]) -> Schema:
    requests = [_request(contract, use) for use in uses]
    kinds = list(dict.fromkeys(use.kind for use in uses))
    parameters: list[Json] = [
        {
            "name": name,
            "in": "header",
            "required": True,
            "description": words,
            "schema": {"type": "string"},
        }
        for name, words in _SIGNED
    ]
    responses: dict[str, Json] = {
        "200": {
            "description": "What the hook says; `{}` where it says nothing.",
            "content": _content(one_of([_answer(contract, use) for use in uses])),
        },
        "204": {"description": "The hook says nothing."},
    }
    if "authenticate" in kinds:
        responses["401"] = {"description": "Nobody that this backend knows."}
    return {
        "operationId": _identifier(backend, path),
        "summary": f"{', '.join(kinds)} of {_listed(uses)}",
        "parameters": parameters,
        "requestBody": {"required": True, "content": _content(one_of(requests))},
        "responses": responses,
    }


def _request(contract: Contract, use: _RemoteUse) -> Schema:
    properties: dict[str, Json] = {
        "hook": {"const": use.kind},
        "channel": {"type": "string"} if use.channel is None else {"const": use.channel},
        "user": {"anyOf": [{"$ref": f"{_SCHEMAS}HookUser"}, {"type": "null"}]},
        "params": _params(contract, use.channel),
        "rooms": {"type": "array", "items": {"type": "string"}},
    }
    required = ["hook", "channel", "user", "params", "rooms"]
    more = dict(_more(contract, use))
    more["connection"] = {"type": "string"}
    # A POST of a stream's client is authenticated without one.
    optional = {"message": {"room"}, "authenticate": {"connection"}}.get(use.kind, set())
    return {
        "type": "object",
        "required": [*required, *(name for name in more if name not in optional)],
        "properties": {**properties, **more},
    }


def _more(contract: Contract, use: _RemoteUse) -> Iterator[tuple[str, Json]]:
    match use.kind:
        case "message":
            yield "message", _message(contract, use)
            yield "room", {"type": "string"}
        case "close":
            yield "code", {"type": "integer"}
            yield "reason", {"type": "string"}
        case "subscribe" | "unsubscribe":
            yield "room", {"type": "string"}
        case _:
            yield "request", {"$ref": f"{_SCHEMAS}HookHandshake"}


def _message(contract: Contract, use: _RemoteUse) -> Schema:
    channel = next(one for one in contract.channels if one.name == use.channel)
    return {"$ref": _SCHEMAS + next(one.name for one in channel.sent if one.type == use.type)}


def _params(contract: Contract, name: str | None) -> Schema:
    if name is None:
        return _ANY
    params = next(one.params for one in contract.channels if one.name == name)
    return {
        "type": "object",
        "required": [param.name for param in params],
        "properties": {param.name: with_prefix(param.schema, _SCHEMAS) for param in params},
    }


def _answer(contract: Contract, use: _RemoteUse) -> Schema:
    known: dict[str, Json] = {}
    if use.kind == "authenticate":
        user: Schema = {
            "type": "object",
            "additionalProperties": False,
            "required": ["id"],
            "properties": {
                "id": {"type": "string"}, "claims": _ANY, "expires": {"type": "number"},
            },
        }  # fmt: skip
        known["user"] = {"anyOf": [user, {"type": "null"}]}
    else:
        items: Json = {"$ref": f"{_SCHEMAS}HookPublication"}
        known["publish"] = {"type": "array", "items": items}
    if use.kind == "message":
        known["message"] = _ANY
        known["reply"] = _ANY
    if use.kind in ("message", "connect", "subscribe", "authenticate"):
        known["reject"] = {"$ref": f"{_SCHEMAS}HookRejection"}
    return {"type": "object", "additionalProperties": False, "properties": known}


def _content(schema: Json) -> Schema:
    return {"application/json": {"schema": schema}}


def _named(value: Json, schemas: Mapping[str, Json]) -> set[str]:
    """The components that a value refers to, directly or not; the rest are left out."""
    named: set[str] = set()
    open_values: list[Json] = [value]
    while open_values:
        one = open_values.pop()
        if isinstance(one, list):
            open_values += one
        elif isinstance(one, Mapping):
            open_values += one.values()
            name = str(one.get("$ref", "")).removeprefix(_SCHEMAS)
            if name in schemas and name not in named:
                named.add(name)
                open_values.append(schemas[name])
    return named


def _identifier(backend: str, path: str) -> str:
    words = "".join(c if c.isalnum() else "_" for c in f"{backend}{path}")
    return words.strip("_")


def _listed(uses: list[_RemoteUse]) -> str:
    return ", ".join(
        dict.fromkeys(
            "authenticators" if use.channel is None
            else f"{use.channel}.{use.type}" if use.type is not None
            else use.channel
            for use in uses
        )
    )  # fmt: skip
