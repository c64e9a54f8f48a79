"""Reads of a room with a history, as Durable Streams 1.0 has them: metadata, catch-up, long-poll, and a live stream.

The stream is the room of a channel that joins one: its offsets are the positions of frames, its messages the frames as
they are delivered. Reading changes nothing. Sections are those of the Durable Streams protocol.
"""

import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import attrs
import orjson
import trio

from channeld.broker.broker import Page, Position, Topic
from channeld.config.model import History
from channeld.engine.engine import Engine
from channeld.engine.room_reader import RoomReader
from channeld.hub.hub import with_position
from channeld.later import Pending, resolved
from channeld.protocol.codes import CloseCode
from channeld.server.exchange import answer
from channeld.server.transports.call import Call
from channeld.server.transports.transport import Respond
from channeld.server.transports.web import EVENT_HEAD

LONGEST_POLL: Final = 30.0
A_TURN: Final = 8
"""How many of the reads that a frame wakes are answered in one turn of the loop; each costs about 0.1 ms."""
LONGEST_STREAM: Final = 60.0
MOST_BYTES: Final = 1024 * 1024

# Section 10.1: cursors count intervals of this many seconds since 2024-10-09T00:00:00Z.
_INTERVAL: Final = 20
_EPOCH: Final = 1_728_432_000
_JSON: Final = "application/json"


class Refused(Exception):
    """A call that is refused: an HTTP status, a message, and further fields of the problem document."""

    def __init__(self, status: int, detail: str, **more: object) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more


@attrs.frozen(slots=True)
class _Chunk:
    """Frames of the stream from one offset; `next` is the following offset, `is_last` says that nothing follows."""

    frames: Sequence[bytes]
    next: str
    is_last: bool

    def body(self) -> bytes:
        """A JSON array (section 9.1.5)."""
        return b"[" + b",".join(self.frames) + b"]"


