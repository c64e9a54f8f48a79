"""One connection's life, from the opened handshake to the last goodbye.

The rules of this file. `open`, `receive` and `closed` run at once as far as they can and return None, or a `Pending`
that the caller awaits in a task before it reads on (decision 1). None of them raises for what a client sends. All state
of a connection is dropped in `closed`, which is called once, whatever ended it.

    state            what is accepted                                    goes to
    NEW              nothing                                             AUTHENTICATING, OPENING, CLOSED
    AUTHENTICATING   an `authenticate` frame, until `auth_timeout`       OPENING, ENDING
    OPENING          nothing: a hook or the broker is being waited for   OPEN, ENDING
    OPEN             every frame                                         ENDING, CLOSED
    ENDING           nothing: a Close frame is on its way                CLOSED

A session is also the `Scope` in which templates are rendered.
"""

from collections import deque
from collections.abc import Awaitable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from channeld.broker.broker import Topic
from channeld.config.model import Limits
from channeld.engine import identity, lifecycle, reserved, routing
from channeld.engine.auth import Grant
from channeld.engine.errors import refuse_for
from channeld.engine.limits import REFUSED, retry_after, take
from channeld.engine.ports import Peer
from channeld.engine.states import State
from channeld.hooks import Request
from channeld.later import Pending, start
from channeld.plan.plan import ChannelPlan, MessagePlan
from channeld.protocol.codes import CloseCode, ErrorCode
from channeld.protocol.frames import RESERVED_CLIENT, BadFrame, Frame, Json, decode, encode
from channeld.protocol.names import is_room_name
from channeld.schema.violations import Violation
from channeld.telemetry import log

if TYPE_CHECKING:
    from channeld.engine.engine import Engine
    from channeld.timers import Timer

__all__ = ["Session"]

# Errors that are the server's own, or that have a limit of their own, are not counted against a client.
UNCOUNTED = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL_ERROR})


