"""The reserved frames: ping, subscribe, unsubscribe, presence and history, and recovery."""

import pytest

from channeld.testing import Client, NotReceived, TestApp
from tests.engine.conftest import Serve

LOBBY = """
  lobby:
    path: /lobby
    auth: none
    rooms: {subscribe: {allow: [general, "topic-*"], max: 3}}
    messages:
      say:
        schema: {type: object, required: [room], properties: {room: {type: string}}}
        route: {to: room, room: "{message.room}"}
"""

ROOM = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    presence: {info: {name: "{claims.name?}"}}
    history: {size: 3, ttl: 60s}
    messages:
      say: {schema: true, route: room}
      blip: {schema: true, route: room, history: false}
"""


async def test_ping_is_answered_with_its_id(serve: Serve) -> None:
    async with serve(LOBBY) as app:
        client = await app.connect("/lobby")
        await client.send({"type": "ping", "id": "p"})
        assert await client.receive() == {"type": "pong", "id": "p"}


async def test_subscribe_then_hear_then_unsubscribe(serve: Serve) -> None:
    async with serve(LOBBY) as app:
        ann, bob = await app.connect("/lobby"), await app.connect("/lobby")
        for client in (ann, bob):
            await client.send({"type": "subscribe", "room": "general", "id": 1})
            assert await client.receive() == {"type": "subscribed", "room": "general", "id": 1}
        await ann.send({"type": "say", "room": "general"})
        assert await bob.receive() == {"type": "say", "room": "general"}
        await bob.send({"type": "unsubscribe", "room": "general", "id": 2})
        assert await bob.receive() == {"type": "unsubscribed", "room": "general", "id": 2}
        await ann.send({"type": "say", "room": "general"})
        with pytest.raises(NotReceived):
            await bob.receive()


@pytest.mark.parametrize("room", ["secret", "topic", "generals", "TOPIC-1"])
async def test_room_that_is_not_allowed_is_forbidden(serve: Serve, room: str) -> None:
    async with serve(LOBBY) as app:
        client = await app.connect("/lobby")
        await client.send({"type": "subscribe", "room": room})
        error = await client.receive()
        assert (error["code"], error["room"]) == ("FORBIDDEN", room)


@pytest.mark.parametrize("room", ["", "x" * 129, "topic-\n", "topic-e\u0301", 5, None])
async def test_room_that_is_no_name_is_an_invalid_message(serve: Serve, room: object) -> None:
    async with serve(LOBBY) as app:
        client = await app.connect("/lobby")
        await client.send({"type": "subscribe", "room": room})
        error = await client.receive()
        assert (error["code"], error["errors"][0]["path"]) == ("INVALID_MESSAGE", "/room")


async def test_too_many_rooms_is_limit_exceeded(serve: Serve) -> None:
    async with serve(LOBBY) as app:
        client = await app.connect("/lobby")
        for number in range(4):
            await client.send({"type": "subscribe", "room": f"topic-{number}"})
        error = (await client.received())[-1]
        assert (error["code"], error["limit"]) == ("LIMIT_EXCEEDED", 3)


async def test_sending_to_a_room_that_one_is_not_in_is_forbidden(serve: Serve) -> None:
    async with serve(LOBBY) as app:
        client = await app.connect("/lobby")
        await client.send({"type": "say", "room": "general", "id": 9})
        error = await client.receive()
        assert (error["code"], error["room"], error["id"]) == ("FORBIDDEN", "general", 9)


async def joined(app: TestApp, user: str, since: str | None = None) -> Client:
    return await app.connect("/rooms/a", user=user, claims={"name": user.title()}, since=since)


async def test_joining_tells_position_then_state_and_the_others_a_join(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        frames = await ann.received()
        assert [f["type"] for f in frames] == ["authenticated", "subscribed", "presence"]
        assert "recovered" not in frames[1]
        assert frames[2]["users"] == [{"user": "ann", "info": {"name": "Ann"}, "connections": 1}]
        await joined(app, "bob")
        join = {"type": "presence", "room": "a", "event": "join", "user": "bob"}
        assert await ann.receive() == {**join, "info": {"name": "Bob"}}


async def test_second_connection_neither_joins_nor_its_end_leaves(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        bobs = [await joined(app, "bob"), await joined(app, "bob")]
        await bobs[0].close()
        await app.advance(60)
        events = [f["event"] for f in await ann.received() if f["type"] == "presence"]
        assert events == ["state", "join"]


async def test_leave_comes_after_grace_and_not_after_a_reconnect_within_it(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann, bob = await joined(app, "ann"), await joined(app, "bob")
        await bob.close()
        await app.advance(4)
        bob = await joined(app, "bob")
        await app.advance(60)
        assert [f["event"] for f in await ann.received() if f["type"] == "presence"] == [
            "state",
            "join",
        ]
        await bob.close()
        await app.advance(4.9)
        assert await ann.received() == []
        await app.advance(0.2)
        leave = {"type": "presence", "room": "a", "event": "leave", "user": "bob"}
        assert await ann.receive() == leave


async def test_presence_can_be_asked_as_state_and_as_count(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        await joined(app, "bob")
        await joined(app, "bob")
        await ann.received()
        await ann.send({"type": "presence", "room": "a", "id": 1})
        state = await ann.receive()
        assert [(u["user"], u["connections"]) for u in state["users"]] == [("ann", 1), ("bob", 2)]
        await ann.send({"type": "presence", "room": "a", "only": "count", "id": 2})
        count = await ann.receive()
        assert (count["event"], count["users"], count["connections"]) == ("count", 2, 3)
        assert (state["id"], count["id"]) == (1, 2)


async def test_presence_of_a_room_one_is_not_in_is_forbidden(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        await ann.send({"type": "presence", "room": "other"})
        assert (await ann.receive("error"))["code"] == "FORBIDDEN"


async def test_kept_frames_carry_room_and_growing_positions(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        for _ in range(3):
            await ann.send({"type": "say"})
        frames = [f for f in await ann.received() if f["type"] == "say"]
        positions = [f["pos"] for f in frames]
        assert positions == sorted(set(positions))
        assert {f["room"] for f in frames} == {"a"}


async def test_reconnect_with_since_gets_each_missed_frame_once_in_order(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann, bob = await joined(app, "ann"), await joined(app, "bob")
        await ann.send({"type": "say", "n": 0})
        pos = (await bob.receive("say"))["pos"]
        await bob.close()
        for n in (1, 2):
            await ann.send({"type": "say", "n": n})
        bob = await joined(app, "bob", since=pos)
        frames = await bob.received()
        subscribed = next(f for f in frames if f["type"] == "subscribed")
        assert subscribed["recovered"] is True
        assert [f["n"] for f in frames if f["type"] == "say"] == [1, 2]


async def test_gap_larger_than_the_history_is_not_recovered(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        pos = (await ann.receive("subscribed"))["pos"]
        for n in range(4):
            await ann.send({"type": "say", "n": n})
        bob = await joined(app, "bob", since=pos)
        frames = await bob.received()
        assert next(f for f in frames if f["type"] == "subscribed")["recovered"] is False
        assert [f for f in frames if f["type"] == "say"] == []


async def test_history_that_expired_is_not_recovered_but_its_top_is(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        bottom = (await ann.receive("subscribed"))["pos"]
        await ann.send({"type": "say"})
        top = (await ann.receive("say"))["pos"]
        await app.advance(61)
        outcomes = []
        for since in (bottom, top, "nonsense"):
            client = await joined(app, "bob", since=since)
            outcomes.append((await client.receive("subscribed"))["recovered"])
        assert outcomes == [False, True, False]


async def test_history_gives_the_latest_then_earlier_ones(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        for n in range(5):
            await ann.send({"type": "say", "n": n})
        await ann.send({"type": "history", "room": "a", "limit": 2, "id": 1})
        page = await ann.receive("history")
        assert ([f["n"] for f in page["frames"]], page["more"]) == ([3, 4], True)
        before = page["frames"][0]["pos"]
        await ann.send({"type": "history", "room": "a", "before": before})
        page = await ann.receive("history")
        assert ([f["n"] for f in page["frames"]], page["more"]) == ([2], False)


async def test_message_that_is_not_kept_is_delivered_without_position(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        await ann.send({"type": "blip"})
        assert await ann.receive("blip") == {"type": "blip", "room": "a"}
        await ann.send({"type": "history", "room": "a"})
        assert (await ann.receive("history"))["frames"] == []


BATCHED = """
  big:
    path: /big
    auth: session
    rooms: big
    presence: {batch: 250ms, grace: 0s}
