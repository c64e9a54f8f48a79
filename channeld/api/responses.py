"""JSON answers that must not be cached; 202 if some nodes have not confirmed yet."""

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
    """`fields`, the number of connections, and the nodes that are pending, if any."""
    answer: dict[str, Json] = {**fields, "connections": reached.connections}
    if not reached.pending:
        return answer
    return as_response({**answer, "pending": list(reached.pending)}, ACCEPTED)
