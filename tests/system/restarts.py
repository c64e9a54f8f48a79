"""Clients that reconnect by the book while a server is replaced by `run --take-over`, again and again.

    python -m tests.system.restarts --clients 200 --restarts 10

prints how long they were away, as `docs/guides/deployment.md` says it. The tests count instead: connections that were refused, and
messages that were acknowledged and did not reach everybody in their room.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import attrs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.broker.conftest import Server, _binary
from tests.ports import free_port
from tests.system.kit import (
    PATIENCE,
    SECRET,
    Served,
    command,
    environment,
    eventually,
    process_of,
    token,
)

CHANNELS = """
channeld: 1
server: {drain: 1s, TLS}
api: {bind: "${API}", keys: ["a-key-of-more-than-32-characters-in-all"]}
broker: {redis: {url: "${REDIS_URL}"}}
auth:
  who: {type: jwt, algorithms: [HS256], secret: "${SECRET}", audience: chat}
channels:
  room:
    path: /rooms/{room}
    auth: who
    rooms: "{params.room}"
    history: {size: 20000, ttl: 1h}
    messages:
      say: {schema: true, route: room}
"""
IN_A_ROOM = 10
PAUSE = 0.1
"""Seconds at most that a client adds to the time it was told; and between its messages, where there are at most 20 of them."""

Open = Callable[[str], Awaitable[ClientConnection]]


@attrs.define(eq=False)
class Crowd:
    """What all clients have met: refusals, times away, what was acknowledged in a room and what each has seen of it."""

    open: Open
    pause: float = PAUSE
    is_over: bool = False
    connected: int = 0
    refused: list[str] = attrs.field(factory=list)
    away: list[float] = attrs.field(factory=list)
    acked: Mapping[str, set[str]] = attrs.field(factory=lambda: defaultdict(set))

    count: int = 0
    came: set[str] = attrs.field(factory=set)
    may_begin: asyncio.Event = attrs.field(factory=asyncio.Event)

    def here(self, name: str) -> None:
        """Nobody speaks before all are in their rooms: who comes later is not told what was said."""
        self.came.add(name)
        if len(self.came) == self.count:
            self.may_begin.set()

    async def run(self, count: int) -> None:
        """Until it is over, and everyone has heard all."""
        self.count = count
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(_Client(self, f"u{number}", f"r{number // IN_A_ROOM}").run())


@attrs.define(eq=False)
class _Client:
    crowd: Crowd
    name: str
    room: str
    since: str = ""
    said: int = 0
    seen: set[str] = attrs.field(factory=set)
    lost: float | None = None
    advice: dict[str, Any] = attrs.field(factory=dict)
    may_speak: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def is_done(self) -> bool:
        """Whether it is over, and this one has heard everything that was acknowledged in its room."""
        return self.crowd.is_over and self.crowd.acked[self.room] <= self.seen

    async def run(self) -> None:
        while not self.is_done:
            query = f"&since={self.since}" if self.since else ""
            try:
                socket = await self.crowd.open(
                    f"/rooms/{self.room}?token={token(self.name)}{query}"
                )
            except (OSError, InvalidHandshake) as error:
                self.crowd.refused.append(f"{self.name}: {error!r}")
                await asyncio.sleep(PAUSE)
                continue
            if self.lost is not None:
                self.crowd.away.append(time.monotonic() - self.lost)
            await self._live(socket)
            self.lost = time.monotonic()
            if not self.crowd.is_over and socket.close_code != 1012:
                self.crowd.refused.append(f"{self.name}: closed with {socket.close_code}")
            await asyncio.sleep(self.advice.get("retry_after", 0) + random.random() * PAUSE)

    async def _live(self, socket: ClientConnection) -> None:
        self.crowd.connected += 1
        self.advice = {}
        self.may_speak.set()
        speaker = asyncio.create_task(self._speak(socket))
        try:
            with contextlib.suppress(ConnectionClosed):
                while not self.is_done:
                    # Now and then it looks whether it is over.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(PAUSE):
                            self._hear(json.loads(await socket.recv()))
        finally:
            speaker.cancel()
            self.crowd.connected -= 1
            await socket.close()

    async def _speak(self, socket: ClientConnection) -> None:
        # What was not acknowledged before the end of a connection is said again, under the same name.
        with contextlib.suppress(ConnectionClosed):
            await self.crowd.may_begin.wait()
            while not self.crowd.is_over:
                await self.may_speak.wait()
                self.may_speak.clear()
                name = f"{self.name}-{self.said}"
                await socket.send(json.dumps({"type": "say", "id": name, "name": name}))
                await asyncio.sleep(self.crowd.pause)

    def _hear(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "say":
            self.since = frame["pos"]
            self.seen.add(frame["name"])
        elif frame["type"] == "ack":
            self.crowd.acked[self.room].add(frame["id"])
            self.said += 1
            self.may_speak.set()
        elif frame["type"] == "subscribed":
            self.crowd.here(self.name)
        elif frame["type"] == "disconnect":
            self.advice = frame
        elif frame["type"] == "error":
            self.crowd.refused.append(f"{self.name}: {frame}")


@attrs.define(eq=False)
class Estate:
    """Where servers come and go: an address, a Valkey that outlives them, and who serves at present."""

    folder: Path
    stack: contextlib.ExitStack
    variables: Mapping[str, str]
    options: tuple[str, ...]
    serving: Served | None = None

    def restart(self) -> None:
        """Start the successor, and end who serves when it does."""
        arguments = command("run", "--log-format", "json", "--take-over", *self.options)
        environ = environment(**self.variables)
        successor = self.stack.enter_context(process_of(arguments, self.folder, environ))
        successor.wait_ready()
        if self.serving is not None:
            self.serving.tell(signal.SIGTERM)
            status = self.serving.wait()
            assert status == 0, self.serving.err.text()
        self.serving = successor

    def end(self) -> None:
        assert self.serving is not None
        self.serving.tell(signal.SIGTERM)
        assert self.serving.wait() == 0


@contextlib.contextmanager
def estate(folder: Path, bind: str, api: str, *options: str, tls: str = "") -> Iterator[Estate]:
    """A Valkey, a configuration, with `tls` perhaps, and nobody who serves yet."""
    yaml = CHANNELS.replace(", TLS", f", tls: {{{tls}}}" if tls else "")
    folder.joinpath("channels.yaml").write_text(yaml)
    with tempfile.TemporaryDirectory(prefix="cd-") as place, contextlib.ExitStack() as stack:
        server = Server(_binary("valkey"), Path(place))
        server.start()
        stack.callback(server.kill)
        variables = {"SECRET": SECRET, "REDIS_URL": server.url, "API": api}
        yield Estate(folder, stack, variables, ("--bind", bind, *options))


class Tried:
    """Restarts under a crowd, in a thread of its own: `result` is the crowd afterwards."""

    def __init__(self, place: Estate, open: Open, *, clients: int, restarts: int) -> None:
        self.crowd = Crowd(open, pause=PAUSE * max(1, clients / 20))
        self._place, self._clients, self._restarts = place, clients, restarts

    def run(self) -> Self:
        self._place.restart()
        thread = threading.Thread(
            target=lambda: asyncio.run(self.crowd.run(self._clients)), daemon=True
        )
        thread.start()
        try:
            for _ in range(self._restarts):
                eventually(lambda: self.crowd.connected == self._clients)
                self._place.restart()
            eventually(lambda: self.crowd.connected == self._clients)
        finally:
            self.crowd.is_over = True
            thread.join(PATIENCE)
        assert not thread.is_alive(), "an acknowledged message did not arrive"
        self._place.end()
        return self


def over(address: str) -> Open:
    """Clients of a TCP address."""

    async def opened(path: str) -> ClientConnection:
        return await connect(f"ws://{address}{path}", proxy=None, open_timeout=60)

    return opened


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--restarts", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        address = f"127.0.0.1:{free_port()}"
        with estate(Path(folder), address, f"127.0.0.1:{free_port()}") as place:
            tried = Tried(
                place, over(address), clients=asked.clients, restarts=asked.restarts
            ).run()
    crowd = tried.crowd
    away = sorted(crowd.away)
    print(
        f"{asked.clients} clients, {asked.restarts} restarts: {len(crowd.refused)} refused",
        *crowd.refused[:5],
        sep="\n  ",
    )
    print(
        f"acknowledged {sum(map(len, crowd.acked.values()))} messages, each seen by all of its room"
    )
    for share in (0.5, 0.99, 1.0):
        print(f"away p{share * 100:g}: {away[min(len(away) - 1, int(len(away) * share))]:.2f} s")


if __name__ == "__main__":
    main()
