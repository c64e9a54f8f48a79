"""The OpenAPI 3.1 description of the API, made from the table of routes and, if given, the plan."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from channeld import __version__
from channeld.api import answers, forms
from channeld.api.forms import Schema
from channeld.plan.plan import Plan
from channeld.protocol.frames import Json
from channeld.schema.vocabulary import mapping

if TYPE_CHECKING:
    from channeld.api.routes import ApiRoute

# Statuses that any request may get; those with a body may get more.
_ANY: Final = (400, 403, 405)
_PENDING: Final = "Accepted: the nodes in `pending` have not confirmed; each carries it out when it is heard from again, within 60 s."
_WITH_BODY: Final = (413, 415)

_MEANINGS: Final[Mapping[int, str]] = {
    400: "Not JSON, or not in the expected form.",
    401: "No key, or an invalid one.",
    403: "The request comes from a page of another site.",
    404: "The channel does not exist, or has no such thing.",
    409: "The maximum number of revocations is in force.",
    405: "The path does not support this method.",
    413: "The body exceeds 1 MiB.",
    415: "The body's content type is not JSON, or it has a `Content-Encoding`.",
    422: "The event is undeclared, or does not match its schema.",
    500: "A server bug; `ref` identifies it in the log.",
    503: "The broker is unreachable, or the server is draining.",
}

_PARAMETERS: Final[Mapping[str, Schema]] = {
    "id": {"type": "string", "minLength": 1},
    "channel": {"type": "string", "minLength": 1},
    "room": {"type": "string", "minLength": 1, "maxLength": 128},
    "user": {"type": "string", "minLength": 1, "maxLength": 128},
}

_NAMED: Final[Mapping[str, Schema]] = {
    "Publish": forms.PUBLISH,
    "Batch": forms.BATCH,
    "Disconnect": forms.DISCONNECT,
    "Membership": forms.MEMBERSHIP,
    "Problem": answers.PROBLEM,
    "Published": answers.PUBLISHED,
    "BatchResults": answers.BATCH,
    "Count": answers.COUNT,
    "Channel": answers.CHANNEL,
    "Channels": answers.CHANNELS,
    "Rooms": answers.ROOMS,
    "Room": answers.ROOM,
    "Presence": answers.PRESENCE,
    "History": answers.HISTORY,
    "User": answers.USER,
    "Health": answers.HEALTH,
}


def describe(routes: Sequence["ApiRoute"], plan: Plan | None = None) -> dict[str, Json]:
    """Make the document; with a plan it lists the channels and has examples of their events."""
    paths: dict[str, dict[str, Json]] = {}
    for route in routes:
        if route.is_described:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, plan)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "channeld control API",
            "version": __version__,
            "summary": "For the rest of an application: send to this user from anywhere.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": dict[str, Json](paths),
        "components": {
            "schemas": {name: _linked(schema) for name, schema in _NAMED.items()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _operation(route: "ApiRoute", plan: Plan | None) -> dict[str, Json]:
    operation: dict[str, Json] = {
        "operationId": _name(route),
        "summary": route.summary,
        "responses": _responses(route),
    }
    parameters = [*_in_path(route, plan), *_in_query(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content: dict[str, Json] = {"schema": _schema(route.body)}
        example = _example(plan) if route.body is forms.PUBLISH else None
        if example is not None:
            content["example"] = example
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    if route.is_open:
        operation["security"] = []
    return operation


def _name(route: "ApiRoute") -> str:
    """From `GET /v1/channels/{channel}/rooms` to `getChannelsRooms`."""
    words = [word for word in route.segments if word != "v1"]
    plain = [word.strip("{}") if word.startswith("{") else word for word in words]
    return route.method.lower() + "".join(word.capitalize() for word in plain)


def _in_path(route: "ApiRoute", plan: Plan | None) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _parameter(name, plan)}
        for name in (word[1:-1] for word in route.segments if word.startswith("{"))
    ]


def _parameter(name: str, plan: Plan | None) -> Json:
    if name == "channel" and plan is not None:
        return {**_PARAMETERS[name], "examples": list(plan.channels)}
    return dict(_PARAMETERS[name])


def _in_query(route: "ApiRoute") -> list[Json]:
    properties = mapping(route.query, "properties").items()
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties]


def _responses(route: "ApiRoute") -> dict[str, Json]:
    answer: Json = (
        {"text/plain": {"schema": {"type": "string"}}}
        if route.answer is None
        else {"application/json": {"schema": _schema(route.answer)}}
    )
    told: dict[str, Json] = {"200": {"description": "OK", "content": answer}}
    if route.may_be_pending and route.answer is not None:
        later: Json = {"application/json": {"schema": answers.pending(route.answer)}}
        told["202"] = {"description": _PENDING, "content": later}
    statuses = {*_ANY, *route.errors, 500}
    statuses |= set(_WITH_BODY) if route.body is not None else set()
    statuses |= set() if route.is_open else {401}
    for status in sorted(statuses):
        told[str(status)] = {
            "description": f"{HTTPStatus(status).phrase}: {_MEANINGS[status]}",
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
    return told


def _schema(schema: Schema) -> Json:
    """A reference to a schema if it has a name, else the schema."""
    for name, known in _NAMED.items():
        if known is schema:
            return {"$ref": f"#/components/schemas/{name}"}
    return schema


def _linked(schema: Schema) -> Json:
    """A named schema with references to other named ones."""

    def inside(value: Json) -> Json:
        if isinstance(value, dict):
            found = _schema(value)
            return found if found is not value else {k: inside(v) for k, v in value.items()}
        return [inside(one) for one in value] if isinstance(value, list) else value

    return {key: inside(value) for key, value in schema.items()}


def _example(plan: Plan | None) -> Json:
    for channel in plan.config.channels.values() if plan is not None else ():
        for name, event in (channel.events or {}).items():
            if event.examples and isinstance(event.examples[0], dict):
                shown: dict[str, Json] = {"type": name, **event.examples[0]}
                return {"channel": channel.name, "to": "user", "user": "ann", "event": shown}
    return None
