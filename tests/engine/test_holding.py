"""`over: latest`: what is held, in which place, and when it goes."""

from typing import Any

from channeld.engine.holding import MOST
from tests.engine.conftest import Serve

CURSORS = """
  c:
    path: /c
    auth: none
    rooms: {join: [a, b]}
    messages:
      move:
        schema: {type: object, required: [room, x], properties: {room: {type: string}, x: {type: integer}}}
        route: {to: room, room: "{message.room}"}
        rate: {limit: 2/s, burst: 1, over: latest}
"""


async def move(client: Any, x: int, room: str = "a", **fields: Any) -> str:
    await client.send({"type": "move", "room": room, "x": x, "id": x} | fields)
    frames = await client.received()
    (answer,) = [frame for frame in frames if frame["type"] in ("ack", "error")]
    fates = [fate for fate in ("held", "repeated") if answer.get(fate)]
    return fates[0] if fates else str(answer.get("code", "ack"))


async def test_the_newest_goes_when_its_time_comes(serve: Serve) -> None:
    async with serve(CURSORS) as app:
        client, other = await app.connect("/c"), await app.connect("/c")
        assert [await move(client, x) for x in (1, 2, 3)] == ["ack", "held", "held"]
        assert [frame["x"] for frame in await other.received()] == [1]
        await app.advance(0.4)
        assert await other.received() == []
        await app.advance(0.1)
        assert [frame["x"] for frame in await other.received()] == [3]
        await app.advance(9)
        assert await other.received() == []


async def test_each_room_has_its_newest_and_they_take_turns(serve: Serve) -> None:
    async with serve(CURSORS) as app:
        client, other = await app.connect("/c"), await app.connect("/c")
        for x, room in ((1, "a"), (2, "a"), (3, "b"), (4, "a")):
            await move(client, x, room)
        await app.advance(0.5)
        assert [frame["x"] for frame in await other.received()] == [1, 4]
        await app.advance(0.5)
        assert [frame["x"] for frame in await other.received()] == [3]


async def test_what_is_held_goes_at_once_when_the_connection_ends(serve: Serve) -> None:
    async with serve(CURSORS) as app:
        client, other = await app.connect("/c"), await app.connect("/c")
        for x in (1, 2):
            await move(client, x)
        await client.close()
        assert [frame["x"] for frame in await other.received()] == [1, 2]


async def test_it_is_checked_before_it_is_held(serve: Serve) -> None:
    async with serve(CURSORS) as app:
        client = await app.connect("/c")
        assert await move(client, 1) == "ack"
        assert await move(client, 2, "elsewhere") == "FORBIDDEN"
        await client.send({"type": "move", "room": "a", "id": 9})
        assert [frame["code"] for frame in await client.received()] == ["INVALID_MESSAGE"]


async def test_a_connection_holds_only_a_few(serve: Serve) -> None:
    text = CURSORS.replace("join: [a, b]", 'join: a, subscribe: {allow: ["*"], max: 100}')
    async with serve(text) as app:
        client = await app.connect("/c")
        assert await move(client, 0) == "ack"
        for number in range(MOST + 1):
            await client.send({"type": "subscribe", "room": f"r{number}"})
        await client.received()
        found = [await move(client, 1 + number, f"r{number}") for number in range(MOST + 1)]
        assert found == ["held"] * MOST + ["RATE_LIMITED"]


ONCE = CURSORS.replace("auth: none", "auth: {use: session}").replace(
    "over: latest}", "over: latest}\n        once: 60s"
)


async def moved(client: Any) -> list[int]:
    return [frame["x"] for frame in await client.received() if frame["type"] == "move"]


async def test_what_was_held_takes_its_key_when_it_is_routed(serve: Serve) -> None:
    async with serve(ONCE) as app:
        ann, bob = await app.connect("/c", user="ann"), await app.connect("/c", user="bob")
        assert await move(ann, 1) == "ack"
        assert [await move(ann, 2, once="k") for _ in range(2)] == ["held", "held"]
        await app.advance(0.5)
        assert await moved(bob) == [1, 2]
        assert await move(ann, 2, once="k") == "repeated"
        await app.advance(9)
        assert await moved(bob) == []


async def test_a_key_is_taken_when_a_newer_message_takes_the_place(serve: Serve) -> None:
    async with serve(ONCE) as app:
        ann, bob = await app.connect("/c", user="ann"), await app.connect("/c", user="bob")
        found = [await move(ann, 1)]
        found += [await move(ann, x, once=key) for x, key in ((2, "old"), (3, "new"), (2, "old"))]
        assert found == ["ack", "held", "held", "repeated"]
        await ann.close()
        again = await app.connect("/c", user="ann")
        found = [await move(again, x, once=key) for x, key in ((2, "old"), (3, "new"))]
        assert found == ["repeated", "repeated"]
        assert await moved(bob) == [1, 3]


async def test_what_was_routed_on_another_connection_does_not_go_again(serve: Serve) -> None:
    async with serve(ONCE) as app:
        ann, bob = await app.connect("/c", user="ann"), await app.connect("/c", user="bob")
        tab = await app.connect("/c", user="ann")
        assert [await move(ann, 1), await move(ann, 2, once="k")] == ["ack", "held"]
        assert await move(tab, 2, once="k") == "held"
        await app.advance(9)
        assert await moved(bob) == [1, 2]
