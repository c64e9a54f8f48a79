"""Evaluates handshakes and messages under the shadow configuration, in the order of a real server.

It has an engine of its own with the shadow's plan and an empty hub, and for each connection a session whose peer discards
everything: rates, requirements, rooms and routes are evaluated by the server's own code.

Hooks are never called and are assumed to agree. If only a hook could identify a client, and the serving configuration
cannot, its messages are not evaluated.
"""

from collections.abc import Callable, Mapping
from typing import Final

import attrs

from channeld.auth.authenticator import Denied, Grant, KeySet
from channeld.broker.memory import MemoryBroker
from channeld.engine import rates, rooms, routing
from channeld.engine.authenticate import verify_message_token
from channeld.engine.debts import leave_debt, take_over_debt
from channeld.engine.engine import Engine
from channeld.engine.limits import REFUSED, take
from channeld.engine.renewal import may_subscribe, verify_renewal
from channeld.engine.session import Origin, Session
from channeld.hooks import Request
from channeld.hub.fanout import DirectFanout
from channeld.plan.options.once import FIELD
from channeld.plan.plan import ChannelPlan, Match, MessagePlan, NotInRoom, Plan
from channeld.plan.requires import unmet
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import BadFrame, Frame, decode
from channeld.protocol.names import Topic, room_name
from channeld.schema.violations import Validator
from channeld.server.handshake import judge_channel, judge_offer
from channeld.server.origins import OriginCheck, origin_check

Crowd = Callable[[str], tuple[int, int]]
"""`(address)` → the number of connections, and how many of them come from that address."""

DROPPED: Final = "dropped"
"""The reason for a message that `over: drop` would have discarded silently."""
HELD: Final = "held"
"""The reason for a message that `over: latest` would have held back, so that a newer one could replace it."""


_OVER: Final = {"drop": DROPPED, "latest": HELD}


@attrs.frozen(slots=True)
class Turned:
    """A handshake that would be refused: the error code or HTTP status, and details for the log."""

    reason: str
    why: str = ""


class _Deaf:
    """A peer that discards everything."""

    def send(self, frame: bytes) -> None:
        """Does nothing when sending."""

    def ready(self) -> None:
        """Never waits."""

    def close(self, code: int, reason: str = "") -> None:
        """Does nothing when closing."""


class ShadowSession(Session):
    """The session that a connection would have. `is_stricter`: a limit of its channel differs from that of `compared`.

    `first_room`: the first room that the message goes to, whose rate applies.
    """

    __slots__ = ("compared", "first_room", "is_stricter")

    def __init__(self, engine: Engine, match: Match, request: Request, own: Session) -> None:
        super().__init__(engine, match, request, _Deaf())
        self.connection_id = own.connection_id
        self.opened_at = own.opened_at
        self.compared: ChannelPlan | None = None
        self.first_room: Topic | None = None
        self.is_stricter = True

    def compare(self, channel: ChannelPlan) -> None:
        """Record which limits differ from the serving channel's; called again after a reload."""
        mine, its = self.channel.limits, channel.limits
        self.compared = channel
        self.is_stricter = (
            mine.message_size < its.message_size
            or mine.json_depth < its.json_depth
            or mine.messages != its.messages
        )


