"""One connection to a backend: a request, its answer, and whether it serves again."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import trio

from channeld.server.http_client import (
    AnswerRead,
    HttpConnection,
    NotAnswered,
    NotPrivate,
    open_connection,
)
from tests.server.backend_kit import loopback_backend

HEADERS = [("webhook-id", "1")]


async def test_a_request_and_its_answer_and_another_on_the_same_connection() -> None:
    async with loopback_backend() as backend:
        connection = await open_connection(urlsplit(backend.url), None)
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
        connection = await open_connection(urlsplit(backend.url), None)
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
        connection = await open_connection(urlsplit(f"http://127.0.0.1:{port}"), None)
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


@pytest.mark.parametrize("found", [["8.8.8.8"], ["127.0.0.1", "8.8.8.8"], []])
async def test_a_name_that_leads_out_is_not_asked(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(_host: str, port: int, **_: object) -> list[object]:
        return [(0, 0, 0, "", (address, port)) for address in found]

    monkeypatch.setattr(trio.socket, "getaddrinfo", resolve)
    with pytest.raises(NotPrivate):
        await open_connection(urlsplit("http://app:8000"), None)
