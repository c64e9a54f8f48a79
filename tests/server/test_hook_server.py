"""The server as hooks and lifespans act through it, on trio, on asyncio and from threads."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio
import trio.testing

from channeld.protocol.frames import Frame
from channeld.testing import TestApp, running

CONFIG = """
channeld: 1
hooks: HOOKS
channels:
  room:
    path: /rooms/{room}
    auth: users
    rooms: {join: "{params.room}"}
    presence: {state: {type: object, properties: {away: {type: boolean}}, additionalProperties: false}}
    history: {size: 10, ttl: 1h}
    messages:
      do: {schema: {type: object, required: [verb], properties: {verb: {type: string}}}, hook: {call: "MODULE:do"}}
    events: {told: {schema: true}, result: {schema: true}}
  other:
    path: /other
    auth: users
    rooms: {subscribe: {allow: ["*"]}}
auth: {users: {type: jwt, algorithms: [HS256], secret: sssssssssssssssssssssssssssssssssssssss}}
"""
Running = Callable[..., AbstractAsyncContextManager[TestApp]]

VERBS = """
async def do(ctx, message):
    server = ctx.server
    match message["verb"]:
        case "publish":
            found = await server.publish("room", {"type": "told"}, room="den")
        case "to a user":
            found = await server.publish("room", {"type": "told"}, user="bob")
        case "to everyone":
            found = await server.publish("*", {"type": "told"}, everyone=True)
        case "disconnect":
            found = await server.disconnect(user="bob", code=4410, reason="out")
        case "revoke":
            found = await server.revoke(user="bob")
        case "subscribe":
            found = await server.subscribe("bob", "room", "attic")
        case "unsubscribe":
            found = await server.unsubscribe("bob", "room", "den")
        case "online":
            found = [await server.online("bob", "room"), await server.online("eve", "room")]
        case "presence":
            found = [one["user"] for one in await server.presence("room", "den")]
        case "history":
            await server.publish("room", {"type": "told"}, room="den")
            found = [one["type"] for one in await server.history("room", "den")]
        case "set_presence":
            found = [await server.set_presence(who, "room", "den", {"away": True}) for who in ("bob", "eve")]
            found.append([one.get("state") for one in await server.presence("room", "den")])
        case "clear":
            await server.publish("room", {"type": "told"}, room="den")
            found = [await server.clear("room", "den"), await server.history("room", "den"), await server.clear("room", "den", key="x")]
    await ctx.send({"type": "result", "found": found})
"""


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    name = f"acting_{abs(hash(request.node.name))}"

    def make(hooks: str, text: str, extra: str = "") -> AbstractAsyncContextManager[TestApp]:
        tmp_path.joinpath(f"{name}.py").write_text(text)
        config = (CONFIG.replace("HOOKS", hooks) + extra).replace("MODULE", name)
        tmp_path.joinpath("channels.yaml").write_text(config)
        return running(str(tmp_path / "channels.yaml"))

    yield make
    sys.modules.pop(name, None)
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]


@pytest.fixture(params=["trio", "asyncio"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    ("verb", "found", "told"),
    [
        ("publish", "0000000000000000000000-0000000001", True),
        ("to a user", None, True),
        ("to everyone", None, True),
        ("subscribe", 1, False),
        ("unsubscribe", 1, False),
        ("online", [True, False], False),
        ("presence", ["ann", "bob"], False),
        ("history", ["told"], True),
        ("set_presence", [True, False, [None, {"away": True}]], False),
        ("clear", [1, [], 0], True),
    ],
)
async def test_every_verb_from_a_hook(
    run: Running, loop: str, verb: str, found: object, told: bool
) -> None:
    async with run(f"{{loop: {loop}}}", VERBS) as app:
        ann = await app.connect("/rooms/den", user="ann")
        bob = await app.connect("/rooms/den", user="bob")
        await ann.send({"type": "do", "verb": verb})
        result = await ann.receive("result")
        if verb == "publish":
            assert str(result["found"]).endswith("-0000000001")
        else:
            assert result["found"] == found
        assert ("told" in {frame["type"] for frame in await bob.received()}) is told


async def test_a_hook_disconnects_somebody_else(run: Running, loop: str) -> None:
    async with run(f"{{loop: {loop}}}", VERBS) as app:
        ann = await app.connect("/rooms/den", user="ann")
        bob = await app.connect("/rooms/den", user="bob")
        await ann.send({"type": "do", "verb": "disconnect"})
        assert (await ann.receive("result"))["found"] == 1
        assert await bob.wait_closed() == (4410, "out")


async def test_a_hook_revokes_somebodys_tokens(run: Running, loop: str) -> None:
    async with run(f"{{loop: {loop}}}", VERBS) as app:
        ann = await app.connect("/rooms/den", user="ann")
        bob = await app.connect("/rooms/den", user="bob")
        await ann.send({"type": "do", "verb": "revoke"})
        assert (await ann.receive("result"))["found"] == 1
        assert await bob.wait_closed() == (4401, "token revoked")


CONTEXT = """
async def do(ctx, message):
    await ctx.send({"type": "told", "n": 1})
    await ctx.to_room("den", {"type": "told", "n": 2})
    await ctx.to_user("ann", {"type": "told", "n": 3})
    await ctx.to_all({"type": "told", "n": 4})
    await ctx.join("attic")
    inside = sorted(ctx.rooms)
    await ctx.leave("attic")
    await ctx.set_presence("den", {"away": True})
    await ctx.send({"type": "result", "state": (await ctx.presence("den"))[0]["state"], "inside": inside, "who": ctx.user.id, "here": len(await ctx.presence("den")),
        "online": await ctx.online("ann"), "kept": len(await ctx.history("den")), "loop": type(ctx).__name__})
    await ctx.reply({"ok": True})
    await ctx.close(4999, "done")
