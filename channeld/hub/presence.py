"""Presence: what the users of a room (or of a channel) are told about each other.

- The broker decides, over all nodes, which connection of a user is the first and which is the last. It brings each change to every
  node in the same order, and each node tells its own members.
- A user whose last connection on this node goes *lingers*: the broker counts the user as present until `grace` is over (longer for
  users who were sent to another node). A user who comes back to any node before that has neither left nor joined.
- With `batch`, the joins and leaves of an interval are one frame, without users who came and went within it. A member that joined
  within the interval is told only what its `state` frame did not show.
- If changes were missed, members are sent the whole state, spread over a second, so that a thousand rooms do not do it at once.
- Anonymous connections (user "") are counted, never announced.
"""

import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

from channeld.broker.broker import (
    FEW,
    Broker,
    BrokerUnavailable,
    Position,
    PresenceChange,
    PresenceEntry,
    PresenceMissed,
    Topic,
)
from channeld.hub.rooms import Member
from channeld.hub.shown import Shown
from channeld.later import launch, resolved, start
from channeld.plan.plan import PresencePlan
from channeld.protocol.frames import Frame, Json, encode
from channeld.timers import Clock, Timer, Timers

ANONYMOUS = ""

AWAY = 10.0
"""The longest time, in seconds, within which a client that was asked to reconnect elsewhere should be back."""

MOST_APART = 2000
"""Joins and leaves that may be written again for members that joined within a batch; above this, they get the common frame."""


class Tell(Protocol):
    """Gives a frame's JSON to this node's members of a topic."""

    def __call__(self, topic: Topic, payload: bytes, *skips: str | None) -> None:
        """To all of them but the connections `skips`."""


OnChange = Callable[[Topic, str, Mapping[str, Json] | None, Position], None]
Spawn = Callable[[Awaitable[object]], None]


class _Lingering:
    __slots__ = ("connection", "timer")

    def __init__(self, connection: str, timer: Timer) -> None:
        self.connection = connection
        self.timer = timer


class _Batch:
    """The changes of an interval, numbered.

    A leave also has the number of its user's join, 0 if that was earlier. Newcomers have the number of changes before them.
    """

    __slots__ = ("count", "joins", "leaves", "newcomers")

    def __init__(self) -> None:
        self.count = 0
        self.joins: dict[str, tuple[int, str | None, Frame]] = {}
        self.leaves: dict[str, tuple[int, int]] = {}
        self.newcomers: dict[str, tuple[Member, int]] = {}


