"""A whole server in this process, and clients that speak plain HTTP to it."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import jwt
import trio

from channeld.app import App
from channeld.plan.load import load_plan
from channeld.server.sockets import bind

SECRET = "s" * 42
CONFIG = """
channeld: 1
server: {allowed_origins: ["https://listed.example"], ping: {interval: 60s, timeout: 60s}}
auth:
  session: {type: jwt, algorithms: [HS256], secret: ssssssssssssssssssssssssssssssssssssssssss}
channels:
  room:
    path: /rooms/{room_id}
    auth: session
    require: {role: member}
    rooms: {join: "{params.room_id}"}
    presence: true
    history: {size: 5, ttl: 1h}
    messages:
      say: {schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 100}}, additionalProperties: false}, route: room}
  lobby:
    path: /lobby
    auth: none
    rooms: {subscribe: {allow: ["*"]}}
    history: {size: 50, ttl: 1h}
    limits: {message_size: 1KiB}
    messages:
      say: {schema: {type: object, required: [room, text], properties: {room: {type: string, maxLength: 100}, text: {type: string, maxLength: 2000}}, additionalProperties: false}, route: {to: room, room: "{message.room}"}}
  sockets:
    path: /sockets
    auth: none
    transports: [websocket]
"""


@attrs.frozen
class Answer:
    """An HTTP answer."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Events:
    """A stream of server-sent events, read event by event."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.data = b""
        self.status = 0
        self.fields: dict[str, str] = {}
        self.ids: list[str] = []

    async def until(self, end: bytes) -> bytes:
        while end not in self.data:
            data = await self.stream.receive_some()
            assert data, f"the end came after {self.data!r}"
            self.data += data
        found, _, self.data = self.data.partition(end)
        return found

    async def event(self) -> dict[str, Any]:
        """The next event's lines: `data` as JSON, the others as they are; comments are passed over."""
        while True:
            lines = (await self.until(b"\n\n")).decode().split("\n")
            parts = (line.partition(":") for line in lines if not line.startswith(":"))
            found: dict[str, Any] = {name: value.removeprefix(" ") for name, _, value in parts}
            if found:
                return {**found, "data": json.loads(found["data"])} if "data" in found else found

    async def frame(self, type: str | None = None) -> dict[str, Any]:
        """The next frame, or the next of a type."""
        while True:
            event = await self.event()
            self.ids += [event["id"]] if "id" in event else []
            if "data" in event and (type is None or event["data"]["type"] == type):
                frame: dict[str, Any] = event["data"]
                return frame

    async def rest(self) -> bytes:
        async for data in self.stream:
            self.data += data
        return self.data


@attrs.define
class Site:
    """A running server."""

    app: App
    port: int

    def token(self, user: str, **claims: Any) -> str:
        payload = {"sub": user, "role": "member", "exp": 4_000_000_000, **claims}
        return jwt.encode(payload, SECRET, algorithm="HS256")

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def ask(
        self, method: str, target: str, body: bytes | None = None, **fields: str
    ) -> Answer:
        fields = {"Connection": "close", **fields}
        async with await self.connect() as stream:
            await stream.send_all(self.head(method, target, body, fields) + (body or b""))
            data = b"".join([part async for part in stream])
        return parsed(data)

    def head(
        self, method: str, target: str, body: bytes | None, fields: Mapping[str, str]
    ) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        lines += [] if body is None else [f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode()

    async def post(self, path: str, secret: str, body: object, **fields: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {"Content_Type": "application/json", "Channeld_Connection": secret, **fields}
        return await self.ask("POST", path, data, **more)

    @asynccontextmanager
    async def events(self, target: str, **fields: str) -> AsyncIterator[Events]:
        async with await self.connect() as stream:
            events = Events(stream)
            fields = {"Accept": "text/event-stream", **fields}
            await stream.send_all(self.head("GET", target, None, fields))
            head = parsed(await events.until(b"\r\n\r\n") + b"\r\n\r\n")
            events.status, events.fields = head.status, dict(head.fields)
            yield events

    @asynccontextmanager
    async def lobby(self, **fields: str) -> AsyncIterator[tuple[Events, str]]:
        """A stream of the lobby, and its secret."""
        async with self.events("/lobby", **fields) as events:
            yield events, (await events.frame("connection"))["id"]


def parsed(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), fields, body)


@asynccontextmanager
async def site(folder: Path, config: str = CONFIG) -> AsyncIterator[Site]:
    """Serve a configuration until the block ends."""
    file = folder / "channels.yaml"
    file.write_text(config)
    app = App(load_plan(str(file)))
    ready = trio.Event()
    app._on_ready = lambda _addresses: ready.set()
    sockets = bind(["127.0.0.1:0"])
    port = sockets[0].getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.run, sockets)
        await ready.wait()
        yield Site(app, port)
        app._is_serving = False  # a second signal, as it were: no drain in a test
        await app.backends.aclose()
        nursery.cancel_scope.cancel()
