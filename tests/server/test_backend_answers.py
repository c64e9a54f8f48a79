"""What a client gets, and what the log says, for each way in which a backend can answer wrongly: over real sockets."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from channeld.server.backends import FAILURES, BackendPool
from channeld.server.runtime import TrioClock
from channeld.testing import Client, TestApp, running

CONFIG = """\
channeld: 1
backends:
  app: {url: "http://127.0.0.1:PORT/hooks", secret: "a secret of more than thirty-two bytes", timeout: TIMEOUT, concurrency: 2}
  well: {url: "http://127.0.0.1:PORT/well", secret: "a secret of more than thirty-two bytes"}
channels:
  room:
    path: /rooms/{id}
    auth: none
    params: {id: {type: string}}
    rooms: "{params.id}"
    limits: {hook_timeout: HOOK}
    messages:
      say: {schema: {type: object, properties: {text: {type: string}}, additionalProperties: false}, route: room, hook: {backend: app, path: /say}}
      ask: {schema: true, hook: {backend: well, path: /ask}}
"""
OK = b"HTTP/1.1 200 OK\r\n"
Lines = Callable[[], list[dict[str, Any]]]


def said(body: bytes, status: str = "200 OK", fields: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + fields + b"\r\n" + body


@attrs.define
class RawBackend:
    """Answers each request below /hooks with the script's next bytes; `None`: never; then it closes, if told so."""

    script: list[bytes | None] = attrs.field(factory=list)
    closes: bool = False
    requests: int = 0
    connections: int = 0
    port: int = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async with stream:
            with contextlib.suppress(trio.BrokenResourceError):
                while head := await self._read(stream):
                    if head.startswith(b"POST /well"):
                        await stream.send_all(said(b'{"reply": {"well": true}}'))
                        continue
                    self.requests += 1
                    raw = self.script.pop(0) if self.script else said(b"{}")
                    if raw is None:
                        await trio.sleep_forever()
                    else:
                        await stream.send_all(raw)
                    if self.closes:
                        return

    async def _read(self, stream: trio.SocketStream) -> bytes:
        got = b""
        while b"\r\n\r\n" not in got:
            more = await stream.receive_some()
            if not more:
                return b""
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < size:
            body += await stream.receive_some()
        return head


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@asynccontextmanager
async def serving(
    folder: Path, *script: bytes | None, patience: str = "30s", hook: str = "30s"
) -> AsyncIterator[tuple[TestApp, RawBackend]]:
    backend = RawBackend(list(script))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    backend.port = listener.socket.getsockname()[1]
    file = folder / "channels.yaml"
    text = CONFIG.replace("PORT", str(backend.port)).replace("TIMEOUT", patience)
    file.write_text(text.replace("HOOK", hook))
    async with trio.open_nursery() as nursery, running(file) as app:
        nursery.start_soon(trio.serve_listeners, backend.serve, [listener])
        pool = BackendPool(TrioClock(), lambda: "msg_1")
        app.engine.backends = pool
        try:
            yield app, backend
        finally:
            await pool.aclose()
        nursery.cancel_scope.cancel()


async def first(client: Client) -> dict[str, Any]:
    """The next frame, which comes when the backend has answered over its socket."""
    while not client.inbox:
        await trio.testing.wait_all_tasks_blocked(0.001)
    return client.inbox.popleft()


async def refused(client: Client) -> dict[str, Any]:
    await client.send({"type": "say", "id": 1})
    error = await first(client)
    assert error["type"] == "error"
    return error


async def echoed(client: Client) -> dict[str, Any]:
    await client.send({"type": "say", "text": "hi"})
    return await first(client)


