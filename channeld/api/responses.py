"""Answers in JSON that no cache keeps; for what is done on all nodes, 202 while some of them have not said that they did it."""

from collections.abc import Mapping
from typing import Final, TypeAlias

import orjson
from starlette.responses import Response

from channeld.cluster.cluster import Reached
from channeld.protocol.frames import Json

ACCEPTED: Final = 202
"""Kept in the broker, and done by those nodes as soon as they are heard of again, within a minute."""
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

Result: TypeAlias = Json | Response


def as_response(
    value: Json,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    """A value as an answer."""
    return Response(orjson.dumps(value), status, {**(headers or {}), **_HEADERS}, media_type)


def told(reached: Reached, **fields: Json) -> Result:
    """`fields`, the number of connections, and who is pending if anybody is."""
    answer: dict[str, Json] = {**fields, "connections": reached.connections}
    if not reached.pending:
        return answer
    return as_response({**answer, "pending": list(reached.pending)}, ACCEPTED)
