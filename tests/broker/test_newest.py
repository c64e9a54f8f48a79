"""Frames that stand to others of their topic, on each broker: what is kept agrees with a plain list."""

import random
from typing import Any

import attrs
import pytest

from channeld.broker.broker import History, Page, Position, Topic
from channeld.broker.once import AlreadyTaken, Once
from channeld.broker.publish_options import Conflated, Placing, PublishOptions

ROOM = Topic("room", "board", "b")
KEEP = History(size=3, ttl=60.0)
Rig = Any


def offsets(page: Page) -> list[int]:
    return [kept.position.offset for kept in page.frames]


@attrs.frozen
class Kept:
    offset: int
    key: str = ""
    owner: str = ""
    shown: bool = True


@attrs.define
class Model:
    """A history as the language describes it."""

    kept: list[Kept] = attrs.field(factory=list)
    floor: int = 0
    top: int = 0

    def add(self, key: str = "", owner: str = "", clears: tuple[str, ...] = ()) -> None:
        self.top += 1
        gone = {*clears, *([key] if key else [])}
        self.kept = [one for one in self.kept if one.key not in gone or not one.key]
        self.kept.append(Kept(self.top, key, owner, not clears))
        for is_keyed in (False, True):
            row = [one for one in self.kept if bool(one.key) is is_keyed]
            for one in row[: max(0, len(row) - KEEP.size)]:
                self.floor = max(self.floor, one.offset)
                self.kept.remove(one)

    def take_away(self, key: str | None) -> int:
        before = len(self.kept)
        self.kept = [one for one in self.kept if key is not None and one.key != key]
        if key is None:
            self.floor = self.top
        return before - len(self.kept)

    def leave(self, owner: str) -> None:
        self.kept = [one for one in self.kept if one.owner != owner]

    def after(self, offset: int) -> list[int]:
        return [one.offset for one in self.kept if one.offset > offset]

    def latest(self, count: int) -> list[int]:
        return [one.offset for one in self.kept if one.shown][-count:]


async def take_a_step(rig: Rig, model: Model, chance: random.Random) -> None:
    kind = chance.choice(["row", "row", "key", "key", "key", "key", "clear", "leave", "away"])
    key, owner = chance.choice("abcde"), chance.choice(["", "ann", "bob"])
    if kind == "row":
        model.add()
        await rig.call("publish", ROOM, b"{}", PublishOptions(KEEP))
    elif kind == "key":
        model.add(key, owner)
        placing = Placing(key=key, owner=owner or None)
        await rig.call("publish", ROOM, b"{}", PublishOptions(KEEP, None, None, placing))
    elif kind == "clear":
        model.add(clears=(key, "unknown"))
        placing = Placing(clears=(key, "unknown"), is_replayed=False)
        await rig.call("publish", ROOM, b"{}", PublishOptions(KEEP, None, None, placing))
    elif kind == "away":
        gone = None if chance.random() < 0.2 else key
        count = await rig.call("clear", ROOM, None if gone is None else [gone, "unknown"])
        assert count == model.take_away(gone)
    elif owner:
        model.leave(owner)
        await rig.call("enter", ROOM, owner, "c", {})
        await rig.call("leave", ROOM, owner, "c")


@pytest.mark.parametrize("seed", range(6))
async def test_a_history_with_keys_is_like_a_plain_list(rig: Rig, seed: int) -> None:
    chance, model = random.Random(seed), Model()
    for number in range(60):
        await take_a_step(rig, model, chance)
        if number % 3:
            continue
        since = chance.randint(0, model.top)
        epoch = (await rig.call("since", ROOM, None, KEEP)).top.epoch
        page = await rig.call("since", ROOM, Position(epoch, since), KEEP)
        assert (page.recovered, page.top.offset) == (since >= model.floor, model.top)
        assert offsets(page) == (model.after(since) if page.recovered else [])
        limit = chance.randint(0, 7)
        page = await rig.call("before", ROOM, Position(epoch, since), limit, KEEP)
        earlier = [one.offset for one in model.kept if one.offset < since]
        assert (offsets(page), page.more) == (
            earlier[len(earlier) - min(limit, len(earlier)) :],
            len(earlier) > limit,
        )
        replay = await rig.call("since", ROOM, None, KEEP, 4)
        assert offsets(replay) == model.latest(4)


