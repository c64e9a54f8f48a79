import pytest

from channeld.api.problems import Problem
from channeld.api.tails import KEPT, Tail, Tails
from channeld.broker.broker import Topic
from tests.api.conftest import Start

ROOM = Topic("room", "lobby", "a")


async def test_frames_come_in_order_and_the_oldest_go_first() -> None:
    tail = Tail()
    for number in range(KEPT + 3):
        tail.send(b"%d" % number)
    frames, missed = await tail.take(0)
    assert (frames[0], frames[-1], len(frames), missed) == (b"3", b"258", KEPT, 3)
    assert await tail.take(0) == ([], 0)


async def test_nothing_comes_in_time(autojump_clock: object) -> None:
    assert await Tail().take(10) == ([], 0)


async def test_who_watches_is_no_member(api: Start) -> None:
    async with api() as it:
        event = {"type": "note", "text": "hi"}
        hub = it.app.engine.hub
        async with it.control.tails.open(ROOM) as tail:
            assert (await it.get("/v1/channels/lobby/rooms"))["rooms"] == []
            await it.publish(channel="lobby", to="room", room="a", event=event)
            frames, _ = await tail.take(0)
            assert frames == [b'{"type":"note","text":"hi"}']
            member = await it.member("a")
            await it.publish(channel="lobby", to="room", room="a", event=event)
            assert len(await member.received()) == len((await tail.take(0))[0]) == 1
            await member.close()
            assert hub.statistics().rooms == 1
        assert hub.statistics().rooms == 0


async def test_a_bounded_number_may_watch(api: Start) -> None:
    async with api() as it:
        tails = Tails(it.app.engine.hub, most=1)
        async with tails.open(ROOM):
            with pytest.raises(Problem) as caught:
                tails.demand_place()
            assert caught.value.status == 503
        tails.demand_place()


async def test_two_watch_the_same_room(api: Start) -> None:
    async with api() as it, it.control.tails.open(ROOM) as one:
        async with it.control.tails.open(ROOM):
            pass
        event = {"type": "note", "text": "hi"}
        await it.publish(channel="lobby", to="room", room="a", event=event)
        assert len((await one.take(0))[0]) == 1
