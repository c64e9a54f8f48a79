"""A connection without a socket: what a test sends and receives."""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import trio
import trio.testing

from channeld.engine.receive import Receiver
from channeld.protocol.frames import CheckedJson, Frame
from channeld.testing.virtual import VirtualRuntime

MOST_LISTED: Final = 10
LONGEST_LISTED: Final = 200


class Refused(Exception):
    """The handshake was refused before the upgrade; `status` is the HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class ClaimsRefused(ValueError):
    """The channel's authenticator does not admit the `user` or `claims` that a test gave."""


class NotReceived(AssertionError):
    """Nothing (or nothing of that type) has arrived, and the server is at rest."""


class Host(Protocol):
    """What a client needs from the app that it is connected to."""

    runtime: VirtualRuntime
    on_frame: "Callable[[Client, Frame], None]"
    on_close: "Callable[[Client, int, str], None]"

    async def rest(self) -> None:
        """Wait until nothing can happen any more unless time moves."""


class Client:
    """One in-memory connection. What it receives waits in `inbox`; `closed` is (code, reason) once it has ended."""

    def __init__(self, app: Host, path: str, connect: "Callable[[ClientPeer], Receiver]") -> None:
        self.path = path
        self.inbox: deque[Frame] = deque()
        self.closed: tuple[int, str] | None = None
        self.pos: str | None = None
        self._app = app
        self._waiting: deque[bytes] = deque()
        self._busy = False
        self.session = connect(ClientPeer(self))

    # --------------------------------------------------------------------------------------- for the test

    async def send(self, frame: Mapping[str, CheckedJson]) -> None:
        """Send a frame; as with a real client, it is on its way when this returns."""
        await self.send_raw(json.dumps(frame))

    async def send_raw(self, text: str) -> None:
        """Send any text."""
        self._waiting.append(text.encode())
        self._pump()
        await trio.lowlevel.checkpoint()

    async def receive(self, type: str | None = None) -> Frame:
        """The next frame, or the next one of a type (earlier ones are dropped).

        Raises:
            NotReceived: there is none, and the server is at rest.
        """
        await self._app.rest()
        dropped: list[Frame] = []
        while self.inbox:
            frame = self.inbox.popleft()
            if type is None or frame["type"] == type:
                return frame
            dropped.append(frame)
        what = "frame" if type is None else f"`{type}`"
        others = f", but {_listed(dropped)}" if dropped else ""
        raise NotReceived(f"no {what} came{others}; the connection is {self.closed or 'open'}")

    async def received(self) -> list[Frame]:
        """Everything that has arrived so far."""
        await self._app.rest()
        frames = list(self.inbox)
        self.inbox.clear()
        return frames

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close from the client's side."""
        self._end(code, reason)
        await self._app.rest()

    async def wait_closed(self) -> tuple[int, str]:
        """The code and reason with which the server closed.

        Raises:
            NotReceived: it has not closed the connection.
        """
        await self._app.rest()
        if self.closed is None:
            raise NotReceived("the connection is open")
        return self.closed

    # ------------------------------------------------------------------------------- the engine's `Peer`

    def peer_send(self, frame: bytes) -> None:
        """Keep a frame that the server sent."""
        if self.closed is None:
            value: Frame = json.loads(frame)
            self.pos = value.get("pos", self.pos)
            self.inbox.append(value)
            self._app.on_frame(self, value)

    def peer_close(self, code: int, reason: str = "") -> None:
        """Note that the server closes."""
        self._end(code, reason)

    def start(self, pending: Awaitable[None] | None) -> None:
        """Continue what the session could not finish at once; frames wait meanwhile."""
        if pending is not None:
            self._busy = True
            self._app.runtime.spawn(self._finish(pending))

    async def _finish(self, pending: Awaitable[None]) -> None:
        try:
            await pending
        finally:
            self._busy = False
        self._pump()

    def _pump(self) -> None:
        session = self.session
        while self._waiting and not self._busy and self.closed is None:
            text = self._waiting.popleft()
            now = self._app.runtime.clock.monotonic()
            if len(text) > session.limits.message_size:
                session.too_large(now)
            else:
                self.start(session.receive(text, now))

    def _end(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = (code, reason)
            self._app.on_close(self, code, reason)
            self._app.runtime.spawn(self._say_closed(code, reason))

    async def _say_closed(self, code: int, reason: str) -> None:
        rest = self.session.closed(code, reason, self._app.runtime.clock.monotonic())
        if rest is not None:
            await rest


def _listed(frames: list[Frame]) -> str:
    """Frames in short form, so that a failing test shows what came instead."""
    texts = [json.dumps(frame, ensure_ascii=False) for frame in frames[:MOST_LISTED]]
    short = [text if len(text) <= LONGEST_LISTED else f"{text[:LONGEST_LISTED]}…" for text in texts]
    more = len(frames) - len(short)
    return ", ".join(short) + (f" and {more} more" if more else "")


class ClientPeer:
    """A client as the engine sees it (two objects, so that `Client.close` may mean the client's own)."""

    __slots__ = ("_client",)

    def __init__(self, client: Client) -> None:
        self._client = client

    def send(self, frame: bytes) -> None:
        """Keep a frame that the server sent."""
        self._client.peer_send(frame)

    def ready(self) -> None:
        """None, since a test reads everything at once."""

    def close(self, code: int, reason: str = "") -> None:
        """Note that the server closes."""
        self._client.peer_close(code, reason)
