"""Histories come in pages, each of which holds up Redis for a moment only: all of it comes, or it is told that something is missing."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from channeld.broker.broker import History, Page, Topic
from channeld.broker.publish_options import Placing, PublishOptions
from channeld.broker.redis import broker
from channeld.broker.redis.broker import PAGE_BYTES, PAGE_FRAMES
from tests.broker.conftest import settle

ROOM = Topic("room", "lobby", "general")
LONG = History(size=5000, ttl=60.0)
MakeServer = Callable[[str], Any]


async def rest_of(page: Page) -> list[Page]:
    """A page and those that follow."""
    pages = [page]
    while pages[-1].rest is not None:
        pages.append(await settle(pages[-1].rest()))
    return pages


def payloads(pages: list[Page]) -> list[bytes]:
    return [kept.payload for page in pages for kept in page.frames]


async def fill(node: Any, count: int, size: int = 1024) -> list[bytes]:
    """Frames of that size in the room's history."""
    frames = [b"%06d" % number + b"x" * (size - 6) for number in range(count)]
    for answer in [node.broker.publish(ROOM, frame, PublishOptions(LONG)) for frame in frames]:
        await answer
    return frames


@pytest.mark.parametrize("kind", ["valkey", "redis"])
@pytest.mark.parametrize(("size", "count"), [(1024, 1300), (20, 1300), (100_000, 20)])
async def test_a_recovery_comes_in_bounded_pages(
    kind: str, size: int, count: int, shared_servers: MakeServer, one_node: Any
) -> None:
    node = await one_node(shared_servers(kind).url)
    start = (await node.broker.since(ROOM, None, LONG)).top
    frames = await fill(node, count, size)
    pages = await rest_of(await node.broker.since(ROOM, start, LONG))
    assert payloads(pages) == frames
    assert all(page.recovered for page in pages)
    for page in pages:
        assert len(page.frames) <= PAGE_FRAMES
        assert sum(len(kept.payload) for kept in page.frames) <= PAGE_BYTES + size
    replay = await node.broker.since(ROOM, None, LONG, count - 1)
    assert replay.replayed == count - 1
    assert payloads(await rest_of(replay)) == frames[1:]
    earlier = await node.broker.before(ROOM, None, count, LONG)
    assert earlier.more
    assert payloads([earlier]) == frames[-len(earlier.frames) :]


async def test_what_comes_meanwhile_is_in_the_last_page(
    shared_servers: MakeServer, one_node: Any
) -> None:
    node = await one_node(shared_servers("valkey").url)
    start = (await node.broker.since(ROOM, None, LONG)).top
    frames = await fill(node, 600)
    first = await node.broker.since(ROOM, start, LONG)
    late = await node.broker.publish(ROOM, b"late", PublishOptions(LONG))
    pages = await rest_of(first)
    assert payloads(pages) == [*frames, b"late"]
    assert (first.top.offset, pages[-1].top) == (600, late)


async def test_what_was_trimmed_between_two_pages_is_told(
    shared_servers: MakeServer, one_node: Any
) -> None:
    node = await one_node(shared_servers("valkey").url)
    start = (await node.broker.since(ROOM, None, LONG)).top
    await fill(node, 1300)
    first = await node.broker.since(ROOM, start, LONG)
    assert first.recovered
    await node.broker.publish(ROOM, b"one more", PublishOptions(History(size=700, ttl=60.0)))
    pages = await rest_of(first)
    assert [(page.recovered, bool(page.frames)) for page in pages[1:]] == [(False, False)]
    replayed = await node.broker.since(ROOM, None, LONG, 700)
    await node.broker.publish(ROOM, b"two more", PublishOptions(History(size=100, ttl=60.0)))
    assert not (await rest_of(replayed))[-1].recovered


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_lost_all_between_two_pages_is_told(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    start = (await node.broker.since(ROOM, None, LONG)).top
    await fill(node, 1300)
    first = await node.broker.since(ROOM, start, LONG)
    server.kill()
    await node.until(lambda: not node.broker.healthy)
    server.start()
    await node.until(lambda: node.broker.healthy)
    pages = await rest_of(first)
    assert [page.recovered for page in pages] == [True, False]


@pytest.mark.usefixtures("impatient")
async def test_pages_go_on_after_a_restart_that_lost_nothing(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("valkey")
    server.kill()
    server.start("--save", "", "--appendonly", "yes", "--appendfsync", "always")
    node = await one_node(server.url)
    start = (await node.broker.since(ROOM, None, LONG)).top
    frames = await fill(node, 700)
    first = await node.broker.since(ROOM, start, LONG)
    server.kill()
    await node.until(lambda: not node.broker.healthy)
    server.start()
    await node.until(lambda: node.broker.healthy)
    await node.broker.publish(ROOM, b"of another epoch", PublishOptions(LONG))
    pages = await rest_of(first)
    assert all(page.recovered for page in pages)
    assert payloads(pages) == [*frames, b"of another epoch"]


@pytest.mark.parametrize("seed", range(5))
async def test_pages_of_a_history_with_keys_are_those_of_a_whole_one(
    seed: int, shared_servers: MakeServer, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, chance = await one_node(shared_servers("valkey").url), random.Random(seed)
    start = (await node.broker.since(ROOM, None, LONG)).top
    for number in range(60):
        key = chance.choice([None, *"abcdefghijklmnopqrstuvwxyz"])
        clears = (chance.choice("abc"),) if key is None and chance.random() < 0.5 else ()
        placing = Placing(key=key, clears=clears, is_replayed=not clears)
        await node.broker.publish(ROOM, b"%d" % number, PublishOptions(LONG, None, None, placing))

    async def read() -> list[list[bytes]]:
        found = [payloads(await rest_of(await node.broker.since(ROOM, start, LONG)))]
        for count in (7, 1000):
            page = await node.broker.since(ROOM, None, LONG, count)
            found.append([b"%d" % page.replayed, *payloads(await rest_of(page))])
        return found

    whole = await read()
    monkeypatch.setattr(broker, "PAGE_FRAMES", 3)
    assert await read() == whole
    monkeypatch.setattr(broker, "PAGE_BYTES", 1)
    assert await read() == whole
    backwards, position, more = list[bytes](), None, True
    while more:
        page = await node.broker.before(ROOM, position, 1000, LONG)
        backwards += payloads([page])[::-1]
        position, more = page.frames[0].position, page.more
    assert backwards[::-1] == whole[0]


async def test_a_node_fills_a_gap_page_by_page(
    make_server: MakeServer, two_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "PAGE_FRAMES", 3)
    one, two = await two_nodes(make_server("valkey").url)
    rooms = [Topic("room", "lobby", f"r{number}") for number in range(4)]
    for room in rooms:
        await one.broker.subscribe(room)
        await two.broker.publish(room, b"0", PublishOptions(LONG))
    await one.until(lambda: len(one.delivered) == 4)
    one.broker._outlet.session.connection.fail("cut")
    monkeypatch.setattr(broker, "PAGE_BYTES", 40)
    for number in range(1, 20):
        for room in rooms:
            await two.broker.publish(room, b"%d" % number, PublishOptions(LONG))
    await one.until(lambda: len(one.delivered) == 80)
    for room in rooms:
        heard = [published.payload for topic, published in one.delivered if topic == room]
        assert heard == [b"%d" % number for number in range(20)]
    assert one.told == []
