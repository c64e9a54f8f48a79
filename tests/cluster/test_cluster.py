"""Verbs over all nodes: three engines with a bus between them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, assert_no_checkpoints

from channeld.broker.broker import BrokerUnavailable, Position, Topic
from channeld.cluster import wire
from channeld.cluster.cluster import BEAT, MOST_QUESTIONS, PATIENCE, SILENT_AFTER, Reached
from channeld.engine.context import InlineContext
from channeld.telemetry import Histogram, Sample
from channeld.testing import Client
from tests.cluster.nodes import Bus, Node, cluster_of
from tests.engine.conftest import HEAD, Serve

CHANNELS = """
  room:
    path: /rooms/{room}
    auth: session
    limits: {connections_per_user: 3}
    presence: {grace: 0s}
    rooms: {join: "{params.room}", subscribe: {allow: ["*"]}}
    messages: {say: {schema: true, route: room}}
  desk: {path: /desk, auth: session, rooms: desk, presence: {grace: 2s, state: true}}
  one: {path: /one, auth: session, limits: {connections_per_user: 1}, events: {}}
  asking: {path: /asking, auth: session, messages: {ask: {schema: true, hook: "cluster_hooks:ask"}}}
  quiet: {path: /quiet, auth: none, events: {note: {schema: true}}}
