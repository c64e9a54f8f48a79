"""First came, last left: what users of a room (or of a channel) are told of each other.

The rules of this file. The broker decides who came first and who left last, over all nodes. A user whose last
connection on this node goes *lingers*: the broker still counts the user as there until `grace` is over; one who comes
back before that on any node neither left nor joined. With `batch` the joins and leaves of a while are one frame, and a
user who came and went within it is not mentioned. Anonymous connections are counted (user ""), never announced.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from channeld.broker.broker import Broker, BrokerUnavailable, Topic
from channeld.hub.rooms import Member
from channeld.later import Later, resolved, start
from channeld.plan.plan import PresencePlan
from channeld.protocol.frames import Frame
from channeld.timers import Clock, Timer, Timers

__all__ = ["ANONYMOUS", "Presence"]

ANONYMOUS = ""

Announce = Callable[[Topic, Frame, str | None], Later[object]]
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

    `announce(topic, frame, skip)` publishes a frame to a topic, but not to the connection `skip`. `spawn` runs what a
    timer started and could not finish at once. `on_change(topic, user, info)` may be set: it is called, at once and not
    in batches, for a user who came (with `info`) or left (None), on the one node that tells the members of all nodes.
    """

    def __init__(
        self, broker: Broker, clock: Clock, timers: Timers, announce: Announce, spawn: Spawn
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._timers = timers
        self._announce = announce
        self._spawn = spawn
        self.on_change: OnChange | None = None
        # Tuples: most users have one connection, and a set of one takes four times the room.
        self._here: dict[tuple[Topic, str], tuple[str, ...]] = {}
        self._lingering: dict[tuple[Topic, str], _Lingering] = {}
        self._batches: dict[Topic, _Batch] = {}

    async def enter(
        self, topic: Topic, plan: PresencePlan, member: Member, info: Mapping[str, Any]
    ) -> None:
        """Count a member in, and tell the others if its user was not there.

        Raises:
            BrokerUnavailable: it is not counted, or nobody was told: `leave` undoes either.
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
        if first and user != ANONYMOUS and plan.events:
            await self._tell_join(topic, plan, user, info, member.connection_id)

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
            await self._left(topic, plan, user, member.connection_id)

    def _forget(self, key: tuple[Topic, str], connection: str) -> None:
        left = tuple(one for one in self._here.get(key, ()) if one != connection)
        if left:
            self._here[key] = left
        else:
            self._here.pop(key, None)

    def _linger(self, topic: Topic, plan: PresencePlan, user: str, connection: str) -> None:
        def expire(_now: float) -> None:
            if self._lingering.pop((topic, user), None) is not None:
                self._run(self._left(topic, plan, user, connection))

        timer = self._timers.at(self._clock.monotonic() + plan.grace, expire)
        self._lingering[topic, user] = _Lingering(connection, timer)

    async def _left(
        self, topic: Topic, plan: PresencePlan | None, user: str, connection: str
    ) -> None:
        last = await resolved(self._broker.leave(topic, user, connection))
        if last and plan is not None:
            self._note(topic, user, None)
        if last and user != ANONYMOUS and plan is not None and plan.events:
            await self._tell_leave(topic, plan, user)

    async def _tell_join(
        self,
        topic: Topic,
        plan: PresencePlan,
        user: str,
        info: Mapping[str, Any],
        connection: str | None,
    ) -> None:
        if plan.batch > 0:
            batch = self._batch(topic, plan)
            if user in batch.leaves:
                batch.leaves.discard(user)
            else:
                batch.joins[user] = info
            return
        frame = _presence(topic, event="join", user=user, info=info)
        await resolved(self._announce(topic, frame, connection))

    def lost(self, topic: Topic, plan: PresencePlan, user: str) -> None:
        """The broker has counted a user out, whose last connection was on a node that died or was cut off."""
        self._note(topic, user, None)
        if user != ANONYMOUS and plan.events:
            self._run(self._tell_leave(topic, plan, user))

    def back(self, topic: Topic, plan: PresencePlan, user: str, info: Mapping[str, Any]) -> None:
        """A user was counted out like that, but is here, and counted in again."""
        self._note(topic, user, info)
        if user != ANONYMOUS and plan.events:
            self._run(self._tell_join(topic, plan, user, info, None))

    def lingering(self) -> list[tuple[Topic, str]]:
        """The users whose last connection on this node has gone, and who still count as there."""
        return list(self._lingering)

    def _note(self, topic: Topic, user: str, info: Mapping[str, Any] | None) -> None:
        if self.on_change is not None and user != ANONYMOUS:
            self.on_change(topic, user, info)

    async def _tell_leave(self, topic: Topic, plan: PresencePlan, user: str) -> None:
        if plan.batch > 0:
            batch = self._batch(topic, plan)
            if batch.joins.pop(user, None) is None:
                batch.leaves.add(user)
            return
        await resolved(self._announce(topic, _presence(topic, event="leave", user=user), None))

    def _batch(self, topic: Topic, plan: PresencePlan) -> _Batch:
        batch = self._batches.get(topic)
        if batch is None:
            batch = self._batches[topic] = _Batch()
            self._timers.at(
                self._clock.monotonic() + plan.batch, lambda _now: self._run(self._flush(topic))
            )
        return batch

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        rest = start(self._contained(coroutine))
        if rest is not None:
            self._spawn(rest)

    async def _contained(self, coroutine: Coroutine[Any, Any, None]) -> None:
        # Nobody waits for it, and a broker that is away makes the presence right when it is back.
        with suppress(BrokerUnavailable):
            await coroutine

    async def _flush(self, topic: Topic) -> None:
        batch = self._batches.pop(topic)
        if not batch.joins and not batch.leaves:
            return
        joins = [{"user": user, "info": info} for user, info in batch.joins.items()]
        leaves = [{"user": user} for user in sorted(batch.leaves)]
        frame = _presence(topic, event="changes", joins=joins, leaves=leaves)
        await resolved(self._announce(topic, frame, None))

    async def state(self, topic: Topic) -> Frame:
        """The `presence` frame that says who is there."""
        present = await resolved(self._broker.present(topic))
        users = [
            {"user": entry.user, "info": entry.info, "connections": entry.connections}
            for entry in present
            if entry.user != ANONYMOUS
        ]
        return _presence(topic, event="state", users=users)

    async def count(self, topic: Topic) -> Frame:
        """The `presence` frame that says how many are there; anonymous connections are connections, too."""
        present = await resolved(self._broker.present(topic))
        users = sum(1 for entry in present if entry.user != ANONYMOUS)
        connections = sum(entry.connections for entry in present)
        return _presence(topic, event="count", users=users, connections=connections)


def _presence(topic: Topic, **fields: object) -> Frame:
    # With `scope: channel` there is no room to name.
    room = {"room": topic.name} if topic.kind == "room" else {}
    return {"type": "presence", **room, **fields}