class Session:
    """The engine's view of one connection. Made by `Engine.connect`."""

    __slots__ = (
        "__weakref__",
        "address",
        "channel",
        "chores",
        "claims",
        "connect_called",
        "connection_id",
        "ends",
        "engine",
        "error_arrival",
        "expires",
        "home",
        "message_arrival",
        "opened_at",
        "params",
        "peer",
        "request",
        "room",
        "rooms",
        "state",
        "store",
        "timer",
        "type_arrivals",
        "user_id",
    )

    def __init__(
        self,
        engine: "Engine",
        channel: ChannelPlan,
        params: Mapping[str, Json],
        request: Request,
        peer: Peer,
    ) -> None:
        self.engine = engine
        self.channel = channel
        self.params = params
        self.peer = peer
        self.request: Request | None = request
        self.address = request.address
        self.connection_id = engine.runtime.random_id()
        self.user_id: str | None = None
        self.claims: Mapping[str, Any] = NO_CLAIMS
        self.expires: float | None = None
        self.ends: float | None = None
        self.rooms: dict[str, Topic] = {}
        # `home` is the channel's one `join` room; `room` the one that a frame is being routed to.
        self.home: str | None = None
        self.room: str | None = None
        self.state = State.NEW
        self.store: dict[str, Any] | None = None
        self.timer: Timer | None = None
        self.connect_called = False
        self.chores: deque[Coroutine[Any, Any, None]] | None = None
        self.message_arrival = self.error_arrival = 0.0
        self.type_arrivals: dict[str, float] | None = None
        self.opened_at = 0.0

    def is_in(self, *states: State) -> bool:
        """Whether it is in one of these states; it may change over everything that waits."""
        return self.state in states

    @property
    def limits(self) -> Limits:
        """The channel's limits."""
        return self.channel.limits

    # ------------------------------------------------------------------------------------------- from the server

    def open(self, now: float) -> Pending[None] | None:
        """The handshake is done: authenticate, call the connect hook, join the rooms."""
        self.opened_at = now
        self.state = State.OPENING
        return self._start(lifecycle.open_session(self, now))

    def receive(self, text: bytes, now: float) -> Pending[None] | None:
        """Take one text message: `text` is its UTF-8, `now` monotonic seconds."""
        timing = self.engine.timing
        timing.until_next -= 1
        if not timing.until_next:
            return timing.receive(self, text, now)
        if self.state is not State.OPEN:
            return self._receive_early(text, now)
        limits = self.channel.limits
        arrival = take(self.message_arrival, now, limits.messages)
        frame = decode(text, limits.json_depth)
        if isinstance(frame, BadFrame):
            if arrival != REFUSED:
                self.message_arrival = arrival
            self.refuse_text(frame)
            return None
        kind: str = frame.pop("type")
        id = frame.pop("id", None)
        if arrival == REFUSED or (id is not None and not is_id(id)):
            self._turn_away(id, now)
            return None
        self.message_arrival = arrival
        message = self.channel.messages.get(kind)
        if message is None:
            return self._receive_control(kind, frame, id, now)
        return self._receive_message(message, frame, id, now)

    def _turn_away(self, id: Any, now: float) -> None:
        if id is not None and not is_id(id):
            self.refuse_id()
        else:
            wait = retry_after(self.message_arrival, now, self.channel.limits.messages)
            self.refuse(ErrorCode.RATE_LIMITED, "Too many messages", id, retry_after=wait)

    def too_large(self, now: float) -> None:
        """A message is over `limits.message_size`: say so and close."""
        limit = self.channel.limits.message_size
        self.refuse(ErrorCode.TOO_LARGE, f"A message may have {limit} bytes", limit=limit)
        self.end(CloseCode.MESSAGE_TOO_BIG, "message too large")

    def closed(self, code: int, reason: str, now: float) -> Pending[None] | None:
        """The connection has ended. Called once."""
        if self.state is State.CLOSED:
            return None
        self.state = State.CLOSED
        if self.timer is not None:
            self.timer.cancel()
        return self._start(lifecycle.close_session(self, code, reason, now))

    # --------------------------------------------------------------------------------------------------- frames

    def _receive_message(
        self, message: MessagePlan, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | None:
        if message.rate is not None and not self._may_send(message, id, now):
            return None
        try:
            if not message.accepts(frame):
                message.counters.invalid += 1
                self.refuse_message(message.validator.explain(frame), id)
                return None
            if message.hook is None and not message.require and len(message.targets) == 1:
                later = routing.route_one(self, message, message.targets[0], frame)
                if later is None or not hasattr(later, "__await__"):
                    routing.accepted(self, message, id)
                    return None
                return Pending(routing.finish(self, message, later, id))
            return start(routing.deliver_message(self, message, frame, id))
        except Exception as error:  # answered with its error frame
            refuse_for(self, error, id, message.counters)
        return None

    def _may_send(self, message: MessagePlan, id: str | int | None, now: float) -> bool:
        assert message.rate is not None  # noqa: S101 - the caller has looked
        arrivals = self.type_arrivals
        if arrivals is None:
            arrivals = self.type_arrivals = {}
        before = arrivals.get(message.type, 0.0)
        arrival = take(before, now, message.rate)
        if arrival != REFUSED:
            arrivals[message.type] = arrival
            return True
        message.counters.rate_limited += 1
        wait = retry_after(before, now, message.rate)
        text = f"Too many messages of type `{message.type}`"
        self.refuse(ErrorCode.RATE_LIMITED, text, id, retry_after=wait)
        return False

    def _receive_control(
        self, kind: str, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | None:
        if kind not in RESERVED_CLIENT:
            self.refuse(ErrorCode.UNKNOWN_TYPE, "This channel has no such message type", id)
            return None
        if kind == "ping":
            self.answer({"type": "pong"}, id)
            return None
        return self._start(reserved.receive(self, kind, frame, id, now), id)

    def _receive_early(self, text: bytes, now: float) -> Pending[None] | None:
        # Before a client is let in, the only frame it may send is the one that lets it in.
        if self.state is not State.AUTHENTICATING:
            return None
        frame = decode(text, self.channel.limits.json_depth)
        if isinstance(frame, BadFrame):
            self.refuse_text(frame)
            return None
        id = frame.get("id")
        if id is not None and not is_id(id):
            self.refuse_id()
            return None
        if frame["type"] != "authenticate" or type(frame.get("token")) is not str:
            identity.deny(self, "first frame is not authenticate", id)
            return None
        self.state = State.OPENING
        return self._start(lifecycle.authenticate_first(self, frame["token"], id, now), id)

    def _start(self, coroutine: Any, id: str | int | None = None) -> Pending[None] | None:
        rest: Pending[None] | None = start(lifecycle.contained(self, coroutine, id))
        return rest

    # -------------------------------------------------------------------------------------------------- answers

    def send(self, frame: Frame) -> None:
        """Send one frame to this connection."""
        self.peer.send(encode(frame))

    def answer(self, frame: Frame, id: str | int | None) -> None:
        """Send the answer to a frame, with its `id` where it had one."""
        if id is not None:
            frame["id"] = id
        self.peer.send(encode(frame))

    def refuse(
        self, code: str, message: str, id: str | int | None = None, **fields: object
    ) -> None:
        """Send an error frame, and count it: too many end the connection with 4429."""
        if self.state in (State.ENDING, State.CLOSED):
            return
        frame: Frame = {"type": "error", "code": code, "message": message}
        self.answer(frame | {key: fields[key] for key in fields if key not in frame}, id)
        if code in UNCOUNTED:
            return
        now = self.engine.runtime.clock.monotonic()
        arrival = take(self.error_arrival, now, self.channel.limits.errors)
        if arrival == REFUSED:
            self.disconnect(CloseCode.TOO_MANY_ERRORS, "too many errors", reconnect=False)
        else:
            self.error_arrival = arrival

    def refuse_text(self, bad: BadFrame) -> None:
        """Send INVALID_JSON, with the `id` where one could be read."""
        self.refuse(ErrorCode.INVALID_JSON, bad.message, bad.id if is_id(bad.id) else None)

    def refuse_message(self, violations: list[Violation], id: str | int | None) -> None:
        """Send INVALID_MESSAGE with its reasons."""
        errors = [{"path": v.path, "message": v.message, "keyword": v.keyword} for v in violations]
        text = f"Not valid: {errors[0]['message']}" if errors else "Not valid"
        self.refuse(ErrorCode.INVALID_MESSAGE, text, id, errors=errors)

    def refuse_id(self) -> None:
        """Send INVALID_MESSAGE for an `id` that cannot be repeated."""
        text = "must be a string of 1 to 64 characters, or an integer"
        self.refuse_message([Violation("/id", text, "type")], None)

    def fail(self, id: str | int | None, ref: str | None = None) -> None:
        """Send INTERNAL_ERROR. Without a `ref` it is our own bug, and is logged here."""
        if ref is None:
            ref = self.engine.runtime.random_id()
            log("internal_error", ref=ref, connection=self.connection_id, exc_info=True)
        text = "Something went wrong on the server"
        self.refuse(ErrorCode.INTERNAL_ERROR, text, id, ref=ref)

    # -------------------------------------------------------------------------------------------------- verbs

    async def join(self, room: str) -> None:
        """Put this connection into a room, as a hook or the control API may; the client is told by `subscribed`.

        Raises:
            ValueError: it is no name for a room.
        """
        if not is_room_name(room):
            raise ValueError("a room name has 1 to 128 characters, NFC, no control characters")
        if room in self.rooms or self.state is State.CLOSED:
            return
        await reserved.join(self, room, None, asked=True)
        if self.is_in(State.CLOSED):
            # It went while the broker was asked: nobody else would take it out again.
            await reserved.leave(self, room, None)

    def perform(self, verb: Coroutine[Any, Any, None]) -> None:
        """Run a verb of a sync hook at once as far as it goes, or after those that still wait: they keep their order.

        Raises:
            Exception: what it raised before it had to wait.
        """
        if self.chores is not None:
            self.chores.append(verb)
        elif (rest := start(verb)) is not None:
            self.chores = deque()
            self.engine.runtime.spawn(self._perform_rest(rest))

    async def _perform_rest(self, verb: Awaitable[None]) -> None:
        try:
            await verb
        finally:
            if self.chores:
                rest = self._perform_rest(Pending(self.chores.popleft()))
                self.engine.runtime.spawn(rest)
            else:
                self.chores = None

    async def leave(self, room: str, reason: str | None = None) -> None:
        """Take this connection out of a room and tell it so."""
        await reserved.leave(self, room, None, reason)

    def disconnect(
        self, code: int, reason: str, *, reconnect: bool, retry_after: float | None = None
    ) -> None:
        """Close for a reason of the server's own, said in a `disconnect` frame first."""
        if self.state in (State.ENDING, State.CLOSED):
            return
        frame: Frame = {
            "type": "disconnect",
            "code": int(code),
            "reason": reason,
            "reconnect": reconnect,
        }
        if retry_after is not None:
            frame["retry_after"] = retry_after
        self.send(frame)
        self.end(code, reason)

    def end(self, code: int, reason: str = "") -> None:
        """Close the connection; nothing that still comes from the client is read."""
        if self.state is not State.CLOSED:
            self.state = State.ENDING
        self.peer.close(int(code), reason)

    def grant(self, grant: Grant) -> None:
        """Take over who the client is, and when that ends."""
        self.user_id = grant.user.id
        self.claims = grant.user.claims
        self.expires, self.ends = grant.expires, grant.ends
        lifecycle.watch_token(self)

    def on_timer(self, now: float) -> None:
        """The time of this session's one timer has come."""
        lifecycle.on_timer(self, now)

    # ---------------------------------------------------------------------------------------------------- scope

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return int(self.engine.runtime.clock.wall() * 1000)

    def uuid(self) -> str:
        """A new random UUID as text."""
        return self.engine.runtime.uuid()


NO_CLAIMS: Mapping[str, Any] = {}


def is_id(id: object) -> bool:
    """Whether an answer can repeat it: a string of 1 to 64 characters, or an integer."""
    if type(id) is str:
        return 1 <= len(id) <= 64
    return type(id) is int
