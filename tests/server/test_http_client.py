"""One connection to a backend: a request, its answer, and whether it serves again."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from channeld.server.http_client import (
    _ASKED,
    AnswerRead,
    HttpConnection,
    NotAnswered,
    NotPrivate,
    _usual_answer,
    open_connection,
)
from tests.server.backend_kit import loopback_backend

HEADERS = [("webhook-id", "1")]


async def test_a_request_and_its_answer_and_another_on_the_same_connection() -> None:
    async with loopback_backend() as backend:
        connection = await open_connection(urlsplit(backend.url))
        for _ in range(2):
            answer = await connection.post("/say", HEADERS, b'{"a":1}', 100)
            assert answer == AnswerRead(200, b"{}")
            assert connection.is_reusable
            assert not connection.is_stale
        await connection.aclose()
    asked = backend.asked[0]
    assert (asked.target, asked.body, backend.connections) == ("/say", b'{"a":1}', 1)
    assert asked.headers["host"] == f"127.0.0.1:{backend.port}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["webhook-id"] == "1"


async def test_a_connection_that_the_backend_closes_serves_once() -> None:
    async with loopback_backend() as backend:
        backend.closes = True
        connection = await open_connection(urlsplit(backend.url))
        assert (await connection.post("/", HEADERS, b"", 100)).status == 200
        assert not connection.is_reusable
        await connection.aclose()


@asynccontextmanager
async def saying(raw: bytes) -> AsyncIterator[HttpConnection]:
    """A connection whose peer reads once, sends these bytes and closes."""

    async def say(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(raw)
        await stream.aclose()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, say, [listener])
        port = listener.socket.getsockname()[1]
        connection = await open_connection(urlsplit(f"http://127.0.0.1:{port}"))
        yield connection
        await connection.aclose()
        nursery.cancel_scope.cancel()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("raw", "status", "problem"),
    [
        (OK + b"content-length: 10\r\n\r\nabc", 0, "received 3 bytes, expected 10"),
        (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nab", 0, "incomplete chunked read"),
        (OK + b"transfer-encoding: chunked\r\n\r\nxyz\r\n", 0, "cannot be read"),
        (OK + b"content-le", 0, "cannot be read"),
        (b"SSH-2.0-nonsense\r\n\r\n", 0, "cannot be read"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", 0, "cannot be read"),
        (OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc", 0, "cannot be read"),
        (OK + b"x: " + b"y" * 70_000 + b"\r\n\r\n", 0, "cannot be read"),
        (OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nab", 200, "encoding gzip"),
        (OK + b"content-encoding: \xe9\r\ncontent-length: 2\r\n\r\nab", 200, "encoding"),
        (OK + b"content-length: 101\r\n\r\n" + b"x" * 101, 200, "larger than 100 bytes"),
        (OK + b"\r\n" + b"x" * 101, 200, "larger than 100 bytes"),
    ],
)
async def test_an_answer_that_cannot_be_read_says_why(
    raw: bytes, status: int, problem: str
) -> None:
    async with saying(raw) as connection:
        answer = await connection.post("/", HEADERS, b"", 100)
    assert (answer.status, answer.body) == (status, None)
    assert problem in answer.problem
    assert not connection.is_reusable


async def test_no_answer_at_all_is_none() -> None:
    async with saying(b"") as connection:
        with pytest.raises(NotAnswered):
            await connection.post("/", HEADERS, b"", 100)


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 2\r\nconnection: close\r\n\r\n{}",
        OK + b"content-encoding: Identity\r\n\r\n{}",
    ],
)
async def test_an_answer_may_end_with_its_connection(raw: bytes) -> None:
    async with saying(raw) as connection:
        assert await connection.post("/", HEADERS, b"", 100) == AnswerRead(200, b"{}")
    assert not connection.is_reusable


async def test_bytes_after_an_answer_are_not_taken_for_the_next_one() -> None:
    other = OK + b"content-length: 2\r\n\r\n[]"
    async with saying(OK + b"content-length: 2\r\n\r\n{}" + other) as connection:
        assert await connection.post("/", HEADERS, b"", 100) == AnswerRead(200, b"{}")
    assert not connection.is_reusable


LINES = (
    "content-length: 2", "Content-Length:  2 ", "content-length: 0", "content-length: 02", "content-length: 2, 2",
    "content-length: +2", "content-length: 99999999999999999999", f"content-length: {'9' * 5000}", "connection: keep-alive",
    "Connection: close", "connection: keep-alive, x", "transfer-encoding: chunked", "transfer-encoding: gzip",
    "content-encoding: gzip", "content-encoding: identity", "upgrade: h2c", "server: it", "x: ", "x : y", " folded", "x: \x00",
    "x: \xe9", "x: \r", "no colon", ": y",
)  # fmt: skip
STATUS_LINES = (
    "HTTP/1.1 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 200 OK", "HTTP/1.1 304 No",
    "HTTP/1.1 100 Go on", "HTTP/1.1 201 Made", "http/1.1 200 OK", "HTTP/1.1 0200 OK",
)  # fmt: skip


@given(
    st.sampled_from(STATUS_LINES),
    st.lists(st.sampled_from(LINES), max_size=4),
    st.sampled_from(["\r\n", "\n"]),
    st.sampled_from([b"", b"{}", b"{", b"{}{}", b"2\r\n{}\r\n0\r\n\r\n"]),
)
def test_what_is_read_without_h11_is_what_h11_makes_of_it(
    status_line: str, lines: list[str], end: str, body: bytes
) -> None:
    raw = end.join([status_line, *lines, "", ""]).encode("latin-1") + body
    usual = _usual_answer(raw, 100)
    if usual is None:
        return
    http = h11.Connection(h11.CLIENT)
    for asked in _ASKED:
        http.send(asked)
    http.receive_data(raw)
    response, read = http.next_event(), b""
    assert isinstance(response, h11.Response)
    while isinstance(event := http.next_event(), h11.Data):
        read += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert (response.status_code, read) == (usual.status, usual.body)
    assert (http.our_state, http.their_state) == (h11.DONE, h11.DONE)
    assert http.trailing_data == (b"", False)


@pytest.mark.parametrize(
    "lines",
    [
        "content-length: 2\r\n",
        "server: uvicorn\r\nContent-Length: 2\r\n",
        "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n",
    ],
)
def test_the_answers_of_frameworks_are_usual(lines: str) -> None:
    raw = OK + lines.encode() + b"\r\n{}"
    assert _usual_answer(raw, 2) == AnswerRead(200, b"{}")
    assert _usual_answer(raw, 1) is None
    assert _usual_answer(b"HTTP/1.1 204 No Content\r\n\r\n", 0) == AnswerRead(204, b"")


async def test_more_than_the_kernel_takes_at_once_is_sent_whole() -> None:
    async with loopback_backend() as backend:
        connection = await open_connection(urlsplit(backend.url))
        body = b"x" * (16 << 20)
        with trio.fail_after(60):
            assert (await connection.post("/", HEADERS, body, 100)).status == 200
        await connection.aclose()
    assert backend.asked[0].body == body


@pytest.mark.parametrize("found", [["8.8.8.8"], ["127.0.0.1", "8.8.8.8"], []])
async def test_a_name_that_leads_out_is_not_asked(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(_host: str, port: int, **_: object) -> list[object]:
        return [(0, 0, 0, "", (address, port)) for address in found]

    monkeypatch.setattr(trio.socket, "getaddrinfo", resolve)
    with pytest.raises(NotPrivate):
        await open_connection(urlsplit("http://app:8000"))