class Waits:
    """The reads that wait for new frames; a drain ends their wait, and they are answered."""

    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()
        self._heard: deque[trio.Event] = deque()
        self.are_over = False

    def wake(self, heard: trio.Event, spawn: Callable[[Awaitable[object]], None]) -> None:
        """Wake one that has heard of a frame, in its turn."""
        self._heard.append(heard)
        if len(self._heard) == 1:
            spawn(self._wake_all())

    async def _wake_all(self) -> None:
        while self._heard:
            await trio.lowlevel.checkpoint()
            for _ in range(min(A_TURN, len(self._heard))):
                self._heard.popleft().set()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Wait at most that long."""
        with trio.move_on_after(0 if self.are_over else seconds) as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def end(self) -> None:
        """End all waits, and later ones at once."""
        self.are_over = True
        for scope in self._scopes:
            scope.cancel()


class _Watcher:
    """Hears that something was delivered to the room; what it was is in the history."""

    def __init__(self, wake: Callable[[trio.Event], None]) -> None:
        self._wake = wake
        self.heard = trio.Event()
        self._is_called = False

    def listen(self) -> None:
        """Wait for what comes from now on."""
        self.heard = trio.Event()
        self._is_called = False

    def send(self, frame: bytes) -> None:
        """Take a delivered frame."""
        if not self._is_called:
            self._is_called = True
            self._wake(self.heard)


@attrs.define(eq=False)
class _Stream:
    """One read of one room."""

    engine: Engine
    topic: Topic
    keep: History
    waits: Waits
    call: Call
    has_begun: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """Header lines of its answers."""
        return self.call.agreement.fields

    async def top(self) -> str:
        """The stream's current end."""
        page = await self._since(None)
        return str(page.top)

    async def chunk(self, offset: str) -> _Chunk:
        """The frames after an offset.

        Raises:
            Refused: 400 or 410, because of the offset.
        """
        if offset == "now":
            return _Chunk((), await self.top(), is_last=True)
        if offset == "-1":
            # Consecutive ones, and the newest of each key.
            page = await self._since(None, 2 * self.keep.size)
        else:
            position = Position.parse(offset)
            if position is None:
                raise Refused(400, "The offset does not belong to this stream")
            page = await self._since(position)
            if not page.recovered:
                raise Refused(410, "The offset is older than the oldest stored frame")
        return _bounded(page)

    async def wait(self, offset: str, seconds: float) -> _Chunk:
        """The frames after an offset as soon as there are any; an empty chunk after that many seconds.

        Raises:
            Refused: 400 or 410, of the offset.
        """
        watcher = _Watcher(partial(self.waits.wake, spawn=self.engine.runtime.spawn))
        with trio.CancelScope(shield=True):
            await Pending(self.engine.hub.watch(self.topic, watcher))
        try:
            chunk = await self.chunk(offset)
            with self.waits.within(seconds):
                while not chunk.frames:
                    await watcher.heard.wait()
                    watcher.listen()
                    # `now` is resolved once: whatever arrives later comes after it.
                    chunk = await self.chunk(chunk.next)
        finally:
            self.engine.hub.unwatch(self.topic, watcher)
        return chunk

    def cursor(self) -> str:
        """A cursor from the clock, always greater than the client's own (section 10.1)."""
        now = int(self.engine.runtime.clock.wall() - _EPOCH) // _INTERVAL
        text = self.call.request.query.get("cursor", "")
        had = int(text) if text.isdecimal() and len(text) < 16 else -1
        if had < now:
            return str(now)
        jitter = random.randint(1, 3600)  # noqa: S311 - it spreads, and hides nothing
        return str(had + max(1, jitter // _INTERVAL))

    def entity_tag(self, start: str, chunk: _Chunk) -> str:
        """The ETag of what one offset returns (section 10.1)."""
        return f'"{self.topic.name.encode().hex()[:40]}:{start}:{chunk.next}"'

    async def _since(self, position: Position | None, replay: int = 0) -> Page:
        later = self.engine.hub.broker.since(self.topic, position, self.keep, replay)
        page: Page = await Pending(resolved(later))
        return page


def _bounded(page: Page) -> _Chunk:
    frames: list[bytes] = []
    size, end = 0, str(page.top)
    for kept in page.frames:
        frame = with_position(kept.payload, kept.position)
        if frames and size + len(frame) > MOST_BYTES:
            return _Chunk(frames, end, is_last=False)
        frames.append(frame)
        size, end = size + len(frame), str(kept.position)
    is_last = page.rest is None
    return _Chunk(frames, str(page.top) if is_last else end, is_last=is_last)


async def read(
    engine: Engine, waits: Waits, call: Call, respond: Respond
) -> tuple[int, str, Mapping[str, object] | None] | None:
    """Answer a read.

    Returns:
        None, or why the client may not read: the close code, reason and `error` frame that a connection would get.

    Raises:
        Refused: 400, 404 or 410.
        BrokerUnavailable: no answer was sent.
    """
    channel = call.match.channel
    if channel.history is None or len(channel.join) != 1:
        raise Refused(404, "This channel has no stream: it needs a history and one joined room")
    reader = RoomReader(engine, call.match, call.request)
    try:
        await reader.open()
        if reader.refusal is not None or reader.room is None:
            return reader.refusal or (CloseCode.FORBIDDEN, "forbidden", None)
        topic = Topic("room", channel.name, reader.room)
        keep = engine.hub.kept(topic, channel.history) or channel.history
        stream = _Stream(engine, topic, keep, waits, call)
        with trio.CancelScope() as scope:
            reader.when_refused(scope.cancel)
            if call.agreement.ending is not None:
                call.agreement.ending.then = scope.cancel
            await _answer(stream, respond)
        if scope.cancelled_caught and not stream.has_begun:
            return reader.refusal
    finally:
        with trio.CancelScope(shield=True):
            await reader.close()
    return None


async def _answer(stream: _Stream, respond: Respond) -> None:
    request = stream.call.request
    offset, live = request.query.get("offset", "-1"), request.query.get("live")
    if stream.call.agreement.method == "HEAD":
        line = f"Stream-Next-Offset: {await stream.top()}"
        data = answer(200, b"", _JSON, *stream.lines, line)
        respond(data.replace(b"Content-Length: 0\r\n", b""))
    elif live == "long-poll":
        chunk = await stream.wait(offset, LONGEST_POLL)
        respond(_whole(stream, offset, chunk, "", cursor=stream.cursor()))
    elif live == "sse":
        await _stream_live(stream, offset, respond)
    else:
        chunk = await stream.chunk(offset)
        respond(_whole(stream, offset, chunk, request.headers.get("if-none-match", "")))


def _whole(
    stream: _Stream, offset: str, chunk: _Chunk, known: str, cursor: str | None = None
) -> bytes:
    lines = [*stream.lines, f"Stream-Next-Offset: {chunk.next}"]
    lines += ["Stream-Up-To-Date: true"] if chunk.is_last else []
    lines += [f"Stream-Cursor: {cursor}"] if cursor is not None else []
    if cursor is not None and not chunk.frames:
        return answer(204, b"", "", *lines)
    if offset != "now":
        tag = stream.entity_tag(offset, chunk)
        lines.append(f"ETag: {tag}")
        if tag in known or known.strip() == "*":
            return answer(304, b"", "", *lines)
    return answer(200, chunk.body(), _JSON, *lines)


async def _stream_live(stream: _Stream, offset: str, respond: Respond) -> None:
    # Before the head, so that an invalid offset is an HTTP status.
    chunk = await stream.chunk(offset)
    stream.has_begun = True
    head = (*EVENT_HEAD, *stream.lines)
    respond("\r\n".join((*head, "Connection: close", "", "")).encode("latin-1"))
    end = trio.current_time() + LONGEST_STREAM
    respond(_events(stream, chunk))
    while (left := end - trio.current_time()) > 0 and not stream.waits.are_over:
        chunk = await (stream.wait(chunk.next, left) if chunk.is_last else stream.chunk(chunk.next))
        if chunk.frames:
            respond(_events(stream, chunk))


def _events(stream: _Stream, chunk: _Chunk) -> bytes:
    # No space after the colon, as the protocol's examples and its clients' tests have it.
    data = b"event: data\ndata:" + chunk.body() + b"\n\n" if chunk.frames else b""
    control: dict[str, object] = {"streamNextOffset": chunk.next, "streamCursor": stream.cursor()}
    if chunk.is_last:
        control["upToDate"] = True
    return data + b"event: control\ndata:" + orjson.dumps(control) + b"\n\n"