DEEP = b'{"reply": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}"
MANY = b'{"publish": [' + b'{"to":"room","room":"a","event":{"type":"x"}},' * 100 + b"5]}"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        # status
        (said(b"{}", "201 Created"), "HTTP 201"),
        (said(b"", "301 Moved", b"location: /hooks/other\r\n"), "HTTP 301"),
        (said(b"", "307 Moved", b"location: http://127.0.0.1:1/\r\n"), "HTTP 307"),
        (said(b"{}", "401 Unauthorized"), "HTTP 401"),
        (said(b"{}", "500 Oh"), "HTTP 500"),
        (said(b"{}", "503 Busy"), "HTTP 503"),
        (said(b"{}", "999 What"), "HTTP 999"),
        # form
        (said(b""), "not JSON"),
        (said(b"<html>"), "not JSON"),
        (said(b"{} {}"), "not JSON"),
        (said(b'{"reply": NaN}'), "not JSON"),
        (said(b"[" * 100_000), "not JSON"),
        (said(b"null"), "not an object"),
        (said(b"[]"), "not an object"),
        (said(b'{"mesage": {}}'), "`mesage`"),
        (said(b'{"message": "hi"}'), "`message`"),
        (said(b'{"message": {"text": 5}, "reply": {}}'), "`message`"),
        (said(b'{"message": {"type": "other"}}'), "`message`"),
        (said(b'{"reply": "hi"}'), "`reply`"),
        (said(DEEP), "`reply`"),
        (said(b'{"user": null}'), "`user`"),
        (said(b'{"reject": "no"}'), "`reject`"),
        (said(b'{"reject": {}}'), "`reject`"),
        (said(b'{"reject": {"message": 5}}'), "`reject`"),
        (said(b'{"reject": {"message": "no", "code": 5}}'), "`reject`"),
        (said(b'{"reject": {"message": "no", "close": "4900"}}'), "`reject`"),
        (said(b'{"reject": {"message": "no", "close": 1006}}'), "`reject`"),
        (said(b'{"publish": "x"}'), "`publish`"),
        (said(MANY), "`publish[100]`"),
        (said(b'{"publish": [{"to": "all", "event": {"type": "x"}}]}'), "`publish[0].to`"),
        (said(b'{"publish": [{"to": "user", "event": {"type": "x"}}]}'), "`publish[0].user`"),
        (said(b'{"publish": [{"to": "global", "event": []}]}'), "`publish[0].event`"),
        (
            said(b'{"publish": [{"to": "user", "user": "", "event": {"type": "x"}}]}'),
            "`publish[0].user`",
        ),
        (
            said(b'{"publish": [{"to": "global", "room": "a", "event": {"type": "x"}}]}'),
            "`publish[0].room`",
        ),
        (
            said(b'{"publish": [{"to": "global", "chanel": "a", "event": {"type": "x"}}]}'),
            "`publish[0].chanel`",
        ),
        (said(b'{"reply": {"n": 18446744073709551616}}'), "64 bits"),
        (said(b'{"message": {"text": "", "n": [-9223372036854775809]}}'), "64 bits"),
        (said(b'{"%b": 1}' % (b"x" * 100_000)), "`xxx"),
        # encoding
        (said(b"\xff\xfe{\x00}\x00"), "not JSON"),
        (said(b'{"reply": {"a": "\xe9"}}'), "not JSON"),
        (said(b'{"reply": {"a": "\\ud800"}}'), "not JSON"),
        (said(b"\x1f\x8b", fields=b"content-encoding: gzip\r\n"), "the encoding gzip"),
        (
            said(b"{}", fields=b"content-encoding: br\r\ncontent-encoding: identity\r\n"),
            "the encoding br",
        ),
        # size, and what is not an answer
        (said(b'"' + b"x" * 1024 * 1024 + b'"'), "larger than 1048576 bytes"),
        (OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n", "cannot be read"),
        (b"SSH-2.0-nonsense\r\n\r\n", "cannot be read"),
    ],
)
async def test_a_wrong_answer_is_that_message_s_failure_alone(
    tmp_path: Path, lines: Lines, raw: bytes, reason: str
) -> None:
    async with serving(tmp_path, raw) as (app, backend):
        ann = await app.connect("/rooms/a")
        lines()
        error = await refused(ann)
        assert (error["code"], error["id"]) == ("INTERNAL_ERROR", 1)
        (line,) = [one for one in lines() if one["event"] == "hook_failed"]
        assert (line["ref"], line["backend"]) == (error["ref"], "app")
        assert reason in line["reason"]
        assert len(line["reason"]) < 400
        # Nothing of it was done, the connection lives, and the backend is asked again.
        assert await echoed(ann) == {"type": "say", "text": "hi"}
        assert backend.requests == 2