"""

Nodes = Callable[[int], AbstractAsyncContextManager[tuple[Bus, list[Node]]]]


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    file = tmp_path / "channels.yaml"
    file.write_text(HEAD + "channels:" + CHANNELS)
    hook = "async def ask(ctx, message):\n    await ctx.online('bob')\n"
    tmp_path.joinpath("cluster_hooks.py").write_text(hook)
    return lambda count: cluster_of(file, count)


async def types(client: Client) -> list[str]:
    return [frame["type"] for frame in await client.received()]


async def test_connections_are_those_of_all_nodes(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(3) as (_, [a, b, c]):
        for node, room in ((a, "x"), (b, "y"), (c, "x")):
            await node.connect(f"/rooms/{room}", user="ann")
            await node.connect(f"/rooms/{room}", user=node.name)
            await node.advance(1)
        found = await a.cluster.connections(user="ann")
        assert [(one.node, one.rooms) for one in found] == [
            ("n0", ("x",)),
            ("n1", ("y",)),
            ("n2", ("x",)),
        ]
        in_x = await b.cluster.connections(channel="room", room="x")
        assert sorted(one.user or "" for one in in_x) == ["ann", "ann", "n0", "n2"]
        assert {(one.channel, one.address) for one in found} == {("room", "127.0.0.1")}
        assert len(await c.cluster.connections()) == 6


async def test_rooms_and_counts_are_sums_and_unions(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        for node, room in ((a, "x"), (b, "x"), (b, "y")):
            await node.connect(f"/rooms/{room}", user="ann")
        await b.connect("/quiet")
        assert await a.cluster.rooms("room") == {"x": 2, "y": 1}
        assert await a.cluster.counts() == {
            "room": (3, 2),
            "one": (0, 0),
            "desk": (0, 0),
            "asking": (0, 0),
            "quiet": (1, 0),
        }


async def test_disconnect_reaches_a_user_everywhere(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        here = await a.connect("/rooms/x", user="ann")
        there = await b.connect("/rooms/x", user="ann")
        bob = await b.connect("/rooms/x", user="bob")
        assert (await a.cluster.disconnect(user="ann", reason="out")).connections == 2
        assert (here.closed, there.closed, bob.closed) == ((4410, "out"), (4410, "out"), None)


async def test_disconnect_closes_one_connection_and_says_whether_to_come_back(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        ann = await b.connect("/rooms/x", user="ann")
        id = ann.session.connection_id
        assert (await a.cluster.disconnect(connection=id, code=4901)).connections == 1
        assert (await ann.receive("disconnect"))["reconnect"] is True
        assert (await a.cluster.disconnect(connection=id)).connections == 0


async def test_subscribe_and_unsubscribe_reach_other_nodes(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        ann = await b.connect("/rooms/x", user="ann")
        await ann.received()
        assert (await a.cluster.subscribe(user="ann", channel="room", room="vip")).connections == 1
        assert await types(ann) == ["subscribed", "presence"]
        gone = await a.cluster.unsubscribe(user="ann", channel="room", room="vip", reason="over")
        assert gone.connections == 1
        assert (await ann.receive())["reason"] == "over"
        assert (
            await a.cluster.unsubscribe(user="ann", channel="room", room="vip")
        ).connections == 0
        for verb, count in ((a.cluster.subscribe, 1), (a.cluster.unsubscribe, 1)):
            # "é" as a Mac types it.
            name = "e\N{COMBINING ACUTE ACCENT}"
            assert (await verb(user="ann", channel="room", room=name)).connections == count
        with pytest.raises(ValueError, match="room name"):
            await a.cluster.subscribe(user="ann", channel="room", room="\n")
        with pytest.raises(ValueError, match="a user or a connection"):
            await a.cluster.subscribe(channel="room", room="x")


async def test_online_is_on_any_node(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(3) as (_, [a, b, c]):
        await c.connect("/rooms/x", user="ann")
        found = [await node.cluster.online("room", "ann") for node in (a, b, c)]
        assert found == [True, True, True]
        assert not await a.cluster.online("quiet", "ann")
        assert not await a.cluster.online("room", "bob")


async def test_online_does_not_wait_for_the_last_answer(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(3) as (_, [a, b, c]):
        await b.connect("/rooms/x", user="ann")
        c.end.is_deaf = True
        before = trio.current_time()
        assert await a.cluster.online("room", "ann")
        assert trio.current_time() == before
        assert a.cluster.missing == frozenset()


async def test_publish_says_to_how_many_nodes(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(3) as (_, [a, b, _c]):
        quiet = await b.connect("/quiet")
        assert await a.cluster.publish("quiet", {"type": "note"}) == (None, 3)
        assert await types(quiet) == ["note"]


async def test_a_silent_node_is_waited_for_once_and_named(
    nodes: Nodes, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with nodes(3) as (_, [a, b, c]):
        c.end.is_deaf = True
        before = trio.current_time()
        assert await a.cluster.nodes() == 2
        assert trio.current_time() == pytest.approx(before + PATIENCE)
        assert a.cluster.missing == {"n2"}
        assert "node_silent" in capsys.readouterr().err
        assert await a.cluster.nodes() == 2
        assert trio.current_time() == pytest.approx(before + PATIENCE)
        c.end.is_deaf = False
        await c.advance(BEAT)
        assert await a.cluster.nodes() == 3
        assert b.cluster.statistics().unanswered == 0


async def test_a_node_that_says_goodbye_or_nothing_is_forgotten(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(3) as (_, [a, b, c]):
        await c.cluster.close()
        await c.cluster.close()
        assert (await a.cluster.nodes(), await b.cluster.nodes()) == (2, 2)
        b.end.topics.clear()
        await a.advance(SILENT_AFTER + BEAT)
        assert a.cluster.statistics().nodes == 0


async def test_a_goodbye_ends_the_wait(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(2) as (_, [a, b]):
        b.end.is_deaf = True
        before = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.cluster.nodes)
            await a.rest()
            await b.cluster.close()
        assert trio.current_time() == before


async def test_of_one_user_only_the_newest_connections_stay_on_all_nodes(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        old = await a.connect("/one", user="ann")
        other = await a.connect("/one", user="bob")
        await a.advance(1)
        new = await b.connect("/one", user="ann")
        await a.rest()
        assert old.closed == (4409, "replaced by a newer connection")
        assert (new.closed, other.closed) == (None, None)


async def test_what_a_deaf_node_did_not_hear_is_pending_and_done_when_it_hears(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        here, there = [await node.connect("/rooms/x", user="ann") for node in (a, b)]
        bob = await b.connect("/rooms/x", user="bob")
        b.end.is_deaf = True
        assert await a.cluster.disconnect(user="ann") == Reached(1, ("n1",))
        # It is not waited for again, and still not forgotten.
        before = a.runtime.clock.monotonic()
        assert await a.cluster.disconnect(user="nobody") == Reached(0, ("n1",))
        assert a.runtime.clock.monotonic() == before
        assert (here.closed is not None, there.closed) == (True, None)
        b.end.hear()
        await b.rest()
        assert there.closed == (4410, "")
        assert bob.closed is None


async def test_who_said_goodbye_or_was_silent_for_long_is_not_pending(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(3) as (_, [a, b, c]):
        c.end.is_deaf = True
        await b.cluster.close()
        assert (await a.cluster.disconnect(user="ann")).pending == ("n2",)
        c.cluster._is_open = False
        await a.advance(61)
        assert (await a.cluster.disconnect(user="ann")).pending == ()


async def test_while_the_broker_is_away_verbs_raise_and_do_nothing(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (bus, [a, _]):
        ann = await a.connect("/one", user="ann")
        bus.is_away = True
        with pytest.raises(BrokerUnavailable):
            await a.cluster.disconnect(user="ann")
        assert ann.closed is None
        assert await a.cluster.online("one", "ann")
        with pytest.raises(BrokerUnavailable):
            await a.cluster.online("one", "bob")
        bus.is_away = False
        assert a.cluster._questions == {}


async def test_while_the_broker_is_away_the_samples_are_a_process_s_own(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (bus, [a, b]):
        a.cluster.here.samples = lambda: [Sample("channeld_broker_up", 0)]
        b.cluster.here.samples = lambda: [Sample("channeld_broker_up", 0)]
        bus.is_away = True
        assert len(await a.cluster.samples()) == 1


async def test_samples_are_those_of_the_group(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(3) as (_, [a, b, c]):
        histogram = Histogram()
        histogram.observe(0.1)
        mine = [Sample("channeld_rooms", 2), Sample("channeld_handling_seconds", histogram)]
        a.cluster.here.samples = lambda: mine[:1]
        b.cluster.here.samples = lambda: mine
        c.cluster.here.samples = lambda: mine
        c.cluster.here.group = "another"
        found = await a.cluster.samples()
        assert [sample.metric for sample in found] == [
            "channeld_rooms",
            "channeld_rooms",
            "channeld_handling_seconds",
        ]
        assert isinstance(found[2].value, Histogram)
        assert (found[2].value.counts, found[2].value.total) == (histogram.counts, 0.1)


async def test_many_rows_come_in_parts(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(2) as (_, [a, b]):
        sample = Sample("channeld_rooms", 1)
        b.cluster.here.samples = lambda: [sample] * (2 * wire.ROWS_IN_A_PART + 1)
        assert len(await a.cluster.samples()) == 2 * wire.ROWS_IN_A_PART + 1


async def test_a_cluster_that_is_not_open_is_alone_and_answers_at_once(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(1) as (bus, [a]):
        await a.cluster.close()
        await a.connect("/rooms/x", user="ann")
        bus.is_away = True
        with assert_no_checkpoints():
            assert await a.cluster.rooms("room") == {"x": 1}
            assert await a.cluster.nodes() == 1
            assert not await a.cluster.online("room", "bob")


async def test_where_another_node_is_ready_the_drained_are_asked_back_at_once(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        first, last = await a.connect("/desk", user="ann"), await a.connect("/desk", user="bob")
        a.engine.drain(10.0)
        told = (await first.received())[-1]
        assert (told["type"], told["code"]) == ("disconnect", 1012)
        assert told["retry_after"] < 0.2
        # It drains as well, before the second goodbye.
        b.cluster.here.is_ready = lambda: False
        b.cluster.announce()
        assert not a.cluster.is_another_ready
        await a.advance(4)
        assert 0.2 < (await last.received())[-1]["retry_after"] <= 6


async def test_who_is_drained_and_comes_to_another_node_never_left(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        watcher = await b.connect("/desk", user="watcher")
        await a.connect("/desk", user="ann")
        await a.connect("/desk", user="gone")
        await watcher.received()
        a.engine.drain(1.0)
        await a.advance(1)
        await b.connect("/desk", user="ann")
        await a.advance(9)
        assert await watcher.received() == []
        await a.advance(3)
        frames = await watcher.received()
        assert [(frame["event"], frame["user"]) for frame in frames] == [("leave", "gone")]


async def test_a_node_is_ready_for_others_until_it_says_otherwise_or_goes(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (bus, [a, b]):
        assert a.cluster.is_another_ready
        bus.ends[1].is_deaf = True
        await b.cluster.close()
        assert not a.cluster.is_another_ready


async def test_garbage_is_counted_and_dropped(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(2) as (_, [a, b]):
        ann = await a.connect("/one", user="ann")
        ask: dict[str, Any] = {"v": 1, "kind": "ask", "node": "n9", "number": 1}
        for bad in (
            b"",
            b"[]",
            b'{"v":1}',
            wire.pack(wire.Here("n9", greeting=False, ready=True, plan="0" * 16)).replace(
                b'"v":1', b'"v":2'
            ),
            wire.pack(wire.Here("no node", greeting=False, ready=True, plan="0" * 16)),
            wire.pack(wire.Ask("n9", 1, "exec", {})),
            wire.pack(wire.Ask("n9", 1, "disconnect", {"user": "ann"})),
            wire.pack(wire.Ask("n9", 1, "disconnect", ask)),
        ):
            b.engine.hub.publish(wire.EVERY_NODE, bad)
        assert a.cluster.statistics().garbage == 8
        assert ann.closed is None
        assert await a.cluster.nodes() == 2


async def test_answers_nobody_asked_for_change_nothing(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        a.cluster.deliver(wire.pack(wire.Answer("n1", 7, "online", [True], last=True)))
        b.end.is_deaf = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.cluster.nodes)
            await a.rest()
            a.cluster.deliver(wire.pack(wire.Answer("n1", 1, "online", [True], last=True)))
            assert a.cluster.statistics().garbage == 1


async def test_a_greeting_makes_nodes_known_again(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(3) as (bus, [a, b, c]):
        for node in (a, b, c):
            node.cluster._heard.clear()
        a.cluster.greet()
        assert [node.cluster.statistics().nodes for node in (a, b, c)] == [2, 1, 1]
        bus.is_away = True
        a.cluster.greet()
        await b.cluster.close()
        b.cluster.greet()


async def test_questions_are_bounded(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(2) as (_, [a, b]):
        b.end.is_deaf = True
        async with trio.open_nursery() as nursery:
            for _ in range(MOST_QUESTIONS):
                nursery.start_soon(a.cluster.nodes)
            await a.rest()
            with pytest.raises(BrokerUnavailable):
                await a.cluster.nodes()
        assert await a.cluster.nodes() == 1


async def test_a_node_that_cannot_put_anybody_into_a_room_says_so(
    nodes: Nodes, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(2) as (bus, [a, b]):
        await b.connect("/rooms/x", user="ann")
        monkeypatch.setattr(bus.core, "enter", _away)
        assert (await a.cluster.subscribe(user="ann", channel="room", room="vip")).connections == 0


def _away(*_: object) -> bool:
    raise BrokerUnavailable


# ----------------------------------------------------------------------------- sessions while the broker is away


async def test_who_cannot_come_into_a_room_is_out_of_it_and_told(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(1) as (bus, [a]):
        ann = await a.connect("/rooms/x", user="ann")
        await ann.received()
        bus.is_away = True
        await ann.send({"type": "subscribe", "room": "vip", "id": 1})
        [frame] = await ann.received()
        assert (frame["type"], frame["code"], frame["id"]) == ("error", "UNAVAILABLE", 1)
        assert list(ann.session.rooms) == ["x"]
        bus.is_away = False
        await ann.send({"type": "subscribe", "room": "vip"})
        assert await types(ann) == ["subscribed", "presence"]


async def test_who_cannot_come_in_at_all_is_sent_away_for_now(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(1) as (bus, [a]):
        bus.is_away = True
        ann = await a.connect("/rooms/x", user="ann")
        assert [f.get("code") for f in await ann.received()][-1] == "UNAVAILABLE"
        assert ann.closed == (1013, "try again later")
        quiet = await a.connect("/quiet")
        assert quiet.closed is None
        assert a.engine.hub.statistics().rooms == 0


async def test_who_goes_meanwhile_is_no_error(
    nodes: Nodes, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with nodes(1) as (bus, [a]):
        ann = await a.connect("/rooms/x", user="ann")
        bus.is_away = True
        await ann.close()
        assert a.engine.sessions == {}
        assert '"level":"error"' not in capsys.readouterr().err


async def test_a_hook_that_needs_the_broker_is_not_to_blame(
    nodes: Nodes, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with nodes(2) as (bus, [a, _]):
        ann = await a.connect("/asking", user="ann")
        await ann.received()
        bus.is_away = True
        await ann.send({"type": "ask", "id": 1})
        frame = await ann.receive()
        assert (frame["code"], frame["id"]) == ("UNAVAILABLE", 1)
        assert "hook_failed" not in capsys.readouterr().err


async def test_a_gap_is_told_where_the_channel_keeps_history(
    serve: Serve, autojump_clock: MockClock
) -> None:
    kept = """
  kept: {path: /kept, auth: none, rooms: {join: x}, history: {size: 5, ttl: 1m}, events: {}}
  not_kept: {path: /not, auth: none, rooms: {join: x}, events: {}}
