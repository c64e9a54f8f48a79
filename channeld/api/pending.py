"""The answer to what is done on all nodes: 200, or 202 with the nodes that have not said yet that they did it."""

from typing import Final, TypeAlias

import orjson
from starlette.responses import Response

from channeld.cluster.cluster import Reached
from channeld.protocol.frames import Json

__all__ = ["ACCEPTED", "Result", "told"]

ACCEPTED: Final = 202
"""Kept in the broker, and done by those nodes as soon as they are heard of again, within a minute."""

Result: TypeAlias = Json | Response


def told(reached: Reached, **fields: Json) -> Result:
    """`fields`, the number of connections, and who is pending if anybody is."""
    answer: dict[str, Json] = {**fields, "connections": reached.connections}
    if not reached.pending:
        return answer
    body = orjson.dumps({**answer, "pending": list(reached.pending)})
    headers = {"cache-control": "no-store"}
    return Response(body, ACCEPTED, headers, media_type="application/json")
