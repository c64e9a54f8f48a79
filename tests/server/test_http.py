"""HTTP over real sockets: what a client may send, how long it may take, and how it all ends."""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import trio
import trio.testing

from channeld.server.http import HttpLimits, serve_http
from channeld.server.sockets import bind

FAST = HttpLimits(connections=3, head=0.2, idle=0.2, body=0.2, write=0.2, linger=0.5)


class App:
    """Answers with what it was asked, or does as the path says."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.bodies: list[bytes] = []
        self.disconnected = trio.Event()
        self.asked = trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.asked.set()
        await getattr(self, scope["path"].strip("/") or "echo")(receive, send)

    async def echo(self, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.set()
                return
            body += message["body"]
            more = message["more_body"]
        self.bodies.append(body)
        await self.say(send, body or b"empty")

    async def unread(self, _receive: Any, send: Any) -> None:
        await self.say(send, b"no", 413)

    async def fail(self, _receive: Any, _send: Any) -> None:
        raise ZeroDivisionError

    async def fail_late(self, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise ZeroDivisionError

    async def silent(self, _receive: Any, _send: Any) -> None:
        return

    async def stream(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                while True:
                    await send(
                        {"type": "http.response.body", "body": b"x" * 65536, "more_body": True}
                    )

            nursery.start_soon(talk)
            try:
                assert (await receive())["type"] == "http.disconnect"
            finally:
                self.disconnected.set()
            nursery.cancel_scope.cancel()

    async def wait(self, receive: Any, _send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        self.disconnected.set()

    async def say(self, send: Any, body: bytes, status: int = 200) -> None:
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": body})


class Wire:
    """A client of raw bytes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            await self.stream.send_all(part)

    async def is_dropped(self) -> bool:
        """Wait, reading nothing, until the other end is gone."""
        try:
            while True:
                await self.stream.send_all(b"x")
                await trio.sleep(0.01)
        except trio.BrokenResourceError:
            return True

    async def read_all(self) -> bytes:
        data = b""
        with trio.fail_after(60):
            while chunk := await self.stream.receive_some():
                data += chunk
        return data

    async def read_until(self, end: bytes) -> bytes:
        data = b""
        with trio.fail_after(60):
            while end not in data:
                chunk = await self.stream.receive_some()
                assert chunk, data
                data += chunk
        return data


Connect = Callable[[], Awaitable[Wire]]


@asynccontextmanager
async def serving(app: Any, limits: HttpLimits | None = None) -> AsyncIterator[tuple[Connect, int]]:
    (sock,) = bind(["127.0.0.1:0"])
    port = sock.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_http, app, [sock], limits)

        wires: list[Wire] = []

        async def connect() -> Wire:
            wires.append(Wire(await trio.open_tcp_stream("127.0.0.1", port)))
            return wires[-1]

        yield connect, port
        for wire in wires:
            await trio.aclose_forcefully(wire.stream)
        nursery.cancel_scope.cancel()
    assert sock.fileno() == -1


def head(path: str = "/", method: str = "GET", *fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *fields, "", ""]
    return "\r\n".join(lines).encode()


async def test_requests_over_one_connection() -> None:
    app = App()
    async with serving(app) as (_, port):
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            for text in (b"", b"a", b"b" * 300_000):
                response = await http.post("/echo?q=1", content=text)
                assert response.content == (text or b"empty")
                assert response.reason_phrase == "OK"
                assert "date" in response.headers
        assert app.scopes[-1]["query_string"] == b"q=1"
        assert len({scope["client"] for scope in app.scopes}) == 1


async def test_the_path_is_told_as_it_came() -> None:
    app = App()
    async with serving(app) as (connect, _):
        wire = await connect()
        await wire.send(head("/%65cho%2F", "GET", "Connection: close"))
        await wire.read_all()
        assert app.scopes[0]["raw_path"] == b"/%65cho%2F"


