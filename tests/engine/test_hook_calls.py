"""Hooks as their authors meet them: sync, async, threaded; refusing, replying, failing, too slow."""

import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from channeld.testing import TestApp, VirtualRuntime, running
from tests.engine.conftest import Serve

HOOKS = """
from contextlib import asynccontextmanager
import trio
from channeld import Reject, User

seen = []

@asynccontextmanager
async def lifespan(server):
    yield {"started": True}

def welcome(ctx):
    seen.append("connect")
    ctx.store["name"] = ctx.params["id"]
    ctx.send({"type": "welcome", "state": ctx.state, "room": ctx.room})

async def goodbye(ctx, code, reason):
    seen.append(("close", code, reason, sorted(ctx.rooms)))

async def turns_away(ctx):
    if ctx.user.id == "eve":
        await ctx.close(4951, "not now")

async def kicks(ctx, room):
    await ctx.server.disconnect(connection=ctx.connection)

def picky(ctx):
    raise Reject("not you", code="NOT_YOU", close=4901, hint="ask an admin")

def no_shouting(ctx, message):
    if message["text"].isupper():
        raise Reject("please don't shout", code="NO_SHOUTING", loud=True)

def rewrite(ctx, message):
    return {**message, "text": message["text"][::-1]}

def spoil(ctx, message):
    message["text"] = 5

def wrong(ctx, message):
    return {"text": 5}

def boom(ctx, message):
    raise RuntimeError("secret detail")

async def slow(ctx, message):
    await trio.sleep(60)

async def replies(ctx, message):
    await ctx.reply({"sum": len(message["text"])})

async def verbs(ctx, message):
    await ctx.join("side")
    await ctx.to_room("side", {"type": "note", "n": 1})
    await ctx.to_user(ctx.user.id, {"type": "note", "n": 2})
    await ctx.to_all({"type": "note", "n": 3})
    await ctx.leave("side")
    await ctx.send({"type": "note", "online": await ctx.online(ctx.user.id), "nobody": await ctx.online("x")})

def sync_verbs(ctx, message):
    ctx.join("side")
    ctx.to_room("side", {"type": "note", "n": 1})
    ctx.leave("side")

def reserved(ctx, message):
    ctx.send({"type": "error"})

def unsayable(ctx, message):
    raise Reject("no", code="OWN", type="ack", data={1, 2})

def bye(ctx, message):
    ctx.close(4950, "enough")

def ends(ctx, message):
    raise SystemExit(3)

async def ends_late(ctx, message):
    raise SystemExit(3)

async def ends_below(ctx, message):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends_late, ctx, message)

def gives_up(ctx, message):
    raise GeneratorExit

async def gives_up_late(ctx, message):
    await trio.sleep(0)
    raise GeneratorExit

def interrupts_now(ctx, message):
    raise KeyboardInterrupt

async def interrupts(ctx, message):
    await trio.sleep(0)
    raise KeyboardInterrupt

async def groups(ctx, message):
    raise BaseExceptionGroup("both", [KeyboardInterrupt(), BaseExceptionGroup("in", [GeneratorExit()])])

async def ends_when_cancelled(ctx, message):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 60)
        try:
            await trio.sleep(60)
        except trio.Cancelled:
            raise SystemExit

async def stubborn(ctx, message):
    with trio.CancelScope(shield=True):
        await trio.sleep(60)

async def to_none(ctx, message):
    await ctx.to_room(None, {"type": "note"})

def to_nobody(ctx, message):
    ctx.to_user(None, {"type": "note"})

async def haunt(ctx, code, reason):
    await ctx.join("ghost")
"""

CHANNELS = """
channeld: 1
hooks: {lifespan: "testhooks:lifespan"}
auth:
  session: {type: jwt, algorithms: [HS256], secret: "a secret of at least thirty-two bytes"}
channels:
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    hooks: {connect: "testhooks:welcome", close: "testhooks:goodbye"}
    messages:
%s
  guarded:
    path: /guarded
    auth: none
    hooks: {connect: "testhooks:picky", close: "testhooks:goodbye"}
  closing:
    path: /closing
    auth: session
    rooms: {join: den, subscribe: {allow: [attic]}}
    presence: true
    hooks: {connect: "testhooks:turns_away", subscribe: "testhooks:kicks"}
  haunted: {path: /haunted, auth: none, hooks: {close: "testhooks:haunt"}}
"""

MESSAGE = """
      {name}:
        schema: {{type: object, required: [text], properties: {{text: {{type: string}}}}, additionalProperties: false}}
        route: room
        hook: {hook}
"""