"""
    async with serve(kept) as app:
        one, other = await app.connect("/kept"), await app.connect("/not")
        await one.received()
        for channel in ("kept", "not_kept"):
            app.engine.on_gap(Topic("room", channel, "x"), Position("e" * 11, 1))
        assert [f["recovered"] for f in await one.received()] == [False]
        assert await other.received() == []


async def test_users_of_a_dead_node_leave_where_the_channel_has_presence(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        ann = await b.connect("/rooms/x", user="ann")
        await ann.received()
        topic = Topic("room", "room", "x")
        a.end.enter(topic, "bob", "c", {"n": 1})
        a.end.leave(topic, "bob", "c")
        a.end.enter(Topic("room", "one", "x"), "bob", "c", {})
        told, two, three = [], Position("e", 2), Position("e", 3)
        a.engine.hub.presence.on_change = lambda *change: told.append(change)
        a.engine.on_presence_lost(topic, "bob", two)
        a.engine.on_presence_back(topic, "bob", {"n": 1}, three)
        a.engine.on_presence_lost(Topic("room", "one", "x"), "bob", two)
        assert told == [(topic, "bob", None, two), (topic, "bob", {"n": 1}, three)]
        assert [(f["event"], f["user"]) for f in await ann.received()] == [
            ("join", "bob"),
            ("leave", "bob"),
        ]


async def test_verbs_of_a_sync_hook_keep_their_order_though_the_broker_is_slow(
    nodes: Nodes, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(1) as (_, [a]):
        ann = await a.connect("/one", user="ann")
        await ann.received()
        subscribe = a.end.subscribe

        async def later(topic: Topic, *, is_numbered: bool) -> None:
            await trio.sleep(1)
            subscribe(topic)

        monkeypatch.setattr(a.end, "subscribe", later)
        context = InlineContext(ann.session)
        context.join("side")
        context.leave("side")
        context.join("side")
        await trio.sleep(5)
        told = [(frame["type"], frame["room"]) for frame in await ann.received()]
        assert told == [("subscribed", "side"), ("unsubscribed", "side"), ("subscribed", "side")]
        assert set(ann.session.rooms) == {"side"}


async def test_a_presence_state_goes_with_its_connection_and_survives_a_move_within_grace(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async def shown(client: Client) -> object:
        await client.received()
        await client.send({"type": "presence"})
        users = (await client.receive("presence"))["users"]
        return {one["user"]: one.get("state") for one in users}.get("ann")

    async with nodes(2) as (_, [a, b]):
        bob = await b.connect("/desk", user="bob")
        phone = await a.connect("/desk", user="ann")
        await phone.send({"type": "presence", "set": {"n": 1}})
        laptop = await b.connect("/desk", user="ann")
        assert await shown(bob) == {"n": 1}
        await phone.close()
        assert await shown(bob) is None
        await a.advance(3)
        assert await shown(bob) is None
        await laptop.send({"type": "presence", "set": {"n": 2}})
        await laptop.close()
        await a.advance(1)
        await a.connect("/desk", user="ann")
        for node in (b, a):
            await node.advance(9)
        assert await shown(bob) == {"n": 2}


async def test_who_says_that_the_broker_is_back_does_not_wait_for_what_is_read_then(
    nodes: Nodes, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(1) as (_, [a]):
        read: list[bool] = []

        async def late(*_arguments: object) -> None:
            await trio.lowlevel.checkpoint()
            read.append(True)

        monkeypatch.setattr("channeld.cluster.cluster.replay", late)
        a.cluster.greet()
        assert read == []
        await a.rest()
        assert read == [True]


async def test_a_presence_state_is_shown_from_any_node(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(3) as (_, [a, b, c]):
        bob, eve = await b.connect("/desk", user="bob"), await c.connect("/desk", user="eve")
        await b.advance(1)
        await bob.received()
        await eve.received()
        desk = Topic("room", "desk", "desk")
        assert await a.cluster.show(desk, "bob", {"away": True})
        assert not await a.cluster.show(desk, "nobody", {"away": True})
        for client in (bob, eve):
            (told,) = await client.received()
            assert (told["event"], told["user"], told["state"]) == ("update", "bob", {"away": True})
