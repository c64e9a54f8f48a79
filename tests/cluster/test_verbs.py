"""What one node does of each verb by itself."""

from pathlib import Path
from typing import Any

import pytest

from channeld.cluster import wire
from channeld.cluster.verbs import MOST_ROOMS, VERBS, ConnectionInfo, connection_of
from channeld.later import Pending
from channeld.testing import TestApp
from tests.engine.conftest import Serve

CHANNELS = """
  room:
    path: /rooms/{room}
    auth: session
    limits: {rooms_per_connection: 2000}
    rooms: {join: "{params.room}"}
    hooks: {unsubscribe: "leaving:refuse"}
    events: {}
  other: {path: /other, auth: session, events: {}}
"""


@pytest.fixture(autouse=True)
def leaving(tmp_path: Path) -> None:
    tmp_path.joinpath("leaving.py").write_text(
        "def refuse(ctx, room):\n    raise ValueError(room)\n"
    )


async def call(app: TestApp, verb: str, **arguments: Any) -> list[Any]:
    """The rows of a verb; the other nodes would take them."""
    rows = list(await VERBS[verb](app.cluster.here, arguments))
    ask = wire.Ask("n", 1, verb, arguments)
    assert all(wire.unpack(wire.pack(part)) == part for part in wire.parts("n", ask, rows))
    assert wire.unpack(wire.pack(ask)) == ask
    return rows


async def test_a_connection_is_found_by_each_index(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/rooms/x", user="ann")
        await app.connect("/other", user="bob")
        nobody = {"user": None, "channel": None, "room": None}
        for key, value in (("user", "ann"), ("channel", "room"), ("room", "x")):
            [row] = await call(app, "connections", **{**nobody, key: value})
            assert connection_of("n", row) == ConnectionInfo(
                id=ann.session.connection_id,
                channel="room",
                user="ann",
                address="127.0.0.1",
                since=row[4],
                rooms=("x",),
                node="n",
            )
        mixed = {"user": "bob", "channel": "other", "room": "x"}
        assert await call(app, "connections", **mixed) == []
        assert await call(app, "connections", **{**nobody, "channel": "unknown"}) == []


async def test_since_is_unix_time(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        opened = app.runtime.clock.wall()
        await app.connect("/other", user="ann")
        await app.advance(100)
        [row] = await call(app, "connections", user="ann", channel=None, room=None)
        assert row[4] == pytest.approx(opened, abs=1)


async def test_of_many_rooms_some_are_told(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/rooms/x", user="ann")
        for number in range(MOST_ROOMS):
            await app.engine.join(ann.session.connection_id, f"r{number}")
        [row] = await call(app, "connections", user="ann", channel=None, room=None)
        assert len(row[5]) == MOST_ROOMS


async def test_one_connection_of_another_channel_is_not_meant(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/other", user="ann")
        who = {"user": None, "connection": ann.session.connection_id}
        assert await call(app, "subscribe", **who, channel="room", room="y") == [0]
        assert await call(app, "subscribe", **who, channel="other", room="y") == [1]
        assert await call(app, "subscribe", **who, channel="other", room="\n") == [0]


async def test_a_hook_that_fails_does_not_keep_anybody_in_a_room(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/rooms/x", user="ann")
        who = {"user": "ann", "connection": None}
        assert await call(app, "unsubscribe", **who, channel="room", room="x", reason=None) == [1]
        assert ann.session.rooms == {}


def test_every_verb_has_a_form() -> None:
    assert set(VERBS) == set(wire._VERBS)


async def test_what_is_posted_reaches_the_stream_of_this_node(serve: Serve) -> None:
    async with serve(CHANNELS) as app:

        async def post(
            stream: str, channel: str, user: str | None, texts: list[bytes]
        ) -> list[bytes] | int:
            assert (channel, user) == ("room", "ann")
            streams: dict[str, list[bytes] | int] = {
                "hers": [b'{"type":"pong"}', *texts],
                "his": 403,
            }
            return streams.get(stream, 404)

        async def found(stream: str) -> list[Any]:
            return await app.cluster.engine.runtime.within(
                1,
                Pending,
                call(app, "post", stream=stream, channel="room", user="ann", texts=["x"]),
            )

        assert await found("hers") == []  # nobody is here to take it
        app.cluster.here.post = post
        assert await found("hers") == [['{"type":"pong"}', "x"]]
        assert await found("his") == [403]
        assert await found("nobody's") == []
