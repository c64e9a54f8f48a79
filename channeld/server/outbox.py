"""What waits to leave: an outbox for each connection, and the fan-out that joins a room's frames once for all members.

- Everything that is written to a peer, no matter who writes it, goes through its outbox, so order is the order of the calls.
- Nothing is written before the turn ends. Then each connection that has something gets one `send`; members of a room
  with the same frames pending share even the joined buffer (`docs/topics/performance.md`: 0.14 µs a delivery, 2.4 alone).
- Peers speak JSON; its framing is made once a room by the fan-out, for members that are written to directly.
- What another task writes, outside of a turn, wakes `Fanout.run`, which ends a turn of its own.
- A turn writes for `TURN_S`. What is left then, of a room of thousands, is written in turns to come: others are read in between.
- An outbox that holds more than its limit belongs to a slow consumer: the frame that is partly sent is finished, the
  rest is dropped for the last words. Nobody else waits.
"""

import sys
import time
from collections.abc import Callable, Collection
from itertools import islice
from typing import TypeAlias, cast

import trio

from channeld.hub.fanout import Recipient
from channeld.later import Later
from channeld.protocol.websocket import encode_text
from channeld.server.transports.transport import Encode

TURN_S = 0.002
"""Seconds after which a turn reads nothing more, so that costly messages of some hold up the others no longer; and seconds
for which it then writes."""

_SENDS_A_LOOK, _BYTES_A_LOOK = 64, 64 * 1024
"""After this many sends, or about as many bytes, the clock is looked at: a large frame takes the kernel 0.1 ms and more."""

Write: TypeAlias = Callable[[bytes | memoryview], int]
"""Takes bytes without waiting and returns how many; 0 or BlockingIOError for none, another OSError for a lost peer."""


def takes_nothing(_data: bytes | memoryview) -> int:
    """The `Write` of a peer whose driver takes what waits."""
    return 0


# Joining copies: once this much waits in one piece, later frames wait behind it as they are.
_ENOUGH = 64 * 1024


