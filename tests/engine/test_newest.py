"""`history: latest`, `key`, `clears`, `conflate` and `history.replay`, from a client's side."""

from typing import Any

from channeld.testing import Client
from tests.engine.conftest import Serve

BOARD = """
  board:
    path: /board
    auth: {use: session, optional: true}
    rooms: board
    presence: {grace: 0s}
    history: {size: 3, ttl: 60s, replay: all}
    messages:
      note: {schema: true, route: room}
      cursor: {schema: true, route: room, key: "{user.id?}", history: latest, clears: {on: leave}}
      pin: {schema: {type: object, required: [id_of], properties: {id_of: {type: string, maxLength: 9}}}, route: room, key: "{message.id_of}", history: latest}
      unpin: {schema: {type: object, required: [id_of], properties: {id_of: {type: string, maxLength: 9}}}, route: room, key: "{message.id_of}", history: false, clears: pin}
      move: {schema: {type: object, required: [k], properties: {k: {type: string, maxLength: 9}}}, route: room, key: "{message.k}", history: latest, conflate: 100ms}
      wipe: {schema: {type: object, required: [k], properties: {k: {type: string, maxLength: 9}}}, route: room, key: "{message.k}", history: false, clears: move}
"""


async def frames(client: Client, *types: str) -> list[dict[str, Any]]:
    wanted = types or ("note", "cursor", "pin", "unpin", "move", "wipe")
    return [frame for frame in await client.received() if frame["type"] in wanted]


async def send(client: Client, *sent: dict[str, Any]) -> None:
    for frame in sent:
        await client.send(frame)


async def test_a_newcomer_gets_the_newest_of_each_key_and_the_rest(serve: Serve) -> None:
    async with serve(BOARD) as app:
        client = await app.connect("/board")
        await send(
            client,
            {"type": "pin", "id_of": "a", "n": 1},
            {"type": "note", "n": 2},
            {"type": "pin", "id_of": "b", "n": 3},
            {"type": "pin", "id_of": "a", "n": 4},
        )
        newcomer = await app.connect("/board")
        first, *rest = [f for f in await newcomer.received() if f["type"] != "presence"]
        assert (first["type"], first["replayed"]) == ("subscribed", 3)
        assert [frame["n"] for frame in rest] == [2, 3, 4]


async def test_newest_frames_do_not_count_in_the_size(serve: Serve) -> None:
    async with serve(BOARD) as app:
        client = await app.connect("/board")
        await send(client, *({"type": "note", "n": n} for n in range(3)))
        await send(client, *({"type": "pin", "id_of": str(n), "n": n} for n in range(3, 6)))
        newcomer = await app.connect("/board")
        assert [frame["n"] for frame in await frames(newcomer)] == [0, 1, 2, 3, 4, 5]


async def test_recovery_stays_exact_over_what_was_replaced(serve: Serve) -> None:
    async with serve(BOARD) as app:
        client = await app.connect("/board")
        await send(client, {"type": "note", "n": 0})
        start = (await frames(client))[-1]["pos"]
        await send(client, *({"type": "pin", "id_of": "a", "n": n} for n in range(1, 9)))
        back = await app.connect("/board", since=start)
        first, *rest = [f for f in await back.received() if f["type"] != "presence"]
        assert (first["recovered"], "replayed" in first) == (True, False)
        assert [frame["n"] for frame in rest] == [8]


async def test_a_cleared_frame_is_gone_and_its_clearing_is_recovered_only(serve: Serve) -> None:
    async with serve(BOARD) as app:
        client = await app.connect("/board")
        await send(client, {"type": "pin", "id_of": "a"}, {"type": "pin", "id_of": "b"})
        start = (await frames(client))[-1]["pos"]
        await send(client, {"type": "unpin", "id_of": "a"})
        newcomer = await app.connect("/board")
        assert [(f["type"], f["id_of"]) for f in await frames(newcomer)] == [("pin", "b")]
        back = await app.connect("/board", since=start)
        assert [(f["type"], f["id_of"]) for f in await frames(back)] == [("unpin", "a")]


