import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from channeld.broker.broker import Position, Topic
from channeld.config.model import Webhook
from channeld.testing import START, TestApp, running
from channeld.webhooks.sender import WebhookSender
from channeld.webhooks.webhooks import Webhooks
from tests.cluster.nodes import Node, cluster_of
from tests.engine.conftest import HEAD
from tests.webhooks.kit import FakePoster, backend, webhook

CHANNELS = """
  chat:
    path: /chat/{room}
    auth: session
    presence: {grace: 5s, info: {name: "{user.id}"}, batch: 1s}
    rooms: {join: "{params.room}", subscribe: {allow: ["*"]}}
    messages: {say: {schema: true, route: room}}
  feed:
    path: /feed
    auth: none
    rooms: {subscribe: {allow: ["*"]}}
    messages: {say: {schema: true, route: sender}}
  hall:
    path: /hall
    auth: session
    presence: {grace: 0s, scope: channel}
    rooms: {subscribe: {allow: ["*"]}}
    messages: {say: {schema: true, route: sender}}
  odd:
    path: /odd
    auth: none
    presence: {grace: 0s}
    rooms: {join: lobby}
    messages: {say: {schema: true, route: room}}
"""
ALL = ("connected", "disconnected", "joined", "left", "room_occupied", "room_vacated")


class Listener(WebhookSender):
    """Keeps what is put."""

    def __init__(self, app: TestApp, hook: Webhook) -> None:
        super().__init__("0", hook, app.runtime, poster=FakePoster())
        self.events: list[dict[str, Any]] = []

    def put(self, event: bytes) -> None:
        self.events.append(json.loads(event))

    def take(self, *fields: str) -> list[Any]:
        events, self.events = self.events, []
        return [tuple(event.get(field) for field in ("event", *fields)) for event in events]


def version(number: int) -> Position:
    return Position("e", number)


def listen(app: TestApp, **changes: Any) -> Listener:
    hook = webhook(**{"events": ALL, **changes})
    listener = Listener(app, hook)
    Webhooks(app.engine, [hook], [listener])
    return listener


