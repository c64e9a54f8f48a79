"""Reloads, hooks and goodbyes that meet: a message is routed under one plan, and what was taken is answered once."""

import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from channeld.engine.turns import settled, turn
from channeld.plan.load import load_plan
from channeld.testing import Client, TestApp, running

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

        async def subscribe(topic: Any) -> None:
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
