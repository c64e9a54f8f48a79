"""Presence states: who is told, whose they are, how often."""

from typing import Any

import pytest

from channeld.broker.broker import BrokerUnavailable
from channeld.testing import Client, TestApp
from tests.engine.conftest import Serve

STATES = """
  room:
    path: /rooms/{id}
    auth: {use: session, optional: true}
    rooms: "{params.id}"
    presence:
      info: {name: "{claims.name?}"}
      grace: 5s
      state: {type: object, properties: {away: {type: boolean}, n: {type: integer}}, additionalProperties: false}
      rate: {limit: 1/s, burst: 2}
  hall: {path: /hall, auth: session, presence: {scope: channel, state: true}}
  quiet: {path: "/quiet/{id}", auth: session, rooms: "{params.id}", presence: true}
"""


async def enter(app: TestApp, user: str | None, path: str = "/rooms/a", **claims: Any) -> Client:
    client = await app.connect(path, user=user, claims=claims)
    await client.received()
    return client


async def told(client: Client) -> list[tuple[object, ...]]:
    frames = [frame for frame in await client.received() if frame["type"] == "presence"]
    return [(f["event"], f.get("user"), f.get("state", "none")) for f in frames]


async def set_state(client: Client, state: object, **more: object) -> list[dict[str, Any]]:
    await client.send({"type": "presence", "room": "a", "set": state, **more})
    return [frame for frame in await client.received() if frame["type"] != "presence"]


async def states(client: Client) -> dict[str, object]:
    await client.received()
    await client.send({"type": "presence", "room": "a"})
    users = (await client.receive("presence"))["users"]
    return {one["user"]: one.get("state", "none") for one in users}


async def test_a_state_is_told_to_the_others_and_to_those_who_come(serve: Serve) -> None:
    async with serve(STATES) as app:
        ann, bob = await enter(app, "ann", name="Ann"), await enter(app, "bob")
        await ann.received()
        assert await set_state(ann, {"away": True}, id=1) == [{"type": "ack", "id": 1}]
        assert await bob.received() == [
            {
                "type": "presence", "room": "a", "event": "update", "user": "ann",
                "info": {"name": "Ann"}, "state": {"away": True},
            }
        ]  # fmt: skip
        assert await states(await enter(app, "eve")) == {
            "ann": {"away": True}, "bob": "none", "eve": "none",
        }  # fmt: skip
        await bob.received()
        assert await set_state(ann, None) == []
        assert await told(bob) == [("update", "ann", "none")]


async def test_a_state_that_the_schema_refuses_is_told_to_nobody(serve: Serve) -> None:
    async with serve(STATES) as app:
        ann, bob = await enter(app, "ann"), await enter(app, "bob")
        for state, path in (({"away": 1}, "/set/away"), ([], "/set"), ({"x": 1}, "/set")):
            [error] = await set_state(ann, state, id=1)
            assert (error["code"], error["errors"][0]["path"]) == ("INVALID_MESSAGE", path)
        [error] = await set_state(ann, {}, only="count")
        assert (error["code"], error["errors"][0]["path"]) == ("INVALID_MESSAGE", "/only")
        assert await told(bob) == []


@pytest.mark.parametrize(("user", "path"), [(None, "/rooms/a"), ("ann", "/quiet/a")])
async def test_who_has_no_state_here_is_told_so(serve: Serve, user: str | None, path: str) -> None:
    async with serve(STATES) as app:
        [error] = await set_state(await enter(app, user, path), {"away": True})
        assert error["code"] == "FORBIDDEN"


