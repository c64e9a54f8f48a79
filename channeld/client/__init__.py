"""The control API's client, for applications: `Client` and `AsyncClient`, with typed answers and errors.

    with Client("http://127.0.0.1:4001", key) as channeld:
        channeld.publish("notifications", {"type": "invoice_paid", "invoice": "INV-1"}, user="ann")

A refused request raises `ApiError` with the problem document; a server that cannot be reached raises `Unreachable`.
Nothing is sent twice, except `publish` with an `idempotency_key` and batches in which each event has one: these are repeated
while the server cannot be reached or answers 503, since they can only publish once. `AsyncClient` works on asyncio and on
trio. It needs httpx2, and nothing else of channeld. Reading order: `answers.py`, `requests.py`, `sync.py`, `aio.py`.
"""

from channeld.client.aio import AsyncClient
from channeld.client.answers import (
    ApiError,
    Batch,
    Channel,
    Connection,
    Event,
    History,
    Member,
    Presence,
    PresentUser,
    Problem,
    Publish,
    Published,
    Revocation,
    Revocations,
    Revoked,
    Room,
    RoomCount,
    Rooms,
    Unreachable,
    User,
    Violation,
)
from channeld.client.sync import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "Batch",
    "Channel",
    "Client",
    "Connection",
    "Event",
    "History",
    "Member",
    "Presence",
    "PresentUser",
    "Problem",
    "Publish",
    "Published",
    "Revocation",
    "Revocations",
    "Revoked",
    "Room",
    "RoomCount",
    "Rooms",
    "Unreachable",
    "User",
    "Violation",
]