async def test_a_unix_socket_has_no_client_address(tmp_path: Any) -> None:
    app = App()
    socks = bind([f"unix:{tmp_path}/x.sock"])
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_http, app, socks)
        transport = httpx2.AsyncHTTPTransport(uds=f"{tmp_path}/x.sock")
        async with httpx2.AsyncClient(transport=transport, timeout=60) as http:
            assert (await http.get("http://x/")).text == "empty"
        nursery.cancel_scope.cancel()
    assert app.scopes[0]["client"] is None


async def test_chunks_continue_and_two_requests_at_once() -> None:
    app = App()
    async with serving(app) as (connect, _):
        wire = await connect()
        await wire.send(head("/", "POST", "Transfer-Encoding: chunked", "Expect: 100-continue"))
        assert b"100" in await wire.read_until(b"\r\n\r\n")
        rest = head("/", "GET", "Connection: close")
        await wire.send(b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n" + rest)
        answer = await wire.read_all()
        assert app.bodies == [b"abcde", b""]
        assert answer.index(b"abcde") < answer.index(b"empty")


async def test_head_has_no_body() -> None:
    async with serving(App()) as (connect, _):
        wire = await connect()
        await wire.send(head("/", "HEAD"), head("/", "GET", "Connection: close"))
        answer = await wire.read_all()
        assert answer.count(b"empty") == 1
        assert answer.count(b"content-length: 5") == 2


async def test_an_old_client_gets_its_answer_and_the_end() -> None:
    async with serving(App()) as (connect, _):
        wire = await connect()
        await wire.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await wire.read_all()).endswith(b"empty")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 20_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
async def test_malformed_requests(request_bytes: bytes, status: int) -> None:
    app = App()
    async with serving(app) as (connect, _):
        wire = await connect()
        await wire.send(request_bytes)
        answer = await wire.read_all()
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        problem = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert problem["status"] == status
        assert app.scopes == []


async def test_an_empty_line_before_a_request_is_ignored() -> None:
    async with serving(App()) as (connect, _):
        wire = await connect()
        await wire.send(b"\r\n" + head("/", "POST", "Content-Length: 1"), b"a")
        await wire.read_until(b"\r\n\r\na")
        # What very old clients send after a body.
        await wire.send(b"\r\n")
        await trio.testing.wait_all_tasks_blocked(0.01)
        await wire.send(head("/", "GET", "Connection: close"))
        assert (await wire.read_all()).endswith(b"empty")


async def test_an_upgrade_is_just_a_request() -> None:
    async with serving(App()) as (connect, _):
        wire = await connect()
        await wire.send(head("/", "GET", "Connection: Upgrade, close", "Upgrade: h2c"))
        assert (await wire.read_all()).endswith(b"empty")


@pytest.mark.parametrize(
    ("request_head", "body"),
    [
        (head("/unread", "POST", "Content-Length: 5"), b"12345"),
        (head("/unread", "GET"), b""),
        (head("/unread", "DELETE"), b""),
    ],
)
async def test_a_small_unread_body_or_none_keeps_the_connection(
    request_head: bytes, body: bytes
) -> None:
    async with serving(App()) as (connect, _):
        wire = await connect()
        await wire.send(request_head, body)
        await wire.read_until(b"no")
        await wire.send(head("/", "GET", "Connection: close"))
        assert (await wire.read_all()).endswith(b"empty")


async def test_a_large_unread_body_ends_it_but_not_before_the_answer_was_read() -> None:
    async with serving(App()) as (_, port), httpx2.AsyncClient(timeout=60) as http:
        response = await http.post(f"http://127.0.0.1:{port}/unread", content=b"x" * 5_000_000)
        assert response.status_code == 413
        assert response.headers["connection"] == "close"


async def test_a_slow_head_is_the_end() -> None:
    async with serving(App(), FAST) as (connect, _):
        wire = await connect()
        await wire.send(b"GET / HT")
        assert await wire.read_all() == b""


async def test_an_idle_connection_is_the_end() -> None:
    async with serving(App(), FAST) as (connect, _):
        wire = await connect()
        await wire.send(head())
        assert (await wire.read_all()).endswith(b"empty")


