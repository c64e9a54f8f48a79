import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import attrs
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from channeld.dev.address import Opening, resolve, with_token
from channeld.dev.client import ClientScript, converse, play
from channeld.protocol.frames import Json

Serve = Callable[[WebSocketRequest], Awaitable[None]]


@attrs.define
class Record:
    """A screen that remembers."""

    frames: list[tuple[str, Json]] = attrs.field(factory=list)
    notices: list[str] = attrs.field(factory=list)
    codes: list[int | None] = attrs.field(factory=list)

    def frame(self, arrow: str, value: Json) -> None:
        self.frames.append((arrow, value))

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def ended(self, text: str, code: int | None) -> None:
        self.notices.append(text)
        self.codes.append(code)

    @property
    def came(self) -> list[Json]:
        return [value for arrow, value in self.frames if arrow == "←"]


async def serving(nursery: trio.Nursery, serve: Serve) -> Opening:
    server = await nursery.start(serve_websocket, serve, "127.0.0.1", 0, None)
    return resolve(f"127.0.0.1:{server.port}/chat")


async def echo(request: WebSocketRequest) -> None:
    """Answers pings as the server does, refuses `bad`, closes on `end`, repeats all else."""
    connection: WebSocketConnection = await request.accept()
    try:
        while True:
            await answer(connection, await connection.get_message())
    except ConnectionClosed:
        return


async def answer(connection: WebSocketConnection, text: str | bytes) -> None:
    frame: dict[str, Any] = json.loads(text)
    match frame["type"]:
        case "ping":
            await connection.send_message(json.dumps({**frame, "type": "pong"}))
        case "bad":
            await connection.send_message('{"type":"error","code":"REJECTED"}')
        case "end":
            await connection.aclose(4403, "no\x1b[2J")
        case "silence":
            await trio.sleep_forever()
        case _:
            await connection.send_message(text)


async def run(serve: Serve, script: ClientScript, screen: Record) -> int:
    async with trio.open_nursery() as nursery:
        opening = await serving(nursery, serve)
        status = await play(opening, script, screen)
        nursery.cancel_scope.cancel()
    return status


async def test_a_script_ends_when_all_was_answered() -> None:
    screen = Record()
    assert await run(echo, ClientScript(send=('{"type":"a"}', '{"type":"b"}')), screen) == 0
    assert screen.came == [{"type": "a"}, {"type": "b"}]
    assert screen.notices == []


async def test_an_error_among_the_answers_fails() -> None:
    screen = Record()
    assert await run(echo, ClientScript(send=('{"type":"bad"}', '{"type":"b"}')), screen) == 1
    assert screen.came == [{"type": "error", "code": "REJECTED"}, {"type": "b"}]


@pytest.mark.parametrize(("wait", "came"), [(1, ["a"]), (2, ["a", "b"]), ("b", ["a", "b"])])
async def test_waiting_ends_with_what_was_waited_for(wait: int | str, came: list[str]) -> None:
    screen = Record()
    send = tuple(f'{{"type":"{name}"}}' for name in "abc")
    assert await run(echo, ClientScript(send=send, wait=wait), screen) == 0
    assert [value["type"] for value in screen.came if isinstance(value, dict)] == came


async def test_nothing_in_time_is_said(autojump_clock: trio.abc.Clock) -> None:
    screen = Record()
    async with trio.open_nursery() as nursery:
        opening = await serving(nursery, echo)
        # Virtual time would run while bytes are on their way: the clock may jump only at the end.
        script = ClientScript(send=('{"type":"silence"}',), wait="never", timeout=0.0)
        assert await play(opening, script, screen) == 1
        nursery.cancel_scope.cancel()
    assert screen.notices == ["no `never` frame came within 0 s"]


async def test_a_close_is_told_with_code_and_reason() -> None:
    screen = Record()
    assert await run(echo, ClientScript(send=('{"type":"end"}',)), screen) == 1
    assert screen.notices == ["closed by the server: 4403 no\\u001b[2J"]
    assert screen.codes == [4403]


