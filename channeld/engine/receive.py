"""What comes from one client: its handshake, its frames and its end.

The rules of this file. `open`, `receive` and `closed` run at once as far as they can and return None, or a `Pending`
that the caller awaits in a task before it reads on (decision 1). None of them raises for what a client sends. All state
of a connection is dropped in `closed`, which is called once, whatever ended it.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Final

from channeld.engine import authenticate, lifecycle, rates, reserved, routing, steps
from channeld.engine.errors import refuse_for
from channeld.engine.in_flight import MOST, InFlight
from channeld.engine.limits import REFUSED, Flood, retry_after, take
from channeld.engine.ports import Event
from channeld.engine.rooms import settled
from channeld.engine.session import Session, State, is_id
from channeld.later import Continuation, Pending, start, yield_to_task
from channeld.plan.plan import MessagePlan
from channeld.protocol.codes import CloseCode, ErrorCode
from channeld.protocol.frames import BadFrame, Frame, decode, id_of
from channeld.protocol.reserved import RESERVED_CLIENT

ABSENT: Final = object()

# While a client floods, larger messages are no longer parsed, not even for the `id` of the answer.
SMALL: Final = 4096


class Receiver(Session):
    """A complete session: adds the receiving side. Made by `Engine.connect`."""

    __slots__ = ()

    def on_time(self, now: float) -> None:
        """See Session."""
        lifecycle.on_timer(self, now)

    def open(self, now: float) -> Pending[None] | None:
        """Called after the handshake: authenticate, call the connect hook, join the rooms."""
        self.opened_at = now
        self.state = State.OPENING
        return self._start(lifecycle.open_session(self, now))

    def receive(  # noqa: C901, PLR0911 - a way out for each thing that a text may be
        self, text: bytes, now: float
    ) -> Pending[None] | Continuation | None:
        """Handle one text message; `text` is UTF-8, `now` is in monotonic seconds."""
        timing = self.engine.timing
        timing.until_next -= 1
        if not timing.until_next:
            return timing.receive(self.receive, text, now)
        if self.state is not State.OPEN:
            return self._receive_early(text, now)
        if self.turns is not None:
            return self._take_up(self._receive_when_settled(partial(self.receive, text, now)))
        if self.in_flight is not None and len(self.in_flight) >= MOST:
            handle = partial(self.receive, text, now)
            return self._take_up(self._receive_when_idle(self.in_flight, handle))
        limits = self.channel.limits
        arrival = take(self.message_arrival, now, limits.messages)
        if arrival == REFUSED:
            self._turn_away(text, now)
            return None
        self.message_arrival = arrival
        frame = decode(text, limits.json_depth)
        if isinstance(frame, BadFrame):
            self.refuse_text(frame)
            return None
        kind: str = frame.pop("type")
        id = frame.pop("id", ABSENT)
        if id is ABSENT:
            id = None
        elif not is_id(id):
            self.refuse_id()
            return None
        message = self.channel.messages.get(kind)
        if self.in_flight and (message is None or not message.is_plain or message.has_steps):
            handle = partial(self._handle, kind, frame, id, now)
            return self._take_up(self._receive_when_idle(self.in_flight, handle))
        if message is None or message.has_steps:
            return self._handle(kind, frame, id, now)
        return self._receive_message(message, frame, id, now)

    def receive_again(self, text: bytes, now: float) -> Awaitable[None] | None:
        """Repeat a request from before a client's reconnect; a refusal does not count as an error of the client."""
        aside = self.own_aside()
        arrival, aside.error_arrival = aside.error_arrival, 0.0
        pending = self.receive(text, now)
        if pending is not None:
            return Pending(self._restore_errors(pending, arrival))
        self.own_aside().error_arrival = arrival
        return None

    async def _restore_errors(self, pending: Awaitable[None], arrival: float) -> None:
        await pending
        self.own_aside().error_arrival = arrival

    def _handle(
        self, kind: str, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | Continuation | None:
        # Looked up again, because there may have been a reload while the frame waited.
        message = self.channel.messages.get(kind)
        if message is None:
            return self._receive_control(kind, frame, id, now)
        handle = self._take_steps if message.has_steps else self._receive_message
        return handle(message, frame, id, now)

    async def _receive_when_idle(
        self, in_flight: InFlight, handle: Callable[[], Awaitable[None] | None]
    ) -> None:
        await yield_to_task()
        await in_flight.idle()
        await self._go_on(handle)

    async def _receive_when_settled(self, handle: Callable[[], Awaitable[None] | None]) -> None:
        """Handle a frame after a reload has moved the connection to its new rooms."""
        await settled(self)
        await self._go_on(handle)

    async def _go_on(self, handle: Callable[[], Awaitable[None] | None]) -> None:
        pending = handle() if self.state is State.OPEN else None
        if pending is not None:
            await pending

    def _take_up(self, coroutine: Coroutine[object, object, None]) -> Pending[None] | None:
        """Start to handle a frame; it is `under_way` while it waits."""
        rest = start(coroutine)
        if rest is None:
            return None
        self.under_way = self.engine.runtime.make_event()
        return Pending(self._finish_frame(rest, self.under_way))

    async def _finish_frame(self, rest: Pending[None], under_way: Event) -> None:
        try:
            await rest
        finally:
            if self.under_way is under_way:
                self.under_way = None
            under_way.set()

    def settled(self) -> Pending[None] | None:
        """Wait until every message received so far has been answered; None if all have been."""
        return Pending(self.in_flight.idle()) if self.in_flight else None

    def _turn_away(self, text: bytes, now: float) -> None:
        """Refuse a message over `limits.messages`, at less cost than sending it."""
        rate = self.channel.limits.messages
        aside = self.own_aside()
        flood = aside.flood = aside.flood or Flood()
        if flood.grows(now, rate):
            self.disconnect(CloseCode.TOO_MANY_ERRORS, "too many messages", reconnect=False)
            return
        id = None
        if len(text) <= SMALL or flood.size <= rate.burst:
            id = id_of(text)
        wait = retry_after(self.message_arrival, now, rate)
        id = id if is_id(id) else None
        self.refuse(ErrorCode.RATE_LIMITED, "Too many messages", id, {"retry_after": wait})

    def too_large(self, now: float) -> None:
        """Say that a message is over `limits.message_size`, and close."""
        limit = self.channel.limits.message_size
        self.refuse(
            ErrorCode.TOO_LARGE, f"A message may have {limit} bytes", None, {"limit": limit}
        )
        self.end(CloseCode.MESSAGE_TOO_BIG, "message too large")

    def closed(self, code: int, reason: str, now: float) -> Pending[None] | None:
        """Called once, when the connection has ended."""
        if self.state is State.CLOSED:
            return None
        self.state = State.CLOSED
        if self.timer is not None:
            self.timer.cancel()
        return self._start(lifecycle.close_session(self, code, reason, now))

    # --------------------------------------------------------------------------------------------------- frames

    def _receive_message(
        self, message: MessagePlan, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | Continuation | None:
        if message.rate is not None and not rates.may_send(self, message, id, now):
            return None
        try:
            if not message.accepts(frame):
                message.counted(self.transport).invalid += 1
                self.refuse_message(message.validator.explain(frame), id)
                return None
            if message.is_plain:
                later = routing.route_one(self, message, message.targets[0], frame)
                if later is None or not hasattr(later, "__await__"):
                    routing.accepted(self, message, id)
                    return None
                return self._let_fly(message, later, id)
            return self._take_up(routing.deliver_message(self, message, frame, id))
        except Exception as error:  # answered with its error frame
            refuse_for(self, error, id, message.counted(self.transport))
        return None

    def _let_fly(
        self, message: MessagePlan, later: Awaitable[object], id: str | int | None
    ) -> Pending[None] | Continuation | None:
        pending = routing.finish_later(self, message, later, id)
        if self.respond is not None or not isinstance(pending, Continuation):
            return pending
        if self.in_flight is None:
            # Messages of a POST never get here, so answers go to the peer.
            self.in_flight = InFlight(self.peer.send, self.engine.runtime.make_event)
        self.in_flight.add(pending.promise, self.engine.timing.taken_over(pending.finish))
        return None

    def _take_steps(
        self, message: MessagePlan, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | None:
        return self._take_up(steps.take_message(self, message, frame, id, now))

    def _receive_control(
        self, kind: str, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | None:
        if kind not in RESERVED_CLIENT:
            self.refuse_type(id)
            return None
        if kind == "ping":
            self.answer({"type": "pong"}, id)
            return None
        return self._take_up(
            lifecycle.contained(self, reserved.receive(self, kind, frame, id, now), id)
        )

    def _receive_early(self, text: bytes, now: float) -> Pending[None] | None:
        # Until a client is admitted, it may send only the frame that authenticates it.
        if self.state is not State.AUTHENTICATING:
            return None
        frame = decode(text, self.channel.limits.json_depth)
        if isinstance(frame, BadFrame):
            self.refuse_text(frame)
            return None
        id = frame.get("id")
        if "id" in frame and not is_id(id):
            self.refuse_id()
            return None
        if frame["type"] != "authenticate" or type(frame.get("token")) is not str:
            authenticate.deny(self, "first frame is not authenticate", id)
            return None
        self.state = State.OPENING
        return self._start(lifecycle.authenticate_first(self, frame["token"], id, now), id)

    def _start(
        self, coroutine: Coroutine[object, object, None], id: str | int | None = None
    ) -> Pending[None] | None:
        rest: Pending[None] | None = start(lifecycle.contained(self, coroutine, id))
        return rest
