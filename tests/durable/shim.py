"""Stands between the Durable Streams suite and channeld: a created stream is a room, an append is published by the API.

The suite tests servers that can be written to over the same protocol. channeld's rooms are written to by messages, hooks
and the control API, so PUT, POST and DELETE are answered here, with no more of their rules than the suite's reads need.
Every GET, HEAD and OPTIONS is channeld's own answer: status, header fields and their order of events are passed on as
they are. Only the payload is unwrapped: a frame is `{"type": "item", "value": V}`, where V is the JSON value that was
appended or, for a stream of bytes, its piece in base64.
"""

import base64
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import attrs
import httpx2
import trio

from channeld.server.http import serve_http
from channeld.server.sockets import bind
from tests.ports import free_port
from tests.system.kit import command, environment, process_of

KEY: Final = "a-key-of-the-control-api-with-forty-chars"
CONFIG: Final = """
channeld: 1
server: {allowed_origins: any, limits: {connections_per_address: 10000}}
api: {bind: "127.0.0.1:%d", keys: ["%s"]}
channels:
  streams:
    path: /streams/{name}
    auth: none
    rooms: {join: "{params.name}"}
    history: {size: 10000, ttl: 1h}
    events:
      item: {schema: {type: object, required: [value], properties: {value: true}, additionalProperties: false}}
"""
PIECE: Final = 256 * 1024
"""Bytes of an append that go into one frame; the API takes a megabyte."""
OWN_FIELDS: Final = frozenset({b"content-length", b"connection", b"transfer-encoding", b"date"})


@attrs.define
class Stream:
    """A stream that was created: its room, and what it holds."""

    room: str
    kind: str

    @property
    def is_json(self) -> bool:
        return self.kind.partition(";")[0].strip().lower() == "application/json"

    @property
    def is_text(self) -> bool:
        return self.is_json or self.kind.lower().startswith("text/")

    def values(self, body: bytes) -> list[Any] | None:
        """What an append adds, one value a frame; None where it is not JSON."""
        if not self.is_json:
            pieces = range(0, len(body), PIECE)
            return [base64.b64encode(body[at : at + PIECE]).decode() for at in pieces]
        try:
            value = json.loads(body)
        except ValueError:
            return None
        return value if isinstance(value, list) else [value]

    def unwrapped(self, body: bytes) -> bytes:
        """The payload of a read, as its writers meant it."""
        if self.is_json:
            return json.dumps([frame["value"] for frame in json.loads(body)]).encode()
        return b"".join(base64.b64decode(frame["value"]) for frame in json.loads(body))


@attrs.define(eq=False)
class Shim:
    """An ASGI application in front of one server."""

    server: httpx2.AsyncClient
    api: httpx2.AsyncClient
    streams: dict[str, Stream] = attrs.field(factory=dict)
    made: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        method, path = scope["method"], scope["path"]
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        fields = {name.decode(): value.decode() for name, value in scope["headers"]}
        if method in ("PUT", "POST", "DELETE"):
            status, lines = await self.write(method, path, fields, body)
            await _say(send, status, lines)
        else:
            await self.read(scope, fields, send)

    async def write(
        self, method: str, path: str, fields: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str]]:
        """Create, append or delete; the status, and the header fields."""
        stream, kind = self.streams.get(path), fields.get("content-type")
        if method == "PUT":
            status = self._create(path, stream, kind or "application/octet-stream")
            if status == 201 and body:
                await self._append(self.streams[path], body)
            stream = self.streams[path]
        elif stream is None:
            return 404, {}
        elif method == "DELETE":
            del self.streams[path]
            return 204, {}
        elif not body or not kind:
            return 400, {}
        else:
            same = _base(kind) == _base(stream.kind)
            status = await self._append(stream, body) if same else 409
        where = f"http://{fields['host']}{path}"
        head = await self.server.head(f"/streams/{stream.room}")
        lines = {"Stream-Next-Offset": head.headers["Stream-Next-Offset"]}
        return status, {**lines, "Location": where, "Content-Type": stream.kind}

    def _create(self, path: str, stream: Stream | None, kind: str) -> int:
        if stream is not None:
            return 200 if _base(kind) == _base(stream.kind) else 409
        self.made += 1
        self.streams[path] = Stream(f"s{self.made}", kind)
        return 201

    async def _append(self, stream: Stream, body: bytes) -> int:
        values = stream.values(body)
        if not values:
            return 400
        for value in values:
            event = {"type": "item", "value": value}
            publish = {"channel": "streams", "to": "room", "room": stream.room, "event": event}
            (await self.api.post("/v1/publish", json=publish)).raise_for_status()
        return 204

    async def read(self, scope: Any, fields: dict[str, str], send: Any) -> None:
        """channeld's answer, its payload unwrapped."""
        stream, query = self.streams.get(scope["path"]), scope["query_string"].decode("latin-1")
        target = f"/streams/{stream.room}" if stream else "/nothing"
        target = "/streams/any" if scope["method"] == "OPTIONS" else target
        if not {"offset", "live"} & {name for name, _ in parse_qsl(query, True)}:
            # The protocol's GET without an offset; at channeld's own address it is not one of these reads.
            query = "&".join(filter(None, (query, urlencode({"offset": "-1"}))))
        asked = self.server.build_request(scope["method"], f"{target}?{query}")
        asked.headers.update({name: value for name, value in fields.items() if name != "host"})
        answer = await self.server.send(asked, stream=True)
        try:
            lines = [line for line in answer.headers.raw if line[0].lower() not in OWN_FIELDS]
            if stream is None or answer.status_code != 200 or scope["method"] == "HEAD":
                lines = _as_stream(lines, stream) if answer.status_code == 200 else lines
                await _respond(send, answer.status_code, lines, await answer.aread())
            elif answer.headers["content-type"] == "text/event-stream":
                if not stream.is_text:
                    lines.append((b"stream-sse-data-encoding", b"base64"))
                await _pass_on(send, lines, _events(answer, stream))
            else:
                body = stream.unwrapped(await answer.aread())
                await _respond(send, 200, _as_stream(lines, stream), body)
        finally:
            await answer.aclose()


