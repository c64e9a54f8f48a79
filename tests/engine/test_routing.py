"""Where a message goes: user, global, other channels, lists, emit, and what a refused target publishes."""

import json
from pathlib import Path

import pytest

from tests.engine.conftest import Serve

CHANNELS = """
  chat:
    path: /chat
    auth: session
    rooms: {join: lobby, subscribe: {allow: ["*"]}}
    messages:
      whisper:
        schema: {type: object, required: [to], properties: {to: {type: string}}}
        route: {to: user, user: "{message.to}"}
        emit: {from: "{user.id}", to: "{message.to}"}
      maybe:
        schema: {type: object, properties: {to: {type: string}}}
        route: {to: user, user: "{message.to?}"}
      shout: {schema: true, route: global}
      tell_all: {schema: true, route: {to: global, channel: "*", except_sender: true}}
      both: {schema: true, route: [sender, {to: room, room: side}]}
      over:
        schema: {type: object, properties: {room: {type: string}}}
        route: {to: room, room: "{message.room?}", members_only: false}
      across: {schema: true, route: {to: global, channel: news}}
      named: {schema: true, route: {to: room, room: side}, emit: {type: renamed, room_was: "{room}"}}
      none: {schema: true, route: none}
  news:
    path: /news
    auth: none
    events: {across: {schema: {not: {properties: {n: {type: string}}, required: [n]}}}, tell_all: {schema: true}}
"""


async def test_user_route_reaches_every_connection_of_that_user(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/chat", user="ann")
        bobs = [await app.connect("/chat", user="bob") for _ in range(2)]
        await ann.send({"type": "whisper", "to": "bob"})
        for bob in bobs:
            frame = await bob.receive("whisper")
            assert frame == {"type": "whisper", "from": "ann", "to": "bob"}
        assert [f["type"] for f in await ann.received()] == ["authenticated"]


async def test_missing_optional_target_delivers_to_nobody_and_is_acknowledged(
    serve: Serve,
) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/chat", user="ann")
        await ann.send({"type": "maybe", "id": 1})
        assert [f["type"] for f in await ann.received()] == ["authenticated", "ack"]


async def test_global_reaches_the_channel_and_star_every_channel(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann, bob = await app.connect("/chat", user="ann"), await app.connect("/chat", user="bob")
        reader = await app.connect("/news")
        await ann.send({"type": "shout"})
        await ann.send({"type": "tell_all"})
        await ann.send({"type": "across"})
        assert [f["type"] for f in await bob.received()][1:] == ["shout", "tell_all"]
        assert [f["type"] for f in await reader.received()] == ["tell_all", "across"]
        assert [f["type"] for f in await ann.received()][1:] == ["shout"]


async def test_refused_target_publishes_nothing_of_the_list(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/chat", user="ann")
        await ann.send({"type": "both", "id": 1})
        assert [f.get("code", f["type"]) for f in await ann.received()][1:] == ["FORBIDDEN"]
        await ann.send({"type": "subscribe", "room": "side"})
        await ann.send({"type": "both", "id": 2})
        types = [f["type"] for f in await ann.received()]
        assert types == ["subscribed", "both", "both", "ack"]


@pytest.mark.parametrize(("room", "code"), [("other", None), ("\n", "FORBIDDEN")])
async def test_members_only_false_may_name_any_room_that_has_a_name(
    serve: Serve, room: str, code: str | None
) -> None:
    async with serve(CHANNELS) as app:
        ann, bob = await app.connect("/chat", user="ann"), await app.connect("/chat", user="bob")
        await bob.send({"type": "subscribe", "room": "other"})
        await ann.send({"type": "over", "room": room, "id": 1})
        assert (await ann.received())[-1].get("code") == code
        assert ("over" in [f["type"] for f in await bob.received()]) == (code is None)


async def test_emitted_type_and_room_template(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/chat", user="ann")
        await ann.send({"type": "subscribe", "room": "side"})
        await ann.send({"type": "named"})
        assert await ann.receive("renamed") == {"type": "renamed", "room_was": "side"}


async def test_room_of_one_message_is_not_the_next_ones(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/chat", user="ann")
        await ann.send({"type": "subscribe", "room": "side"})
        await ann.send({"type": "named"})
        await ann.send({"type": "presence", "id": "default-room"})
        await ann.received()
        assert ann.session.home == "lobby"


async def test_route_none_is_only_acknowledged(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/chat", user="ann")
        await ann.send({"type": "none", "id": 1})
        assert (await ann.received())[1:] == [{"type": "ack", "id": 1}]


async def test_what_another_channel_declares_holds_for_messages_that_are_routed_there(
    serve: Serve,
) -> None:
    async with serve(CHANNELS) as app:
        ann, reader = await app.connect("/chat", user="ann"), await app.connect("/news")
        await ann.send({"type": "across", "n": "no integer", "id": 1})
        assert (await ann.received())[-1]["code"] == "INTERNAL_ERROR"
        assert await reader.received() == []


async def test_a_client_cannot_fake_a_position(serve: Serve) -> None:
    channels = """
  room:
    path: /rooms/{id}
    auth: none
    rooms: "{params.id}"
    history: {size: 3, ttl: 60s}
    messages:
      all: {schema: true, route: global}
      me: {schema: true, route: sender}
      typed: {schema: true, route: sender, stamp: {kind: "{message.type}", text: "a {message.type}"}}
"""
    async with serve(channels) as app:
        client = await app.connect("/rooms/a")
        await client.received()
        for kind in ("all", "me"):
            await client.send({"type": kind, "pos": "fake", "n": 1})
            assert await client.received() == [{"type": kind, "n": 1}]
        await client.send({"type": "typed"})
        assert await client.received() == [{"type": "typed", "kind": "typed", "text": "a typed"}]


RESULTS = """
def text(ctx, message):
    return "no"

def renamed(ctx, message):
    return {"type": "other"}

def wrong(ctx, message):
    return {"n": "a secret"}

def endless(ctx, message):
    return {"x": float("inf")}

def items(ctx, message):
    return {"x": {"a secret"}}

def unread(ctx, message):
    return {"n": 1, "x": {1: "a secret"}}

def moment(ctx, message):
    return {"n": __import__("datetime").datetime.now()}

def ring(ctx, message):
    message["x"] = message
    return message
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text", "the result is of type str, not a mapping or None"),
        ("renamed", "the result's type is 'other', and must be 'say'"),
        ("wrong", "the schema refuses the result at /n: type"),
        ("endless", "a number in the result is not finite"),
        ("items", "the result is not JSON: Type is not JSON serializable: set"),
        ("unread", "the result is not JSON: Dict key must be str"),
        ("moment", "the result is not JSON: Unsupported type: 'datetime'"),
        ("ring", "the result is not JSON: Recursion limit reached"),
    ],
)
async def test_why_a_hook_s_result_was_not_taken_is_in_the_log(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    (tmp_path / "results.py").write_text(RESULTS)
    schema = "{type: object, properties: {n: {type: number}}}"
    message = f'say: {{schema: {schema}, route: sender, hook: "results:{name}"}}'
    async with serve(f"  c: {{path: /c, auth: none, messages: {{{message}}}}}\n") as app:
        client = await app.connect("/c")
        await client.send({"type": "say", "id": 1})
        error = await client.receive()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [line] = [line for line in lines if line["event"] == "hook_failed"]
    assert (line["reason"], line["ref"], line["type"]) == (reason, error["ref"], "say")
    assert "a secret" not in str(line)