async def test_over_the_rate_the_newest_is_held_until_its_time(serve: Serve) -> None:
    async with serve(STATES) as app:
        ann, bob = await enter(app, "ann"), await enter(app, "bob")
        answers = [await set_state(ann, {"n": n}, id=n) for n in range(5)]
        assert [answer[0].get("held", False) for answer in answers] == [False] * 2 + [True] * 3
        assert await told(bob) == [("update", "ann", {"n": 0}), ("update", "ann", {"n": 1})]
        await app.advance(0.9)
        assert await told(bob) == []
        await app.advance(0.2)
        assert await told(bob) == [("update", "ann", {"n": 4})]
        await set_state(ann, {"n": 5})
        await set_state(ann, {"n": 6})
        assert await told(bob) == []
        await ann.close()
        assert await told(bob) == [("update", "ann", {"n": 6})]
        await app.advance(4)
        assert await told(bob) == []
        assert await states(await enter(app, "ann")) == {"ann": {"n": 6}, "bob": "none"}


async def test_a_state_goes_with_the_connection_that_set_it(serve: Serve) -> None:
    async with serve(STATES) as app:
        bob = await enter(app, "bob")
        phone, laptop = await enter(app, "ann"), await enter(app, "ann")
        await set_state(phone, {"n": 1})
        await bob.received()
        await laptop.close()
        assert await told(bob) == []
        tablet = await enter(app, "ann")
        assert await states(bob) == {"bob": "none", "ann": {"n": 1}}
        await phone.close()
        assert await told(bob) == [("update", "ann", "none")]
        await set_state(tablet, {"n": 2})
        assert await told(bob) == [("update", "ann", {"n": 2})]


async def test_a_state_survives_a_return_within_grace_and_is_then_the_new_connection_s(
    serve: Serve,
) -> None:
    async with serve(STATES) as app:
        ann, bob = await enter(app, "ann"), await enter(app, "bob")
        await set_state(ann, {"n": 1})
        await ann.close()
        await app.advance(4)
        again = await enter(app, "ann", name="Anna")
        await app.advance(60)
        assert await states(bob) == {"ann": {"n": 1}, "bob": "none"}
        other = await enter(app, "ann", name="Anna")
        await bob.received()
        await again.close()
        assert await told(bob) == [("update", "ann", "none")]
        await other.close()
        await app.advance(6)
        assert await told(bob) == [("leave", "ann", "none")]


async def test_who_has_a_state_leaves_also_while_the_broker_is_away(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object) -> None:
        raise BrokerUnavailable

    async with serve(STATES) as app:
        ann, bob = await enter(app, "ann"), await enter(app, "bob")
        await set_state(ann, {"n": 1})
        await bob.received()
        # A broker that is away says nothing, and takes note of who leaves.
        monkeypatch.setattr(app.engine.hub.broker, "entry", away)
        await ann.close()
        await app.advance(6)
        assert await told(bob) == [("leave", "ann", "none")]


async def test_a_state_of_the_channel_s_presence_names_no_room(serve: Serve) -> None:
    async with serve(STATES) as app:
        ann, bob = await enter(app, "ann", "/hall"), await enter(app, "bob", "/hall")
        await ann.send({"type": "presence", "set": {"anything": [1]}})
        assert await bob.received() == [
            {"type": "presence", "event": "update", "user": "ann", "info": {}, "state": {"anything": [1]}}
        ]  # fmt: skip


async def test_while_the_broker_is_away_a_state_is_unavailable_and_a_held_one_is_lost(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object) -> None:
        raise BrokerUnavailable

    async with serve(STATES) as app:
        ann = await enter(app, "ann")
        for n in range(3):
            await set_state(ann, {"n": n})
        monkeypatch.setattr(app.engine.hub.broker, "enter", away)
        await app.advance(3)
        [error] = await set_state(ann, {"n": 9})
        assert error["code"] == "UNAVAILABLE"


@pytest.mark.parametrize("state", ["text", 1, [], True])
async def test_a_state_is_an_object_whatever_the_schema_says(serve: Serve, state: object) -> None:
    async with serve(STATES) as app:
        ann = await enter(app, "ann", "/hall")
        await ann.send({"type": "presence", "set": state})
        error = await ann.receive("error")
        assert (error["code"], error["errors"][0]["path"]) == ("INVALID_MESSAGE", "/set")
