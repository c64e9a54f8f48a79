"""Declared messages, frame by frame: what is taken, refused, acknowledged."""

import pytest

from channeld.testing import Client, NotReceived, TestApp
from tests.engine.conftest import Serve

ECHO = """
  echo:
    path: /echo
    auth: none
    messages:
      say:
        schema:
          type: object
          required: [text]
          properties: {text: {type: string, maxLength: 5}}
          additionalProperties: false
        route: sender
"""

ROOM = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    messages:
      say: {schema: true, route: room}
      quietly: {schema: true, route: {to: room, except_sender: true}}
      stamped: {schema: true, route: room, stamp: {from: "{user.id}", at: "{now}"}}
"""


async def test_good_message_without_id_is_answered_with_nothing_but_its_echo(serve: Serve) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        await client.send({"type": "say", "text": "hi"})
        assert await client.received() == [{"type": "say", "text": "hi"}]


@pytest.mark.parametrize("id", ["a", "x" * 64, 0, -7, 2**63])
async def test_good_message_with_id_is_acknowledged_after_it_was_routed(
    serve: Serve, id: str | int
) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        await client.send({"type": "say", "text": "hi", "id": id})
        assert await client.received() == [{"type": "say", "text": "hi"}, {"type": "ack", "id": id}]


@pytest.mark.parametrize("id", ["", "x" * 65, 1.5, True, [], {}])
async def test_bad_id_is_an_invalid_message(serve: Serve, id: object) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        await client.send({"type": "say", "text": "hi", "id": id})
        error = await client.receive()
        assert (error["code"], error["errors"][0]["path"]) == ("INVALID_MESSAGE", "/id")
        assert "id" not in error


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        '"say"',
        "{}",
        '{"type": 1}',
        '{"type":"say","text":NaN}',
        "\ufeff{}",
        '{"type":"say","n":1e999}',
        '{"type":"say","n":18446744073709551616}',
        '{"type":"say","n":-9223372036854775809}',
        '{"type":"say","n":' + "[" * 64 + "]" * 64 + "}",
    ],
)
async def test_what_is_no_frame_is_invalid_json_and_the_connection_stays(
    serve: Serve, text: str
) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        await client.send_raw(text)
        assert (await client.receive())["code"] == "INVALID_JSON"
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ('{"id":7}', 7),
        ('{"type":1,"id":"a"}', "a"),
        ('{"id":3,"type":"say","n":' + "[" * 64 + "]" * 64 + "}", 3),
        ('{"id":3,"type":"say","n":18446744073709551616}', 3),
        ('{"id":18446744073709551616,"type":"say"}', None),
        ('{"id":[1]}', None),
    ],
)
async def test_invalid_json_repeats_an_id_that_could_be_read(
    serve: Serve, text: str, id: object
) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        await client.send_raw(text)
        error = await client.receive()
        assert (error["code"], error.get("id")) == ("INVALID_JSON", id)


async def test_undeclared_type_is_unknown_and_repeats_the_id(serve: Serve) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        await client.send({"type": "shout", "id": 3})
        error = await client.receive()
        assert (error["code"], error["id"]) == ("UNKNOWN_TYPE", 3)
        assert "types" not in error


async def test_schema_violations_name_path_and_keyword(serve: Serve) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        await client.send({"type": "say", "text": "too long", "id": "q"})
        error = await client.receive()
        assert (error["type"], error["code"], error["id"]) == ("error", "INVALID_MESSAGE", "q")
        assert [(e["path"], e["keyword"]) for e in error["errors"]] == [("/text", "maxLength")]


async def test_too_many_errors_end_with_a_disconnect_frame_and_4429(serve: Serve) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        for _ in range(40):
            await client.send_raw("nonsense")
        frames = await client.received()
        assert [f["type"] for f in frames] == ["error"] * 31 + ["disconnect"]
        assert (frames[-1]["code"], frames[-1]["reconnect"]) == (4429, False)
        assert (await client.wait_closed())[0] == 4429


async def test_room_route_reaches_its_room_only(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann, bob, eve = [await app.connect(f"/rooms/{r}", user=u) for r, u in ROOMERS]
        await ann.send({"type": "say", "text": "hi"})
        for member in (ann, bob):
            assert await member.receive("say") == {"type": "say", "text": "hi"}
        with pytest.raises(NotReceived):
            await eve.receive("say")


ROOMERS = [("a", "ann"), ("a", "bob"), ("b", "eve")]


async def test_except_sender_leaves_the_sender_out(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann, bob, _ = [await app.connect(f"/rooms/{r}", user=u) for r, u in ROOMERS]
        await ann.send({"type": "quietly", "id": 1})
        assert await bob.receive("quietly") == {"type": "quietly"}
        assert [f["type"] for f in await ann.received()] == ["authenticated", "ack"]


async def test_stamps_win_over_what_the_client_sent(serve: Serve) -> None:
    async with serve(ROOM) as app:
        ann = await app.connect("/rooms/a", user="ann")
        await ann.send({"type": "stamped", "from": "mallory", "x": 1})
        frame = await ann.receive("stamped")
        assert frame == {
            "type": "stamped",
            "from": "ann",
            "x": 1,
            "at": "2026-01-01T00:00:00.000Z",
        }


async def test_stamp_without_a_value_takes_away_what_the_client_wrote_there(serve: Serve) -> None:
    async with serve(MAYBE) as app:
        client = await app.connect("/maybe")
        await client.send({"type": "say", "from": "mallory", "x": 1})
        assert await client.receive() == {"type": "say", "x": 1}


MAYBE = """
  maybe:
    path: /maybe
    auth: {use: session, optional: true}
    messages: {say: {schema: true, route: sender, stamp: {from: "{user.id?}"}}}
