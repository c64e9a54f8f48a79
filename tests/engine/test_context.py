"""What contexts show, and what their verbs refuse."""

import inspect
from collections.abc import Callable

import pytest
import trio

from channeld.engine.context import AnswerOnce, AsyncContext, InlineContext
from channeld.engine.publishing import FrameRefused
from channeld.hooks import Context, SyncContext
from channeld.testing import TestApp
from tests.engine.conftest import Serve

CHANNELS = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    history: {size: 3, ttl: 60s}
    messages: {say: {schema: true, route: room}}
  everyone: {path: /everyone, auth: session, presence: {scope: channel}}
"""


async def context_of(app: TestApp, kind: Callable[..., object]) -> object:
    client = await app.connect("/rooms/a", user="ann", claims={"role": "x"})
    await client.send({"type": "say", "n": 1})
    await client.received()
    return kind(client.session)


async def on_everyone(
    app: TestApp, kind: Callable[..., AsyncContext] = AsyncContext
) -> AsyncContext:
    return kind((await app.connect("/everyone", user="ann")).session, AnswerOnce(1))


async def test_context_shows_the_connection(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        context = await context_of(app, InlineContext)
        assert isinstance(context, InlineContext)
        assert (context.channel, context.params, context.room) == ("room", {"id": "a"}, "a")
        assert (context.rooms, context.claims["role"]) == (frozenset({"a"}), "x")
        assert context.user is not None
        assert context.user.id == "ann"
        context.store["seen"] = 1
        assert context.store == {"seen": 1}


@pytest.mark.parametrize("code", [999, 1005, 1006, 2000, 5000])
async def test_close_takes_only_codes_that_may_be_sent(serve: Serve, code: int) -> None:
    async with serve(CHANNELS) as app:
        context = await context_of(app, InlineContext)
        assert isinstance(context, InlineContext)
        with pytest.raises(ValueError, match="close code"):
            context.close(code)


async def test_frames_are_checked_before_they_leave(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        context = await context_of(app, AsyncContext)
        assert isinstance(context, AsyncContext)
        for frame in ({}, {"type": "ack"}, {"type": 1}):
            with pytest.raises(FrameRefused):
                await context.send(frame)
        with pytest.raises(ValueError, match="room name"):
            await context.join("\n")


async def test_rooms_are_found_in_whatever_form_their_names_are_written(serve: Serve) -> None:
    channels = CHANNELS.replace("history:", "presence: true\n    history:")
    async with serve(channels) as app:
        context = await context_of(app, AsyncContext)
        assert isinstance(context, AsyncContext)
        await context.join("caf\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}")
        assert "café" in context.rooms
        for name in ("café", "cafe\N{COMBINING ACUTE ACCENT}"):
            await context.to_room(name, {"type": "hello"})
            assert [one["user"] for one in await context.presence(name)] == ["ann"]
        assert len(await context.history("cafe\N{COMBINING ACUTE ACCENT}")) == 2
        await context.leave("cafe\N{COMBINING ACUTE ACCENT}")
        assert context.rooms == {"a"}


async def test_presence_online_and_history_may_be_asked(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        context = await context_of(app, AsyncContext)
        assert isinstance(context, AsyncContext)
        assert [frame["n"] for frame in await context.history("a")] == [1]
        assert await context.online("ann")
        assert await context.presence("a") == []


async def test_presence_of_a_channel_is_given_for_any_room(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        context = await on_everyone(app)
        assert [one["user"] for one in await context.presence("any")] == ["ann"]
        assert [one["user"] for one in await app.server.presence("everyone", "any")] == ["ann"]


async def test_a_reply_that_json_cannot_say_is_not_taken_for_an_answer(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        context = await on_everyone(app)
        with pytest.raises(FrameRefused):
            await context.reply({"large": 2**70})
        await context.reply({"small": 2})


async def test_verbs_that_are_kept_for_later_do_nothing_yet(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        later: list[Callable[[], None]] = []
        InlineContext(client.session, later=later).send({"type": "note"})
        assert await client.received() == []
        later[0]()
        assert await client.received() == [{"type": "note"}]


@pytest.mark.parametrize(
    ("kept", "protocol"), [(AsyncContext, Context), (InlineContext, SyncContext)]
)
def test_contexts_have_every_verb_of_their_protocol(kept: type, protocol: type) -> None:
    for name, verb in inspect.getmembers(protocol, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(kept, name)) == inspect.signature(verb), name


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
async def test_a_number_that_json_cannot_say_is_refused_and_not_null(
    serve: Serve, number: float
) -> None:
    async with serve(CHANNELS) as app:
        context = await context_of(app, AsyncContext)
        assert isinstance(context, AsyncContext)
        frame = {"type": "note", "list": [{"deep": (number,)}, None]}
        with pytest.raises(FrameRefused, match="not finite"):
            await context.send(frame)
        with pytest.raises(FrameRefused, match="not finite"):
            await context.to_room("a", frame)
        await context.send({"type": "note", "none": None, "n": 1.5})


async def test_from_another_thread_the_verbs_say_what_to_use_there(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        context = await context_of(app, InlineContext)
        assert isinstance(context, InlineContext)
        for verb in (
            lambda: context.send({"type": "note"}),
            lambda: context.to_all({"type": "note"}),
            lambda: context.join("b"),
            lambda: context.leave("a"),
            context.close,
        ):
            with pytest.raises(RuntimeError, match="from_thread"):
                await trio.to_thread.run_sync(verb)


async def test_what_a_threaded_hook_asks_for_after_its_return_is_not_lost_in_silence(
    serve: Serve,
) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/rooms/a", user="ann")
        await client.received()
        context = InlineContext(client.session, None, [])
        context.send({"type": "note"})
        assert await client.received() == []
        context.settle()
        assert await client.received() == [{"type": "note"}]
        with pytest.raises(RuntimeError, match="from_thread"):
            await trio.to_thread.run_sync(context.send, {"type": "note"})
