"""Clients that send numbered messages, come back after every end, and write down all that they send and see."""

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import attrs
import trio
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketConnection,
    open_websocket_url,
)

from tests.system.kit import token

Frame = dict[str, Any]


@attrs.define(eq=False)
class Diary:
    """One client's history, a line for each thing that happened."""

    file: TextIO

    @classmethod
    def of(cls, folder: Path, name: str) -> "Diary":
        return cls(folder.joinpath(f"{name}.jsonl").open("w", encoding="utf-8"))

    def note(self, event: str, **fields: object) -> None:
        self.file.write(json.dumps({"event": event, "at": trio.current_time(), **fields}) + "\n")


@attrs.define(eq=False)
class Sailor:
    """One user in one room. `position` is the last one that it has seen."""

    name: str
    path: str
    ports: list[int]
    chance: random.Random
    diary: Diary
    position: str = ""
    number: int = 0
    is_calm: bool = False
    socket: WebSocketConnection | None = None
    scope: trio.CancelScope | None = None
    answers: dict[str, Frame] = attrs.field(factory=dict)
    changed: trio.Event = attrs.field(factory=trio.Event)

    def cut(self) -> None:
        """Lose the connection, without a word."""
        if self.scope is not None:
            self.scope.cancel()

    async def sail(self) -> None:
        """Connect again and again, until cancelled."""
        while True:
            with trio.CancelScope() as self.scope:
                try:
                    await self._connection()
                except* (HandshakeError, ConnectionClosed, OSError):
                    self.diary.note("lost")
            self.socket = None
            self.diary.note("away")
            await trio.sleep(self.chance.uniform(0.05, 0.4))

    async def _connection(self) -> None:
        since = self.position
        query = f"token={token(self.name)}" + (f"&since={quote(since)}" if since else "")
        url = f"ws://127.0.0.1:{self.chance.choice(self.ports)}{self.path}?{query}"
        with trio.move_on_after(5) as opening:
            async with open_websocket_url(url, connect_timeout=3, disconnect_timeout=0.2) as socket:
                self.diary.note("open", since=since)
                opening.deadline = float("inf")
                await self._talk(socket)

    async def _talk(self, socket: WebSocketConnection) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, socket)
            nursery.start_soon(self._write, socket)

    async def _read(self, socket: WebSocketConnection) -> None:
        while True:
            self._take(json.loads(await socket.get_message()), socket)

    def _take(self, frame: Frame, socket: WebSocketConnection) -> None:
        kind = frame["type"]
        if kind == "subscribed":
            self.socket = socket
            self.position = frame.get("pos", "")
            self.diary.note("subscribed", pos=self.position, recovered=frame.get("recovered"))
        elif kind == "say":
            self.position = frame["pos"]
            self.diary.note("heard", pos=frame["pos"], who=frame["from"], n=frame["n"])
        elif kind == "ack":
            self.diary.note("acked", n=frame["id"])
        elif kind == "error" and isinstance(frame.get("id"), int):
            self.diary.note("refused", n=frame["id"], code=frame["code"])
        if isinstance(frame.get("id"), str):
            self.answers[frame["id"]] = frame
        self.changed.set()
        self.changed = trio.Event()

    async def _write(self, socket: WebSocketConnection) -> None:
        while True:
            await trio.sleep(self.chance.uniform(0.0, 0.5))
            if self.socket is socket and not self.is_calm:
                self.number += 1
                self.diary.note("sent", n=self.number)
                text = {"type": "say", "id": self.number, "n": self.number}
                await socket.send_message(json.dumps(text))

    async def ask(self, **frame: object) -> Frame:
        """The answer to a frame, asked for until there is one that is not an error."""
        while True:
            self.number += 1
            id = f"q{self.number}"
            if self.socket is not None:
                with suppress(ConnectionClosed):
                    await self.socket.send_message(json.dumps({**frame, "id": id}))
            with trio.move_on_after(2):
                while id not in self.answers:
                    await self.changed.wait()
            answer = self.answers.pop(id, {"type": "error"})
            if answer["type"] != "error":
                return answer
            await trio.sleep(0.1)
