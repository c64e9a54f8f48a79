"""The engine: opens sessions, and holds the verbs that hooks, control API and commands may use.

One choke point lets a frame out: `check_event` for what hooks and the API send, the message's own schema for what
clients send (`session.py`), the event's schema for what a message emits (`routing.py`).
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import attrs

from channeld.broker.broker import Broker, Deliver, Position, Topic
from channeld.cluster.cluster import Cluster
from channeld.engine.auth import Denied, Grant, KeySet, Verifier, make_verifier
from channeld.engine.identity import find_user
from channeld.engine.latency import Timing
from channeld.engine.ports import Observer, Peer, Runtime
from channeld.engine.session import Session
from channeld.hooks import Request
from channeld.hub.fanout import Fanout
from channeld.hub.hub import EVERYONE, Hub, with_position
from channeld.later import Later, resolved, start
from channeld.plan.plan import ChannelPlan, Plan
from channeld.protocol.codes import CloseCode
from channeld.protocol.frames import RESERVED, Frame, Json, encode
from channeld.protocol.names import is_room_name
from channeld.schema.violations import Violation

__all__ = ["Engine", "FrameRefused", "HistoryPage"]


FindUser: TypeAlias = Callable[[Session, Request], Awaitable[Grant | Denied | None]]


class FrameRefused(ValueError):
    """A frame from a hook or the API that may not reach a client; `violations` where a schema refused it."""

    def __init__(self, message: str, violations: list[Violation] | None = None) -> None:
        super().__init__(message)
        self.violations = violations or []


@attrs.frozen(slots=True)
class HistoryPage:
    """Frames of a room as JSON with their `pos`, oldest first; whether there are earlier ones."""

    payloads: list[bytes]
    more: bool


class Engine:
    """One per process.

    Args:
        plan: what to serve.
        make_broker: gets the hub's `deliver`.
        fanout: how one frame reaches many.
        runtime: clocks, timers, tasks.
        key_sets: one for each authenticator with `jwks`, by name.
        find_user: who the client of a handshake is (tests let one in without a token).
    """

    is_room_name = staticmethod(is_room_name)

    def __init__(
        self,
        plan: Plan,
        make_broker: Callable[[Deliver], Broker],
        fanout: Fanout,
        runtime: Runtime,
        key_sets: Mapping[str, KeySet] | None = None,
        *,
        find_user: FindUser = find_user,
    ) -> None:
        self.runtime = runtime
        self.find_user = find_user
        self.state: Any = None
        self.observer: Observer | None = None
        self.sessions: dict[str, Session] = {}
        self.leaving = 0  # connections that are gone, and of whom not everybody has heard
        self.timing = Timing(runtime.clock)
        self.hub = Hub(make_broker, fanout, runtime.clock, runtime.timers, runtime.spawn)
        self.cluster = Cluster(self, "local")
        self.plan = plan
        self.verifiers: dict[str, Verifier] = {}
        self._take_verifiers(plan, key_sets or {})

    def _take_verifiers(self, plan: Plan, key_sets: Mapping[str, KeySet]) -> None:
        auths = {auth.name: auth for channel in plan.channels.values() for auth in channel.auth}
        made = {name: make_verifier(auth, key_sets.get(name)) for name, auth in auths.items()}
        self.verifiers = {name: one for name, one in made.items() if one is not None}

    # ------------------------------------------------------------------------------------------- connections

    def connect(
        self, channel: ChannelPlan, params: Mapping[str, Json], request: Request, peer: Peer
    ) -> Session:
        """A session for a connection whose handshake was accepted; the caller says `open` next."""
        session = Session(self, channel, params, request, peer)
        self.sessions[session.connection_id] = session
        return session

    def forget(self, session: Session) -> None:
        """A session has ended. Idempotent."""
        self.sessions.pop(session.connection_id, None)

    def sessions_of(self, channel: str, user: str) -> list[Session]:
        """This node's sessions of a user on a channel, oldest first."""
        members = self.hub.members(Topic("user", channel, user))
        return [self.sessions[m.connection_id] for m in members if m.connection_id in self.sessions]

    # ------------------------------------------------------------------------------------------------- verbs

    def publish(
        self,
        channel: str,
        frame: Mapping[str, Any],
        *,
        room: str | None = None,
        user: str | None = None,
        skip: str | None = None,
    ) -> Later[Position | None]:
        """Publish an event: to a room, to a user, or (without either) to everyone on the channel (`*`: on all).

        Returns:
            Its position in a room that keeps history.

        Raises:
            FrameRefused: the channel is unknown, or the frame is not one that the channel's clients may get.
            BrokerUnavailable: it was not published.
        """
        if channel == "*":
            checked = self._check_everywhere(frame)
            return self.hub.publish(EVERYONE, encode(checked), None, skip)
        plan = self.plan.channels.get(channel)
        if plan is None:
            raise FrameRefused(f"there is no channel `{channel}`")
        checked = self.check_event(plan, frame)
        if room is not None:
            return self._publish_to_room(plan, room, checked, skip)
        kind = "channel" if user is None else "user"
        return self.hub.publish(Topic(kind, channel, user or ""), _encoded(checked), None, skip)

    def _publish_to_room(
        self, plan: ChannelPlan, room: str, frame: Frame, skip: str | None
    ) -> Later[Position | None]:
        if not is_room_name(room):
            raise FrameRefused("a room name has 1 to 128 characters, NFC, no control characters")
        if plan.history is not None:
            frame["room"] = room
            frame.pop("pos", None)
        topic = Topic("room", plan.name, room)
        return self.hub.publish(topic, _encoded(frame), plan.history, skip)

    def check_event(self, plan: ChannelPlan, frame: object) -> Frame:
        """A frame that a hook or the API wants to send, as it will be sent.

        Raises:
            FrameRefused: no string `type`, a reserved one, one that `events` does not declare, or a bad schema.
        """
        if not isinstance(frame, Mapping) or type(kind := frame.get("type")) is not str:
            wrong = Violation("/type", "must be a string", "type")
            raise FrameRefused("a frame is a mapping with a string `type`", [wrong])
        if kind in RESERVED:
            wrong = Violation("/type", "must be another than the protocol's own", "not")
            raise FrameRefused(f"`{kind}` is a reserved type", [wrong])
        fields = {key: value for key, value in frame.items() if key != "type"}
        if plan.events is not None:
            event = plan.events.get(kind)
            if event is None:
                wrong = Violation("/type", "must be one of the channel's events", "enum")
                raise FrameRefused(f"channel `{plan.name}` declares no event `{kind}`", [wrong])
            if not event.validator.accepts(fields):
                violations = event.validator.explain(fields)
                raise FrameRefused(f"`{kind}` is refused by its schema", violations)
        return {"type": kind, **fields}

    def check_foreign(self, own: ChannelPlan, channel: str, frame: Frame) -> None:
        """Check a routed message that reaches other channels: what they declare holds there, too.

        Raises:
            FrameRefused: a channel that it reaches does not declare it, or refuses it.
        """
        for name, plan in self.plan.channels.items():
            if plan is not own and channel in (name, "*"):
                self.check_event(plan, frame)

    def _check_everywhere(self, frame: Mapping[str, Any]) -> Frame:
        checked: Frame = {}
        for plan in self.plan.channels.values():
            checked = self.check_event(plan, frame)
        return checked

    async def history(
        self, plan: ChannelPlan, room: str, limit: int, before: Position | None = None
    ) -> HistoryPage:
        """The latest frames of a room, or the latest before a position; nothing where none is kept."""
        if plan.history is None:
            return HistoryPage([], more=False)
        topic = Topic("room", plan.name, room)
        limit = min(limit, plan.history.size)
        page = await resolved(self.hub.broker.before(topic, before, limit, plan.history))
        payloads = [with_position(kept.payload, kept.position) for kept in page.frames]
        return HistoryPage(payloads, page.more)

    def online(self, channel: str, user: str) -> Later[bool]:
        """Whether a user has a connection on a channel, on any node."""
        if self.hub.online(channel, user) or not self.cluster.is_shared:
            return self.hub.online(channel, user)
        return self.cluster.online(channel, user)

    def disconnect(self, session: Session, code: int, reason: str) -> None:
        """Kick a connection."""
        session.disconnect(code, reason, reconnect=False)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine at once as far as it goes, the rest in a task of its own."""
        rest = start(coroutine)
        if rest is not None:
            self.runtime.spawn(rest)

    # ------------------------------------------------------------------------------------------ from the broker

    def on_gap(self, topic: Topic, top: Position | None) -> None:
        """Frames of a topic were missed, and its history cannot give them."""
        channel = self.plan.channels.get(topic.channel)
        if channel is not None and channel.history is not None:
            self.hub.tell_gap(topic, top)

    def on_presence_lost(self, topic: Topic, user: str) -> None:
        """A user's last connection was on a node that died, or a room's last member."""
        if topic.kind == "occupied":
            self._room_changed(topic, is_occupied=False)
            return
        channel = self.plan.channels.get(topic.channel)
        if channel is not None and channel.presence is not None:
            self.hub.presence.lost(topic, channel.presence, user)

    def on_presence_back(self, topic: Topic, user: str, info: Mapping[str, Any]) -> None:
        """A user (or a room's member) was counted out while this node was cut off, and is here."""
        if topic.kind == "occupied":
            self._room_changed(topic, is_occupied=True)
            return
        channel = self.plan.channels.get(topic.channel)
        if channel is not None and channel.presence is not None:
            self.hub.presence.back(topic, channel.presence, user, info)

    def _room_changed(self, topic: Topic, *, is_occupied: bool) -> None:
        if self.observer is not None:
            self.observer.room_changed(topic, is_occupied)

    # --------------------------------------------------------------------------------------- reload and drain

    def reload(self, plan: Plan, key_sets: Mapping[str, KeySet]) -> int:
        """Take a new plan. Connections whose channel is gone or has another path or auth are sent away (1012).

        Returns:
            How many connections were sent away.
        """
        self._take_verifiers(plan, key_sets)
        for name, channel in plan.channels.items():
            old = self.plan.channels.get(name)
            if old is not None:
                _carry_counters(old, channel)
        self.plan = plan
        sent_away = 0
        for session in list(self.sessions.values()):
            new = plan.channels.get(session.channel.name)
            if new is not None and new.contract == session.channel.contract:
                session.channel = new
            else:
                sent_away += 1
                reason = "the channel has changed"
                session.disconnect(CloseCode.SERVICE_RESTART, reason, reconnect=True)
        return sent_away

    def drain(self, seconds: float) -> None:
        """Send every connection away, spread over `seconds`; each is told when to come back."""
        now, timers = self.runtime.clock.monotonic(), self.runtime.timers
        sessions = list(self.sessions.values())
        for number, session in enumerate(sessions):
            # The last one leaves in time for its Close frame to be answered.
            delay = seconds * 0.8 * number / len(sessions)
            timers.at(now + delay, _Goodbye(session, round(self.runtime.random() * seconds, 3)))


class _Goodbye:
    __slots__ = ("retry_after", "session")

    def __init__(self, session: Session, retry_after: float) -> None:
        self.session = session
        self.retry_after = retry_after

    def __call__(self, now: float) -> None:
        self.session.disconnect(
            CloseCode.SERVICE_RESTART,
            "the server is restarting",
            reconnect=True,
            retry_after=self.retry_after,
        )


def _encoded(frame: Frame) -> bytes:
    try:
        return encode(frame)
    except TypeError as error:
        raise FrameRefused(f"not JSON: {error}") from error


def _carry_counters(old: ChannelPlan, new: ChannelPlan) -> None:
    for kind, message in new.messages.items():
        before = old.messages.get(kind)
        if before is not None:
            for field in attrs.fields(type(before.counters)):
                setattr(message.counters, field.name, getattr(before.counters, field.name))
