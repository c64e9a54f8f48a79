"""A backend on 127.0.0.1 that answers as told, and a poster without any network."""

import importlib.util
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self, TypeAlias

import attrs
import trio

from channeld.config.model import Secret, Webhook
from channeld.webhooks.endpoint import Reply

SECRET = "a secret of at least thirty-two bytes"
Step: TypeAlias = int | str | bytes


def webhook(url: str = "http://127.0.0.1:9", **changes: Any) -> Webhook:
    values: dict[str, Any] = {"url": url, "secret": Secret(text=SECRET), "events": ("joined",)}
    return Webhook(**{**values, **changes})


def event(number: int) -> bytes:
    return b'{"n":%d}' % number


@attrs.frozen
class Told:
    """One request as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def numbers(self) -> list[int]:
        return [one["n"] for one in json.loads(self.body)["events"]]

    @property
    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)["events"]
        return found


class Backend:
    """An HTTP server. Each request takes a step of the script: a status, raw bytes, `cut` or `hang`; then 204."""

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.requests: list[Told] = []
        self.connections = 0
        self.url = ""
        self._came = trio.Condition()

    async def until(self, count: int) -> list[Told]:
        """The requests, once there are that many."""
        async with self._came:
            while len(self.requests) < count:
                await self._came.wait()
        return self.requests

    async def talk(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async with stream:
            while (told := await read_request(stream)) is not None:
                step = self.script.pop(0) if self.script else 204
                async with self._came:
                    self.requests.append(told)
                    self._came.notify_all()
                if step == "cut":
                    return
                if step == "hang":
                    await trio.sleep_forever()
                raw = step if isinstance(step, bytes) else plain(step)
                await stream.send_all(raw)


def plain(status: int | str, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n{headers}\r\n".encode()


async def read_request(stream: trio.SocketStream) -> Told | None:
    got = b""
    while b"\r\n\r\n" not in got:
        try:
            more = await stream.receive_some()
        except trio.BrokenResourceError:
            return None
        if not more:
            return None
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    headers = {
        name.lower(): text.strip() for name, _, text in (one.partition(":") for one in lines)
    }
    while len(body) < int(headers["content-length"]):
        body += await stream.receive_some()
    return Told(headers, body)


@asynccontextmanager
async def backend(*script: Step) -> AsyncIterator[Backend]:
    made = Backend(*script)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        made.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/told"
        nursery.start_soon(trio.serve_listeners, made.talk, listeners)
        yield made
        nursery.cancel_scope.cancel()


class FakePoster:
    """Answers with the script's replies, then with 204; keeps when each request came."""

    def __init__(self, *script: Reply) -> None:
        self.script = list(script)
        self.requests: list[Told] = []
        self.times: list[float] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    async def post(self, headers: Mapping[str, str], body: bytes) -> Reply:
        self.requests.append(Told({name.lower(): text for name, text in headers.items()}, body))
        self.times.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        return self.script.pop(0) if self.script else Reply(status=204)


def receiver() -> ModuleType:
    """The example in examples/."""
    file = Path(__file__).parents[2] / "examples" / "webhook_receiver.py"
    spec = importlib.util.spec_from_file_location("webhook_receiver", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
