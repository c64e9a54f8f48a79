"""Joining with what was missed and who is there, leaving, and being counted."""

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import orjson
import pytest
import trio
from trio.testing import MockClock

from channeld.broker.broker import BrokerUnavailable, Page, Topic
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis.queue import Answer
from channeld.engine.rooms import settled, turn
from channeld.plan.load import load_plan
from channeld.testing import Client, TestApp, running
from channeld.testing.client import ClientPeer
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


async def test_rooms_that_others_put_a_client_into_are_no_answer_to_its_post(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await joined(app, "ann")
        await ann.received()
        posted: list[bytes] = []
        ann.session.redirect(posted.append)
        await app.server.subscribe("ann", "room", "attic")
        await app.server.unsubscribe("ann", "room", "attic")
        told = [frame["type"] for frame in await ann.received()]
        assert (told, posted) == (["subscribed", "presence", "unsubscribed"], [])


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
        assert await ann.receive() == leave | {"info": {"name": "Bob"}}


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
        mal.session.claims = {"name": "\ud83d"}
        with pytest.raises(TypeError):
            await app.engine.join(mal.session.connection_id, "c")
        ann = await app.connect("/rooms/c", user="ann")
        (state,) = [f for f in await ann.received() if f["type"] == "presence"]
        assert [one["user"] for one in state["users"]] == ["ann"]
        assert await app.cluster.rooms("room") == {"b": 1, "c": 1}


class SlowPeer:
    """Takes two frames, then no more until `take`."""

    def __init__(self, client: Client) -> None:
        self.plain = ClientPeer(client)
        self.taken = 0
        self.waiting: trio.Event | None = None

    def send(self, frame: bytes) -> None:
        self.taken += 1
        self.plain.send(frame)

    def ready(self) -> Awaitable[None] | None:
        if self.taken < 2:
            return None
        self.waiting = trio.Event()
        return self.waiting.wait()

    def take(self) -> None:
        self.taken = 0
        if self.waiting is not None:
            self.waiting.set()

    def close(self, code: int, reason: str = "") -> None:
        self.plain.close(code, reason)


def slow_from_now_on(monkeypatch: pytest.MonkeyPatch) -> list[SlowPeer]:
    """The peers of the clients that connect next."""
    peers: list[SlowPeer] = []

    def make(client: Client) -> SlowPeer:
        peers.append(SlowPeer(client))
        return peers[-1]

    monkeypatch.setattr("channeld.testing.client.ClientPeer", make)
    return peers


async def missed(serve_app: TestApp, count: int) -> str:
    """The position before that many frames."""
    first = await joined(serve_app, "ann")
    await serve_app.publish("room", {"type": "start"}, room="a")
    pos = (await first.receive("start"))["pos"]
    for n in range(count):
        await serve_app.publish("room", {"type": "news", "n": n}, room="a")
    return str(pos)


async def test_a_recovery_goes_on_as_the_client_takes_it_and_what_comes_meanwhile_waits(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(ROOM.replace("size: 3", "size: 9")) as app:
        pos = await missed(app, 6)
        slow = slow_from_now_on(monkeypatch)
        bob = await joined(app, "bob", since=pos)
        got: list[int] = []
        for turn in range(8):
            got += [frame["n"] for frame in await bob.received() if frame["type"] == "news"]
            if turn == 1:
                assert len(got) < 4
                await app.publish("room", {"type": "news", "n": 6}, room="a")
            for peer in slow:
                peer.take()
            await app.rest()
        assert got == list(range(7))


async def test_a_client_that_does_not_take_its_recovery_cannot_make_the_room_wait_without_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ROOM.replace("size: 3", "size: 9") + "    limits: {outbox: 16KiB, message_size: 1KiB}\n"
    async with serve(small) as app:
        pos = await missed(app, 6)
        slow_from_now_on(monkeypatch)
        bob = await joined(app, "bob", since=pos)
        await bob.received()
        for _ in range(9):
            await app.publish("room", {"type": "news", "text": "x" * 1000}, room="a")
        assert (await bob.wait_closed())[0] == 4508


TEAMS = """
  teams:
    path: /teams
    auth: session
    limits: {rooms_per_connection: 3}
    rooms: {join: "team-{claims.teams.*?}", subscribe: {allow: ["team-{claims.teams.*?}-more"]}}
    history: {size: 5, ttl: 1h}
"""


async def test_each_team_of_a_token_is_a_room_and_names_that_are_none_are_skipped(
    serve: Serve,
) -> None:
    async with serve(TEAMS) as app:
        teams = ["a", "b", "a", "x\ty", "z" * 128, 7]
        client = await app.connect("/teams", user="ann", claims={"teams": teams})
        assert list(client.session.rooms) == ["team-a", "team-b"]
        await client.send({"type": "subscribe", "room": "team-a-more", "id": 1})
        assert "subscribed" in [
            frame["type"] for frame in await client.received() if frame.get("id") == 1
        ]
        await client.send({"type": "subscribe", "room": "team-c-more", "id": 2})
        assert (await client.receive("error"))["code"] == "FORBIDDEN"


async def test_more_teams_than_rooms_are_told(serve: Serve) -> None:
    async with serve(TEAMS) as app:
        teams = ["a", "b", "c", "d"]
        client = await app.connect("/teams", user="ann", claims={"teams": teams})
        assert list(client.session.rooms) == ["team-a", "team-b", "team-c"]
        error = await client.receive("error")
        assert (error["code"], error["limit"]) == ("LIMIT_EXCEEDED", 3)


async def test_a_connection_in_many_rooms_joins_and_leaves_them_in_several_turns(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(TEAMS.replace("rooms_per_connection: 3", "rooms_per_connection: 250")) as app:
        inside: list[int] = []

        async def give_way() -> None:
            inside.append(app.engine.hub.statistics().rooms)

        monkeypatch.setattr(app.runtime, "give_way", give_way)
        client = await app.connect(
            "/teams", user="ann", claims={"teams": list(map(str, range(250)))}
        )
        await client.received()
        await client.close()
        assert inside == [100, 200, 150, 50]
        assert app.engine.hub.statistics().rooms == 0


async def test_a_long_history_is_replayed_in_several_turns(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = "connection: 3, messages: {limit: 9999/s, burst: 9999}"
    teams = TEAMS.replace("size: 5", "size: 1200, replay: 1200").replace("connection: 3", rate)
    said = "    messages: {say: {schema: {type: object}, route: {to: room, room: team-a}}}\n"
    async with serve(teams + said) as app:
        ann = await app.connect("/teams", user="ann", claims={"teams": ["a"]})
        for _ in range(1200):
            await ann.send({"type": "say"})
        turns: list[bool] = []

        async def give_way() -> None:
            turns.append(True)

        monkeypatch.setattr(app.runtime, "give_way", give_way)
        bob = await app.connect("/teams", user="bob", claims={"teams": ["a"]})
        offsets = [frame["pos"] for frame in await bob.received() if frame["type"] == "say"]
        assert (len(turns), len(offsets), len(set(offsets))) == (2, 1200, 1200)


LONG = ROOM.replace("size: 3", "size: 50")


def in_pages(app: TestApp, between: Callable[[], object]) -> None:
    """Let the broker give pages of two frames; `between` is called before each but the first."""
    broker: Any = app.engine.hub.broker
    whole = broker.since

    def since(topic: Any, position: Any, keep: Any, replay: int = 0) -> Page:
        page: Page = whole(topic, position, keep, replay)
        if len(page.frames) <= 2:
            return page

        def rest() -> Page:
            between()
            return since(topic, page.frames[1].position, keep)

        return attrs.evolve(page, frames=page.frames[:2], rest=rest)

    broker.since = since


async def begun(app: TestApp, count: int) -> tuple[Client, str]:
    """Somebody who is there, and the position before so many frames."""
    ann = await joined(app, "ann")
    pos: str = (await ann.received())[1]["pos"]
    for number in range(count):
        await ann.send({"type": "say", "n": number})
    return ann, pos


async def test_pages_are_sent_one_after_the_other_and_what_comes_meanwhile_once(
    serve: Serve,
) -> None:
    async with serve(LONG) as app:
        ann, pos = await begun(app, 7)
        said = iter(range(7, 20))

        def say() -> None:
            frame = {"type": "say", "n": next(said)}
            topic = next(iter(ann.session.rooms.values()))
            keep = app.engine.plan.channels["room"].history
            app.engine.hub.publish(topic, orjson.dumps(frame), PublishOptions(keep))

        in_pages(app, say)
        bob = await app.connect(f"/rooms/a?since={pos}", user="bob")
        frames = await bob.received()
        assert [f["type"] for f in frames[:2]] == ["authenticated", "subscribed"]
        assert frames[1]["recovered"] is True
        heard = [f["n"] for f in frames if f["type"] == "say"]
        assert heard == [*range(next(said))]
        assert len(heard) > 9
        assert frames[-1]["event"] == "state"
        await ann.send({"type": "say", "n": "live"})
        assert (await bob.received())[-1]["n"] == "live"


async def test_a_gap_behind_a_page_is_told_before_what_follows(serve: Serve) -> None:
    async with serve(LONG) as app:
        ann, pos = await begun(app, 7)
        topic = next(iter(ann.session.rooms.values()))
        in_pages(app, lambda: app.engine.hub.broker.clear(topic))
        bob = await app.connect(f"/rooms/a?since={pos}", user="bob")
        frames = [f for f in await bob.received() if f["type"] in ("say", "subscribed")]
        assert [f.get("n", f.get("recovered")) for f in frames] == [True, 0, 1, False]
        await ann.send({"type": "say", "n": 7})
        live = (await bob.received())[-1]
        assert (live["n"], live["pos"] > frames[-1]["pos"]) == (7, True)


async def test_who_cannot_be_given_the_next_page_is_put_out(serve: Serve) -> None:
    async with serve(LONG) as app:
        ann, pos = await begun(app, 3)

        def fail() -> None:
            raise BrokerUnavailable

        in_pages(app, fail)
        bob = await app.connect(f"/rooms/a?since={pos}", user="bob")
        frames = await bob.received()
        assert [f["type"] for f in frames[-2:]] == ["unsubscribed", "error"]
        assert bob.closed == (1013, "try again later")
        await app.advance(60)
        assert [f["event"] for f in await ann.received() if f["type"] == "presence"][-1] == "leave"


SEVERAL = """
  board:
    path: /board
    auth: session
    rooms: {join: [a, b, c]}
    history: {size: 5, ttl: 1m}
    presence: {grace: 0s}
    messages:
      say: {schema: true, route: {to: room, room: a}}
"""


class LateHistory:
    """The broker's histories: asked for at once, answered when the test says so."""

    def __init__(self, app: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
        self.since = app.engine.hub.broker.since
        self.answers: dict[str, Answer[Any]] = {}
        self.pages: dict[str, Any] = {}
        monkeypatch.setattr(app.engine.hub.broker, "since", self.ask)

    def ask(self, topic: Topic, *arguments: Any) -> Answer[Any]:
        self.pages[topic.name] = self.since(topic, *arguments)
        self.answers[topic.name] = Answer()
        return self.answers[topic.name]

    def answer(self, name: str) -> None:
        self.answers[name].resolve(self.pages[name])


def told(frames: list[dict[str, Any]]) -> list[str]:
    return [f"{frame['type']} {frame['room']}" for frame in frames if "room" in frame]


async def test_rooms_to_join_are_asked_for_at_once_and_told_of_in_order(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(SEVERAL) as app:
        histories = LateHistory(app, monkeypatch)
        client = await app.connect("/board", user="ann")
        await app.rest()
        assert list(histories.answers) == ["a", "b", "c"]
        for name in "bc":
            histories.answer(name)
        assert told(await client.received()) == []
        histories.answer("a")
        frames = [f"{kind} {name}" for name in "abc" for kind in ("subscribed", "presence")]
        assert told(await client.received()) == frames


async def test_one_room_that_cannot_be_joined_leaves_nobody_in_the_others(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(SEVERAL) as app:
        histories = LateHistory(app, monkeypatch)
        client = await app.connect("/board", user="ann")
        await app.rest()
        histories.answers["b"].fail(BrokerUnavailable())
        histories.answer("a")
        await app.rest()
        assert (await client.wait_closed())[0] == 1013
        histories.answer("c")
        await app.rest()
        assert "subscribed c" not in told(await client.received())
        assert app.engine.hub.statistics().rooms == 0


async def test_who_is_taken_out_of_a_room_while_the_broker_is_asked_hears_last_that_it_is_out(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(SEVERAL.replace("[a, b, c]", '[a], subscribe: {allow: ["*"]}')) as app:
        client = await app.connect("/board", user="ann")
        await client.received()
        [channel] = app.engine.plan.channels
        histories = LateHistory(app, monkeypatch)
        for asks_by_itself in (True, False):
            if asks_by_itself:
                await client.send({"type": "subscribe", "room": "d", "id": 1})
                await app.rest()
            else:
                app.server.start_soon(app.server.subscribe, "ann", channel, "d")
                await app.rest()
            await app.server.unsubscribe("ann", channel, "d")
            histories.answer("d")
            frames = await client.received()
            assert told(frames)[-1] == "unsubscribed d"
            assert [frame["type"] for frame in frames if frame.get("id") == 1] == (
                ["subscribed"] if asks_by_itself else []
            )
            assert not [frame for frame in frames if frame["type"] == "presence"]


async def test_who_is_taken_out_of_a_room_gets_no_more_of_what_it_missed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(ROOM.replace("size: 3", "size: 9")) as app:
        pos = await missed(app, 6)
        slow = slow_from_now_on(monkeypatch)
        bob = await joined(app, "bob", since=pos)
        await app.publish("room", {"type": "news", "n": 6}, room="a")
        await app.server.unsubscribe("bob", "room", "a")
        assert "unsubscribed a" in told(await bob.received())
        for _ in range(8):
            for peer in slow:
                peer.take()
            await app.rest()
        assert told(await bob.received()) == []


HOOKS = """
import trio
from channeld import Reject

gates = {}

async def waits(ctx, message):
    await gates.setdefault("message", trio.Event()).wait()

async def replies(ctx, message):
    await ctx.reply({"first": True})
    await ctx.reply({"first": False})
    await gates.setdefault("message", trio.Event()).wait()
    if message.get("fails"):
        raise Reject("no")

async def enters(ctx, room):
    await gates.setdefault("subscribe", trio.Event()).wait()
"""

FILE = """
channeld: 1
channels:
  room:
    path: /rooms/{id}
    auth: none
    rooms: {join: "{params.id}", subscribe: {allow: ["side-*"], hook: "turnhooks:enters"}}
    messages:
      say: {schema: {type: object, properties: {n: {type: integer}}}, route: room, hook: "turnhooks:waits"}
      tell: {schema: true, route: room, hook: "turnhooks:replies"}
      plain: {schema: true, route: room}
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "turnhooks.py").write_text(HOOKS)
    file = tmp_path / "channels.yaml"
    file.write_text(FILE)
    yield file
    sys.modules.pop("turnhooks", None)


@pytest.fixture
def app(file: Path) -> AbstractAsyncContextManager[TestApp]:
    return running(file)


def reload(app: TestApp, file: Path, old: str, new: str) -> int:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return app.engine.reload(load_plan(str(file)), {})


def let_go(gate: str) -> None:
    import turnhooks  # type: ignore[import-not-found]

    turnhooks.gates.setdefault(gate, trio.Event()).set()


async def come(app: TestApp) -> Client:
    client = await app.connect("/rooms/a")
    await client.received()
    return client


def codes(frames: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [(f["type"], f.get("code") or f.get("room"), f.get("id")) for f in frames]


async def test_one_at_a_time_has_its_turn_in_the_order_of_coming() -> None:
    session: Any = SimpleNamespace(
        turns=None, engine=SimpleNamespace(runtime=SimpleNamespace(make_event=trio.Event))
    )
    seen = []

    async def take(name: str) -> None:
        from channeld.later import Pending

        async def body() -> None:
            async with turn(session):
                seen.append(name)
                await trio.lowlevel.checkpoint()
                seen.append(name)

        await Pending(body())

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(take, name)
    assert "".join(seen) in {
        "".join(2 * c for c in order) for order in ("abc", "acb", "bac", "bca", "cab", "cba")
    }
    assert session.turns is None
    await settled(session)


async def test_a_message_whose_hook_runs_during_a_reload_goes_to_the_rooms_of_the_new_plan(
    app: AbstractAsyncContextManager[TestApp], file: Path
) -> None:
    async with app as site:
        ann, bob = await come(site), await come(site)
        await ann.send({"type": "say", "n": 1, "id": 1})
        reload(site, file, 'join: "{params.id}"', 'join: "new-{params.id}"')
        let_go("message")
        moved = [("unsubscribed", "a", None), ("subscribed", "new-a", None)]
        assert codes(await ann.received()) == [*moved, ("say", None, None), ("ack", None, 1)]
        assert codes(await bob.received()) == [*moved, ("say", None, None)]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("      say:", "      said:", "UNKNOWN_TYPE"),
        ("n: {type: integer}", "n: {type: string}", "INVALID_MESSAGE"),
    ],
)
async def test_a_message_is_judged_again_by_the_plan_that_came_while_its_hook_ran(
    app: AbstractAsyncContextManager[TestApp], file: Path, old: str, new: str, code: str
) -> None:
    async with app as site:
        ann = await come(site)
        await ann.send({"type": "say", "n": 1, "id": 1})
        reload(site, file, old, new)
        let_go("message")
        assert codes(await ann.received()) == [("error", code, 1)]


async def test_what_comes_while_a_reload_moves_a_connection_waits_for_its_new_rooms(
    app: AbstractAsyncContextManager[TestApp], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app as site:
        ann = await come(site)
        gate, broker = trio.Event(), site.engine.hub.broker
        at_once = broker.subscribe

        async def subscribe(topic: Any, *, is_numbered: bool) -> None:
            await gate.wait()
            at_once(topic)

        monkeypatch.setattr(broker, "subscribe", subscribe)
        reload(site, file, 'join: "{params.id}"', 'join: "new-{params.id}"')
        await ann.send({"type": "plain", "id": 1})
        assert codes(await ann.received()) == [("unsubscribed", "a", None)]
        gate.set()
        frames = codes(await ann.received())
        assert frames == [("subscribed", "new-a", None), ("plain", None, None), ("ack", None, 1)]


async def test_a_reload_waits_for_a_subscription_that_is_under_way(
    app: AbstractAsyncContextManager[TestApp], file: Path
) -> None:
    async with app as site:
        ann = await come(site)
        await ann.send({"type": "subscribe", "room": "side-1", "id": 1})
        reload(site, file, 'join: "{params.id}"', 'join: "new-{params.id}"')
        reload(site, file, "side-*", "other-*")
        let_go("subscribe")
        frames = codes(await ann.received())
        assert frames[0] == ("error", "FORBIDDEN", 1)
        assert frames[1:3] == [("unsubscribed", "a", None), ("subscribed", "new-a", None)]
        assert ann.session is not None
        assert [*ann.session.rooms] == ["new-a"]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_message_that_its_hook_replied_to_gets_no_other_answer(
    app: AbstractAsyncContextManager[TestApp], file: Path, fails: bool
) -> None:
    async with app as site:
        ann = await come(site)
        await ann.send({"type": "tell", "fails": fails, "id": 1})
        reload(site, file, "      tell:", "      told:")
        let_go("message")
        frames = await ann.received()
        assert [f for f in frames if "id" in f] == [{"type": "reply", "id": 1, "first": True}]
        assert [f["code"] for f in frames[1:]] == ["REJECTED" if fails else "UNKNOWN_TYPE"]


@pytest.fixture
def mock_clock() -> MockClock:
    return MockClock()


async def test_a_drain_says_goodbye_when_the_hook_has_ended(
    app: AbstractAsyncContextManager[TestApp], mock_clock: MockClock
) -> None:
    async with app as site:
        ann = await come(site)
        for id in (1, 2):
            await ann.send({"type": "say", "n": 1, "id": id})
        site.engine.drain(10)
        await site.advance(3)
        assert await ann.received() == []
        let_go("message")
        frames = [(f["type"], f.get("id")) for f in await ann.received()]
        assert frames == [
            ("say", None),
            ("ack", 1),
            ("say", None),
            ("ack", 2),
            ("disconnect", None),
        ]
        assert await ann.wait_closed() == (1012, "the server is restarting")


async def test_a_drain_answers_a_subscription_whose_hook_runs(
    app: AbstractAsyncContextManager[TestApp], mock_clock: MockClock
) -> None:
    async with app as site:
        ann = await come(site)
        await ann.send({"type": "subscribe", "room": "side-1", "id": 1})
        site.engine.drain(10)
        let_go("subscribe")
        assert [f["type"] for f in await ann.received()] == ["subscribed", "disconnect"]


async def test_a_drain_does_not_wait_longer_than_its_last_goodbye(
    app: AbstractAsyncContextManager[TestApp], mock_clock: MockClock
) -> None:
    async with app as site:
        ann = await come(site)
        await ann.send({"type": "say", "n": 1, "id": 1})
        site.engine.drain(5)
        await site.advance(3.9)
        assert await ann.received() == []
        await site.advance(0.2)
        assert [f["type"] for f in await ann.received()] == ["disconnect"]


async def test_who_is_kicked_meanwhile_leaves_at_once(
    app: AbstractAsyncContextManager[TestApp], mock_clock: MockClock
) -> None:
    async with app as site:
        ann = await come(site)
        await ann.send({"type": "say", "n": 1, "id": 1})
        site.engine.drain(5)
        assert ann.session is not None
        ann.session.disconnect(4410, "kicked", reconnect=False)
        assert [f["code"] for f in await ann.received()] == [4410]
        let_go("message")
        await site.advance(5)
        assert await ann.wait_closed() == (4410, "kicked")


async def test_a_reload_that_ends_a_channel_waits_for_a_hook_as_long_as_that_may_run(
    app: AbstractAsyncContextManager[TestApp], file: Path, mock_clock: MockClock
) -> None:
    async with app as site:
        ann = await come(site)
        await ann.send({"type": "say", "n": 1, "id": 1})
        assert reload(site, file, "/rooms/{id}", "/other/{id}") == 1
        await site.advance(5)
        let_go("message")
        assert [f["type"] for f in await ann.received()] == ["say", "ack", "disconnect"]
