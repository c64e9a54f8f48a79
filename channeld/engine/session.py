"""One connection: what is known about it, and everything it is sent.

    state            what is accepted                                    goes to
    NEW              nothing                                             AUTHENTICATING, OPENING, CLOSED
    AUTHENTICATING   an `authenticate` frame, until `auth_timeout`       OPENING, ENDING
    OPENING          nothing: a hook or the broker is being waited for   OPEN, ENDING
    OPEN             every frame                                         ENDING, CLOSED
    ENDING           nothing: a Close frame is on its way                CLOSED

`receive.py` handles what comes from the client, in a subclass. The modules in between use this one; it knows none of them. A session is
also the `Scope` in which templates are rendered.
"""

import enum
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias, cast

from channeld.auth.authenticator import read_claims
from channeld.broker.broker import Topic
from channeld.config.model import Limits
from channeld.engine.budgets import AccountKey
from channeld.engine.in_flight import InFlight
from channeld.engine.limits import REFUSED, Flood, take
from channeld.engine.ports import Event, Held, Peer, Surroundings
from channeld.hooks import Request
from channeld.hub.rooms import InRooms
from channeld.later import start
from channeld.plan.plan import ChannelPlan, Match
from channeld.protocol.codes import CloseCode, ErrorCode
from channeld.protocol.frames import BadFrame, Frame, Json, encode
from channeld.schema.violations import Violation
from channeld.telemetry import log
from channeld.timers import Timer

# Not counted against a client: the server's own errors, and those that have their own limit.
UNCOUNTED = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL_ERROR})


class State(enum.Enum):
    """Where a session is in its life."""

    NEW = enum.auto()
    AUTHENTICATING = enum.auto()
    OPENING = enum.auto()
    OPEN = enum.auto()
    ENDING = enum.auto()
    CLOSED = enum.auto()


class Origin(enum.Enum):
    """Why a connection is in a room that `rooms.join` does not give it."""

    SUBSCRIBED = enum.auto()
    PUT = enum.auto()


class HeldStates:
    """Presence states that a connection has set and that have not been published yet, by topic, and their rate (`showing.py`)."""

    __slots__ = ("arrival", "states", "timer")

    def __init__(self) -> None:
        self.arrival = 0.0
        self.states: dict[Topic, Mapping[str, Json] | None] = {}
        self.timer: Timer | None = None


Claims: TypeAlias = Mapping[str, Json]
NO_FIELDS: Final[Mapping[str, object]] = {}

MOST_REFUSALS: Final = 5
"""How many of a connection's error frames are remembered."""


class Aside:
    """State that few sessions need. All others share one empty object instead of 8 bytes for each field.

    Attributes:
        refusals: the last few error frames, as (Unix seconds, code), for operators who look into a client's problems.
        origins: why it is in rooms for a reason other than `rooms.join`.
        away: seconds after which the client was asked to reconnect.
        store: what hooks store for it.
        chores: verbs of sync hooks that wait.
        threads: one entry for each of its hooks that still runs in a worker thread.
        own_arrivals: for a user's connection, arrival times of types with `per: connection`.
        told: deprecated types that the client has been told about.
    """

    __slots__ = (
        "away", "chores", "error_arrival", "flood", "held", "held_state", "origins", "own_arrivals",
        "refusals", "store", "threads", "told",
    )  # fmt: skip

    def __init__(self) -> None:
        self.error_arrival = 0.0
        self.held: Held | None = None
        self.refusals: tuple[tuple[float, str], ...] = ()
        self.origins: dict[str, Origin] | None = None
        self.away: float | None = None
        self.store: dict[str, Any] | None = None
        self.chores: deque[Coroutine[object, object, None]] | None = None
        self.threads: list[None] | None = None
        self.own_arrivals: dict[str, float] | None = None
        self.flood: Flood | None = None
        self.held_state: HeldStates | None = None
        self.told: set[str] | None = None


_NOTHING_ASIDE: Final = Aside()


