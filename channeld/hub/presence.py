"""First came, last left: what users of a room (or of a channel) are told of each other.

The rules of this file. The broker decides who came first and who left last, over all nodes, and brings each change to every
node in one order; each node tells its own members. A user whose last connection on this node goes *lingers*: the broker
still counts the user as there until `grace` is over; one who comes back before that on any node neither left nor
joined. With `batch` the joins and leaves of a while are one frame, and a user who came and went within it is not
mentioned. Where changes were missed, members are told the whole state, spread over a second so that a thousand rooms do
not do it at once. Anonymous connections are counted (user ""), never announced.
"""

import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from channeld.broker.broker import (
    Broker,
    BrokerUnavailable,
    PresenceChange,
    PresenceEntry,
    PresenceMissed,
    Topic,
)
from channeld.hub.rooms import Member
from channeld.later import resolved, start
from channeld.plan.plan import PresencePlan
from channeld.protocol.frames import Frame
from channeld.timers import Clock, Timer, Timers

__all__ = ["ANONYMOUS", "Presence"]

ANONYMOUS = ""

Tell = Callable[[Topic, Frame, str | None], None]
OnChange = Callable[[Topic, str, Mapping[str, Any] | None], None]
Spawn = Callable[[Awaitable[object]], None]


class _Lingering:
    __slots__ = ("connection", "timer")

    def __init__(self, connection: str, timer: Timer) -> None:
        self.connection = connection
        self.timer = timer


class _Batch:
    __slots__ = ("joins", "leaves")

    def __init__(self) -> None:
        self.joins: dict[str, Mapping[str, Any]] = {}
        self.leaves: set[str] = set()