async def test_a_slow_body_is_told_so() -> None:
    async with serving(App(), FAST) as (connect, _):
        wire = await connect()
        await wire.send(head("/", "POST", "Content-Length: 5"), b"12")
        assert (await wire.read_all()).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_ends_early() -> None:
    app = App()
    async with serving(app) as (connect, _):
        wire = await connect()
        await wire.send(head("/", "POST", "Content-Length: 5"), b"12")
        await wire.stream.aclose()
        with trio.fail_after(60):
            await app.disconnected.wait()


async def test_a_client_that_does_not_read_is_the_end() -> None:
    app = App()
    async with serving(app, FAST) as (connect, _):
        wire = await connect()
        await wire.send(head("/stream"))
        with trio.fail_after(60):
            await app.asked.wait()
            assert await wire.is_dropped()


@pytest.mark.parametrize("path", ["/wait", "/stream"])
async def test_an_application_sees_that_its_client_is_gone(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App()
    async with serving(app) as (connect, _):
        wire = await connect()
        await wire.send(head(path))
        with trio.fail_after(60):
            await app.asked.wait()
            await wire.stream.aclose()
            await app.disconnected.wait()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("path", "status"), [("/fail", b"500"), ("/silent", b"500")])
async def test_an_application_that_does_not_answer(path: str, status: bytes) -> None:
    async with serving(App()) as (connect, _):
        wire = await connect()
        await wire.send(head(path))
        assert (await wire.read_all()).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("path", ["/fail", "/silent"])
async def test_what_goes_wrong_has_no_body_for_head(path: str) -> None:
    async with serving(App()) as (connect, _):
        wire = await connect()
        await wire.send(head(path, "HEAD"))
        answer = await wire.read_all()
        assert answer.startswith(b"HTTP/1.1 500")
        assert answer.endswith(b"\r\n\r\n")


HALF = {
    "a head": b"GET / HTTP/1.1\r\nHost:",
    "a body": head("/", "POST", "Content-Length: 10") + b"half",
    "a chunk": head("/", "POST", "Transfer-Encoding: chunked") + b"a\r\nhalf",
    "an answer that nobody reads": head("/stream"),
}


@pytest.mark.parametrize("kind", HALF)
async def test_half_sent_requests_keep_nobody_out(kind: str) -> None:
    app = App()
    async with serving(app, HttpLimits(connections=4, head=9999, body=9999, write=9999)) as (
        connect,
        _,
    ):
        for _ in range(9):
            wire = await connect()
            app.asked = trio.Event()
            await wire.send(HALF[kind])
            if kind != "a head":
                await app.asked.wait()
            await trio.testing.wait_all_tasks_blocked()
        wire = await connect()
        await wire.send(head("/", "GET", "Connection: close"))
        assert (await wire.read_all()).endswith(b"empty")


async def test_an_application_that_fails_in_the_middle_ends_the_connection() -> None:
    async with serving(App()) as (connect, _):
        wire = await connect()
        await wire.send(head("/fail_late"))
        answer = await wire.read_all()
        assert not answer.endswith(b"0\r\n\r\n")


async def test_one_too_many_takes_the_place_of_who_waits_longest() -> None:
    async with serving(App(), HttpLimits(connections=2)) as (connect, _):
        first, second = await connect(), await connect()
        await second.send(head("/echo", "POST", "Content-Length: 5"), b"1")
        third = await connect()
        assert await first.read_all() == b""
        await third.send(head("/", "GET", "Connection: close"))
        assert (await third.read_all()).endswith(b"empty")
        await second.send(b"2345")
        assert (await second.read_until(b"12345")).startswith(b"HTTP/1.1 200")


async def test_where_nobody_only_waits_one_too_many_is_turned_away() -> None:
    app = App()
    async with serving(app, HttpLimits(connections=1)) as (connect, _):
        first = await connect()
        await first.send(head("/wait"))
        with trio.fail_after(60):
            await app.asked.wait()
        second = await connect()
        assert await second.is_dropped()
        assert len(app.scopes) == 1


async def test_resets_are_nothing_special() -> None:
    async with serving(App()) as (connect, port):
        for _ in range(20):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(head("/wait"))
            sock.close()
        wire = await connect()
        await wire.send(head("/", "GET", "Connection: close"))
        assert (await wire.read_all()).endswith(b"empty")