"""


async def test_every_verb_of_the_context_on_both_loops(run: Running, loop: str) -> None:
    async with run(f"{{loop: {loop}}}", CONTEXT) as app:
        ann = await app.connect("/rooms/den", user="ann")
        await ann.send({"type": "do", "verb": "", "id": 7})
        frames = [frame for frame in await ann.received() if frame["type"] not in PROTOCOL]
        assert [frame["n"] for frame in frames[:4]] == [1, 2, 3, 4]
        assert frames[4] == {
            "type": "result",
            "inside": ["attic", "den"],
            "who": "ann",
            "state": {"away": True},
            "here": 1,
            "online": True,
            "kept": 1,
            "loop": {"trio": "AsyncContext", "asyncio": "AsyncioContext"}[loop],
        }
        assert frames[5] == {"type": "reply", "id": 7, "ok": True}
        assert await ann.wait_closed() == (4999, "done")


PROTOCOL = ("authenticated", "subscribed", "unsubscribed", "presence")

FAILS = """
import asyncio
from channeld import Reject

async def do(ctx, message):
    await asyncio.sleep(0)
    if message["verb"] == "reject":
        raise Reject("no", code="NO")
    if message["verb"] == "refused":
        await ctx.send({"type": "undeclared"})
    raise {"error": LookupError, "exit": SystemExit}.get(message["verb"], KeyboardInterrupt)
"""


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        ("reject", "NO"),
        ("refused", "INTERNAL_ERROR"),
        ("error", "INTERNAL_ERROR"),
        ("exit", "INTERNAL_ERROR"),
        ("interrupt", "INTERNAL_ERROR"),
    ],
)
async def test_what_an_asyncio_hook_raises_is_contained(run: Running, verb: str, code: str) -> None:
    async with run("{loop: asyncio}", FAILS) as app:
        ann = await app.connect("/rooms/den", user="ann")
        for _ in range(2):
            await ann.send({"type": "do", "verb": verb})
            assert (await ann.receive("error"))["code"] == code


LIVES = """
import asyncio, threading
from contextlib import asynccontextmanager

@asynccontextmanager
async def on_trio(server):
    yield "trio's"

@asynccontextmanager
async def on_asyncio(server):
    asyncio.get_running_loop()
    yield "asyncio's"

async def do(ctx, message):
    await ctx.send({"type": "result", "state": ctx.state})