async def test_what_came_before_a_close_is_shown() -> None:
    async def unauthorized(request: WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.send_message('{"type":"error","code":"UNAUTHORIZED"}')
        await connection.aclose(4401, "unauthorized")

    async with trio.open_nursery() as nursery:
        opening = await serving(nursery, unauthorized)
        for send in ((), ('{"type":"a"}',) * 50):
            screen = Record()
            assert await play(opening, ClientScript(send=send), screen) == 1
            assert screen.came == [{"type": "error", "code": "UNAUTHORIZED"}]
            assert screen.notices == ["closed by the server: 4401 unauthorized"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("body", "notice"),
    [
        (b'{"title":"Origin not allowed","status":403}', "refused: HTTP 403 Origin not allowed"),
        (b'{"title":"No","detail":"x\\u009b"}', "refused: HTTP 403 No (x\\u009b)"),
        (b"<html>", "refused: HTTP 403 Forbidden"),
        (b'{"title":5}', "refused: HTTP 403 Forbidden"),
    ],
)
async def test_a_refusal_shows_its_title(body: bytes, notice: str) -> None:
    async def refuse(request: WebSocketRequest) -> None:
        await request.reject(403, body=body)

    screen = Record()
    assert await run(refuse, ClientScript(), screen) == 1
    address, _, words = screen.notices[0].partition(": ")
    assert address.startswith("ws://127.0.0.1:")
    assert words == notice
    assert screen.codes == [403]


async def test_nobody_listening_is_told() -> None:
    screen = Record()
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert await play(resolve(f"127.0.0.1:{port}/"), ClientScript(), screen) == 1
    assert screen.notices == [
        f"no connection to ws://127.0.0.1:{port}: connection refused; is the server running?"
    ]


async def test_tokens_reach_the_server_and_no_screen() -> None:
    seen: list[tuple[str, Any]] = []

    async def note(request: WebSocketRequest) -> None:
        seen.append((request.path, dict(request.headers).get(b"authorization")))
        await echo(request)

    screen = Record()
    async with trio.open_nursery() as nursery:
        opening = await serving(nursery, note)
        for token_from in ("query", "header", "message"):
            await play(with_token(opening, "canary", [token_from]), ClientScript(), screen)
        nursery.cancel_scope.cancel()
    assert seen == [("/chat?token=canary", None), ("/chat", b"Bearer canary"), ("/chat", None)]
    assert [arrow for arrow, _ in screen.frames] == ["←"]


async def test_what_is_no_json_is_shown_as_it_is() -> None:
    async def odd(request: WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.send_message("hello")
        await connection.send_message(b"\x00\x01")
        await connection.send_message("[" * 600 + "]" * 600)
        await trio.sleep_forever()

    screen = Record()
    assert await run(odd, ClientScript(wait=3), screen) == 0
    assert screen.came[:2] == ["hello", "2 bytes of binary"]
    assert isinstance(screen.came[2], str)


# --- by hand


def typed(*lines: str) -> Callable[[], str]:
    given: Iterator[str] = iter(lines)

    def read_line() -> str:
        try:
            return next(given)
        except StopIteration:
            raise EOFError from None

    return read_line


async def talk(read_line: Callable[[], str], screen: Record, *, piped: bool = False) -> int:
    async with trio.open_nursery() as nursery:
        opening = await serving(nursery, echo)
        status = await converse(opening, screen, read_line, piped=piped)
        nursery.cancel_scope.cancel()
    return status


async def test_piped_lines_are_answered_before_the_end() -> None:
    screen = Record()
    assert await talk(typed('{"type":"a"}', "", "/ping"), screen, piped=True) == 0
    assert screen.came == [{"type": "a"}, {"type": "pong"}]
    assert [value for arrow, value in screen.frames if arrow == "→"] == [
        {"type": "a"},
        {"type": "ping"},
    ]


async def test_an_error_among_piped_answers_fails() -> None:
    assert await talk(typed('{"type":"bad"}'), Record(), piped=True) == 1


async def test_what_cannot_be_sent_is_explained_and_the_talk_goes_on() -> None:
    screen = Record()
    assert await talk(typed("hello", '{"type":"a"}'), screen, piped=True) == 0
    assert "that is not JSON" in screen.notices[0]
    assert screen.came == [{"type": "a"}]


async def test_leaving_by_hand() -> None:
    assert await talk(typed("/quit"), Record()) == 0
    assert await talk(typed(), Record()) == 0


async def test_the_servers_close_ends_it() -> None:
    screen = Record()
    assert await talk(typed('{"type":"end"}', '{"type":"silence"}'), screen, piped=True) == 1
    assert screen.notices[0].startswith("closed by the server: 4403")


async def test_ctrl_c_ends_it() -> None:
    def interrupted() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        # Like a line that nobody finishes; the file's end comes when the test is over.
        return os.fdopen(reading, "rb", closefd=False).readline().decode()

    reading, writing = os.pipe()
    try:
        assert await talk(interrupted, Record()) == 130
    finally:
        os.close(writing)
        os.close(reading)