"""


LIMITED = """
  limited:
    path: /limited
    auth: none
    limits: {messages: 10/s}
    messages: {say: {schema: true, route: sender}}
"""


async def test_an_id_of_null_is_no_id(serve: Serve) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        for text in ('{"type":"say","text":"hi","id":null}', '{"type":"ping","id":null}'):
            await client.send_raw(text)
            [error] = await client.received()
            assert (error["code"], error["errors"][0]["path"]) == ("INVALID_MESSAGE", "/id")


async def test_over_the_rate_nothing_is_looked_at_but_the_id(serve: Serve) -> None:
    async with serve(LIMITED) as app:
        client = await app.connect("/limited")
        for _ in range(10):
            await client.send({"type": "say"})
        await client.received()
        for text in ("nonsense", '{"type":"say","id":[1]}', '{"id":7}', '{"type":"say","id":"a"}'):
            await client.send_raw(text)
        errors = await client.received()
        assert {error["code"] for error in errors} == {"RATE_LIMITED"}
        assert [error.get("id") for error in errors] == [None, None, 7, "a"]


async def flood(app: TestApp, client: Client, per_second: int, seconds: int, text: str) -> int:
    """In which second it was closed, counted from 1; 0 for none."""
    for second in range(seconds):
        for _ in range(10):
            for _ in range(per_second // 10):
                await client.send_raw(text)
            await app.advance(0.1)
        if client.closed is not None:
            return second + 1
    return 0


async def test_a_client_that_goes_on_at_ten_times_its_rate_is_sent_away(serve: Serve) -> None:
    async with serve(LIMITED) as app:
        client = await app.connect("/limited")
        assert await flood(app, client, 110, 20, '{"type":"say"}') == 11
        assert client.closed is not None
        assert client.closed[0] == 4429
        assert (await client.received())[-1]["type"] == "disconnect"


async def test_a_client_that_is_over_its_rate_by_less_stays(serve: Serve) -> None:
    async with serve(LIMITED) as app:
        client = await app.connect("/limited")
        assert await flood(app, client, 80, 30, '{"type":"say"}') == 0


async def test_a_client_that_floods_for_less_than_ten_seconds_stays(serve: Serve) -> None:
    async with serve(LIMITED) as app:
        client = await app.connect("/limited")
        assert await flood(app, client, 1000, 9, '{"type":"say"}') == 0


async def test_in_a_flood_large_messages_are_not_read_for_their_id(serve: Serve) -> None:
    async with serve(LIMITED) as app:
        client = await app.connect("/limited")
        for _ in range(20):
            await client.send({"type": "say"})
        await client.received()
        large = {"type": "say", "id": 1, "text": "x" * 5000}
        for frame in (large, {"type": "say", "id": 2}):
            await client.send(frame)
        assert [error.get("id") for error in await client.received()] == [None, 2]