def _base(kind: str) -> str:
    return kind.partition(";")[0].strip().lower()


def _as_stream(
    lines: list[tuple[bytes, bytes]], stream: Stream | None
) -> list[tuple[bytes, bytes]]:
    kind = b"" if stream is None else stream.kind.encode()
    return [(name, kind if name.lower() == b"content-type" else value) for name, value in lines]


async def _events(answer: httpx2.Response, stream: Stream) -> AsyncIterator[bytes]:
    waiting = b""
    async for part in answer.aiter_bytes():
        *whole, waiting = (waiting + part).split(b"\n\n")
        told = b""
        for event in whole:
            head, _, data = event.partition(b"\ndata:")
            if head != b"event: data":
                told += event + b"\n\n"
            else:
                body = stream.unwrapped(data)
                body = body if stream.is_text else base64.b64encode(body)
                text = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                lines = b"".join(b"\ndata:" + line for line in text.split(b"\n"))
                told += head + lines + b"\n\n"
        yield told


async def _say(send: Any, status: int, lines: dict[str, str]) -> None:
    fields = [(name.encode(), value.encode()) for name, value in lines.items()]
    fields += [(b"X-Content-Type-Options", b"nosniff"), (b"Cache-Control", b"no-store")]
    await _respond(send, status, fields, b"")


async def _respond(send: Any, status: int, lines: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = [] if status in (204, 304) else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": lines + length})
    await send({"type": "http.response.body", "body": body})


async def _pass_on(
    send: Any, lines: list[tuple[bytes, bytes]], parts: AsyncIterator[bytes]
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    async for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server, and its base URL."""
    api = free_port()
    folder.joinpath("channels.yaml").write_text(CONFIG % (api, KEY))
    arguments = command("run", "--bind", "127.0.0.1:0", "--log-format", "json")
    with process_of(arguments, folder, environment()) as served:
        served.wait_ready()
        folder.joinpath("api.txt").write_text(f"http://127.0.0.1:{api}")
        yield f"http://{served.address}"


async def beside(base: str, api: str, program: list[str], environ: dict[str, str]) -> int:
    """Run a program against a shim of this server, whose address it finds in CONFORMANCE_TEST_URL; its status."""
    key, patience = {"Authorization": f"Bearer {KEY}"}, httpx2.Timeout(60.0)
    async with (
        httpx2.AsyncClient(base_url=base, timeout=patience) as server,
        httpx2.AsyncClient(base_url=api, headers=key, timeout=patience) as control,
        trio.open_nursery() as nursery,
    ):
        sockets = bind(["127.0.0.1:0"])
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        await nursery.start(serve_http, Shim(server, control), sockets)
        environ = {**environ, "CONFORMANCE_TEST_URL": url}
        done = await trio.run_process(
            program, env=environ, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        nursery.cancel_scope.cancel()
    return done.returncode