"""


async def test_batch_gathers_joins_and_leaves_into_one_frame(serve: Serve) -> None:
    async with serve(BATCHED) as app:
        ann = await app.connect("/big", user="ann")
        await app.advance(1)
        await ann.received()
        bob, eve = await app.connect("/big", user="bob"), await app.connect("/big", user="eve")
        await eve.close()
        await app.advance(0.3)
        assert await ann.received() == [
            {
                "type": "presence",
                "room": "big",
                "event": "changes",
                "joins": [{"user": "bob", "info": {}}],
                "leaves": [],
            }
        ]
        await bob.close()
        await app.advance(0.3)
        assert (await ann.receive())["leaves"] == [{"user": "bob"}]


async def test_a_limit_may_be_a_whole_number_as_a_float(serve: Serve) -> None:
    async with serve(ROOM) as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.send({"type": "say", "n": 1})
        await client.received()
        await client.send({"type": "history", "room": "a", "limit": 1.0})
        (answer,) = await client.received()
        assert [frame["n"] for frame in answer["frames"]] == [1]


async def test_who_cannot_be_shown_is_not_counted_and_locks_nobody_out(serve: Serve) -> None:
    async with serve(ROOM) as app:
        mal = await app.connect("/rooms/b", user="mal")
        assert mal.session is not None
        mal.session.claims = {"name": "\ud83d"}
        with pytest.raises(TypeError):
            await mal.session.join("c")
        ann = await app.connect("/rooms/c", user="ann")
        (state,) = [f for f in await ann.received() if f["type"] == "presence"]
        assert [one["user"] for one in state["users"]] == ["ann"]
        assert await app.engine.cluster.rooms("room") == {"b": 1, "c": 1}