"""
BOTH = '[{call: "MODULE:on_trio"}, {call: "MODULE:on_asyncio", loop: asyncio}]'


@pytest.mark.parametrize(
    ("hooks", "state"),
    [
        ('{lifespan: "MODULE:on_trio"}', "trio's"),
        ('{lifespan: "MODULE:on_asyncio", loop: asyncio}', "asyncio's"),
        (f"{{lifespan: {BOTH}}}", "trio's"),
        (f"{{lifespan: {BOTH}, loop: trio}}", "trio's"),
        ('{lifespan: [{call: "MODULE:on_asyncio", loop: asyncio}]}', "asyncio's"),
        (
            '{loop: asyncio, lifespan: [{call: "MODULE:on_asyncio"}, {call: "MODULE:on_trio", loop: trio}]}',
            "asyncio's",
        ),
    ],
)
async def test_the_state_is_that_of_the_hook_s_loop(run: Running, hooks: str, state: str) -> None:
    async with run(hooks, LIVES) as app:
        ann = await app.connect("/rooms/den", user="ann")
        await ann.send({"type": "do", "verb": ""})
        assert (await ann.receive("result"))["state"] == state


TASKS = """
import threading
from contextlib import asynccontextmanager
import SLEEPS

ended = []

@asynccontextmanager
async def life(server):
    async def count(room):
        try:
            for n in (3, 2, 1):
                await server.publish("room", {"type": "told", "n": n}, room=room)
                await SLEEPS.sleep(1)
        finally:
            ended.append(room)
    server.start_soon(count, "den")
    yield ended

async def do(ctx, message):
    def outside():
        for n in (1, 2):
            ctx.server.from_thread.publish("room", {"type": "told", "n": n}, room="den")
    if message["verb"] == "publish from here":
        ctx.server.from_thread.publish("room", {"type": "told"}, room="den")
    threading.Thread(target=outside).start()
"""


async def test_a_task_lives_with_the_lifespan_and_its_timers_move_with_the_test(
    run: Running, autojump_clock: trio.testing.MockClock
) -> None:
    autojump_clock.autojump_threshold = float("inf")
    text = TASKS.replace("SLEEPS", "trio")
    async with run('{lifespan: "MODULE:life"}', text) as app:
        ann = await app.connect("/rooms/den", user="ann")
        await app.advance(1.5)
        assert [one["n"] for one in await ann.received() if one["type"] == "told"] == [3, 2]
        ended = app.engine.state_of("trio")
        assert ended == []
    assert ended == ["den"]


async def test_an_asyncio_task_ends_with_the_lifespan(run: Running) -> None:
    text = TASKS.replace("SLEEPS", "asyncio")
    async with run('{lifespan: "MODULE:life", loop: asyncio}', text) as app:
        await app.connect("/rooms/den", user="ann")
        ended = app.engine.state_of("asyncio")
    assert ended == ["den"]


async def test_a_thread_publishes_in_order(run: Running) -> None:
    async with run("{}", TASKS.replace("SLEEPS", "trio")) as app:
        ann = await app.connect("/rooms/den", user="ann")
        await ann.send({"type": "do", "verb": ""})
        with trio.fail_after(30):
            told: list[Frame] = []
            while len(told) < 2:
                await trio.lowlevel.checkpoint()
                told += [one for one in await ann.received() if one["type"] == "told"]
        assert [one["n"] for one in told] == [1, 2]


async def test_from_thread_is_not_for_the_server_s_own_thread(run: Running) -> None:
    async with run("{}", TASKS.replace("SLEEPS", "trio")) as app:
        ann = await app.connect("/rooms/den", user="ann")
        await ann.send({"type": "do", "verb": "publish from here"})
        assert (await ann.receive("error"))["code"] == "INTERNAL_ERROR"


@pytest.mark.parametrize(
    "call",
    [
        'await server.publish("room", {"type": "told"})',
        'await server.publish("room", {"type": "told"}, room="den", user="ann")',
        'await server.publish("room", {"type": "told"}, user=7)',
        'await server.publish("nowhere", {"type": "told"}, everyone=True)',
        'await server.publish("room", {"type": "undeclared"}, everyone=True)',
        "await server.disconnect()",
        'await server.disconnect(user="a", connection="b")',
        "await server.revoke()",
        "await server.revoke(user=5)",
        "await server.revoke(user='ann', before='now')",
        'await server.revoke(token_id="t")',
        'await server.subscribe("bob", "nowhere", "den")',
        'await server.online("bob", "nowhere")',
    ],
)
async def test_wrong_calls_raise_in_the_hook(run: Running, loop: str, call: str) -> None:
    text = f"""