class Outbox:
    """Frames that wait for one peer. `server/connection.py` makes a connection of it.

    One object, not two: a separate one costs 0.1 µs a message and 120 bytes a connection.

    Attributes:
        write: `socket.send`, or whatever does the same.
        direct: the same, where a room's encoded and joined frames may be written past `send`: an open connection that
            takes them as `Fanout.encode` makes them.
        out: what waits, or None exactly when everything has been sent.
        offset: how much of the first piece of `out` has been sent.
        emptied: somebody waits for the peer to take what waits, or None.
        queued: bytes that wait: all of them while `blocked` (the peer takes no more for now), else of this turn, but
            for its first frame.
        limit: bytes that may wait.
        moved: the peer took some of what waited. Never cleared here.
        parting: nothing may be queued any more; `drained` is called when all is sent.
    """

    __slots__ = (
        "blocked",
        "direct",
        "emptied",
        "fanout",
        "limit",
        "moved",
        "offset",
        "out",
        "parting",
        "queued",
        "write",
    )

    def __init__(self, fanout: "Fanout", write: Write) -> None:
        self.fanout = fanout
        self.write = write
        self.direct: Write | None = None
        self.out: list[bytes] | None = None
        self.offset = self.queued = 0
        self.limit = 1 << 20
        self.blocked = self.parting = self.moved = False
        self.emptied: trio.Event | None = None

    def send(self, frame: bytes) -> None:
        """Encode and queue one frame's JSON, behind what a room's batch holds for this peer."""
        if self.fanout.recipients is not None:
            self.fanout.catch_up(self)
        self.queue(self.fanout.encode(frame))

    def relay(self, frame: bytes, encoded: bytes) -> None:
        """Queue a room's frame, given as JSON and as `Fanout.encode` made it: the peer's turn has come."""
        self.queue(encoded)

    def queue(self, data: bytes) -> None:
        """Queue bytes that begin and end at a frame's boundary. Never blocks."""
        out = self.out
        if out is None:
            self.out = [data]
            fanout = self.fanout
            fanout.dirty.append(self)
            if not fanout.in_turn:
                fanout.wake()
        else:
            out.append(data)
            self.queued += len(data)
            if self.queued > self.limit and not self.parting:
                # Many large answers within one turn: the peer may take them, but they do not wait for its end.
                if not self.blocked:
                    self.flush()
                elif self._is_over():
                    self.overflowed()

    def ready(self) -> Later[None]:
        """None while little waits; else what ends when the peer has taken most of it, or is gone.

        Who sends much at once, such as a recovery, waits for it in between: then the peer's pace decides, not the limit.
        """
        if self.queued <= self.limit // 4:
            return None
        if not self.blocked:
            self.flush()
            if self.queued <= self.limit // 4:
                return None
        if self.emptied is None:
            self.emptied = trio.Event()
        return self.emptied.wait()

    def let_go(self) -> None:
        """Nobody need wait for the peer any more."""
        if self.emptied is not None:
            self.emptied.set()
            self.emptied = None

    def flush(self) -> None:
        """Write what waits, as far as the peer takes it."""
        out, offset = self.out, self.offset
        data = out[0] if out is not None and len(out) == 1 else self._first()
        try:
            sent = self.write(memoryview(data)[offset:] if offset else data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.broken()
            return
        self.fanout.bytes_out += sent
        if sent:
            self.moved = True
        self.keep_unsent(data, offset + sent)

    def keep_unsent(self, data: bytes, sent: int) -> None:
        """Of `data`, the first piece or all that waits, `sent` bytes have been sent."""
        out = self.out
        if sent < len(data):
            self._block([data, *out[1:]] if out is not None else [data], sent)
        elif out is not None and len(out) > 1:
            self._block(out[1:], 0)
        else:
            self.out = None
            if self.queued or self.blocked:
                self.offset, self.queued, self.blocked, self.moved = 0, 0, False, True
            if self.parting:
                self.drained()
        if self.emptied is not None and self.queued <= self.limit // 4:
            self.let_go()

    def take(self) -> bytes:
        """All that waits, for a writer that waits itself: it owes `keep_unsent(data, len(data))` afterwards."""
        data = self._first()
        if self.out is not None:
            self._block(self.out, len(data))
        return data

    def cut(self) -> None:
        """Drop what waits, but for the rest of the frame that is partly sent. The last words may follow."""
        if self.out is not None:
            data = self.out[0]
            # The handshake's answer, whatever came behind it, is never cut.
            start = data.find(b"\r\n\r\n") + 4 if data.startswith(b"HTTP/") else 0
            end = self.boundary(data, start, max(start, self.offset))
            self.out = [data[:end]]
            self.queued = end - self.offset
            # The rest of one large frame may be over the limit still; nothing may overflow a second time.
            self.limit = sys.maxsize

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        """Where the frame ends that is partly sent when `offset` bytes of `data` are; frames begin at `start`."""
        return len(data)

    def want_write(self) -> None:
        """Called when the peer takes no more for now."""

    def overflowed(self) -> None:
        """Called when more waits than the limit allows."""

    def broken(self) -> None:
        """Called when the peer is gone."""

    def drained(self) -> None:
        """Called when all is sent and nothing more will be queued."""

    def _first(self) -> bytes:
        """The first piece of what waits, joined with the others while it is small. Keeps it as the first piece."""
        out = self.out
        if out is None:
            return b""
        if len(out) > 1 and len(out[0]) - self.offset < _ENOUGH:
            # Once per flush, for all that waits; a large first piece is left alone until it is sent.
            out[:] = [b"".join(out)]
        return out[0]

    def _block(self, out: list[bytes], sent: int) -> None:
        self.out, self.offset = out, sent
        self.queued = sum(map(len, out)) - sent
        self.blocked = True
        self.want_write()
        if self.queued > self.limit and not self.parting and self._is_over():
            self.overflowed()

    def _is_over(self) -> bool:
        """Whether more waits than may; one piece that is larger by itself is only waited for."""
        first = len(self.out[0]) - self.offset if self.out else 0
        return self.queued - (first if first > self.limit else 0) > self.limit


class Fanout:
    """Keeps `channeld.hub.fanout.Fanout` for the outboxes of one server, and ends the turns in which they are filled.

    A batch is the frames that one turn brings to one room. It ends when another room is published to, when members
    change (`settle`), or with the turn. `ahead` says which members have had how many of its frames: those that were sent
    something else in between, and those that a frame skipped. Of a room that is too large for one turn, those who are still to
    come are a collection of their own (`_is_rest`), which nobody changes.

    Args:
        encode: how the frames of `direct` members are framed: once a frame, however many they are.
        tick: seconds of a clock that measures turns.
    """

    __slots__ = (
        "_ahead",
        "_batch",
        "_encoded",
        "_ends",
        "_is_rest",
        "_poked",
        "_tick",
        "bytes_out",
        "dirty",
        "encode",
        "ended",
        "in_turn",
        "recipients",
    )

    def __init__(
        self, encode: Encode = encode_text, tick: Callable[[], float] = time.perf_counter
    ) -> None:
        self.encode = encode
        self._tick = tick
        self._ends = 0.0
        self.dirty: list[Outbox] = []
        self.ended: list[Callable[[], None]] = []
        self.in_turn = False
        self.bytes_out = 0
        self.recipients: Collection[Recipient] | None = None
        self._batch: list[bytes] = []
        self._encoded: list[bytes] = []
        self._ahead: dict[Recipient, int] = {}
        self._is_rest = False
        self._poked = trio.Event()

    # ---- what the hub asks

    def publish(
        self, recipients: Collection[Recipient], frame: bytes, skip: Recipient | None = None
    ) -> None:
        """Send a frame's JSON to all of them but `skip`. They must be connections of this server."""
        if self.recipients is not recipients:
            self._close_batch()
            self.recipients = recipients
            if not self.in_turn:
                self.wake()
        if skip is not None and skip in recipients:
            self.catch_up(cast("Outbox", skip))
            self._ahead[skip] = len(self._batch) + 1
        self._batch.append(frame)
        self._encoded.append(self.encode(frame))

    def settle(self) -> None:
        """Queue the batch for its recipients; their collection may change afterwards."""
        if not self._is_rest:
            self._close_batch()

    def _close_batch(self) -> None:
        recipients, batch, encoded, ahead = self.recipients, self._batch, self._encoded, self._ahead
        if recipients is None:
            return
        self.recipients, self._batch, self._encoded, self._ahead = None, [], [], {}
        self._is_rest = False
        if not recipients:
            return
        data = encoded[0] if len(encoded) == 1 else b"".join(encoded)
        both = list(zip(batch, encoded, strict=True))
        for recipient in recipients:
            outbox = cast("Outbox", recipient)
            start = ahead.get(recipient, 0) if ahead else 0
            if start or outbox.direct is None:
                for frame, one in both[start:] if start else both:
                    outbox.relay(frame, one)
            elif outbox.out is None and self.in_turn:
                # `queue`, written out: of thousands in a turn each call counts.
                outbox.out = [data]
                self.dirty.append(outbox)
            else:
                outbox.queue(data)

    # ---- what outboxes and connections ask

    def catch_up(self, recipient: Recipient) -> None:
        """Queue the part of the batch that a recipient has not had, before it is sent something else."""
        recipients = self.recipients
        if recipients is not None and recipient in recipients:
            start, end = self._ahead.get(recipient, 0), len(self._batch)
            if start < end:
                self._ahead[recipient] = end
                outbox = cast("Outbox", recipient)
                frames, encoded = self._batch[start:end], self._encoded[start:end]
                for frame, data in zip(frames, encoded, strict=True):
                    outbox.relay(frame, data)

    def when_turn_ends(self, call: Callable[[], None]) -> None:
        """Call `call()` once, when the turn's frames have been written."""
        self.ended.append(call)
        if not self.in_turn:
            self.wake()

    def at_end(self, call: Callable[[], None]) -> None:
        """Call `call()` when the turn's frames have been written; at once where no turn is under way."""
        if self.in_turn:
            self.ended.append(call)
        else:
            call()

    def wake(self) -> None:
        """Something waits, and no turn is under way: `run` ends one."""
        self._poked.set()

    # ---- turns

    def begin(self, seconds: float = TURN_S) -> None:
        """A turn begins, or another part of it, and may read for so long: nothing is written until `end`."""
        self.in_turn = True
        self._ends = self._tick() + seconds

    def is_over(self) -> bool:
        """Whether the turn has taken its time: what is left to read has to wait for the next one."""
        return self._tick() >= self._ends

    def end(self) -> None:
        """Write everything, or for as long as a turn may, and call what waits for that."""
        self.in_turn = True
        try:
            self._write_all()
        finally:
            self.in_turn = False

    async def run(self) -> None:
        """End a turn whenever something was queued outside of one. Returns never."""
        while True:
            await self._poked.wait()
            self._poked = trio.Event()
            self.end()

    def _write_all(self) -> None:
        ends, is_over = self._tick() + TURN_S, False
        while not is_over and (self.recipients is not None or self.dirty or self.ended):
            if self._is_rest:
                # Answers do not wait until a large room has been served.
                is_over = self._flush_some(ends)
            if self.recipients is not None and not is_over:
                is_over = self._write_batch(ends)
            # Some of them in any case.
            is_over = self._flush_some(ends) or is_over
            if self.ended and (is_over or (not self.dirty and self.recipients is None)):
                is_over = self._call_some(ends) or is_over
        if is_over:
            self.wake()

    def _flush_some(self, ends: float) -> bool:
        """Flush outboxes; whether the time was over before the last of them."""
        dirty, self.dirty = self.dirty, []
        sends, written = 0, self.bytes_out
        for number, outbox in enumerate(dirty):
            if sends == _SENDS_A_LOOK or self.bytes_out - written > _BYTES_A_LOOK:
                if self._tick() >= ends:
                    self.dirty[:0] = dirty[number:]
                    return True
                sends, written = 0, self.bytes_out
            if outbox.out is not None and not outbox.blocked:
                outbox.flush()
                sends += 1
        return False

    def _call_some(self, ends: float) -> bool:
        """Call what waits for the turn's end, one in any case; whether the time was over before the last of them."""
        ended, self.ended = self.ended, []
        for number, call in enumerate(ended):
            if number and self._tick() >= ends:
                self.ended[:0] = ended[number:]
                return True
            call()
        return False

    def _write_batch(self, ends: float) -> bool:
        """Write the batch straight to every recipient whose outbox is empty, and queue it for the others.

        Returns:
            Whether the time was over before the last of them; the rest are recipients now.
        """
        batch, encoded, ahead = self._batch, self._encoded, self._ahead
        to_come = iter(cast("Collection[Outbox]", self.recipients))
        data = encoded[0] if len(encoded) == 1 else b"".join(encoded)
        size, written = len(data), 0
        late: dict[Recipient, None] = {}
        rest: dict[Recipient, None] = {}
        left = len(self.recipients or ())
        look = max(1, min(_SENDS_A_LOOK, _BYTES_A_LOOK // size))
        while left > 0 and not rest:
            for recipient in islice(to_come, look):
                direct = recipient.direct
                if direct is None or recipient.out is not None or (ahead and recipient in ahead):
                    late[recipient] = None
                    continue
                try:
                    sent = direct(data)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    recipient.broken()
                    continue
                written += sent
                if sent != size:
                    recipient.keep_unsent(data, sent)
            left -= look
            if left > 0 and self._tick() >= ends:
                rest = dict.fromkeys(to_come)
        self.bytes_out += written
        self.recipients = late
        self._close_batch()
        if rest:
            self.recipients, self._is_rest = rest, True
            self._batch, self._encoded, self._ahead = batch, encoded, ahead
        return bool(rest)