async def test_half_a_body_is_a_wrong_answer_and_is_not_asked_for_again(
    tmp_path: Path, lines: Lines
) -> None:
    async with serving(tmp_path, said(b"{}"), OK + b"content-length: 9\r\n\r\n{") as (app, backend):
        ann = await app.connect("/rooms/a")
        await echoed(ann)
        backend.closes = True
        error = await refused(ann)
        assert error["code"] == "INTERNAL_ERROR"
        (line,) = [one for one in lines() if one["event"] == "hook_failed"]
        assert "received 1 bytes, expected 9" in line["reason"]
        assert (backend.requests, backend.connections) == (2, 1)


async def test_a_connection_that_went_stale_is_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path) as (app, backend):
        ann = await app.connect("/rooms/a")
        backend.closes = True
        for _ in range(3):
            await echoed(ann)
        assert (backend.requests, backend.connections) == (3, 3)


async def test_one_that_closes_without_an_answer_leaves_the_outcome_unknown(
    tmp_path: Path, lines: Lines
) -> None:
    async with serving(tmp_path, b"") as (app, backend):
        backend.closes = True
        ann = await app.connect("/rooms/a")
        error = await refused(ann)
        assert (error["code"], error["outcome"]) == ("UNAVAILABLE", "unknown")
        assert error["retry_after"] > 0
        (line,) = [one for one in lines() if one["event"] == "backend_failed"]
        assert (line["backend"], line["path"]) == ("app", "/say")
        assert "without an answer" in line["reason"]


@pytest.mark.parametrize("times", [{"patience": "20ms"}, {"hook": "20ms"}])
async def test_a_late_answer_leaves_the_outcome_unknown(
    tmp_path: Path, lines: Lines, times: dict[str, str]
) -> None:
    async with serving(tmp_path, None, **times) as (app, _):
        ann = await app.connect("/rooms/a")
        error = await refused(ann)
        assert (error["code"], error["outcome"]) == ("UNAVAILABLE", "unknown")
        (line,) = [one for one in lines() if one["event"] == "backend_failed"]
        assert (line["backend"], line["reason"]) == ("app", "did not answer in time")


async def test_one_that_is_away_is_not_asked_and_hurts_no_other(
    tmp_path: Path, lines: Lines
) -> None:
    async with serving(tmp_path, *[b""] * FAILURES) as (app, backend):
        backend.closes = True
        ann = await app.connect("/rooms/a")
        errors = [await refused(ann) for _ in range(FAILURES + 2)]
        assert [error.get("outcome") for error in errors] == ["unknown"] * FAILURES + [None] * 2
        assert backend.requests == FAILURES
        written = [one["event"] for one in lines()]
        assert (written.count("backend_failed"), written.count("backend_away")) == (FAILURES, 1)
        await ann.send({"type": "ask", "id": 2})
        assert (await first(ann))["well"] is True


@pytest.mark.parametrize(
    "raw", [said(b"", "204 No Content"), said(b"{}"), said(b'{"message": null}')]
)
async def test_what_says_nothing_lets_the_message_pass(tmp_path: Path, raw: bytes) -> None:
    async with serving(tmp_path, raw) as (app, _):
        ann = await app.connect("/rooms/a")
        assert await echoed(ann) == {"type": "say", "text": "hi"}
