"""The engine's verbs: reload, drain."""

import attrs

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


async def test_alone_everyone_is_asked_back_within_what_is_left_of_the_drain(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        clients = [await app.connect("/open") for _ in range(20)]
        app.engine.drain(10.0)
        await app.advance(8.1)
        backs = [(await client.received())[-1]["retry_after"] for client in clients]
        assert all(0 <= back <= 10 - 0.4 * n for n, back in enumerate(backs))
        assert max(backs) > 1


async def test_a_drain_of_no_time_sends_everyone_away_at_once(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/open")
        app.engine.drain(0.0)
        assert (await client.received())[-1]["retry_after"] == 0


async def test_who_still_comes_during_a_drain_is_sent_away_within_it(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        app.engine.drain(10.0)
        await app.advance(5.0)
        late = await app.connect("/open")
        await late.send({"type": "say"})
        assert (await late.receive())["type"] == "say"
        await app.advance(3.1)
        frame = (await late.received())[-1]
        assert (frame["type"], frame["code"]) == ("disconnect", 1012)
        assert 0 <= frame["retry_after"] <= 5


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
