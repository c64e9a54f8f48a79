"""Outgoing data: an outbox for each connection, and the fan-out that joins a room's frames once for all members.

- Everything written to a peer goes through its outbox, so frames leave in the order of the calls.
- Nothing is written before the turn ends. Then each connection that has something gets one `send`; members of a room
  with the same frames pending share even the joined buffer (`docs/topics/performance.md`: 0.14 µs a delivery, 2.4 alone).
- Peers speak JSON; its framing is made once a room by the fan-out, for members that are written to directly.
- What another task writes outside of a turn wakes `Fanout.run`, which runs a turn of its own.
- A turn writes for at most `TURN_S`. What is left of a large room is written in later turns; others are read in between.
- An outbox that holds more than its limit belongs to a slow consumer: the partly sent frame is finished, the rest is
  dropped, and the connection is closed. Nobody else waits.
"""

import sys
import time
from collections.abc import Callable, Collection
from itertools import islice
from typing import Final, Protocol, cast

import trio

from channeld.hub.fanout import Recipient
from channeld.later import Later
from channeld.protocol.websocket import encode_text
from channeld.server.transports.transport import Encode

TURN_S = 0.002
"""Seconds after which a turn reads nothing more, so that costly messages do not delay other clients; then it writes for as long."""

_ENDS_S = 0.0005
"""Part of those seconds for callbacks after everything is written: a connection's end costs more than its Close frame."""

_SENDS_A_LOOK, _BYTES_A_LOOK = 64, 64 * 1024
"""Sends, or approximate bytes, after which the clock is checked: a large frame takes the kernel 0.1 ms or more."""


class Sends(Protocol):
    """A socket, or something that takes bytes like one. Outboxes keep it instead of its bound `send`, which takes 80 bytes."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Take bytes without waiting, and return how many.

        Raises:
            BlockingIOError: none, for now.
            OSError: the peer is lost.
        """


class _TakesNothing:
    def send(self, _data: bytes | memoryview, /) -> int:
        return 0


TAKES_NOTHING: Final[Sends] = _TakesNothing()
"""The socket of a peer whose driver writes by itself (`Outbox.take`)."""


# Joining copies, so once this much is in one piece, later frames are kept as they are.
_ENOUGH = 64 * 1024


