"""When a room becomes occupied or vacant over all nodes, as counted by the broker.

Each node enters a room once, under its own id, when its first member joins, and leaves it with its last one. The broker
says whether that was the first or last over all nodes, even for a node that died. Nothing waits for it: the wanted state is
recorded, and the broker is brought in line with it, so a room that was left and entered again before the broker answered
causes no event.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice

from channeld.broker.broker import Broker, BrokerUnavailable, Later, Position, Topic
from channeld.engine.ports import Runtime
from channeld.later import launch, resolved
from channeld.timers import Timer

KIND = "occupied"
"""The kind of topic under which nodes enter rooms."""
_AT_ONCE = 100


class Occupancy:
    """The rooms with a member on this node.

    Args:
        broker: its presence is what counts.
        runtime: its timers, and tasks for what must wait.
        tell: called with a room's topic of kind `occupied`, whether it is occupied now, and the version of that change.
    """

    def __init__(
        self, broker: Broker, runtime: Runtime, tell: Callable[[Topic, bool, Position], None]
    ) -> None:
        self._broker = broker
        self._runtime = runtime
        self._tell = tell
        self._node = runtime.random_id()
        self._here: dict[Topic, set[str]] = {}
        self._lingering: dict[Topic, Timer] = {}
        self._entered: set[Topic] = set()
        self._changed: dict[Topic, None] = {}
        self._is_asking = False
        self._retry: Timer | None = None
        self._settled = runtime.make_event()

    def enter(self, room: Topic, connection: str) -> None:
        """Record that a connection has joined a room. Idempotent."""
        topic = Topic(KIND, room.channel, room.name)
        timer = self._lingering.pop(topic, None)
        if timer is not None:
            timer.cancel()
        self._here.setdefault(topic, set()).add(connection)
        self._look(topic)

    def leave(self, room: Topic, connection: str, grace: float = 0.0) -> None:
        """Record that a connection has left a room; takes effect after `grace` seconds unless someone joins. Idempotent."""
        topic = Topic(KIND, room.channel, room.name)
        connections = self._here.get(topic, set())
        if connection not in connections:
            return
        connections.discard(connection)
        if connections:
            return
        del self._here[topic]
        if grace > 0:
            deadline = self._runtime.clock.monotonic() + grace
            self._lingering[topic] = self._runtime.timers.at(
                deadline, lambda _now: self._expire(topic)
            )
        else:
            self._look(topic)

    def end_grace(self) -> None:
        """End all grace periods now."""
        for topic, timer in list(self._lingering.items()):
            timer.cancel()
            self._expire(topic)

    async def bequeath(self) -> None:
        """Hand rooms in their grace period over to other nodes, because this node stops."""
        now = self._runtime.clock.monotonic()
        for topic, timer in list(self._lingering.items()):
            # After the last user of the room, whose time is the same.
            left = timer - now + 1.0
            with suppress(BrokerUnavailable):
                await resolved(self._broker.linger(topic, "", self._node, left))

    async def settle(self) -> None:
        """Wait until the broker has answered everything."""
        while self._is_asking or self._changed:
            self._settled = self._runtime.make_event()
            await self._settled.wait()

    def _expire(self, topic: Topic) -> None:
        del self._lingering[topic]
        self._look(topic)

    def _is_wanted(self, topic: Topic) -> bool:
        return topic in self._here or topic in self._lingering

    def _look(self, topic: Topic) -> None:
        if self._is_wanted(topic) != (topic in self._entered):
            self._changed[topic] = None
            self._ask()

    def _ask(self) -> None:
        if not self._is_asking and self._retry is None:
            launch(self._bring_in_line(), self._runtime.spawn)

    async def _bring_in_line(self) -> None:
        self._is_asking = True
        away: BrokerUnavailable | None = None
        try:
            while self._changed and away is None:
                topics = list(islice(self._changed, _AT_ONCE))
                # Send all requests first, then read the answers in order: one round trip for many rooms.
                asked = [(topic, self._question(topic)) for topic in topics]
                for topic, question in asked:
                    away = await self._answer(topic, question) or away
        finally:
            self._is_asking = False
        if away is None:
            self._settled.set()
        else:
            again = self._runtime.clock.monotonic() + away.retry_after
            self._retry = self._runtime.timers.at(again, self._ask_again)

    def _ask_again(self, _now: float) -> None:
        self._retry = None
        self._ask()

    def _question(self, topic: Topic) -> "Later[None] | BrokerUnavailable":
        del self._changed[topic]
        is_wanted = self._is_wanted(topic)
        if is_wanted == (topic in self._entered):
            return None
        told = partial(self._tell, topic, is_wanted)
        try:
            if is_wanted:
                self._entered.add(topic)
                return self._broker.enter(topic, "", self._node, {}, told)
            self._entered.discard(topic)
            return self._broker.leave(topic, "", self._node, told)
        except BrokerUnavailable as error:
            return error

    async def _answer(
        self, topic: Topic, question: "Later[None] | BrokerUnavailable"
    ) -> BrokerUnavailable | None:
        is_entered = topic in self._entered
        try:
            if isinstance(question, BrokerUnavailable):
                raise question
            await resolved(question)
        except BrokerUnavailable as error:
            if not is_entered:
                return None  # the broker reports later that it was left, as for a node that died
            self._entered.discard(topic)
            self._changed[topic] = None
            return error
        return None