async def test_a_frame_with_a_key_comes_as_others_do(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    await rig.call("publish", ROOM, b"1", PublishOptions(KEEP))
    position = await rig.call(
        "publish", ROOM, b"2", PublishOptions(KEEP, "skipped", None, Placing(key="a"))
    )
    (_, first), (_, second) = await rig.until(2)
    assert first.position.offset == 1
    assert (second.payload, second.position, second.skip) == (b"2", position, "skipped")
    page = await rig.call("before", ROOM, None, 5, KEEP)
    assert [kept.payload for kept in page.frames] == [b"1", b"2"]


async def test_keys_and_owners_are_data(rig: Rig) -> None:
    keep = History(size=50, ttl=60.0)
    keys = ["\0", "a\0b", "-", "é\U0001f600", "x" * 500, "\r\n"]
    for number, key in enumerate(keys):
        placing = Placing(key=key, owner=key)
        for _ in range(2):
            await rig.call(
                "publish", ROOM, b"%d" % number, PublishOptions(keep, None, None, placing)
            )
    page = await rig.call("before", ROOM, None, 50, keep)
    assert [kept.payload for kept in page.frames] == [b"%d" % n for n in range(len(keys))]
    for user in keys[1:]:
        await rig.call("enter", ROOM, user, "c", {})
        await rig.call("leave", ROOM, user, "c")
    assert offsets(await rig.call("before", ROOM, None, 50, keep)) == [2]


async def test_what_expires_is_missed_whatever_came_of_the_other_kind(rig: Rig) -> None:
    short = History(size=9, ttl=0.2)
    await rig.call("publish", ROOM, b"{}", PublishOptions(short, None, None, Placing(key="a")))
    start = (await rig.call("since", ROOM, None, short)).top
    await rig.call("publish", ROOM, b"{}", PublishOptions(short))
    await rig.call("publish", ROOM, b"{}", PublishOptions(short, None, None, Placing(key="b")))
    await rig.wait(0.5)
    top = (await rig.call("since", ROOM, None, short)).top
    for placing in (None, Placing(key="c")):
        assert not (await rig.call("since", ROOM, start, KEEP)).recovered
        await rig.call("publish", ROOM, b"{}", PublishOptions(KEEP, None, None, placing))
    page = await rig.call("since", ROOM, top, KEEP)
    assert (page.recovered, offsets(page)) == (True, [4, 5])
    assert not (await rig.call("since", ROOM, start, KEEP)).recovered


async def test_what_somebody_took_along_is_missed_by_nobody(rig: Rig) -> None:
    start = (await rig.call("since", ROOM, None, KEEP)).top
    await rig.call("enter", ROOM, "ann", "c", {})
    await rig.call(
        "publish", ROOM, b"{}", PublishOptions(KEEP, None, None, Placing(key="a", owner="ann"))
    )
    await rig.call("leave", ROOM, "ann", "c")
    page = await rig.call("since", ROOM, start, KEEP)
    assert (page.recovered, page.frames, page.top.offset) == (True, (), 1)


async def test_a_conflated_frame_goes_when_nobody_had_the_slot(rig: Rig) -> None:
    await rig.call("subscribe", ROOM)
    conflated = Conflated("a", 60.0)
    options = PublishOptions(KEEP, "skipped", Once("ann", "key", 60.0), Placing(key="a"))
    assert await rig.call("publish_newest", ROOM, b"1", conflated, options) == 0
    with pytest.raises(AlreadyTaken):
        await rig.call("publish_newest", ROOM, b"1", conflated, options)
    options = PublishOptions(KEEP, placing=Placing(key="a"))
    assert await rig.call("publish_newest", ROOM, b"", conflated, options) <= 0
    ((_, publication),) = await rig.until(1)
    assert (publication.payload, publication.skip) == (b"1", "skipped")
    assert offsets(await rig.call("before", ROOM, None, 5, KEEP)) == [1]