class Outbox:
    """Frames that wait for one peer; the base of `connection.Connection`.

    A base class rather than a member: a separate object costs 0.1 µs a message and 120 bytes a connection.

    Attributes:
        socket: where what waits is sent to.
        direct: the same, if a room's joined frames may be written directly: an open connection that takes them as
            `Fanout.encode` makes them.
        out: what waits, or None exactly when everything has been sent.
        offset: how much of the first piece of `out` has been sent.
        emptied: set when the peer has caught up, if somebody waits for that, else None.
        queued: bytes that wait: all of them while `blocked` (the peer accepts no more), else those of this turn except its
            first frame.
        limit: bytes that may wait.
        moved: the peer took some of what waited. Cleared elsewhere.
        parting: nothing more may be queued; `drained` is called when all is sent.
    """

    __slots__ = (
        "blocked", "direct", "emptied", "fanout", "limit", "moved", "offset", "out", "parting",
        "queued", "socket",
    )  # fmt: skip

    def __init__(self, fanout: "Fanout", socket: Sends) -> None:
        self.fanout = fanout
        self.socket = socket
        self.direct: Sends | None = None
        self.out: list[bytes] | None = None
        self.offset = self.queued = 0
        self.limit = 1 << 20
        self.blocked = self.parting = self.moved = False
        self.emptied: trio.Event | None = None

    def send(self, frame: bytes) -> None:
        """Encode and queue one frame's JSON, after the room batch that is pending for this peer."""
        if self.fanout.recipients is not None:
            self.fanout.catch_up(self)
        self.queue(self.fanout.encode(frame))

    def relay(self, frame: bytes, encoded: bytes) -> None:
        """Queue a room's frame, given as JSON and as `Fanout.encode` made it."""
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
                # Many large answers within one turn: write them before its end, the peer may accept them.
                if not self.blocked:
                    self.flush()
                elif self._is_over():
                    self.overflowed()

    def ready(self) -> Later[None]:
        """None while little waits; else an awaitable that ends when the peer has taken most of it or is gone.

        Await it between the pieces of a large answer such as a recovery, so that it goes at the peer's pace and not over
        the limit.
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
        """Wake those that wait for the peer."""
        if self.emptied is not None:
            self.emptied.set()
            self.emptied = None

    def flush(self) -> None:
        """Write what waits, as far as the peer accepts it."""
        out, offset = self.out, self.offset
        data = out[0] if out is not None and len(out) == 1 else self._first()
        try:
            sent = self.socket.send(memoryview(data)[offset:] if offset else data)
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
        """Record that `sent` bytes of `data` (the first piece, or all that waits) have been sent."""
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
        """All that waits, for a driver that writes by itself; it must call `keep_unsent(data, len(data))` afterwards."""
        data = self._first()
        if self.out is not None:
            self._block(self.out, len(data))
        return data

    def cut(self) -> None:
        """Drop what waits except for the rest of the partly sent frame. A Close frame may follow."""
        if self.out is not None:
            data = self.out[0]
            # The handshake's answer is never cut.
            start = data.find(b"\r\n\r\n") + 4 if data.startswith(b"HTTP/") else 0
            end = self.boundary(data, start, max(start, self.offset))
            self.out = [data[:end]]
            self.queued = end - self.offset
            # The rest of one large frame may still be over the limit, but must not overflow a second time.
            self.limit = sys.maxsize

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        """Where the frame ends that `offset` falls into; frames begin at `start`."""
        return len(data)

    def want_write(self) -> None:
        """Called when the peer accepts no more for now."""

    def overflowed(self) -> None:
        """Called when more waits than the limit allows."""

    def broken(self) -> None:
        """Called when the peer is gone."""

    def drained(self) -> None:
        """Called when everything is sent and nothing more will be queued."""

    def _first(self) -> bytes:
        """The first piece of what waits, joined with later ones while it is small."""
        out = self.out
        if out is None:
            return b""
        if len(out) > 1 and len(out[0]) - self.offset < _ENOUGH:
            # Once per flush, for everything that waits; a large first piece is not touched until it is sent.
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
        """Whether more waits than is allowed; a single piece that is larger does not count."""
        first = len(self.out[0]) - self.offset if self.out else 0
        return self.queued - (first if first > self.limit else 0) > self.limit


class Fanout:
    """Implements `channeld.hub.fanout.Fanout` for the outboxes of one server, and ends the turns in which they are filled.

    A batch is the frames that one turn brings to one room. It ends when another room is published to, when members
    change (`settle`), or with the turn. `ahead` counts the frames that a member already has, if it was sent something else
    in between or a frame skipped it. If a room is too large for one turn, the remaining members are a copy (`_is_rest`)
    that nobody changes.

    Args:
        encode: frames JSON for `direct` members, once for all of them.
        tick: the clock that measures turns, in seconds.
    """

    __slots__ = (
        "_ahead", "_batch", "_encoded", "_ends", "_is_rest", "_poked", "_tick", "bytes_out",
        "dirty", "encode", "ended", "in_turn", "recipients",
    )  # fmt: skip

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

    # ---- called by the hub

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
        if self.recipients is not None and not self._is_rest:
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
                # `queue`, inlined: with thousands in a turn each call counts.
                outbox.out = [data]
                self.dirty.append(outbox)
            else:
                outbox.queue(data)

    # ---- called by outboxes and connections

    def catch_up(self, recipient: Recipient) -> None:
        """Queue the part of the batch that a recipient does not have yet, before it is sent something else."""
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
        """Call `call()` when the turn's frames have been written; at once if no turn is under way."""
        if self.in_turn:
            self.ended.append(call)
        else:
            call()

    def wake(self) -> None:
        """Have `run` end a turn: something waits and none is under way."""
        self._poked.set()

    # ---- turns

    def begin(self, seconds: float = TURN_S) -> None:
        """Begin a turn, or another part of one, that may read for this long. Nothing is written until `end`."""
        self.in_turn = True
        self._ends = self._tick() + seconds

    def is_over(self) -> bool:
        """Whether the turn's time is up, so that the rest has to wait for the next one."""
        return self._tick() >= self._ends

    def end(self) -> None:
        """Write everything, within the time of a turn, and call what waits for the end."""
        self.in_turn = True
        try:
            self._write_all()
        finally:
            self.in_turn = False

    async def run(self) -> None:
        """End a turn whenever something was queued outside of one. Never returns."""
        while True:
            await self._poked.wait()
            self._poked = trio.Event()
            self.end()

    def _write_all(self) -> None:
        ends, is_over = self._tick() + TURN_S, False
        while not is_over and (self.recipients is not None or self.dirty or self.ended):
            if self._is_rest:
                # Answers must not wait until a large room has been served.
                is_over = self._flush_some(ends)
            if self.recipients is not None and not is_over:
                is_over = self._write_batch(ends)
            # At least some of them.
            is_over = self._flush_some(ends) or is_over
            if self.ended and (is_over or (not self.dirty and self.recipients is None)):
                is_over = self._call_some(min(ends, self._tick() + _ENDS_S)) or is_over
        if is_over:
            self.wake()

    def _flush_some(self, ends: float) -> bool:
        """Flush outboxes; returns whether time ran out before the last of them."""
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
        """Call what waits for the turn's end, at least one; returns whether time ran out before the last of them."""
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
            Whether time ran out before the last of them; the recipients are then the rest.
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
                    sent = direct.send(data)
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