NAMES = ["no_shouting", "rewrite", "spoil", "wrong", "boom", "slow", "replies", "verbs"]
NAMES += ["sync_verbs", "reserved", "unsayable", "bye"]
NAMES += ["gives_up", "gives_up_late", "interrupts", "groups", "ends_when_cancelled"]
NAMES += ["ends", "ends_late", "ends_below", "stubborn", "to_none", "to_nobody"]

Start = Callable[[], AbstractAsyncContextManager[TestApp]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    messages = "".join(MESSAGE.format(name=n, hook=f'"testhooks:{n}"') for n in NAMES)
    threaded = MESSAGE.format(name="threaded", hook='{call: "testhooks:sync_verbs", thread: true}')
    threaded += MESSAGE.format(name="ends_there", hook='{call: "testhooks:ends", thread: true}')
    for name in ("gives_up", "interrupts_now"):
        call = f'{{call: "testhooks:{name}", thread: true}}'
        threaded += MESSAGE.format(name=f"{name}_there".replace("_now", ""), hook=call)
    (tmp_path / "testhooks.py").write_text(HOOKS)
    (tmp_path / "channels.yaml").write_text(CHANNELS % (messages + threaded))

    @asynccontextmanager
    async def run() -> AsyncIterator[TestApp]:
        async with running(tmp_path / "channels.yaml") as app:
            yield app

    return run


async def answers(app: TestApp, type: str, text: str = "hi") -> list[dict[str, object]]:
    """What comes back to one `type` message with an id."""
    client = await app.connect("/rooms/a", user="ann")
    await client.received()
    await client.send({"type": type, "text": text, "id": 1})
    return await client.received()


async def test_connect_hook_sees_state_and_room_and_close_hook_is_called_after_the_rooms_were_left(
    start: Start,
) -> None:
    async with start() as app:
        client = await app.connect("/rooms/a", user="ann")
        welcome = {"type": "welcome", "state": {"started": True}, "room": "a"}
        assert await client.receive("welcome") == welcome
        await client.close(1001, "tab closed")
        import testhooks  # type: ignore[import-not-found]

        assert testhooks.seen[-2:] == ["connect", ("close", 1001, "tab closed", [])]


async def test_connect_hook_may_refuse_with_its_own_code_and_close(start: Start) -> None:
    async with start() as app:
        client = await app.connect("/guarded")
        error = {"type": "error", "code": "NOT_YOU", "message": "not you", "hint": "ask an admin"}
        assert await client.receive() == error
        assert (await client.wait_closed())[0] == 4901


async def test_who_is_closed_by_a_hook_comes_into_no_room_any_more(start: Start) -> None:
    async with start() as app:
        ann = await app.connect("/closing", user="ann")
        await ann.received()
        eve = await app.connect("/closing", user="eve")
        assert await eve.wait_closed() == (4951, "not now")
        assert await ann.received() == []
        await ann.send({"type": "subscribe", "room": "attic"})
        assert (await ann.wait_closed())[0] == 4410
        # Who had been there would be present for the time of `grace`.
        assert await app.server.presence("closing", "attic") == []


async def test_none_goes_on_and_reject_becomes_its_error_frame(start: Start) -> None:
    async with start() as app:
        routed = [{"type": "no_shouting", "text": "hi"}, {"type": "ack", "id": 1}]
        assert await answers(app, "no_shouting") == routed
        [error] = await answers(app, "no_shouting", "HI")
        assert (error["code"], error["loud"], error["id"]) == ("NO_SHOUTING", True, 1)


async def test_dict_is_routed_in_place_of_the_message(start: Start) -> None:
    async with start() as app:
        assert (await answers(app, "rewrite", "abc"))[0] == {"type": "rewrite", "text": "cba"}


async def test_hook_cannot_change_the_message_behind_the_schemas_back(start: Start) -> None:
    async with start() as app:
        assert (await answers(app, "spoil"))[0] == {"type": "spoil", "text": "hi"}


@pytest.mark.parametrize("type", ["wrong", "boom", "reserved", "unsayable"])
async def test_hooks_bug_is_an_internal_error_with_a_ref_and_nothing_else(
    start: Start, type: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start() as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        await client.send({"type": type, "text": "hi", "id": 1})
        error = await client.receive()
        assert (error["code"], error["id"]) == ("INTERNAL_ERROR", 1)
        assert error.keys() == {"type", "code", "message", "id", "ref"}
        assert "secret" not in str(error)
        assert error["ref"] in capsys.readouterr().err
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


@pytest.fixture
def mock_clock() -> MockClock:
    return MockClock()


async def test_slow_hook_is_cancelled_at_its_timeout_and_later_frames_wait_for_it(
    start: Start, mock_clock: MockClock
) -> None:
    async with start() as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        await client.send({"type": "slow", "text": "hi", "id": 1})
        await client.send({"type": "ping", "id": 2})
        await app.advance(9.9)
        assert await client.received() == []
        await app.advance(0.2)
        error, pong = await client.received()
        assert (error["code"], pong) == ("INTERNAL_ERROR", {"type": "pong", "id": 2})


async def test_reply_stands_in_place_of_the_ack(start: Start) -> None:
    async with start() as app:
        assert (await answers(app, "replies"))[0] == {"type": "reply", "id": 1, "sum": 2}
        assert [f["type"] for f in await answers(app, "replies")] == ["reply", "replies"]


async def test_async_verbs_reach_room_user_and_everyone(start: Start) -> None:
    async with start() as app:
        frames = await answers(app, "verbs")
        assert [f.get("n", f["type"]) for f in frames] == [
            "subscribed",
            1,
            2,
            3,
            "unsubscribed",
            "note",
            "verbs",
            "ack",
        ]
        assert (frames[5]["online"], frames[5]["nobody"]) == (True, False)


@pytest.mark.parametrize("type", ["sync_verbs", "threaded"])
async def test_sync_verbs_do_the_same_also_from_a_thread(start: Start, type: str) -> None:
    async with start() as app:
        frames = await answers(app, type)
        assert [f["type"] for f in frames][:3] == ["subscribed", "note", "unsubscribed"]


async def test_hook_may_close_with_a_code_of_its_own(start: Start) -> None:
    async with start() as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.send({"type": "bye", "text": "x"})
        assert await client.wait_closed() == (4950, "enough")


ENDING = ["ends", "ends_late", "ends_below", "ends_there"]
ENDING += [
    "gives_up",
    "gives_up_late",
    "interrupts",
    "groups",
    "gives_up_there",
    "interrupts_there",
]


@pytest.mark.parametrize("type", ENDING)
async def test_a_hook_that_would_end_the_server_does_not(start: Start, type: str) -> None:
    async with start() as app:
        (error,) = await answers(app, type)
        assert (error["code"], error["id"]) == ("INTERNAL_ERROR", 1)
        assert [frame["type"] for frame in await answers(app, "rewrite")] == ["rewrite", "ack"]


@pytest.mark.parametrize("type", ["ends_when_cancelled", "stubborn"])
async def test_a_hook_that_does_not_end_in_peace_when_its_time_is_over_is_late_all_the_same(
    start: Start, mock_clock: MockClock, type: str
) -> None:
    async with start() as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        await client.send({"type": type, "text": "hi", "id": 1})
        await app.advance(61)
        (error,) = await client.received()
        assert error["code"] == "INTERNAL_ERROR"


@pytest.mark.parametrize("type", ["to_none", "to_nobody"])
async def test_a_name_that_is_none_reaches_nobody(start: Start, type: str) -> None:
    async with start() as app:
        other = await app.connect("/rooms/b", user="bob")
        await other.received()
        (error,) = await answers(app, type)
        assert error["code"] == "INTERNAL_ERROR"
        assert await other.received() == []


async def test_nobody_joins_who_is_gone(start: Start) -> None:
    async with start() as app:
        client = await app.connect("/haunted")
        await client.close()
        assert await app.cluster.rooms("haunted") == {}


REFUSING = """
import trio
from channeld import Reject

class Silent(Reject):
    def __init__(self):
        pass

def number(ctx):
    raise Reject(404)

def mapping(ctx):
    raise Reject({"reason": "no"})

def code(ctx):
    raise Reject("no", code=404)

def far(ctx):
    raise Reject("no", close=70000)

def unsayable(ctx):
    raise Reject("no", data={1, 2})

def silent(ctx):
    raise Silent

def boom(ctx):
    raise RuntimeError

async def late(ctx):
    await trio.sleep(60)

def named(ctx):
    raise Reject("no", id=7, hint=1)
"""

REFUSERS = ["number", "mapping", "code", "far", "unsayable", "silent", "boom", "late"]


@pytest.fixture
def refusing(tmp_path: Path) -> Path:
    (tmp_path / "refusing.py").write_text(REFUSING)
    channels = "".join(
        f"  {name}: {{path: /{name}, auth: none, hooks: {{connect: 'refusing:{name}'}}}}\n"
        f"  {name}_may: {{path: /{name}/may, auth: none, "
        f"hooks: {{connect: {{call: 'refusing:{name}', on_failure: accept}}}}}}\n"
        for name in [*REFUSERS, "named"]
    )
    file = tmp_path / "channels.yaml"
    file.write_text(f"channeld: 1\nchannels:\n{channels}")
    return file


@pytest.mark.parametrize("name", REFUSERS)
async def test_a_connect_hook_that_fails_lets_nobody_in(
    refusing: Path, name: str, mock_clock: MockClock
) -> None:
    async with running(refusing) as app:
        client = await app.connect(f"/{name}")
        await app.advance(11)
        [error] = await client.received()
        assert (error["code"], "ref" in error) == ("INTERNAL_ERROR", True)
        assert (await client.wait_closed())[0] == 1011


@pytest.mark.parametrize("name", REFUSERS)
async def test_on_failure_accept_lets_the_client_in(
    refusing: Path, name: str, mock_clock: MockClock
) -> None:
    async with running(refusing) as app:
        client = await app.connect(f"/{name}/may")
        await app.advance(11)
        assert [frame["code"] for frame in await client.received()] == ["INTERNAL_ERROR"]
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


async def test_a_reject_is_no_failure_and_its_fields_take_no_frame_s_own_place(
    refusing: Path,
) -> None:
    async with running(refusing) as app:
        for path in ("/named", "/named/may"):
            client = await app.connect(path)
            assert await client.received() == [
                {"type": "error", "code": "REJECTED", "message": "no", "hint": 1}
            ]
            assert (await client.wait_closed())[0] == 4403


SHARING = """
import math
import threading

go = threading.Event()
running = []

def waits(ctx, message):
    running.append(None)
    go.wait()

def nothing(ctx, message):
    return {**message, "n": math.nan}
"""

SHARED = """
channeld: 1
channels:
  shared:
    path: /shared
    auth: none
    limits: {hook_timeout: 1s}
    messages:
      waits: {schema: true, route: sender, hook: {call: "sharing:waits", thread: true}}
      nothing: {schema: true, route: sender, hook: "sharing:nothing"}
"""


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "sharing.py").write_text(SHARING)
    file = tmp_path / "channels.yaml"
    file.write_text(SHARED)
    return file


async def test_one_connection_keeps_at_most_four_threads_busy(shared: Path) -> None:
    async with running(shared) as app:
        import sharing  # type: ignore[import-not-found]

        one, other = await app.connect("/shared"), await app.connect("/shared")
        given_up = GivenUp(app.runtime)
        app.runtime.in_thread = given_up  # type: ignore[method-assign]
        for id in range(6):
            await one.send({"type": "waits", "id": id})
        errors = [await one.receive() for _ in range(6)]
        assert [error["code"] for error in errors] == ["INTERNAL_ERROR"] * 4 + ["UNAVAILABLE"] * 2
        assert (errors[5]["id"], errors[5]["retry_after"] > 0) == (5, True)
        await other.send({"type": "waits", "id": 1})
        assert (await other.receive())["code"] == "INTERNAL_ERROR"
        sharing.go.set()
        await given_up.over()
        await one.send({"type": "waits", "id": 7})
        assert [frame["type"] for frame in await one.received()] == ["waits", "ack"]


class GivenUp:
    """Threads whose time is over as soon as they have begun."""

    def __init__(self, runtime: VirtualRuntime) -> None:
        self.plain = runtime.in_thread
        self.threads: list[threading.Thread] = []

    async def __call__(self, seconds: float, call: Callable[..., object], *args: object) -> object:
        import sharing

        if sharing.go.is_set():
            return await self.plain(seconds, call, *args)
        before = len(sharing.running)
        thread = threading.Thread(target=call, args=args)
        thread.start()
        self.threads.append(thread)
        while len(sharing.running) == before:
            await trio.lowlevel.checkpoint()
        raise TimeoutError

    async def over(self) -> None:
        for thread in self.threads:
            await trio.to_thread.run_sync(thread.join)


async def test_a_hook_s_number_that_json_cannot_say_is_its_failure(shared: Path) -> None:
    async with running(shared) as app:
        client = await app.connect("/shared")
        await client.send({"type": "nothing", "id": 1})
        assert (await client.receive())["code"] == "INTERNAL_ERROR"


async def test_what_an_unsubscribe_hook_raises_answers_no_frame(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath("leaving_hooks.py").write_text(
        "from channeld import Reject\n"
        "def left(ctx, room):\n"
        "    raise Reject('stay', code='STAY') if room == 'a' else ValueError('oops')\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    config = """
  lobby:
    path: /lobby
    auth: session
    rooms: {subscribe: {allow: ["*"]}}
    hooks: {unsubscribe: "leaving_hooks:left"}
"""
    async with serve(config) as app:
        client = await app.connect("/lobby", user="ann")
        for room, code in (("a", "STAY"), ("b", "INTERNAL_ERROR")):
            await client.send({"type": "subscribe", "room": room})
            await client.received()
            await client.send({"type": "unsubscribe", "room": room, "id": 1})
            left, error = await client.received()
            assert left == {"type": "unsubscribed", "room": room, "id": 1}
            assert (error["code"], "id" in error) == (code, False)
