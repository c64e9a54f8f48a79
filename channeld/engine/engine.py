"""The engine: opens sessions, and holds the verbs that hooks, control API and commands may use.

It stands above the other modules of this package, which see it as `ports.Surroundings`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

import attrs

from channeld.auth.authenticator import KeySet, Verifier
from channeld.auth.revocations import Revocation, Revocations
from channeld.broker.broker import Broker, Deliver, Networked, Position, Topic
from channeld.broker.once import Once
from channeld.config.model import Limits
from channeld.engine import publishing, rooms, showing, steps
from channeld.engine.authenticate import find_user
from channeld.engine.budgets import Budgets
from channeld.engine.latency import Timing
from channeld.engine.limits import Allowances
from channeld.engine.ports import (
    ALONE,
    Backends,
    FindUser,
    NoBackends,
    Observer,
    OtherNodes,
    OverHttp,
    Peer,
    Runtime,
    Surroundings,
)
from channeld.engine.publishing import Audience, HistoryPage
from channeld.engine.receive import Receiver
from channeld.engine.renewal import revise
from channeld.engine.session import Session, State
from channeld.engine.traced import TracedReceiver
from channeld.hooks import Request, Server
from channeld.hub.fanout import Fanout
from channeld.hub.hub import Hub
from channeld.hub.traced import TracedHub
from channeld.later import Later, launch
from channeld.plan.plan import ChannelPlan, Match, Plan, PresencePlan
from channeld.protocol.codes import CloseCode
from channeld.protocol.frames import Json
from channeld.protocol.names import room_name
from channeld.telemetry.tracing import Tracing

MakeSession: TypeAlias = Callable[[Surroundings, Match, Request, Peer], Receiver]
"""Makes the session of a connection: a `Receiver`, or one that also passes on what it receives (a shadow)."""

AT_ONCE: Final = 0.199
"""Seconds within which clients are asked to reconnect to another node."""
GOODBYE_WAITS: Final = 1.0
"""Seconds that a connection waits before it is closed, at most, for publications that are under way."""


class Engine:
    """One per process.

    Args:
        plan: what to serve.
        make_broker: gets the hub's `deliver`.
        fanout: delivers one frame to many recipients.
        runtime: clocks, timers, tasks.
        tracing: makes spans; None: no tracing.
        key_sets: one for each authenticator with `jwks`, by name.
        find_user: identifies the client of a handshake (tests admit clients without a token).
    """

    def __init__(  # noqa: PLR0913 - what an engine is made of
        self,
        plan: Plan,
        make_broker: Callable[[Deliver], Broker],
        fanout: Fanout,
        runtime: Runtime,
        key_sets: Mapping[str, KeySet] | None = None,
        *,
        find_user: FindUser = find_user,
        tracing: Tracing | None = None,
    ) -> None:
        self.runtime = runtime
        self.find_user = find_user
        self.states: dict[str, object] = {}  # what the lifespan of each loop yielded
        self.servers: Mapping[str, Server] = {}
        self.observer: Observer | None = None
        self.tracing = tracing
        self.make_session: MakeSession = (
            Receiver if tracing is None else partial(TracedReceiver, tracing)
        )
        self.sessions: dict[str, Session] = {}
        self.over_http: set[OverHttp] = set()
        # The times of a drain's last goodbye and of its end.
        self._drain: tuple[float, float] | None = None
        self.leaving = 0  # connections that have ended, but whose end is still being reported
        self.timing = Timing(runtime.clock)
        self.budgets = Budgets()
        self.backends: Backends = NoBackends()
        around = make_broker, fanout, runtime.clock, runtime.timers, runtime.spawn
        self.hub = Hub(*around) if tracing is None else TracedHub(tracing, *around)
        self.hub.presence.plan_of = self._presence_of
        self.cluster: OtherNodes = ALONE
        self.allowances = Allowances()
        # The broker, if nodes share allowances through it, and the allowances that it reported as used up.
        broker = self.hub.broker
        self.shared = broker if isinstance(broker, Networked) else None
        self.spent = Allowances()
        self._serve(plan)
        self.revocations = Revocations()
        self.verifiers: Mapping[str, Verifier] = {}
        self._take_verifiers(plan, key_sets or {})

    def _serve(self, plan: Plan) -> None:
        self.plan = plan
        self.hub.keep_histories(
            name for name, channel in plan.channels.items() if channel.history is not None
        )

    def _take_verifiers(self, plan: Plan, key_sets: Mapping[str, KeySet]) -> None:
        auths = {auth.name: auth for channel in plan.channels.values() for auth in channel.auth}
        made = {
            name: auth.type.verifier(auth.compiled, key_sets.get(name), self.revocations.refuse)
            for name, auth in auths.items()
        }
        self.verifiers = {name: one for name, one in made.items() if one is not None}

    # ------------------------------------------------------------------------------------------- connections

    def connect(self, match: Match, request: Request, peer: Peer) -> Receiver:
        """A session for a connection whose handshake was accepted; the caller calls `open` next."""
        session = self.make_session(self, match, request, peer)
        self.sessions[session.connection_id] = session
        if self._drain is not None:
            self._send_away_late(session, *self._drain)
        return session

    def forget(self, connection_id: str) -> None:
        """A connection has ended. Idempotent."""
        self.sessions.pop(connection_id, None)

    @property
    def reads(self) -> list[OverHttp]:
        """The reads over plain HTTP that are under way; they are not among the sessions."""
        return [one for one in self.over_http if one.transport == "streams"]

    def sessions_of(self, channel: str, user: str) -> list[Session]:
        """This node's sessions of a user on a channel, oldest first."""
        members = self.hub.members(Topic("user", channel, user))
        return [self.sessions[m.connection_id] for m in members if m.connection_id in self.sessions]

    def replace_oldest(self, channel: str, user: str, most: int) -> None:
        """Close a user's oldest connections on this node, so that one more makes `most`."""
        others = self.sessions_of(channel, user)
        for oldest in others[: max(0, len(others) - most + 1)]:
            oldest.disconnect(CloseCode.REPLACED, "replaced by a newer connection", reconnect=False)

    # ------------------------------------------------------------------------------------------- for hooks

    def state_of(self, loop: str) -> object:
        """What the lifespan of a loop yielded, or the only lifespan; None without any."""
        if loop in self.states or len(self.states) != 1:
            return self.states.get(loop)
        return next(iter(self.states.values()))

    def server_of(self, loop: str) -> Server:
        """The server for hooks of a loop."""
        return self.servers[loop]

    def revoke(self, revocation: Revocation) -> int:
        """Put a revocation in force on this node and close the connections and reads that it refuses (4401); returns how many.

        Raises:
            RevocationsFull: too many are in force.
        """
        revocation = self.revocations.add(revocation, self.runtime.clock.wall())
        refused = [
            session
            for session in (*self.sessions.values(), *self.reads)
            if _is_revoked(session, revocation)
        ]
        for session in refused:
            session.disconnect(CloseCode.UNAUTHORIZED, "token revoked", reconnect=False)
        return len(refused)

    # ------------------------------------------------------------------------------------------------- verbs

    def publish(
        self,
        channel: str,
        frame: Mapping[str, object],
        *,
        room: str | None = None,
        user: str | None = None,
        skip: str | None = None,
        once: Once | None = None,
    ) -> Later[Position | None]:
        """Publish an event: to a room, to a user, or (without either) to everyone on the channel (`*`: on all).

        Returns:
            Its position in a room that keeps history.

        Raises:
            FrameRefused: the channel is unknown, or its clients may not get this frame.
            BrokerUnavailable: it was not published.
            AlreadyTaken: the key `once` is taken; this or the awaitable raises it.
        """
        audience = Audience(room, user, skip, once)
        return publishing.publish(self.plan, self.hub, channel, frame, audience)

    async def history(
        self, plan: ChannelPlan, room: str, limit: int, before: Position | None = None
    ) -> HistoryPage:
        """The latest frames of a room, or the latest before a position; empty if the channel keeps no history."""
        return await publishing.history(self.hub, plan, room, limit, before)

    def clear(self, plan: ChannelPlan, room: str, key: str | None = None) -> Later[int]:
        """Remove the kept frames of a room, or those of one key of any type; returns how many there were."""
        if plan.history is None:
            return 0
        topic = Topic("room", plan.name, room_name(room))
        keys = None if key is None else publishing.kept_under(self.plan, key)
        return self.hub.broker.clear(topic, keys)

    async def show(self, connection_id: str, room: str | None, state: object) -> bool:
        """Set a presence state of a connection's user for a hook or the control API; False if the user is not present.

        Raises:
            FrameRefused: the channel declares no such state.
            BrokerUnavailable: nobody was told.
        """
        session = self.sessions.get(connection_id)
        return session is not None and await showing.show_for(session, room, state)

    async def join(self, connection_id: str, room: str) -> None:
        """Put a connection of this node into a room, and send it `subscribed`. Does nothing if the connection has ended.

        Raises:
            ValueError: it is not a valid room name.
            BrokerUnavailable: it is not in the room.
        """
        session = self.sessions.get(connection_id)
        if session is not None:
            await rooms.put(session, room)

    async def leave(self, connection_id: str, room: str, reason: str | None = None) -> None:
        """Take a connection of this node out of a room and tell the client. Does nothing if it is not in the room."""
        session = self.sessions.get(connection_id)
        if session is not None:
            await rooms.leave(session, room_name(room), reason)

    def online(self, channel: str, user: str) -> Later[bool]:
        """Whether a user has a connection on a channel, on any node."""
        if self.hub.online(channel, user) or not self.cluster.is_shared:
            return self.hub.online(channel, user)
        return self.cluster.online(channel, user)

    # ------------------------------------------------------------------------------------------ from the broker

    def on_gap(self, topic: Topic, top: Position | None) -> None:
        """Frames of a topic were missed and its history no longer has them."""
        channel = self.plan.channels.get(topic.channel)
        if channel is not None and channel.history is not None:
            self.hub.tell_gap(topic, top)

    def _presence_of(self, channel: str) -> PresencePlan | None:
        plan = self.plan.channels.get(channel)
        return None if plan is None else plan.presence

    def on_presence_lost(self, topic: Topic, user: str, version: Position) -> None:
        """A user's last connection was on a node that died, or a room's last member."""
        if topic.kind == "occupied":
            self._room_changed(topic, version, is_occupied=False)
            return
        channel = self.plan.channels.get(topic.channel)
        if channel is not None and channel.presence is not None:
            self.hub.presence.lost(topic, user, version)

    def on_presence_back(
        self, topic: Topic, user: str, info: Mapping[str, Json], version: Position
    ) -> None:
        """A user (or a room's member) was counted out while this node was cut off, but is still here."""
        if topic.kind == "occupied":
            self._room_changed(topic, version, is_occupied=True)
            return
        channel = self.plan.channels.get(topic.channel)
        if channel is not None and channel.presence is not None:
            self.hub.presence.back(topic, user, info, version)

    def _room_changed(self, topic: Topic, version: Position, *, is_occupied: bool) -> None:
        if self.observer is not None:
            self.observer.room_changed(topic, is_occupied, version)

    # --------------------------------------------------------------------------------------- reload and drain

    def reload(self, plan: Plan, key_sets: Mapping[str, KeySet]) -> int:
        """Put a new plan in force. Connections whose channel is gone or has another path, other params or other auth are closed (1012).

        The others are moved into the rooms and the presence of the new plan.

        Returns:
            How many connections were closed.
        """
        self._take_verifiers(plan, key_sets)
        for name, channel in plan.channels.items():
            old = self.plan.channels.get(name)
            if old is not None:
                _carry_counters(old, channel)
        self._let_go()
        self._serve(plan)
        sent_away, reason = 0, "the channel has changed"
        for read in self.reads:
            if not _may_read_on(read, plan.channels.get(read.channel.name)):
                read.disconnect(CloseCode.SERVICE_RESTART, reason, reconnect=True)
        for session in list(self.sessions.values()):
            new = plan.channels.get(session.channel.name)
            if new is None or not _may_go_on(session, new):
                sent_away += 1
                session.disconnect(CloseCode.SERVICE_RESTART, reason, reconnect=True)
                continue
            before, session.channel = session.channel, new
            if before.membership != new.membership:
                launch(revise(session, before), self.runtime.spawn)
        return sent_away

    def _let_go(self) -> None:
        # Held messages are sent first, because under the new plan newer frames might overtake them.
        for session in list(self.sessions.values()):
            if session.aside.held is not None:
                launch(steps.flush(session), self.runtime.spawn)
        self.hub.conflation.flush_all()

    def drain(self, seconds: float) -> None:
        """Close all connections, spread over `seconds`, and tell each client when to reconnect.

        If another node is ready, clients reconnect at once, because the closing is spread already. Otherwise each gets a random time
        within what is left.
        """
        now, timers = self.runtime.clock.monotonic(), self.runtime.timers
        self._drain = now + seconds * 0.8, now + seconds
        sessions = list(self.sessions.values())
        for number, session in enumerate(sessions):
            # The last connection is closed early enough for its Close frame to be answered.
            delay = seconds * 0.8 * number / len(sessions)
            goodbye = partial(self._send_away, session, now + seconds)
            if delay > 0:
                timers.at(now + delay, goodbye)
            else:
                goodbye(now)

    def time_to_part(self) -> float:
        """Seconds that closing may wait for publications in flight; during a drain, the Close frame must still be answered in time."""
        if self._drain is None:
            return GOODBYE_WAITS
        return min(GOODBYE_WAITS, max(0.0, self._drain[1] - self.runtime.clock.monotonic()) / 2)

    def time_to_finish(self, limits: Limits) -> float:
        """Seconds that closing for a restart may wait for a hook: as long as the hook may run, or until a drain's last goodbye."""
        if self._drain is None:
            return limits.hook_timeout + GOODBYE_WAITS
        return max(self.time_to_part(), self._drain[0] - self.runtime.clock.monotonic())

    def _send_away_late(self, session: Session, last: float, end: float) -> None:
        # A connection that was made while the drain began is closed before the last one, in time for its Close frame.
        now = self.runtime.clock.monotonic()
        delay = max(0.0, last - now) * 0.9 * self.runtime.random()
        self.runtime.timers.at(now + delay, partial(self._send_away, session, end))

    def _send_away(self, session: Session, end: float, now: float) -> None:
        most = AT_ONCE if self.cluster.is_another_ready else max(0.0, end - now)
        session.disconnect(
            CloseCode.SERVICE_RESTART,
            "the server is restarting",
            reconnect=True,
            retry_after=round(most * self.runtime.random(), 3),
        )


def _may_read_on(read: OverHttp, new: ChannelPlan | None) -> bool:
    old = read.channel
    return new is not None and new.contract == old.contract and new.membership == old.membership


def _is_revoked(session: Session | OverHttp, revocation: Revocation) -> bool:
    # In this order, so that claims rarely have to be parsed.
    if session.user_id is None:
        return False
    if revocation.token_id is None:
        may_be = session.user_id == revocation.user
    else:
        may_be = not isinstance(session, Session) or session.may_claim(revocation.token_id)
    return may_be and revocation.refuses(session.user_id, session.claims)


def _may_go_on(session: Session, new: ChannelPlan) -> bool:
    old = session.channel
    if new.contract != old.contract:
        return False
    # A connection that is still joining its rooms cannot be told to join others at the same time.
    return new.membership == old.membership or not session.is_in(State.OPENING)


def _carry_counters(old: ChannelPlan, new: ChannelPlan) -> None:
    for kind, message in new.messages.items():
        before = old.messages.get(kind)
        if before is not None:
            for field in attrs.fields(type(before.counters)):
                setattr(message.counters, field.name, getattr(before.counters, field.name))
                setattr(message.posted, field.name, getattr(before.posted, field.name))