async def do(ctx, message):
    server = ctx.server
    try:
        {call}
    except (TypeError, ValueError) as error:
        await ctx.send({{"type": "result", "words": str(error)}})
"""
    async with run(f"{{loop: {loop}}}", text) as app:
        ann = await app.connect("/rooms/den", user="ann")
        await ann.send({"type": "do", "verb": ""})
        assert (await ann.receive("result"))["words"]


STARTS = """
import threading
import LOOP

def do(ctx, message):
    server = ctx.server
    async def tell():
        await LOOP.sleep(0)
        await server.publish("room", {"type": "told", "by": message["verb"]}, room="den")
    if message["verb"] == "a thread":
        threading.Thread(target=server.start_soon, args=(tell,)).start()
    else:
        server.start_soon(tell)
"""


@pytest.mark.parametrize("hook", ["{call: MODULE:do}", "{call: MODULE:do, thread: true}"])
async def test_a_task_is_started_from_any_thread_and_runs_on_the_files_loop(
    run: Running, loop: str, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.CONFIG", CONFIG.replace('{call: "MODULE:do"}', hook))
    async with run(f"{{loop: {loop}}}", STARTS.replace("LOOP", loop)) as app:
        ann = await app.connect("/rooms/den", user="ann")
        for verb in ("the hook", "a thread"):
            await ann.send({"type": "do", "verb": verb})
            told: list[Frame] = []
            while not told:  # a thread of the hook's own is not waited for
                told = [one for one in await ann.received() if one["type"] == "told"]
            assert [one["by"] for one in told] == [verb]


async def test_a_task_that_raises_is_told_and_ends_nothing(run: Running) -> None:
    text = """
async def do(ctx, message):
    async def fail():
        raise LookupError("nothing there")
    ctx.server.start_soon(fail)
"""
    async with run("{}", text) as app:
        ann = await app.connect("/rooms/den", user="ann")
        await ann.send({"type": "do", "verb": ""})
        await app.rest()
        assert [str(error) for error in app.runtime.failures] == ["nothing there"]
        app.runtime.failures.clear()
        await ann.send({"type": "ping"})
        await ann.receive("pong")


REFUSED = """
async def do(ctx, message):
    server, found = ctx.server, []
    for call in (
        lambda: server.set_presence("bob", "other", "den", {}),
        lambda: server.set_presence("bob", "nowhere", "den", {}),
        lambda: server.set_presence("bob", "room", None, {}),
        lambda: server.set_presence("bob", "room", "den", {"away": 1}),
        lambda: server.set_presence("bob", "room", "den", ["away"]),
        lambda: server.clear("other", "den"),
        lambda: server.clear("nowhere", "den"),
        lambda: server.clear("room", 7),
        lambda: ctx.set_presence("attic", {"away": True}),
    ):
        try:
            found.append(await call())
        except (ValueError, TypeError) as error:
            found.append(str(error))
    await ctx.send({"type": "result", "found": found})
"""


async def test_what_cannot_be_shown_or_taken_away(run: Running, loop: str) -> None:
    async with run(f"{{loop: {loop}}}", REFUSED) as app:
        ann = await app.connect("/rooms/den", user="ann")
        await app.connect("/rooms/den", user="bob")
        await ann.send({"type": "do", "verb": ""})
        assert (await ann.receive("result"))["found"] == [
            "channel `other` has no presence state",
            "there is no channel `nowhere`",
            "a presence state on channel `room` is one in a room",
            "the presence state is refused by its schema",
            "a presence state is a mapping, or None for none",
            "channel `other` keeps no history",
            "there is no channel `nowhere`",
            "a room and a key are strings, not 7",
            "this connection's user is not in that presence",
        ]


async def test_a_state_that_a_hook_shows_is_told(run: Running, loop: str) -> None:
    async with run(f"{{loop: {loop}}}", VERBS) as app:
        bob = await app.connect("/rooms/den", user="bob")
        ann = await app.connect("/rooms/den", user="ann")
        await ann.send({"type": "do", "verb": "set_presence"})
        await ann.receive("result")
        told = [f for f in await bob.received() if f.get("event") == "update"]
        assert [(f["user"], f["state"]) for f in told] == [("bob", {"away": True})]
