"""JSON Schemas of answers, for the OpenAPI document; tests check the answers against them."""

from typing import Final

from channeld.api.forms import Schema, closed_object
from channeld.protocol.frames import Json
from channeld.schema.vocabulary import mapping

_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_NEXT: Final[Schema] = {
    "type": "string",
    "description": "Pass as `after` to get the next page. Absent on the last page.",
}


def _object(properties: Schema, *optional: str) -> Schema:
    return closed_object([name for name in properties if name not in optional], properties)


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def pending(answer: Schema) -> Schema:
    """The schema of an answer, with the nodes that have not confirmed yet."""
    nodes: Json = {"type": "array", "items": _TEXT, "minItems": 1}
    return _object({**mapping(answer, "properties"), "pending": nodes})


PROBLEM: Final = _object(
    {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "errors": _list(
            _object(
                {
                    "path": {
                        "type": "string",
                        "description": "A JSON pointer into the body or, with 422, into the event.",
                    },
                    "message": _TEXT,
                    "keyword": _TEXT,
                }
            )
        ),
        "outcome": {"const": "unknown", "description": "The request may have been carried out."},
        "ref": {"type": "string", "description": "Identifies the log entry."},
    },
    "detail",
    "errors",
    "outcome",
    "ref",
)

PUBLISHED: Final = _object(
    {
        "pos": {"type": "string", "description": "Its position in the room's history."},
        "nodes": {
            "type": "integer",
            "minimum": 1,
            "description": "Number of nodes it was sent to.",
        },
    },
    "pos",
)
BATCH: Final = _object({"results": _list({"anyOf": [PUBLISHED, _object({"problem": PROBLEM})]})})
COUNT: Final = _object({"connections": _COUNT})

_REVOCATION: Final[Schema] = {
    "id": _TEXT,
    "user": _TEXT,
    "token_id": _TEXT,
    "before": _MOMENT,
    "until": _MOMENT,
}
REVOKED: Final = _object({"id": _TEXT, "until": _MOMENT, "connections": _COUNT})
REVOCATIONS: Final = _object(
    {"revocations": _list(_object(_REVOCATION, "user", "token_id", "before")), "next": _NEXT},
    "next",
)
CLEARED: Final = _object({"room": _TEXT, "frames": _COUNT})
RESTORED: Final = _object({"id": _TEXT})

CHANNEL: Final = _object(
    {
        "name": _TEXT,
        "path": _TEXT,
        "description": _TEXT,
        "auth": _list(_TEXT),
        "messages": _list(_TEXT),
        "events": {
            "type": ["array", "null"],
            "items": _TEXT,
            "description": "null: any type may be published.",
        },
        "presence": {"type": "boolean"},
        "history": {
            "anyOf": [
                _object({"size": _COUNT, "ttl": {"type": "number", "description": "Seconds."}}),
                {"type": "null"},
            ]
        },
        "connections": _COUNT,
        "rooms": _COUNT,
    }
)
CHANNELS: Final = _object({"channels": _list(CHANNEL)})
ROOMS: Final = _object(
    {"rooms": _list(_object({"room": _TEXT, "connections": _COUNT})), "next": _NEXT}, "next"
)
_PLACE: Final[Schema] = {"since": _MOMENT, "address": _TEXT, "node": _TEXT}
_MEMBER: Final = _object({"id": _TEXT, "user": {"type": ["string", "null"]}, **_PLACE})
ROOM: Final = _object(
    {"room": _TEXT, "connections": _COUNT, "members": _list(_MEMBER), "next": _NEXT}, "next"
)
PRESENCE: Final = _object(
    {
        "room": _TEXT,
        "count": {**_COUNT, "description": "Number of users."},
        "connections": {**_COUNT, "description": "Their connections, plus anonymous ones."},
        "users": _list(
            _object(
                {
                    "user": _TEXT,
                    "info": {"type": "object"},
                    "state": {
                        "type": "object",
                        "description": "The state that the user has set, if any.",
                    },
                    "connections": _COUNT,
                },
                "state",
            )
        ),
        "next": _NEXT,
    },
    "next",
)
HISTORY: Final = _object(
    {
        "room": _TEXT,
        "frames": _list({"type": "object", "required": ["type", "pos"]}),
        "more": {"type": "boolean"},
    }
)
_CONNECTION: Final = _object({"id": _TEXT, "channel": _TEXT, "rooms": _list(_TEXT), **_PLACE})
USER: Final = _object(
    {
        "user": _TEXT,
        "online": {"type": "boolean"},
        "connections": _list(_CONNECTION),
        "next": _NEXT,
    },
    "next",
)
HEALTH: Final = _object(
    {
        "status": _TEXT,
        "shards": {"type": "object", "additionalProperties": {"enum": ["up", "away"]}},
        "other_plans": {"type": "object", "additionalProperties": _list(_TEXT)},
        "other_versions": _list(_TEXT),
    },
    "shards",
    "other_plans",
    "other_versions",
)