Serve = Callable[[], AbstractAsyncContextManager[TestApp]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tmp_path.joinpath("channels.yaml").write_text(HEAD + "channels:" + CHANNELS)
    return tmp_path / "channels.yaml"


@pytest.fixture
def serve(file: Path) -> Serve:
    return lambda: running(file)


@pytest.fixture
async def pair(
    file: Path, autojump_clock: MockClock
) -> AsyncIterator[tuple[Node, Node, Listener, Listener]]:
    """Two nodes, and a webhook on each."""
    async with cluster_of(file, 2) as (_, [one, other]):
        yield one, other, listen(one), listen(other)


async def test_a_user_comes_to_a_room_and_goes(serve: Serve) -> None:
    async with serve() as app:
        told = listen(app)
        ann = await app.connect("/chat/a", user="ann")
        assert told.take("channel", "room", "user", "info") == [
            ("connected", "chat", None, "ann", None),
            ("room_occupied", "chat", "a", None, None),
            ("joined", "chat", "a", "ann", {"name": "ann"}),
        ]
        await ann.close(1000, "bye")
        assert told.take("user", "code", "reason") == [("disconnected", "ann", 1000, "bye")]
        await app.advance(6)
        assert told.take("room", "user") == [("left", "a", "ann"), ("room_vacated", "a", None)]


async def test_an_event_says_who_when_and_from_where(serve: Serve) -> None:
    async with serve() as app:
        told = listen(app, events=("connected",))
        await app.advance(2)
        ann = await app.connect("/chat/a", user="ann")
        [event] = told.events
        assert len(event.pop("id")) == 22
        assert event == {
            "event": "connected",
            "time": int((START + 2) * 1000),
            "channel": "chat",
            "connection": ann.session.connection_id,
            "user": "ann",
            "params": {"room": "a"},
            "address": "127.0.0.1",
        }


async def test_who_comes_back_within_grace_has_not_left(serve: Serve) -> None:
    async with serve() as app:
        told = listen(app, events=("joined", "left", "room_occupied", "room_vacated"))
        ann = await app.connect("/chat/a", user="ann")
        told.take()
        await ann.close()
        await app.advance(3)
        await app.connect("/chat/a", user="ann")
        await app.advance(20)
        assert told.take() == []


async def test_a_second_connection_of_a_user_has_not_joined(serve: Serve) -> None:
    async with serve() as app:
        told = listen(app, events=("joined", "left"))
        first = await app.connect("/chat/a", user="ann")
        await app.connect("/chat/a", user="ann")
        await first.close()
        await app.advance(20)
        assert told.take("user") == [("joined", "ann")]


async def test_without_presence_each_connection_joins(serve: Serve) -> None:
    async with serve() as app:
        told = listen(app, channels=("feed",))
        one, two = await app.connect("/feed"), await app.connect("/feed")
        for client in (one, two, two):
            await client.send({"type": "subscribe", "room": "news"})
        await one.send({"type": "unsubscribe", "room": "news"})
        await two.close()
        assert told.take("room") == [
            ("connected", None),
            ("connected", None),
            ("room_occupied", "news"),
            ("joined", "news"),
            ("joined", "news"),
            ("left", "news"),
            ("left", "news"),
            ("room_vacated", "news"),
            ("disconnected", None),
        ]


async def test_the_presence_of_a_channel_has_no_room(serve: Serve) -> None:
    async with serve() as app:
        told = listen(app, events=("joined", "left"))
        ann = await app.connect("/hall", user="ann")
        await ann.send({"type": "subscribe", "room": "x"})
        await ann.close()
        assert told.take("room", "user") == [
            ("joined", None, "ann"),
            ("joined", "x", "ann"),
            ("left", None, "ann"),
            ("left", "x", "ann"),
        ]


async def test_anonymous_connections_are_not_in_presence(serve: Serve) -> None:
    async with serve() as app:
        told = listen(app)
        await (await app.connect("/odd")).close()
        assert told.take() == [
            ("connected",),
            ("room_occupied",),
            ("room_vacated",),
            ("disconnected",),
        ]


async def test_who_is_not_let_in_is_not_mentioned(serve: Serve) -> None:
    async with serve() as app:
        told = listen(app)
        client = await app.connect("/chat/a", token="forged")
        await client.close()
        assert told.take() == []


async def test_each_webhook_gets_what_it_wants(serve: Serve) -> None:
    async with serve() as app:
        hooks = [
            webhook(events=("connected",)),
            webhook(events=("connected", "left"), channels=("feed",)),
        ]
        listeners = [Listener(app, hook) for hook in hooks]
        Webhooks(app.engine, hooks, listeners)
        await app.connect("/feed")
        await app.connect("/chat/a", user="ann")
        seen = [listener.take("channel") for listener in listeners]
        assert seen == [[("connected", "feed"), ("connected", "chat")], [("connected", "feed")]]


async def test_nothing_is_kept_of_those_who_are_gone(serve: Serve) -> None:
    async with serve() as app:
        told = listen(app)
        webhooks = app.engine.observer
        assert isinstance(webhooks, Webhooks)
        for path, user in (("/chat/a", "ann"), ("/feed", None)):
            client = await app.connect(path, user=user)
            await client.send({"type": "subscribe", "room": "z"})
            await client.close()
        await app.advance(20)
        assert told.take()
        assert (webhooks._connected, webhooks._joined) == (set(), set())
        assert webhooks._occupancy._here == {}
        assert webhooks._occupancy._entered == set()


async def test_draining_tells_also_what_grace_would_have_delayed(
    serve: Serve, autojump_clock: MockClock
) -> None:
    async with serve() as app, backend() as there:
        hook = webhook(there.url, events=("left", "room_vacated"))
        webhooks = Webhooks(app.engine, [hook])
        ann = await app.connect("/chat/a", user="ann")
        await ann.close()
        async with trio.open_nursery() as nursery:
            await nursery.start(webhooks.run)
            await webhooks.drain()
            nursery.cancel_scope.cancel()
        events = [event["event"] for told in there.requests for event in told.events]
        assert events == ["left", "room_vacated"]


async def test_draining_leaves_the_grace_to_nodes_that_go_on(
    serve: Serve, autojump_clock: MockClock
) -> None:
    async with serve() as app:
        hook = webhook("http://127.0.0.1:1/", events=("left", "room_vacated"))
        told = Listener(app, hook)
        webhooks = Webhooks(app.engine, [hook], [told])
        ann = await app.connect("/chat/a", user="ann")
        await ann.close()
        await webhooks.drain(is_outlived=True)
        assert told.take() == []


async def test_a_room_counts_as_occupied_while_who_was_sent_away_counts_as_there(
    serve: Serve, autojump_clock: MockClock
) -> None:
    async with serve() as app:
        hook = webhook("http://127.0.0.1:1/", events=("left", "room_vacated"))
        told = Listener(app, hook)
        Webhooks(app.engine, [hook], [told])
        await app.connect("/chat/a", user="ann")
        app.engine.drain(0.0)
        await app.advance(9.9)
        assert told.take() == []
        await app.advance(0.2)
        assert told.take() == [("left",), ("room_vacated",)]


async def test_draining_takes_no_longer_than_it_may(
    serve: Serve, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve() as app, backend("hang") as there:
        webhooks = Webhooks(app.engine, [webhook(there.url, events=ALL)])
        await app.connect("/feed")
        async with trio.open_nursery() as nursery:
            await nursery.start(webhooks.run)
            began = trio.current_time()
            await webhooks.drain()
            assert trio.current_time() - began == pytest.approx(5)
            nursery.cancel_scope.cancel()
        last = json.loads(capsys.readouterr().err.splitlines()[-1])
        assert (last["event"], last["reason"]) == ("webhook_dropped", "the server stopped")


# --------------------------------------------------------------------------------------------------- several nodes


async def test_one_node_tells_of_a_user_on_two(
    pair: tuple[Node, Node, Listener, Listener],
) -> None:
    one, other, here, there = pair
    first = await one.connect("/chat/a", user="ann")
    second = await other.connect("/chat/a", user="ann")
    assert [row[0] for row in here.take()] == ["connected", "room_occupied", "joined"]
    assert [row[0] for row in there.take()] == ["connected"]
    await first.close()
    await one.advance(20)
    assert [row[0] for row in here.take()] == ["disconnected"]
    await second.close()
    await other.advance(20)
    assert here.take() == []
    assert [row[0] for row in there.take()] == ["disconnected", "left", "room_vacated"]


async def test_versions_tell_the_order_in_which_nodes_tell_side_by_side(
    pair: tuple[Node, Node, Listener, Listener],
) -> None:
    one, other, here, there = pair
    for node in (one, other, one):
        ann = await node.connect("/chat/a", user="ann")
        await ann.close()
        await node.advance(6)
    # As a backend may hear them: all of one node before all of the other.
    heard = [event for told in (there, here) for event in told.events if event.get("version")]
    for names in (("joined", "left"), ("room_occupied", "room_vacated")):
        events = sorted((e for e in heard if e["event"] in names), key=lambda e: str(e["version"]))
        assert [event["event"] for event in events] == [*names] * 3
        assert [event in there.events for event in events] == [False] * 2 + [True] * 2 + [False] * 2


async def test_a_survivor_tells_of_a_node_that_died(
    pair: tuple[Node, Node, Listener, Listener],
) -> None:
    one, _, here, _ = pair
    room = Topic("room", "chat", "a")
    one.engine.on_presence_lost(room, "ann", version(2))
    one.engine.on_presence_lost(Topic("occupied", "chat", "a"), "", version(2))
    assert here.take("room", "user", "version") == [
        ("left", "a", "ann", "e-0000000002"),
        ("room_vacated", "a", None, "e-0000000002"),
    ]
    one.engine.on_presence_back(Topic("occupied", "chat", "a"), "", {}, version(3))
    one.engine.on_presence_back(room, "ann", {}, version(3))
    assert here.take("room") == [("room_occupied", "a"), ("joined", "a")]


async def test_a_node_without_webhooks_tells_nobody(serve: Serve) -> None:
    async with serve() as app:
        ann = await app.connect("/chat/a", user="ann")
        frames = len(await ann.received())
        app.engine.on_presence_lost(Topic("occupied", "chat", "a"), "", version(2))
        assert len(await ann.received()) == 0
        assert frames
