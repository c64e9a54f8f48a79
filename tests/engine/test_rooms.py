"""Joining with what was missed and who is there, leaving, and being counted."""

import pytest

from tests.engine.conftest import ROOM, Serve, joined


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


async def test_who_cannot_be_shown_is_not_counted_and_locks_nobody_out(serve: Serve) -> None:
    async with serve(ROOM) as app:
        mal = await app.connect("/rooms/b", user="mal")
        assert mal.session is not None
        mal.session.claims = {"name": "\ud83d"}
        with pytest.raises(TypeError):
            await app.engine.join(mal.session.connection_id, "c")
        ann = await app.connect("/rooms/c", user="ann")
        (state,) = [f for f in await ann.received() if f["type"] == "presence"]
        assert [one["user"] for one in state["users"]] == ["ann"]
        assert await app.cluster.rooms("room") == {"b": 1, "c": 1}
