"""The engine's verbs: publish with its checks, reload, drain."""

import attrs
import pytest

from channeld.engine.engine import FrameRefused
from tests.engine.conftest import Serve

CHANNELS = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    history: {size: 5, ttl: 60s}
    limits: {connections_per_user: 2}
    events:
      paid: {schema: {type: object, required: [amount], properties: {amount: {type: integer}}}}
  open: {path: /open, auth: none, messages: {say: {schema: true, route: sender}}}
"""


async def test_publish_reaches_room_user_and_channel(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/rooms/a", user="ann")
        await app.publish("room", {"type": "paid", "amount": 1}, room="a")
        await app.publish("room", {"type": "paid", "amount": 2}, user="ann")
        await app.publish("room", {"type": "paid", "amount": 3})
        frames = [f for f in await ann.received() if f["type"] == "paid"]
        assert [f["amount"] for f in frames] == [1, 2, 3]
        assert ["pos" in f for f in frames] == [True, False, False]


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"type": 5},
        {"type": "error"},
        {"type": "undeclared"},
        {"type": "paid"},
        {"type": "paid", "amount": "x"},
        {"type": "paid", "amount": 1, "bad": {1, 2}},
    ],
)
async def test_frame_that_clients_may_not_get_is_refused(
    serve: Serve, frame: dict[str, object]
) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/rooms/a", user="ann")
        await ann.received()
        with pytest.raises(FrameRefused):
            await app.publish("room", frame, room="a")
        assert await ann.received() == []


async def test_unknown_channel_and_bad_room_are_refused(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        with pytest.raises(FrameRefused, match="no channel"):
            await app.publish("nope", {"type": "x"})
        with pytest.raises(FrameRefused, match="room name"):
            await app.publish("room", {"type": "paid", "amount": 1}, room="\0")


async def test_oldest_connection_of_a_user_is_replaced_4409(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        first, second, third = [await app.connect("/rooms/a", user="ann") for _ in range(3)]
        frame = (await first.received())[-1]
        assert (frame["type"], frame["code"], frame["reconnect"]) == ("disconnect", 4409, False)
        assert first.closed is not None
        assert (first.closed[0], second.closed, third.closed) == (4409, None, None)


async def test_drain_sends_everyone_away_with_a_time_of_their_own(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        clients = [await app.connect("/open") for _ in range(5)]
        app.engine.drain(10.0)
        await app.advance(8.1)
        frames = [(await client.received())[-1] for client in clients]
        assert {(f["type"], f["code"], f["reconnect"]) for f in frames} == {
            ("disconnect", 1012, True)
        }
        assert len({f["retry_after"] for f in frames}) == 5
        assert {client.closed and client.closed[0] for client in clients} == {1012}


async def test_reload_keeps_connections_of_unchanged_channels_and_sends_the_others_away(
    serve: Serve,
) -> None:
    async with serve(CHANNELS) as app:
        ann, anonymous = await app.connect("/rooms/a", user="ann"), await app.connect("/open")
        room = app.plan.channels["room"]
        fewer = attrs.evolve(app.plan, channels={"room": attrs.evolve(room)})
        assert app.engine.reload(fewer, {}) == 1
        assert (await anonymous.wait_closed())[0] == 1012
        await ann.received()
        await ann.send({"type": "ping"})
        assert await ann.receive() == {"type": "pong"}


async def test_counters_survive_a_reload(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/open")
        await client.send({"type": "say"})
        message = app.plan.channels["open"].messages["say"]
        open_ = attrs.evolve(app.plan.channels["open"], messages={"say": attrs.evolve(message)})
        app.engine.reload(attrs.evolve(app.plan, channels={"open": open_}), {})
        await client.send({"type": "say"})
        assert app.engine.plan.channels["open"].messages["say"].counters.accepted == 2
