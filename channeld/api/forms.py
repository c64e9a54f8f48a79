"""Schemas of requests: a JSON Schema for each body and each query, also used in the OpenAPI document.

A body is parsed as strictly as a client's frame (range of numbers, depth), then checked by its schema. What a schema cannot
express (a room name, a reason that fits into a Close frame) is also checked here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

import orjson

from channeld.api.problems import Problem
from channeld.plan.path_syntax import decode as percent_decoded
from channeld.protocol.frames import BadFrame, CheckedJson, Json, decode
from channeld.protocol.names import is_room_name, room_name
from channeld.schema.compiled import compiled
from channeld.schema.violations import Validator, Violation
from channeld.schema.vocabulary import mapping

Schema: TypeAlias = dict[str, Json]
# Already checked by its schema.
Body: TypeAlias = CheckedJson

MOST_IN_A_BATCH: Final = 1000
_DEEPEST: Final = 100
# A Close frame's reason (RFC 6455 section 5.5).
_LONGEST_REASON: Final = 123

_CHANNEL: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 256}
_NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 128}


def closed_object(required: list[Json], properties: Schema, **others: Json) -> Schema:
    """The schema of an object with no other properties than these."""
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
        **others,
    }


def _only_with(to: str, field: str) -> Schema:
    return {
        "if": {"properties": {"to": {"const": to}}, "required": ["to"]},
        "then": {"required": [field]},
        "else": {"properties": {field: False}},
    }


_TARGET: Final[Schema] = {"user": _NAME, "connection": _NAME}
_ONE_TARGET: Final[Schema] = {
    "oneOf": [{"required": ["user"]}, {"required": ["connection"]}],
}

PUBLISH: Final = closed_object(
    ["channel", "to", "event"],
    {
        "channel": {
            **_CHANNEL,
            "description": "A declared channel; with `to: global`, `*` means every channel.",
        },
        "to": {"enum": ["room", "user", "global"]},
        "room": {
            **_NAME,
            "description": "With `to: room`: only characters that can be seen. Brought to NFC.",
        },
        "user": {**_NAME, "description": "With `to: user`."},
        "event": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"type": "string"}},
            "description": "The frame sent to clients; checked against the channel's `events`.",
        },
        "idempotency_key": {
            **_NAME,
            "description": "Publishes only once per key and channel within five minutes.",
        },
        "except": {**_NAME, "description": "The id of a connection to exclude."},
    },
    allOf=[_only_with("room", "room"), _only_with("user", "user")],
)

BATCH: Final[Schema] = {
    "type": "array",
    "maxItems": MOST_IN_A_BATCH,
    "items": closed_object(
        ["publish"],
        {
            "publish": {
                "type": "object",
                "description": "Like the body of `/v1/publish`; a malformed one gets a `problem`.",
            }
        },
    ),
}

DISCONNECT: Final = closed_object(
    [],
    {
        **_TARGET,
        "code": {
            "type": "integer",
            "minimum": 1000,
            "maximum": 4999,
            "default": 4410,
            "description": "A close code that a server may send (RFC 6455 section 7.4).",
        },
        "reason": {"type": "string", "maxLength": _LONGEST_REASON, "default": ""},
    },
    **_ONE_TARGET,
)

MEMBERSHIP: Final = closed_object(
    ["channel", "room"], {**_TARGET, "channel": _CHANNEL, "room": _NAME}, **_ONE_TARGET
)

_MOMENT: Final[Schema] = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 2**53},
        {"type": "string", "maxLength": 64},
    ],
    "description": "Unix seconds, or RFC 3339 with a time zone.",
}
REVOKE: Final = closed_object(
    [],
    {
        "user": {
            **_NAME,
            "description": "The user whose JWTs issued at `before` or earlier are refused.",
        },
        "before": {**_MOMENT, "description": "Unix seconds, or RFC 3339. Default: now."},
        "for": {
            "type": "string",
            "maxLength": 32,
            "default": "24h",
            "description": "How long to refuse them. Use the longest lifetime of your tokens.",
        },
        "token_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 512,
            "description": "The `jti` of the JWT to refuse.",
        },
        "until": {**_MOMENT, "description": "The expiry of that token: its `exp`."},
    },
    oneOf=[
        {
            "required": ["user"],
            "properties": {"token_id": False, "until": False},
        },
        {
            "required": ["token_id", "until"],
            "properties": {"user": False, "before": False, "for": False},
        },
    ],
)

NO_QUERY: Final = closed_object([], {})


def _page(default: int, key: str, longest: int, words: str) -> Schema:
    limit: Schema = {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": default,
        "description": "Maximum number of entries.",
    }
    return closed_object(
        [], {"limit": limit, key: {"type": "string", "maxLength": longest, "description": words}}
    )


PAGE_QUERY: Final = _page(100, "after", 512, "The `next` of the previous page.")
HISTORY_QUERY: Final = _page(50, "before", 128, "Return frames before this `pos`.")
CLEAR_QUERY: Final = closed_object(
    [],
    {
        "key": {
            "type": "string",
            "minLength": 1,
            "maxLength": 4096,
            "description": "Only the newest frame with this key, of any type.",
        },
    },
)

# For the console only.
CHECK: Final = closed_object(
    ["channel", "type", "message"],
    {"channel": _CHANNEL, "type": {"type": "string"}, "message": {"type": "object"}},
)
TRACE: Final = closed_object(
    ["path"],
    {
        "path": {"type": "string", "pattern": "^/", "maxLength": 4096},
        "frame": {"type": "string"},
        "token": {"type": "string"},
    },
)
TOKEN: Final = closed_object(["channel", "user"], {"channel": _CHANNEL, "user": _NAME})

_VALIDATORS: Final[dict[int, Validator]] = {}
_NUMBER: Final = re.compile(r"-?[0-9]{1,9}")


def violations(schema: Schema, value: Body) -> Sequence[Violation]:
    """Why a value does not satisfy a schema of this module; empty if it does."""
    validator = _VALIDATORS.get(id(schema))
    if validator is None:
        validator = _VALIDATORS[id(schema)] = compiled(schema)
    if not validator.accepts(value):
        return validator.explain(value)
    return list(_more(value)) if isinstance(value, dict) else ()


def _more(value: Mapping[str, CheckedJson]) -> Iterator[Violation]:
    """Checks that schemas cannot express."""
    if "room" in value and not is_room_name(room_name(value["room"])):
        yield Violation("/room", "must be a room name: only characters that can be seen", "format")
    if "code" in value and not _may_be_sent(value["code"]):
        yield Violation("/code", "must be a close code that may be sent, such as 4410", "format")
    if len(value.get("reason", "").encode()) > _LONGEST_REASON:
        yield Violation("/reason", f"must be at most {_LONGEST_REASON} bytes as UTF-8", "maxLength")


def _may_be_sent(code: int) -> bool:
    return code >= 3000 or (code in range(1000, 1015) and code not in (1004, 1005, 1006))


def read_body(body: bytes, schema: Schema) -> Body:
    """Parse and check a body.

    Raises:
        Problem: 400: it is not JSON, or does not satisfy the schema.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"not valid JSON: {error.msg} at character {error.pos}") from None
    # The wire's own parser: what it refuses can't be published either.
    read = decode(b'{"type":"","body":%b}' % body, _DEEPEST)
    if isinstance(read, BadFrame):
        raise Problem(400, f"the body is refused: {read.message}")
    found = violations(schema, value)
    if found:
        raise Problem(400, f"the body is not valid: {_first(found)}", found)
    return value


def read_query(query: bytes, schema: Schema) -> dict[str, CheckedJson]:
    """Parse and check a query; missing parameters get their defaults.

    Raises:
        Problem: 400: a parameter is unknown, repeated or invalid.
    """
    text = query.decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        pairs = None
    if pairs is None or not text.isascii() or percent_decoded(text) is None:
        raise Problem(400, "the query is malformed, or not UTF-8")
    given: dict[str, Json] = {}
    properties = mapping(schema, "properties")
    for name, text in pairs:
        if name in given:
            raise Problem(400, f"`{name}` is given twice")
        declared = properties.get(name)
        is_number = isinstance(declared, dict) and declared["type"] == "integer"
        given[name] = int(text) if is_number and _NUMBER.fullmatch(text) else text
    found = violations(schema, given)
    if found:
        raise Problem(400, f"the query is not valid: {_first(found)}", found)
    defaults = {
        name: declared["default"]
        for name, declared in properties.items()
        if isinstance(declared, dict) and "default" in declared
    }
    return {**defaults, **given}


def _first(found: Sequence[Violation]) -> str:
    where = f"`{found[0].path}` " if found[0].path else ""
    return where + found[0].message
