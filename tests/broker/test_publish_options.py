"""What applies to one publication holds for that one alone."""

from typing import Any

from channeld.broker.broker import History, Topic
from channeld.broker.once import Once
from channeld.broker.publish_options import NO_OPTIONS, Placing, PublishOptions

ROOM = Topic("room", "chat", "options")


async def test_options_are_used_again_and_stay_as_they_are(rig: Any) -> None:
    keep = History(size=5, ttl=60.0)
    options = PublishOptions(keep, "ann", placing=Placing(key="k"))
    await rig.call("subscribe", ROOM)
    for payload in (b"1", b"2"):
        await rig.call("publish", ROOM, payload, options)
    await rig.call("publish", ROOM, b"3")
    first, second, third = await rig.until(3)
    assert [delivered.skip for _, delivered in (first, second, third)] == ["ann", "ann", None]
    assert third[1].position is None
    page = await rig.call("before", ROOM, None, 5, keep)
    assert [kept.payload for kept in page.frames] == [b"2"]
    assert options == PublishOptions(keep, "ann", None, Placing(key="k"))
    assert PublishOptions() == NO_OPTIONS


async def test_all_options_apply_in_one_step(rig: Any) -> None:
    keep, once = History(size=5, ttl=60.0), Once("ann", "all", 60.0)
    options = PublishOptions(keep, None, once, Placing(key="k"))
    position = await rig.call("publish", ROOM, b"1", options)
    assert await rig.call("is_taken", once)
    page = await rig.call("before", ROOM, None, 5, keep)
    assert [(kept.position, kept.payload) for kept in page.frames] == [(position, b"1")]
