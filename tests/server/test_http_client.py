"""One connection to a backend: a request, its answer, and whether it serves again."""

from urllib.parse import urlsplit

import h11
import pytest
import trio

from channeld.server.http_client import AnswerRead, NotPrivate, open_connection
from tests.server.backend_kit import Asked, loopback_backend

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


async def test_a_body_that_is_too_large_is_not_read() -> None:
    async def large(_: Asked) -> tuple[int, bytes]:
        return 200, b"x" * 101

    async with loopback_backend(large) as backend:
        connection = await open_connection(urlsplit(backend.url), None)
        assert await connection.post("/", HEADERS, b"", 100) == AnswerRead(200, None)
        assert not connection.is_reusable
        await connection.aclose()


async def test_an_answer_that_ends_early_is_broken() -> None:
    async def close(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
        await stream.aclose()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, close, [listener])
        port = listener.socket.getsockname()[1]
        connection = await open_connection(urlsplit(f"http://127.0.0.1:{port}"), None)
        with pytest.raises(h11.RemoteProtocolError):
            await connection.post("/", HEADERS, b"", 100)
        await connection.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("found", [["8.8.8.8"], ["127.0.0.1", "8.8.8.8"], []])
async def test_a_name_that_leads_out_is_not_asked(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(_host: str, port: int, **_: object) -> list[object]:
        return [(0, 0, 0, "", (address, port)) for address in found]

    monkeypatch.setattr(trio.socket, "getaddrinfo", resolve)
    with pytest.raises(NotPrivate):
        await open_connection(urlsplit("http://app:8000"), None)