class Judge:
    """Evaluates the plan of the shadow configuration, with the runtime and user lookup of the serving engine."""

    def __init__(
        self, plan: Plan, engine: Engine, key_sets: Mapping[str, KeySet], crowd: Crowd
    ) -> None:
        runtime = engine.runtime
        self.plan = plan
        self._crowd = crowd
        self._allows_origin: OriginCheck = origin_check(plan.server.allowed_origins)
        self._engine = Engine(
            plan,
            lambda deliver: MemoryBroker(deliver, runtime.clock, "0" * 11),
            DirectFanout(),
            runtime,
            key_sets,
            find_user=engine.find_user,
        )

    # ---------------------------------------------------------------------------------------------- handshakes

    async def admit(
        self, request: Request, own: Session, token: str | None
    ) -> ShadowSession | Turned | None:
        """Evaluate a client that was accepted, from its handshake, its open session and the token of its `authenticate` frame.

        The result is a shadow session, why there would be none, or None if only a hook could tell.
        """
        match = self._match(request)
        if isinstance(match, Turned):
            return match
        session = ShadowSession(self._engine, match, request, own)
        outcome = await self._identify(session, request, own, token)
        if outcome is not None:
            return outcome if isinstance(outcome, Turned) else None
        refusal = _settle(session)
        if refusal is not None:
            return refusal
        take_over_debt(session)
        session.request = None
        return session

    async def renew(self, session: ShadowSession, own: Session, token: str) -> Turned | None:
        """Why a new token that was accepted would have ended the connection; None if it would not."""
        channel = session.channel
        if _is_same_auth(channel, own.channel) or any(auth.hook for auth in channel.auth):
            session.claims = own.claims
        elif channel.auth:
            found = await verify_renewal(session, token)
            if isinstance(found, Denied):
                reason = found.reason if found.is_final else None
                return None if reason is None else Turned(ErrorCode.UNAUTHORIZED.value, reason)
            if found.user.id != session.user_id:
                return Turned(ErrorCode.UNAUTHORIZED.value, "renewal for another user")
            session.claims = found.user.claims
        return _settle(session)

    def _match(self, request: Request) -> Match | Turned:
        """The channel of a handshake, or its refusal."""
        match = self.plan.match(request.path)
        if match is None:
            return Turned("404", "no channel has this path")
        refusal = judge_offer(match, request.transport) or judge_channel(
            match, request.transport, request.query, request.headers
        )
        if refusal is not None:
            return Turned(str(refusal.status), refusal.detail)
        return self._judge_surroundings(request) or match

    def _judge_surroundings(self, request: Request) -> Turned | None:
        """The page's origin, and how many may come."""
        origin = request.headers.get("origin")
        # Whether the client came over TLS is not in the request; the page's own scheme is what it would be compared with.
        secure = origin is not None and origin.startswith("https:")
        if origin is not None and not self._allows_origin(
            origin, request.headers.get("host", ""), secure
        ):
            return Turned("403", "server.allowed_origins")
        limits = self.plan.limits
        everyone, of_address = self._crowd(request.address)
        if everyone > limits.connections:
            return Turned("503", "limits.connections")
        most = limits.connections_per_address
        if most is not None and of_address > most:
            return Turned("429", "limits.connections_per_address")
        return None

    async def _identify(
        self, session: Session, request: Request, own: Session, token: str | None
    ) -> Turned | bool | None:
        """Give the session its user; True if the user can't be determined."""
        channel = session.channel
        if not channel.auth:
            return None
        if _is_same_auth(channel, own.channel) or any(auth.hook for auth in channel.auth):
            session.user_id, session.claims = own.user_id, own.claims
        else:
            found = await self._engine.find_user(
                self._engine, channel, request, session.connection_id
            )
            if found is None and token is not None:
                found = await verify_message_token(session, token)
            if isinstance(found, Grant):
                session.user_id, session.claims = found.user.id, found.user.claims
            elif found is not None:
                return (
                    Turned(ErrorCode.UNAUTHORIZED.value, found.reason) if found.is_final else True
                )
        if session.user_id is not None or channel.auth_optional:
            return None
        if any(auth.hook for auth in channel.auth):
            return True
        return Turned(ErrorCode.UNAUTHORIZED.value, "no token")

    def leave(self, session: Session, now: float) -> None:
        """End the shadow session of a connection that has ended."""
        leave_debt(session, now)

    # ------------------------------------------------------------------------------------------------ messages

    def refuses(
        self, session: ShadowSession, own: Session, kind: str, frame: Frame, text: bytes, now: float
    ) -> str | None:
        """Why a message of a declared type would be refused; None if it would not be. `text`: what was sent, or empty."""
        if session.compared is not own.channel:
            session.compare(own.channel)
        if session.is_stricter and (reason := _over_limits(session, own, text, now)) is not None:
            return reason
        message = session.channel.messages.get(kind)
        if message is None:
            return ErrorCode.UNKNOWN_TYPE.value
        if message.once is not None:
            frame = _without_key(message, frame)
        if message.rate is not None and (reason := _over_rate(session, message, now)) is not None:
            return reason
        if not message.accepts(frame):
            return ErrorCode.INVALID_MESSAGE.value
        return _refuses_valid(session, own, message, frame, now)

    def refuses_verb(self, session: Session, own: Session, kind: str, frame: Frame) -> str | None:
        """Why a reserved frame would be refused; None if it would not be."""
        channel, room = session.channel, frame.get("room", session.home)
        if kind == "subscribe":
            return _refuses_subscription(session, own, room)
        if kind == "history" and channel.history is None:
            return ErrorCode.FORBIDDEN.value
        if kind == "presence" and channel.presence is None:
            return ErrorCode.FORBIDDEN.value
        if kind == "presence" and channel.presence is not None and "set" in frame:
            return _refuses_state(channel.presence.state, session, frame)
        return None

    def words(self, session: Session, kind: str, frame: Frame, reason: str) -> str:
        """Details of a refusal for the log: path and keyword, never a value."""
        message = session.channel.messages.get(kind)
        if message is None:
            return ""
        if reason == ErrorCode.INVALID_MESSAGE:
            found = message.validator.explain(_without_key(message, frame))
            return "; ".join(f"{one.path or '/'}: {one.keyword}" for one in found[:3])
        claim = unmet(message.require, session, frame) if message.require else None
        return f"require: {claim}" if reason == ErrorCode.FORBIDDEN and claim is not None else ""


