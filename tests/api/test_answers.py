"""Answers have the form that the OpenAPI document says."""

from typing import Any

import pytest

from channeld.api import answers
from channeld.api.forms import Schema
from channeld.schema.compiled import compiled
from tests.api.conftest import Api, Start


async def prepare(it: Api) -> None:
    await it.enter("a", "ann")
    await it.member("b", "c")
    for _ in range(2):
        await it.publish(channel="room", to="room", room="a", event={"type": "x"})


CASES: list[tuple[str, Schema]] = [
    ("/v1/channels", answers.CHANNELS),
    ("/v1/channels/lobby", answers.CHANNEL),
    ("/v1/channels/lobby/rooms?limit=1", answers.ROOMS),
    ("/v1/channels/room/rooms/a", answers.ROOM),
    ("/v1/channels/room/rooms/a/presence", answers.PRESENCE),
    ("/v1/channels/room/rooms/a/history?limit=1", answers.HISTORY),
    ("/v1/users/ann", answers.USER),
    ("/health/live", answers.HEALTH),
    ("/health/ready", answers.HEALTH),
]


@pytest.mark.parametrize(("path", "schema"), CASES)
async def test_what_is_shown(api: Start, path: str, schema: Schema) -> None:
    async with api() as it:
        await prepare(it)
        response = await it.http.get(path)
        assert compiled(schema).explain(response.json()) == []


POSTED: list[tuple[str, Any, Schema]] = [
    (
        "/v1/publish",
        {"channel": "room", "to": "room", "room": "a", "event": {"type": "x"}},
        answers.PUBLISHED,
    ),
    ("/v1/batch", [{"publish": {}}], answers.BATCH),
    ("/v1/disconnect", {"user": "ann"}, answers.COUNT),
    ("/v1/publish", {}, answers.PROBLEM),
]


@pytest.mark.parametrize(("path", "body", "schema"), POSTED)
async def test_what_is_done(api: Start, path: str, body: Any, schema: Schema) -> None:
    async with api() as it:
        response = await it.http.post(path, json=body)
        assert compiled(schema).explain(response.json()) == []
