"""The reserved frames: ping, subscribe, unsubscribe, presence and history, and recovery."""

import pytest

from channeld.broker.broker import BrokerUnavailable
from channeld.testing import NotReceived
from tests.engine.conftest import ROOM, Serve, joined
from tests.engine.test_renewal import renew

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


@pytest.mark.parametrize("room", ["", "x" * 129, "topic-\n", "topic-\u202ee", 5, None])
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


async def test_rooms_that_one_did_not_subscribe_to_do_not_count_as_subscribed(serve: Serve) -> None:
    channels = LOBBY.replace("{subscribe", "{join: [a, b, c, d], subscribe")
    async with serve(channels) as app:
        client = await app.connect("/lobby")
        for room in ("topic-0", "topic-1", "general", "topic-0", "topic-3"):
            await client.send({"type": "subscribe", "room": room})
        assert [f.get("limit") for f in await client.received()] == [None] * 4 + [3]
        await client.send({"type": "unsubscribe", "room": "a"})
        await client.send({"type": "subscribe", "room": "topic-3"})
        assert (await client.received())[-1]["limit"] == 3
        await client.send({"type": "unsubscribe", "room": "general"})
        await client.send({"type": "subscribe", "room": "topic-3"})
        assert (await client.received())[-1] == {"type": "subscribed", "room": "topic-3"}


async def test_all_rooms_together_are_no_more_than_the_limit(serve: Serve) -> None:
    channels = LOBBY.replace("{subscribe", "{join: [a, b], subscribe").rstrip()
    async with serve(channels + "\n    limits: {rooms_per_connection: 3}\n") as app:
        client = await app.connect("/lobby")
        for room in ("general", "topic-1"):
            await client.send({"type": "subscribe", "room": room})
        assert [f.get("limit") for f in await client.received()] == [None, 3]


async def test_a_room_that_could_not_be_joined_is_forgotten(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BrokerUnavailable(1.0)

    async with serve(LOBBY.rstrip() + "\n    presence: true\n") as app:
        client = await app.connect("/lobby")
        (session,) = app.engine.sessions.values()
        monkeypatch.setattr(app.engine.hub.broker, "enter", fail)
        await client.send({"type": "subscribe", "room": "topic-0"})
        assert (await client.received())[-1]["code"] == "UNAVAILABLE"
        assert not session.aside.origins


async def test_sending_to_a_room_that_one_is_not_in_is_forbidden(serve: Serve) -> None:
    async with serve(LOBBY) as app:
        client = await app.connect("/lobby")
        await client.send({"type": "say", "room": "general", "id": 9})
        error = await client.receive()
        assert (error["code"], error["room"], error["id"]) == ("FORBIDDEN", "general", 9)


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


async def test_after_a_large_answer_or_token_others_have_a_turn(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        turns: list[str] = []

        async def give_way() -> None:
            turns.append(asked)

        monkeypatch.setattr(app.runtime, "give_way", give_way)
        asked = "few"
        await ann.send({"type": "history", "room": "a"})
        await ann.send({"type": "presence", "room": "a"})
        await renew(app, ann, "ann")
        for n in range(3):
            await ann.send({"type": "say", "n": n, "text": "x" * 4000})
        asked = "history"
        await ann.send({"type": "history", "room": "a"})
        await ann.received()
        asked = "presence"
        bob = await app.connect("/rooms/a", user="bob", claims={"name": "x" * 9000})
        await bob.received()
        asked = "ask"
        await bob.send({"type": "presence", "room": "a"})
        await bob.received()
        asked = "token"
        await renew(app, ann, "ann", more="x" * 9000)
        assert turns == ["history", "presence", "ask", "token"]


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


async def test_names_out_of_frames_are_brought_to_nfc(serve: Serve) -> None:
    async with serve(LOBBY) as app:
        client = await app.connect("/lobby")
        await client.send({"type": "subscribe", "room": "topic-e\u0301"})
        assert (await client.receive())["room"] == "topic-\u00e9"
        await client.send({"type": "unsubscribe", "room": "topic-e\u0301"})
        assert (await client.receive())["type"] == "unsubscribed"
