"""A load made of a configuration."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from channeld.plan.plan import Plan
from channeld.scenarios.load_generator import LoadWatch, cannot_load, run_load
from channeld.scenarios.load_result import LoadResult
from tests.scenarios.plans import plan_of
from tests.serving import served

CONFIG = """
channeld: 1
auth:
  session: {type: jwt, algorithms: [HS256], secret: ssssssssssssssssssssssssssssssssssssssss}
  own: {type: hook, hook: "no_such_module:who"}
channels:
  room:
    path: "/rooms/{id}"
    auth: session
    require: {role: [member, admin]}
    rooms: "{params.id}"
    messages:
      say: {schema: {type: object, required: [text], properties: {text: {type: string}}}, route: room}
      rule: {schema: true, route: room, require: {role: admin}}
  strict:
    path: "/strict/{id}"
    auth: session
    messages: {never: {schema: true, route: sender, require: {name: "{message.name?}"}}}
  other: {path: /other, auth: own, messages: {say: {schema: true, route: sender}}}
  mute: {path: /mute, auth: none}
  desk:
    path: /desk
    auth: session
    rooms: {subscribe: {allow: ["team-*"]}}
    messages:
      say: {schema: {type: object, required: [room], properties: {room: {type: string}}}, route: {to: room, room: "{message.room}"}}
"""
SECONDS = 0.5


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, CONFIG)


@pytest.fixture
async def base(plan: Plan) -> AsyncIterator[str]:
    async with served(plan) as url:
        yield url


async def load(
    plan: Plan, base: str, seconds: float = SECONDS, channel: str = "room"
) -> LoadResult:
    return await run_load(plan, [plan.channels[channel]], base, 12, seconds)


async def test_every_delivery_is_counted(plan: Plan, base: str) -> None:
    result = await load(plan, base)
    assert (result.connected, result.lost, result.is_good) == (12, 0, True)
    assert result.messages > 0
    assert result.deliveries >= result.messages
    assert result.answer.buckets.total() == result.messages
    assert result.delivery.percentile(0.5) is not None


async def test_clients_subscribe_where_messages_need_it(plan: Plan, base: str) -> None:
    result = await load(plan, base, channel="desk")
    assert (result.lost, dict(result.errors)) == (0, {})
    assert result.deliveries >= result.messages > 0


async def test_progress_is_told(plan: Plan, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channeld.scenarios.load_generator._TOLD_EVERY", 0.05)
    told: list[float] = []
    await run_load(
        plan,
        [plan.channels["room"]],
        base,
        2,
        SECONDS,
        LoadWatch(lambda so: told.append(so.seconds)),
    )
    assert told == sorted(told) != []


async def test_refusals_are_counted_and_no_failure(plan: Plan, base: str) -> None:
    result = await load(plan, base, channel="strict")
    assert set(result.errors) == {"FORBIDDEN"}
    assert result.is_good


async def fake(plan: Plan, *, is_deaf: bool = False, ends: bool = False) -> LoadResult:
    """Load a server that answers and delivers nothing, or goes away."""

    async def serve(request: WebSocketRequest) -> None:
        connection = await request.accept()
        try:
            while True:
                frame = json.loads(await connection.get_message())
                if frame["type"] == "ping":
                    await connection.send_message(json.dumps({**frame, "type": "pong"}))
                elif ends:
                    return
                elif not is_deaf:
                    await connection.send_message(json.dumps({"type": "ack", "id": frame["id"]}))
        except ConnectionClosed:
            return

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, serve, "127.0.0.1", 0, None)
        result = await load(plan, f"ws://127.0.0.1:{server.port}", 60.0 if ends else SECONDS)
        nursery.cancel_scope.cancel()
    return result


async def test_what_is_acknowledged_and_never_comes_is_lost(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channeld.scenarios.load_generator._PATIENCE", 0.1)
    result = await fake(plan)
    assert result.lost > 0
    assert not result.is_good


async def test_what_is_not_answered_is_lost(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channeld.scenarios.load_generator._PATIENCE", 0.1)
    result = await fake(plan, is_deaf=True)
    assert result.lost == result.errors["unanswered"] > 0


async def test_a_server_that_goes_away(plan: Plan) -> None:
    result = await fake(plan, ends=True)
    assert result.is_away
    assert not result.is_good
    assert result.closed.total() == 12


async def test_nobody_is_there(plan: Plan) -> None:
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        result = await load(plan, f"ws://127.0.0.1:{taken.getsockname()[1]}")
    assert (result.connected, result.is_good) == (0, False)
    assert result.closed == {"no connection": 12}


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ("room", ""),
        ("other", "none of its authenticators signs with a secret"),
        ("mute", "it has no messages"),
    ],
)
def test_what_cannot_be_loaded(channel: str, reason: str, plan: Plan) -> None:
    assert cannot_load(plan, plan.channels[channel]) == reason


async def test_a_load_that_is_stopped_has_lost_nothing(plan: Plan, base: str) -> None:
    watch = LoadWatch()
    watch.progress = lambda so: watch.stop.set() if so.messages else None
    result = await run_load(plan, [plan.channels["room"]], base, 2, 10_000.0, watch)
    assert result.is_interrupted
    assert result.is_good
    assert result.messages > 0