async def test_who_leaves_takes_the_cursor_along(serve: Serve) -> None:
    async with serve(BOARD) as app:
        ann, bob = [await app.connect("/board", user=user) for user in ("ann", "bob")]
        for client in (ann, bob):
            await send(client, {"type": "cursor", "x": 1})
        await ann.close()
        await app.advance(1)
        newcomer = await app.connect("/board", user="eve")
        assert len(await frames(newcomer, "cursor")) == 1


async def test_conflated_frames_come_first_newest_and_last(serve: Serve) -> None:
    async with serve(BOARD) as app:
        client, other = await app.connect("/board"), await app.connect("/board")
        await send(client, *({"type": "move", "k": "a", "n": n, "id": n} for n in range(4)))
        await send(client, {"type": "move", "k": "b", "n": 9})
        acks = [f for f in await client.received() if f["type"] == "ack"]
        assert [ack.get("held", False) for ack in acks] == [False, True, True, True]
        assert [f["n"] for f in await frames(other)] == [0, 9]
        await app.advance(0.1)
        assert [f["n"] for f in await frames(other)] == [3]
        await app.advance(5)
        assert await frames(other) == []
        assert len(app.engine.hub.conflation) == 0
        await send(client, {"type": "move", "k": "a", "n": 10})
        assert [f["n"] for f in await frames(other)] == [10]


async def test_what_waits_goes_at_once_when_its_sender_goes(serve: Serve) -> None:
    async with serve(BOARD) as app:
        client, other = await app.connect("/board"), await app.connect("/board")
        await send(client, *({"type": "move", "k": "a", "n": n} for n in range(3)))
        await client.close()
        assert [f["n"] for f in await frames(other)] == [0, 2]


async def test_a_clearing_takes_away_what_waits(serve: Serve) -> None:
    async with serve(BOARD) as app:
        client, other = await app.connect("/board"), await app.connect("/board")
        await send(client, *({"type": "move", "k": "a", "n": n} for n in range(2)))
        await send(client, {"type": "wipe", "k": "a"})
        await app.advance(1)
        assert [f["type"] for f in await frames(other)] == ["move", "wipe"]
        assert await frames(await app.connect("/board")) == []


async def test_a_lost_place_is_answered_by_a_replay(serve: Serve) -> None:
    async with serve(BOARD) as app:
        client = await app.connect("/board")
        await send(client, *({"type": "note", "n": n} for n in range(9)))
        start = (await frames(client))[0]["pos"]
        back = await app.connect("/board", since=start)
        first, *rest = [f for f in await back.received() if f["type"] != "presence"]
        assert (first["recovered"], first["replayed"]) == (False, 3)
        assert [f["n"] for f in rest] == [6, 7, 8]


EVENTS = """
  board:
    path: /board
    auth: none
    rooms: board
    history: {size: 3, ttl: 60s, replay: all}
    events:
      reading: {schema: {required: [m], properties: {m: {type: string}}}, key: "{event.m}", history: latest}
      gauge: {key: "{room}", history: latest, conflate: 1s}
      gone: {schema: {required: [m], properties: {m: {type: string}}}, key: "{event.m}", history: false, clears: reading}
      quiet: {history: false}
      news: {}"""


async def published(app: Any, *events: dict[str, Any]) -> None:
    for event in events:
        await app.publish("board", event, room="board")


async def test_events_have_the_same_options(serve: Serve) -> None:
    async with serve(EVENTS) as app:
        client = await app.connect("/board")
        await published(
            app,
            {"type": "reading", "m": "a", "n": 1},
            {"type": "reading", "m": "b", "n": 2},
            {"type": "reading", "m": "a", "n": 3},
            {"type": "quiet", "n": 4},
            {"type": "gone", "m": "b", "n": 5},
            {"type": "news", "n": 6},
        )
        assert [f["n"] for f in (await client.received())[1:]] == [1, 2, 3, 4, 5, 6]
        newcomer = await app.connect("/board")
        first, *rest = await newcomer.received()
        assert (first["replayed"], [f["n"] for f in rest]) == (2, [3, 6])


async def test_events_are_conflated(serve: Serve) -> None:
    async with serve(EVENTS) as app:
        client = await app.connect("/board")
        await published(app, *({"type": "gauge", "n": n} for n in range(4)))
        assert [f["n"] for f in (await client.received())[1:]] == [0]
        await app.advance(1)
        assert [f["n"] for f in await client.received()] == [3]