def _settle(session: Session) -> Turned | None:
    """Accept a user with known claims, or say why not."""
    claim = unmet(session.channel.require, session)
    if claim is not None:
        return Turned(ErrorCode.FORBIDDEN.value, f"require: {claim}")
    names = rooms.wanted(session)
    if names is None:
        return Turned(ErrorCode.FORBIDDEN.value, "rooms: not a valid name")
    for name in names:
        session.add_room(Topic("room", session.channel.name, name))
    return None


def _is_same_auth(one: ChannelPlan, other: ChannelPlan) -> bool:
    """Whether the authenticators are the same, in the same order, and so give the same result."""
    return [(auth.name, auth.declared) for auth in one.auth] == [
        (auth.name, auth.declared) for auth in other.auth
    ]


def _refuses_valid(
    session: ShadowSession, own: Session, message: MessagePlan, frame: Frame, now: float
) -> str | None:
    """The checks after the schema."""
    if message.require and unmet(message.require, session, frame) is not None:
        return ErrorCode.FORBIDDEN.value
    reason = _routes(session, own, message, frame)
    if reason is None and message.rate_looks_inside:
        return _take(session, message, session.first_room, now)
    return reason


def _routes(session: ShadowSession, own: Session, message: MessagePlan, frame: Frame) -> str | None:
    session.room, session.first_room = session.home, None
    for target in message.targets:
        if not (target.in_room or message.out is not None or target.channel is not None):
            continue
        try:
            topic = target.topic(session, frame)
        except NotInRoom as error:
            if not _enter(session, own, error.room):
                return ErrorCode.FORBIDDEN.value
            topic = target.topic(session, frame)
        if target.in_room and session.first_room is None:
            session.first_room = topic
        if (message.out is not None or target.channel is not None) and message.hook is None:
            try:
                room = topic.name if topic is not None and target.in_room else None
                routing.emitted(session, message, frame, room, target.channel)
            except Exception:  # an error of the serving configuration, not of the shadow's
                return ErrorCode.INTERNAL_ERROR.value
    return None


def _over_limits(session: Session, own: Session, text: bytes, now: float) -> str | None:
    limits = session.channel.limits
    if len(text) > limits.message_size:
        return ErrorCode.TOO_LARGE.value
    arrival = take(session.message_arrival, now, limits.messages)
    if arrival == REFUSED:
        return ErrorCode.RATE_LIMITED.value
    session.message_arrival = arrival
    is_stricter = limits.json_depth < own.channel.limits.json_depth
    if text and is_stricter and isinstance(decode(text, limits.json_depth), BadFrame):
        return ErrorCode.INVALID_JSON.value
    return None


def _without_key(message: MessagePlan, frame: Frame) -> Frame:
    if message.once is None or FIELD not in frame:
        return frame
    return {name: value for name, value in frame.items() if name != FIELD}


def _over_rate(session: Session, message: MessagePlan, now: float) -> str | None:
    # A rate that depends on the room, or that keeps the newest message, counts only messages that pass every other check.
    return None if message.rate_looks_inside else _take(session, message, None, now)


def _take(session: Session, message: MessagePlan, room: Topic | None, now: float) -> str | None:
    if message.rate is None or not rates.take_allowance(session, message, room, now):
        return None
    return _OVER.get(message.rate.over, ErrorCode.RATE_LIMITED.value)


def _enter(session: Session, own: Session, room: str) -> bool:
    """Whether the client would be in a room: put there by a hook or the API, or allowed to subscribe and subscribed."""
    if room in session.rooms:
        return True
    origin = (own.aside.origins or {}).get(room) if room in own.rooms else None
    is_in = origin is Origin.PUT or (origin is Origin.SUBSCRIBED and may_subscribe(session, room))
    if is_in:
        session.add_room(Topic("room", session.channel.name, room))
    return is_in


def _refuses_subscription(session: Session, own: Session, room: object) -> str | None:
    subscribe = session.channel.subscribe
    if (
        not isinstance(room, str)
        or subscribe is None
        or not may_subscribe(session, room_name(room))
    ):
        return ErrorCode.FORBIDDEN.value
    most, max = session.channel.limits.rooms_per_connection, subscribe.max
    subscribed = own.rooms_of(Origin.SUBSCRIBED)
    if room not in session.rooms and (
        len(own.rooms) > most or (max is not None and subscribed > max)
    ):
        return ErrorCode.LIMIT_EXCEEDED.value
    return None


def _refuses_state(state: Validator | None, session: Session, frame: Frame) -> str | None:
    if state is None or session.user_id is None:
        return ErrorCode.FORBIDDEN.value
    is_good = frame["set"] is None or state.accepts(frame["set"])
    return None if is_good else ErrorCode.INVALID_MESSAGE.value