class Session(InRooms):
    """The engine's view of one connection."""

    __slots__ = (
        "_claims", "_params", "address", "aside", "channel", "connect_called", "connection_id",
        "engine", "expires", "home", "in_flight", "leeway", "message_arrival", "opened_at", "peer",
        "query", "request", "respond", "room", "state", "timer", "transport", "turns",
        "type_arrivals", "under_way", "user_id",
    )  # fmt: skip

    def __init__(self, engine: Surroundings, match: Match, request: Request, peer: Peer) -> None:
        super().__init__()
        self.engine = engine
        self.channel = channel = match.channel
        # Without the names, which `channel` has: a dict would take 184 bytes. A single value is not in a tuple, which would take 48.
        values = tuple([match.params[name] for name in channel.param_names])
        self._params: Json | tuple[Json, ...] = values[0] if len(values) == 1 else values
        self.query = _query_of(channel, request)
        self.peer = peer
        self.request: Request | None = request
        self.address = request.address
        self.transport = request.transport
        self.respond: Callable[[bytes], None] | None = None
        self.in_flight: InFlight | None = None
        # Set once the frame that is being handled, and had to wait, is done.
        self.under_way: Event | None = None
        # The current change of its rooms, and those that wait for it.
        self.turns: list[Event] | None = None
        self.connection_id = engine.runtime.random_id()
        self.user_id: str | None = None
        # JSON once the session is open, until they are needed: a dict and its values take at least three times as much memory.
        self._claims: Claims | bytes = NO_CLAIMS
        self.expires: float | None = None
        # The token's leeway. All sessions share this number, which they could not if it were added to `expires`.
        self.leeway: float | None = None
        # `home` is the channel's one `join` room, `room` the room that a frame is being routed to.
        self.home: str | None = None
        self.room: str | None = None
        self.state = State.NEW
        self.timer: Timer | None = None
        self.connect_called = False
        self.message_arrival = 0.0
        # Shared by all connections of a user on the channel (`budgets.py`).
        self.type_arrivals: dict[str, float] | None = None
        self.opened_at = 0.0
        self.aside: Aside = _NOTHING_ASIDE

    def own_aside(self) -> Aside:
        """Its own `aside`, for writing."""
        if self.aside is _NOTHING_ASIDE:
            self.aside = Aside()
        return self.aside

    def on_time(self, now: float) -> None:
        """Called by its timer, which thus needs no bound method (64 bytes)."""

    @property
    def away(self) -> float | None:
        """See Aside."""
        return self.aside.away

    def is_in(self, *states: State) -> bool:
        """Whether it is in one of these states. Ask again after every wait."""
        return self.state in states

    @property
    def ends(self) -> float | None:
        """When the session ends because of its token (Unix seconds); None if it does not."""
        expires, leeway = self.expires, self.leeway
        return None if expires is None or leeway is None else expires + leeway

    @property
    def claims(self) -> Claims:
        """Its user's claims."""
        claims = self._claims
        if isinstance(claims, bytes):
            claims = self._claims = cast("Claims", read_claims(claims))
        return claims

    @claims.setter
    def claims(self, claims: Claims) -> None:
        self._claims = claims

    def fold_claims(self, payload: bytes | None) -> None:
        """Keep the claims as the JSON that they were read from, if any, until they are needed again."""
        if payload is not None:
            self._claims = payload

    def may_claim(self, text: str) -> bool:
        """Whether the claims may contain a text; if not, they need not be parsed."""
        claims = self._claims
        if not isinstance(claims, bytes) or b"\\" in claims:
            return True
        return text.encode(errors="surrogatepass") in claims

    @property
    def params(self) -> Mapping[str, Json]:
        """The parameters of its path, in a new dict."""
        names, values = self.channel.param_names, self._params
        if isinstance(values, tuple):
            return dict(zip(names, values, strict=True))
        return {names[0]: values}

    @property
    def limits(self) -> Limits:
        """The channel's limits."""
        return self.channel.limits

    def note_origin(self, room: str, origin: Origin) -> None:
        """Record why it is in a room, if not because of `rooms.join`."""
        aside = self.own_aside()
        aside.origins = aside.origins or {}
        aside.origins[room] = origin

    def rooms_of(self, origin: Origin) -> int:
        """The number of rooms in which it is for this reason."""
        known = self.aside.origins or {}
        return sum(known[room] is origin and room in self.rooms for room in known)

    def forget_origin(self, room: str) -> None:
        """Record that it has left a room. Idempotent."""
        if self.aside.origins is not None:
            self.aside.origins.pop(room, None)

    @property
    def who(self) -> dict[str, object]:
        """The fields of a log line about it."""
        return {
            "connection": self.connection_id,
            "channel": self.channel.name,
            "user": self.user_id,
            "address": self.address,
        }

    @property
    def account(self) -> AccountKey:
        """The account that is charged with what it uses up."""
        return (self.channel.name, self.user_id, "" if self.user_id is not None else self.address)

    # -------------------------------------------------------------------------------------------------- answers

    def send(self, frame: Frame) -> None:
        """Send one frame to this connection."""
        self.peer.send(encode(frame))

    def answer(self, frame: Frame, id: str | int | None, *, by_client: bool = True) -> None:
        """Send the answer to a frame, with its `id` if it has one.

        A frame that was not requested `by_client` only looks like an answer: it does not wait for earlier answers, because frames of the
        room follow it, and a client that sends by POST gets it on its stream.
        """
        if id is not None:
            frame["id"] = id
        if by_client:
            self.give(encode(frame))
        else:
            self.send(frame)

    def give(self, answer: bytes) -> None:
        """Send an answer, as JSON, after the answers to earlier frames."""
        if self.in_flight is None or not self.in_flight.holds(answer):
            (self.respond or self.peer.send)(answer)

    def redirect(self, to: Callable[[bytes], None] | None) -> None:
        """Send answers, as JSON, here instead of to the peer: a client that POSTs gets them in the response."""
        self.respond = to

    def refuse(
        self,
        code: str,
        message: str,
        id: str | int | None = None,
        fields: Mapping[str, object] = NO_FIELDS,
    ) -> None:
        """Send an error frame with these fields, and count it: too many end the connection with 4429.

        A field with the name of one of the frame's own is left out.
        """
        # Messages in flight are answered even if the connection is about to be closed.
        if self.state is State.CLOSED or (self.state is State.ENDING and not self.in_flight):
            return
        frame: Frame = {"type": "error", "code": code, "message": message}
        own = {*frame, "id"}
        self.answer(frame | {key: fields[key] for key in fields if key not in own}, id)
        refusals = self.aside.refusals[1 - MOST_REFUSALS :]
        self.own_aside().refusals = (*refusals, (self.engine.runtime.clock.wall(), code))
        log(
            "message_refused",
            connection=self.connection_id,
            channel=self.channel.name,
            user=self.user_id,
            address=self.address,
            code=code,
        )
        if code in UNCOUNTED:
            return
        now = self.engine.runtime.clock.monotonic()
        arrival = take(self.aside.error_arrival, now, self.channel.limits.errors)
        if arrival == REFUSED:
            self.disconnect(CloseCode.TOO_MANY_ERRORS, "too many errors", reconnect=False)
        else:
            self.own_aside().error_arrival = arrival

    def refuse_text(self, bad: BadFrame) -> None:
        """Send INVALID_JSON, with the `id` if it could be read."""
        self.refuse(ErrorCode.INVALID_JSON, bad.message, bad.id if is_id(bad.id) else None)

    def refuse_message(self, violations: list[Violation], id: str | int | None) -> None:
        """Send INVALID_MESSAGE with its reasons."""
        errors = [{"path": v.path, "message": v.message, "keyword": v.keyword} for v in violations]
        text = f"Not valid: {errors[0]['message']}" if errors else "Not valid"
        self.refuse(ErrorCode.INVALID_MESSAGE, text, id, {"errors": errors})

    def refuse_type(self, id: str | int | None) -> None:
        """Send UNKNOWN_TYPE."""
        self.refuse(ErrorCode.UNKNOWN_TYPE, "This channel has no such message type", id)

    def refuse_id(self) -> None:
        """Send INVALID_MESSAGE for an `id` that cannot be repeated."""
        text = "must be a string of 1 to 64 characters, or an integer"
        self.refuse_message([Violation("/id", text, "type")], None)

    def fail(self, id: str | int | None, ref: str | None = None) -> None:
        """Send INTERNAL_ERROR. Without a `ref` it is a server bug, which is logged here."""
        if ref is None:
            ref = self.engine.runtime.random_id()
            log("internal_error", ref=ref, connection=self.connection_id, exc_info=True)
        text = "Something went wrong on the server"
        self.refuse(ErrorCode.INTERNAL_ERROR, text, id, {"ref": ref})

    def retire(self) -> None:
        """Close because the connection has reached `server.connection_age`; the client reconnects within a second."""
        retry_after = round(self.engine.runtime.random() * 0.999, 3)
        reason = "this connection is old enough"
        self.disconnect(CloseCode.SERVICE_RESTART, reason, reconnect=True, retry_after=retry_after)

    def disconnect(
        self, code: int, reason: str, *, reconnect: bool, retry_after: float | None = None
    ) -> None:
        """Close for a reason of the server's own, after a `disconnect` frame that names it.

        Publications under way are answered first, within a second, unless the client has stopped reading. Before a restart (1012), a frame
        whose hook is running is answered as well.
        """
        if self.state in (State.ENDING, State.CLOSED):
            return
        frame: Frame = {
            "type": "disconnect",
            "code": int(code),
            "reason": reason,
            "reconnect": reconnect,
        }
        if retry_after is not None:
            frame["retry_after"] = self.own_aside().away = retry_after
        is_busy = self.under_way is not None and self.state is State.OPEN
        if is_busy and code == CloseCode.SERVICE_RESTART:
            self.engine.runtime.spawn(self._part(frame, code, reason))
        elif self.in_flight and code != CloseCode.TOO_SLOW:
            # Nothing more is received.
            self.state = State.ENDING
            self.engine.runtime.spawn(self._part(frame, code, reason))
        else:
            self.send(frame)
            self.end(code, reason)

    async def _part(self, frame: Frame, code: int, reason: str) -> None:
        runtime, engine = self.engine.runtime, self.engine
        if self.under_way is not None:
            with suppress(TimeoutError):
                await runtime.within(engine.time_to_finish(self.channel.limits), self._finish)
            if self.state is not State.OPEN:
                return  # it has ended for another reason
            self.state = State.ENDING
        if self.in_flight:
            with suppress(TimeoutError):
                await runtime.within(engine.time_to_part(), self.in_flight.idle)
        if self.state is not State.CLOSED:
            self.send(frame)
            self.end(code, reason)

    async def _finish(self) -> None:
        while self.under_way is not None:
            await self.under_way.wait()
            # Frames that were read together with it are received in the next turns.
            for _ in range(3):
                await self.engine.runtime.give_way()

    def too_slow(self) -> None:
        """Close because too much waits for the client behind a recovery."""
        self.disconnect(CloseCode.TOO_SLOW, "too slow", reconnect=True)

    def end(self, code: int, reason: str = "") -> None:
        """Close the connection. Further messages of the client are ignored."""
        if self.state is not State.CLOSED:
            self.state = State.ENDING
        self.peer.close(int(code), reason)

    # -------------------------------------------------------------------------------------------------- verbs

    def perform(self, verb: Coroutine[object, object, None]) -> None:
        """Run a verb of a sync hook at once as far as possible, or after the verbs that still wait, so that they keep their order.

        Raises:
            Exception: what it raised before it had to wait.
        """
        if self.aside.chores is not None:
            self.aside.chores.append(verb)
        elif (rest := start(verb)) is not None:
            self.own_aside().chores = deque()
            self.engine.runtime.spawn(self._perform_rest(rest))

    async def _perform_rest(self, verb: Awaitable[None]) -> None:
        try:
            await verb
        finally:
            if self.aside.chores:
                self.engine.runtime.spawn(self._perform_rest(self.aside.chores.popleft()))
            else:
                self.own_aside().chores = None

    # ---------------------------------------------------------------------------------------------------- scope

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return int(self.engine.runtime.clock.wall() * 1000)

    def uuid(self) -> str:
        """A new random UUID as text."""
        return self.engine.runtime.uuid()


def _query_of(channel: ChannelPlan, request: Request) -> Mapping[str, Json]:
    if channel.read_query is None:
        return NO_QUERY
    found = channel.read_query(request.query)
    # A handshake with a bad query is refused before a session exists.
    return NO_QUERY if isinstance(found, str) else found


NO_QUERY: Mapping[str, Json] = {}
NO_CLAIMS: Claims = {}


def is_id(id: object) -> bool:
    """Whether it is an `id` that an answer can repeat: a string of 1 to 64 characters, or an integer."""
    if type(id) is str:
        return 1 <= len(id) <= 64
    return type(id) is int