class Presence:
    """The presence of this node's members.

    `tell(topic, frame, *skips)` delivers a frame's JSON to this node's members of a topic except the connections `skips`. `spawn` runs
    what a timer started and could not finish at once. Set `plan_of(channel)`, which returns the channel's current presence plan.
    `on_change(topic, user, info, version)` may be set: it is called at once, never in batches, when a user joins (with `info`) or
    leaves (None) on any node.
    """

    def __init__(
        self, broker: Broker, clock: Clock, timers: Timers, tell: Tell, spawn: Spawn
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._timers = timers
        self._tell = tell
        self._spawn = spawn
        self.on_change: OnChange | None = None
        self.plan_of: Callable[[str], PresencePlan | None] = lambda _channel: None
        # Most users have one connection, kept as a string. Several are keys of a dict, so that removing one takes constant time.
        self._here: dict[tuple[Topic, str], str | dict[str, None]] = {}
        self._lingering: dict[tuple[Topic, str], _Lingering] = {}
        # The connection of this node that set a user's state.
        self._states: dict[tuple[Topic, str], str] = {}
        self._batches: dict[Topic, _Batch] = {}
        self._missed: set[Topic] = set()

    async def enter(self, topic: Topic, member: Member, info: Mapping[str, Json]) -> None:
        """Count a member in, and tell the others if its user was not present.

        Raises:
            BrokerUnavailable: it is not counted.
        """
        user = member.user_id or ANONYMOUS
        key = (topic, user)
        is_new = not self._is_here(key, member.connection_id)
        self._remember(key, member.connection_id)
        try:
            plan = self.plan_of(topic.channel)
            shown: Shown | None = Shown(info)
            if plan is not None and plan.state is not None and user != ANONYMOUS:
                shown = await self._with_state(topic, member, info, plan.state.accepts)
            if shown is None:
                return
            value = shown.packed()
            told = partial(self._note, topic, user, info)
            await resolved(self._broker.enter(topic, user, member.connection_id, value, told))
        except BrokerUnavailable:
            self._forget(key, member.connection_id)
            raise
        if not self._is_here(key, member.connection_id):
            return  # it has left in the meantime, and this must not end its lingering
        plan = self.plan_of(topic.channel)
        if is_new and plan is not None and plan.events and plan.batch > 0:
            # The `state` frame that it gets next contains what has been gathered so far.
            batch = self._batch(topic, plan)
            batch.newcomers[member.connection_id] = (member, batch.count)
        if shown.by is None and self._states.get(key) == member.connection_id:
            # A reload removed the state that it had set; the broker has told the others.
            del self._states[key]
            self._tell_update(topic, member, shown)
        back = self._lingering.pop(key, None)
        if back is not None:
            back.timer.cancel()
            if back.connection != member.connection_id:
                await resolved(self._broker.leave(topic, user, back.connection))

    async def show(
        self,
        topic: Topic,
        member: Member,
        state: Mapping[str, Json] | None,
        *,
        tells_member: bool = False,
    ) -> None:
        """Set the state of a member's user, or (None) remove it; the others are told if it changes.

        Args:
            topic: the topic of the presence.
            member: the connection that the state belongs to.
            state: the new state.
            tells_member: also tell that connection, because it did not set the state itself.

        Raises:
            BrokerUnavailable: nobody was told.
        """
        user, connection = member.user_id or ANONYMOUS, member.connection_id
        entry = await resolved(self._broker.entry(topic, user))
        if entry is None or not self._is_here((topic, user), connection):
            return
        now = Shown.unpack(entry.info).info
        shown = Shown(now) if state is None else Shown(now, dict(state), connection)
        self._note_state(topic, user, shown.by)
        await resolved(self._broker.enter(topic, user, connection, shown.packed()))
        if tells_member:
            self._tell_update(topic, member, shown)

    def _tell_update(self, topic: Topic, member: Member, shown: Shown) -> None:
        plan = self.plan_of(topic.channel)
        if plan is not None and plan.events:
            frame = _presence(topic, event="update", user=member.user_id, **shown.fields())
            member.peer.send(encode(frame))

    def _note_state(self, topic: Topic, user: str, by: str | None) -> None:
        if by is None:
            self._states.pop((topic, user), None)
        else:
            self._states[topic, user] = by

    async def _with_state(
        self,
        topic: Topic,
        member: Member,
        info: Mapping[str, Json],
        accepts: Callable[[Json], bool],
    ) -> Shown | None:
        """A member's user with this info; None if the member left while the broker was asked.

        The user's state stays unless the schema refuses it since a reload.
        """
        user = member.user_id or ANONYMOUS
        entry = await resolved(self._broker.entry(topic, user))
        if not self._is_here((topic, user), member.connection_id):
            return None
        known = Shown(info) if entry is None else Shown.unpack(entry.info)
        if known.by != self._states.get((topic, user)):
            self._states.pop((topic, user), None)  # a connection of another node has replaced it
        if entry is None or known.by is None or not accepts(known.state):
            return Shown(info)
        back = self._lingering.get((topic, user))
        if entry.connections == 0 or (back is not None and back.connection == known.by):
            # If it comes back within its grace, the state now belongs to the new connection.
            self._note_state(topic, user, member.connection_id)
            return Shown(info, known.state, member.connection_id)
        return Shown(info, known.state, known.by)

    async def _take_state(self, topic: Topic, user: str, connection: str, *, lives: bool) -> None:
        """Remove a user's state together with the connection that set it, if other connections stay."""
        if self._states.get((topic, user)) != connection:
            return
        # The connection must leave even if the broker is unreachable; Redis removes the state with it later.
        with suppress(BrokerUnavailable):
            entry = await resolved(self._broker.entry(topic, user))
            if entry is not None and entry.connections > lives:
                shown = Shown.unpack(entry.info)
                if shown.by == connection:
                    later = self._broker.enter(topic, user, connection, shown.info)
                    await resolved(later)

    async def leave(
        self,
        topic: Topic,
        plan: PresencePlan | None,
        member: Member,
        away: float | None = None,
    ) -> None:
        """Count a member out, and tell the others after its `stay` unless its user comes back."""
        user = member.user_id or ANONYMOUS
        if not self._is_here((topic, user), member.connection_id):
            return
        is_last = self._forget((topic, user), member.connection_id)
        seconds = stay(plan, away)
        if is_last and user != ANONYMOUS and seconds > 0:
            # The user may have connections on other nodes.
            await self._take_state(topic, user, member.connection_id, lives=True)
            self._linger(topic, seconds, user, member.connection_id)
            later = self._broker.linger(topic, user, member.connection_id, seconds)
            await resolved(later)
        else:
            await self._left(topic, user, member.connection_id, lives=True)

    def withdraw(self, topic: Topic, member: Member) -> None:
        """Count a member out that should not have been counted in. Does nothing if it was not counted. Nobody waits for it."""
        self._run(self.leave(topic, None, member))

    def _is_here(self, key: tuple[Topic, str], connection: str) -> bool:
        here = self._here.get(key)
        return connection in here if isinstance(here, dict) else here == connection

    def _remember(self, key: tuple[Topic, str], connection: str) -> None:
        here = self._here.get(key, connection)
        if isinstance(here, dict):
            here[connection] = None
        else:
            self._here[key] = here if here == connection else {here: None, connection: None}

    def _forget(self, key: tuple[Topic, str], connection: str) -> bool:
        """Forget a connection; True if its user has no other on this node."""
        here = self._here.get(key)
        if isinstance(here, dict):
            here.pop(connection, None)
            if here:
                return False
        elif here != connection:
            return here is None
        del self._here[key]
        return True

    def _linger(self, topic: Topic, seconds: float, user: str, connection: str) -> None:
        def expire(_now: float) -> None:
            # A connection that came back and left before the broker counted it may linger in its place.
            if self._lingering.get((topic, user)) is one:
                del self._lingering[topic, user]
            self._run(self._left(topic, user, connection, lives=False))

        timer = self._timers.at(self._clock.monotonic() + seconds, expire)
        one = self._lingering[topic, user] = _Lingering(connection, timer)

    async def _left(self, topic: Topic, user: str, connection: str, *, lives: bool) -> None:
        await self._take_state(topic, user, connection, lives=lives)
        if self._states.get((topic, user)) == connection:
            del self._states[topic, user]
        told = partial(self._note, topic, user, None)
        await resolved(self._broker.leave(topic, user, connection, told))

    def lost(self, topic: Topic, user: str, version: Position) -> None:
        """Report a user whom the broker counted out because the node of the last connection died or was cut off."""
        self._note(topic, user, None, version)

    def back(self, topic: Topic, user: str, info: Mapping[str, Json], version: Position) -> None:
        """Report a user who was counted out in this way, is still here, and is counted in again."""
        self._note(topic, user, Shown.unpack(info).info, version)

    def changed(self, topic: Topic, change: PresenceChange | PresenceMissed) -> None:
        """Tell this node's members about a change that the broker brings, in order, or that changes were missed."""
        plan = self.plan_of(topic.channel)
        if plan is None or not plan.events:
            return
        if isinstance(change, PresenceMissed):
            self._tell_state_soon(topic)
        elif plan.batch > 0:
            self._gather(topic, plan, change)
        else:
            fields = Shown.fields_of(change.info)
            if change.event == "leave":
                fields.pop("state", None)
            frame = _presence(topic, event=change.event, user=change.user, **fields)
            self._tell(topic, encode(frame), change.skip)

    def _gather(self, topic: Topic, plan: PresencePlan, change: PresenceChange) -> None:
        batch, user = self._batch(topic, plan), change.user
        batch.count += 1
        shown = Shown.fields_of(change.info)
        if change.event == "leave":
            came = batch.joins.pop(user)[0] if user in batch.joins else 0
            batch.leaves[user] = came, batch.count
        elif change.event == "update" and user not in batch.joins:
            frame = _presence(topic, event="update", user=user, **shown)
            self._tell(topic, encode(frame), change.skip)
        elif user in batch.leaves and not batch.leaves[user][0]:
            # Nobody has been told that the user left: to them the user is still present, perhaps with other info.
            del batch.leaves[user]
            self._tell(topic, encode(_presence(topic, event="update", user=user, **shown)))
        else:
            batch.leaves.pop(user, None)
            batch.joins[user] = batch.count, change.skip, shown

    def _tell_state_soon(self, topic: Topic) -> None:
        if topic in self._missed:
            return
        self._missed.add(topic)
        # Derived from the topic's name, so that each room has its own moment within the second, the same on every node.
        wait = zlib.crc32(repr(topic).encode()) / 2**32
        deadline = self._clock.monotonic() + wait
        self._timers.at(deadline, lambda _now: self._run(self._tell_state(topic)))

    async def _tell_state(self, topic: Topic) -> None:
        self._missed.discard(topic)
        self._tell(topic, await self.state(topic))

    async def end_grace(self) -> None:
        """End all lingering now: those users leave."""
        lingering, self._lingering = self._lingering, {}
        leaving = []
        for (topic, user), one in lingering.items():
            one.timer.cancel()
            left = self._left(topic, user, one.connection, lives=False)
            leaving.append(start(self._contained(left)))
        # All requests were made before the first answer is awaited.
        for rest in leaving:
            if rest is not None:
                await rest

    def _note(
        self, topic: Topic, user: str, info: Mapping[str, Json] | None, version: Position
    ) -> None:
        if self.on_change is not None and user != ANONYMOUS:
            self.on_change(topic, user, info, version)

    def _batch(self, topic: Topic, plan: PresencePlan) -> _Batch:
        batch = self._batches.get(topic)
        if batch is None:
            batch = self._batches[topic] = _Batch()
            self._timers.at(self._clock.monotonic() + plan.batch, lambda _now: self._flush(topic))
        return batch

    def _run(self, coroutine: Coroutine[object, object, None]) -> None:
        launch(self._contained(coroutine), self._spawn)

    async def _contained(self, coroutine: Coroutine[object, object, None]) -> None:
        # Nobody waits for it, and the broker corrects the presence when it is reachable again.
        with suppress(BrokerUnavailable):
            await coroutine

    def _flush(self, topic: Topic) -> None:
        batch = self._batches.pop(topic)
        apart, size = batch.newcomers, len(batch.joins) + len(batch.leaves)
        if len(apart) * size > MOST_APART:
            # Newcomers may hear of leaves of users whom they do not know, which does no harm.
            apart, batch.leaves = {}, {user: (0, at) for user, (_, at) in batch.leaves.items()}
        if (frame := _changes(topic, batch)) is not None:
            self._tell(topic, encode(frame), *apart)
        for connection, (member, seen) in apart.items():
            if self._is_here((topic, member.user_id or ANONYMOUS), connection):
                frame = _changes(topic, batch, seen, connection)
                if frame is not None:
                    member.peer.send(encode(frame))

    async def state(self, topic: Topic) -> bytes:
        """The `presence` frame that lists who is present, as JSON."""
        entries = await resolved(self._broker.present(topic))
        if len(entries) <= FEW:
            return encode(_presence(topic, event="state", users=[_shown(one) for one in entries]))
        users = [one.encoded or _encode(one) for one in entries]
        frame = encode(_presence(topic, event="state", users=[]))
        # The rest of the frame is joined in the same step, because another copy would cost as much again.
        users[0] = frame[:-2] + users[0]
        users[-1] += frame[-2:]
        return b",".join(users)

    async def users(self, topic: Topic) -> list[Frame]:
        """The users present, in order of arrival, each as the `presence` frame shows it."""
        return [_shown(one) for one in await resolved(self._broker.present(topic))]

    async def count(self, topic: Topic) -> Frame:
        """The `presence` frame with the numbers of users and of connections, including anonymous ones."""
        count = await resolved(self._broker.count(topic))
        return _presence(topic, event="count", users=count.users, connections=count.connections)


def _changes(topic: Topic, batch: _Batch, seen: int = 0, own: str = "") -> Frame | None:
    """The frame for members that saw the first `seen` changes, without the join of connection `own`; None if there is nothing to tell."""
    joins = [
        {"user": user, **shown}
        for user, (at, of, shown) in batch.joins.items()
        if at > seen and (not own or of != own)
    ]
    left = [user for user, (came, at) in batch.leaves.items() if came <= seen < at]
    if not joins and not left:
        return None
    leaves = [{"user": user} for user in sorted(left)]
    return _presence(topic, event="changes", joins=joins, leaves=leaves)


def nobody_in(topic: Topic) -> Frame:
    """The `presence` frame for a presence that is no longer counted."""
    return _presence(topic, event="state", users=[])


def stay(plan: PresencePlan | None, away: float | None) -> float:
    """Seconds for which a user still counts as present after the last connection; `away`: seconds until it was asked to come back."""
    if plan is None:
        return 0.0
    return plan.grace if away is None else away + max(plan.grace, AWAY)


def _shown(entry: PresenceEntry) -> Frame:
    shown = Shown.fields_of(entry.info)
    return {"user": entry.user, **shown, "connections": entry.connections}


def _encode(entry: PresenceEntry) -> bytes:
    entry.encoded = encoded = encode(_shown(entry))
    return encoded


def _presence(topic: Topic, **fields: object) -> Frame:
    # With `scope: channel` there is no room.
    room = {"room": topic.name} if topic.is_room else {}
    return {"type": "presence", **room, **fields}