class Presence:
    """The presence of this node's members.

    `tell(topic, frame, skip)` gives a frame to this node's members of a topic, but not to the connection `skip`. `spawn`
    runs what a timer started and could not finish at once. To be set: `plan_of(channel)`, what a channel says of presence
    now. May be set: `on_change(topic, user, info)`, called at once and not in batches for a user who came (with `info`) or
    left (None), on one of the nodes.
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
        # Tuples: most users have one connection, and a set of one takes four times the room.
        self._here: dict[tuple[Topic, str], tuple[str, ...]] = {}
        self._lingering: dict[tuple[Topic, str], _Lingering] = {}
        self._batches: dict[Topic, _Batch] = {}
        self._missed: set[Topic] = set()

    async def enter(self, topic: Topic, member: Member, info: Mapping[str, Any]) -> None:
        """Count a member in; the others are told if its user was not there.

        Raises:
            BrokerUnavailable: it is not counted.
        """
        user = member.user_id or ANONYMOUS
        key = (topic, user)
        here = self._here.get(key, ())
        if member.connection_id not in here:
            self._here[key] = (*here, member.connection_id)
        try:
            first = await resolved(self._broker.enter(topic, user, member.connection_id, info))
        except BrokerUnavailable:
            self._forget(key, member.connection_id)
            raise
        if first:
            self._note(topic, user, info)
        back = self._lingering.pop(key, None)
        if back is not None:
            back.timer.cancel()
            if back.connection != member.connection_id:
                await resolved(self._broker.leave(topic, user, back.connection))

    async def leave(self, topic: Topic, plan: PresencePlan | None, member: Member) -> None:
        """Count a member out; the others are told after `grace`, if its user has not come back."""
        user = member.user_id or ANONYMOUS
        connections = self._here.get((topic, user), ())
        if member.connection_id not in connections:
            return
        is_last = len(connections) == 1
        self._forget((topic, user), member.connection_id)
        if is_last and user != ANONYMOUS and plan is not None and plan.grace > 0:
            self._linger(topic, plan, user, member.connection_id)
            await resolved(self._broker.linger(topic, user, member.connection_id))
        else:
            await self._left(topic, user, member.connection_id)

    def _forget(self, key: tuple[Topic, str], connection: str) -> None:
        left = tuple(one for one in self._here.get(key, ()) if one != connection)
        if left:
            self._here[key] = left
        else:
            self._here.pop(key, None)

    def _linger(self, topic: Topic, plan: PresencePlan, user: str, connection: str) -> None:
        def expire(_now: float) -> None:
            if self._lingering.pop((topic, user), None) is not None:
                self._run(self._left(topic, user, connection))

        timer = self._timers.at(self._clock.monotonic() + plan.grace, expire)
        self._lingering[topic, user] = _Lingering(connection, timer)

    async def _left(self, topic: Topic, user: str, connection: str) -> None:
        if await resolved(self._broker.leave(topic, user, connection)):
            self._note(topic, user, None)

    def lost(self, topic: Topic, user: str) -> None:
        """The broker has counted a user out, whose last connection was on a node that died or was cut off."""
        self._note(topic, user, None)

    def back(self, topic: Topic, user: str, info: Mapping[str, Any]) -> None:
        """A user was counted out like that, but is here, and counted in again."""
        self._note(topic, user, info)

    def changed(self, topic: Topic, change: PresenceChange | PresenceMissed) -> None:
        """The broker brings a change, in order, or says that some were missed: tell this node's members."""
        plan = self.plan_of(topic.channel)
        if plan is None or not plan.events:
            return
        if isinstance(change, PresenceMissed):
            self._tell_state_soon(topic)
        elif plan.batch > 0:
            self._gather(topic, plan, change)
        else:
            fields = {} if change.event == "leave" else {"info": change.info}
            frame = _presence(topic, event=change.event, user=change.user, **fields)
            self._tell(topic, frame, change.skip)

    def _gather(self, topic: Topic, plan: PresencePlan, change: PresenceChange) -> None:
        batch, user = self._batch(topic, plan), change.user
        if change.event == "leave":
            if batch.joins.pop(user, None) is None:
                batch.leaves.add(user)
        elif change.event == "update" and user not in batch.joins:
            frame = _presence(topic, event="update", user=user, info=change.info)
            self._tell(topic, frame, change.skip)
        elif user in batch.leaves:
            # Nobody was told of the leave, so to them the user is there, maybe with other info.
            batch.leaves.discard(user)
            self._tell(topic, _presence(topic, event="update", user=user, info=change.info), None)
        else:
            batch.joins[user] = change.info

    def _tell_state_soon(self, topic: Topic) -> None:
        if topic in self._missed:
            return
        self._missed.add(topic)
        # By the topic's name, not by chance: each room has its moment within the second, the same on every node.
        wait = zlib.crc32(repr(topic).encode()) / 2**32
        deadline = self._clock.monotonic() + wait
        self._timers.at(deadline, lambda _now: self._run(self._tell_state(topic)))

    async def _tell_state(self, topic: Topic) -> None:
        self._missed.discard(topic)
        self._tell(topic, await self.state(topic), None)

    def lingering(self) -> list[tuple[Topic, str]]:
        """The users whose last connection on this node has gone, and who still count as there."""
        return list(self._lingering)

    def _note(self, topic: Topic, user: str, info: Mapping[str, Any] | None) -> None:
        if self.on_change is not None and user != ANONYMOUS:
            self.on_change(topic, user, info)

    def _batch(self, topic: Topic, plan: PresencePlan) -> _Batch:
        batch = self._batches.get(topic)
        if batch is None:
            batch = self._batches[topic] = _Batch()
            self._timers.at(self._clock.monotonic() + plan.batch, lambda _now: self._flush(topic))
        return batch

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        rest = start(self._contained(coroutine))
        if rest is not None:
            self._spawn(rest)

    async def _contained(self, coroutine: Coroutine[Any, Any, None]) -> None:
        # Nobody waits for it, and a broker that is away makes the presence right when it is back.
        with suppress(BrokerUnavailable):
            await coroutine

    def _flush(self, topic: Topic) -> None:
        batch = self._batches.pop(topic)
        if not batch.joins and not batch.leaves:
            return
        joins = [{"user": user, "info": info} for user, info in batch.joins.items()]
        leaves = [{"user": user} for user in sorted(batch.leaves)]
        frame = _presence(topic, event="changes", joins=joins, leaves=leaves)
        self._tell(topic, frame, None)

    async def state(self, topic: Topic) -> Frame:
        """The `presence` frame that says who is there."""
        return _presence(
            topic, event="state", users=[_shown(one) for one in await self.users(topic)]
        )

    async def users(self, topic: Topic) -> list[PresenceEntry]:
        """Who is there, in the order they came."""
        return await resolved(self._broker.present(topic))

    async def count(self, topic: Topic) -> Frame:
        """The `presence` frame that says how many are there; anonymous connections are connections, too."""
        count = await resolved(self._broker.count(topic))
        return _presence(topic, event="count", users=count.users, connections=count.connections)


def _shown(entry: PresenceEntry) -> Frame:
    return {"user": entry.user, "info": entry.info, "connections": entry.connections}


def _presence(topic: Topic, **fields: object) -> Frame:
    # With `scope: channel` there is no room to name.
    room = {"room": topic.name} if topic.kind == "room" else {}
    return {"type": "presence", **room, **fields}
