"""Verbs over all nodes: they find connections, and act on them, on whichever node they are.

Nodes that share a broker send each other `here` on a control topic every few seconds. A verb runs on this node and is
requested from the others on that topic; it is done when every known node has answered, or after `PATIENCE`. A node that did
not answer is reported (`missing`, and a log line) and not waited for again until it is heard from. With a broker of one
process, the cluster is never opened: the node is alone, and every verb answers at once.

The broker keeps verbs that change something (disconnect, subscribe, unsubscribe, revoke) for a minute. A node that was cut
off carries them out when it hears the others again; until then it is `pending`.

The verbs are plain coroutines; await them in a task. They raise `BrokerUnavailable` if the other nodes could not be asked,
and then nothing was done.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, cast

import attrs

from channeld.auth.revocations import Revocation
from channeld.broker.broker import BrokerUnavailable, Position, Topic
from channeld.broker.publish_options import PublishOptions
from channeld.cluster import wire
from channeld.cluster.group_samples import GroupSamples
from channeld.cluster.revocation_log import append, replay, row_of
from channeld.cluster.verbs import VERBS, ConnectionInfo, ThisNode, connection_of
from channeld.config.model import History
from channeld.engine.engine import Engine
from channeld.engine.ports import Event
from channeld.later import Pending, launch, resolved
from channeld.protocol.codes import CloseCode
from channeld.protocol.frames import Json
from channeld.protocol.names import is_room_name, room_name
from channeld.telemetry import Sample, log
from channeld.timers import Timer

__all__ = ["Cluster", "ClusterStatistics", "ConnectionInfo", "Reached"]

PATIENCE: Final = 1.0
PATIENCE_FOR_CHANGES: Final = 2.0
PATIENCE_FOR_POSTS: Final = 5.0
KEPT: Final = History(size=10_000, ttl=60.0)
"""How long the broker keeps verbs that change something."""
BEAT: Final = 5.0
SILENT_AFTER: Final = 16.0
MOST_NODES: Final = 1_000
MOST_QUESTIONS: Final = 1_000
MOST_ROWS: Final = 1_000_000


@attrs.frozen(slots=True, kw_only=True)
class ClusterStatistics:
    """The other nodes known now and, since the start, questions asked, answers that came late or never, and messages dropped."""

    nodes: int
    asked: int
    unanswered: int
    garbage: int


@attrs.frozen(slots=True)
class Reached:
    """The result of a verb: how many connections it affected, and the nodes that have not confirmed it yet."""

    connections: int
    pending: tuple[str, ...] = ()


@attrs.define(eq=False)
class _Question:
    """A question that waits for answers. `rows` are the rows received so far, each with its node."""

    verb: str
    waiting: set[str]
    done: Event
    is_enough: Callable[[Json], bool]
    rows: list[tuple[str, Json]] = attrs.field(factory=list)

    def settle(self, node: str) -> None:
        self.waiting.discard(node)
        if not self.waiting:
            self.done.set()


class Cluster:
    """The cluster as one node sees it. Each engine has one, in `engine.cluster`.

    Attributes:
        node_id: this node.
        here: answers for this node. Its `group` names the processes started together on one machine.
        missing: the nodes that did not answer the latest question.
        group_samples: the measurements of the group's processes.
        keep_samples: called with a function that packs them; stores the result where it outlives this process.
    """

    def __init__(self, engine: Engine, node_id: str, *, group: str = "") -> None:
        self.node_id = node_id
        self.here = ThisNode(engine, group or node_id)
        self.missing: frozenset[str] = frozenset()
        self.engine = engine
        self._is_open = False
        self._heard: dict[str, float] = {}
        # Nodes that accept clients.
        self._ready: set[str] = set()
        # Nodes that vanished, and when. If they come back, they carry out the verbs kept in the broker.
        self._silent: dict[str, float] = {}
        self.group_samples = GroupSamples()
        self.keep_samples: Callable[[Callable[[], bytes]], Awaitable[None]] = _keep_nowhere
        self.plans = self.here.plans
        self.plans.on_change = engine.hub.keep_as_elsewhere
        self._is_comparing = False
        self._questions: dict[int, _Question] = {}
        self._number = self._unanswered = self._garbage = 0
        self._beat: Timer | None = None

    # ------------------------------------------------------------------------------------------- opening, closing

    async def open(self) -> None:
        """Start listening to the other nodes through the shared broker, as soon as it is reachable."""
        self._is_open = True
        broker = self.engine.hub.broker
        self.engine.hub.on_control = self.deliver
        for topic in (wire.EVERY_NODE, wire.node_topic(self.node_id)):
            await Pending(resolved(broker.subscribe(topic)))
        await self._recall()
        self._tick(self.engine.runtime.clock.monotonic())

    def greet(self) -> None:
        """Announce this node and ask which others there are: at the start, and when the broker is back."""
        if self._is_open:
            self._say(wire.EVERY_NODE, self._here_i_am(greeting=True))
            # In its own task, because it waits for the broker, and the broker is the caller.
            self.engine.runtime.spawn(self._recall())

    def announce(self) -> None:
        """Tell the others, after a change, whether this node accepts clients and which plan it serves."""
        self.plans.compare()
        self._compare()
        if self._is_open:
            self._say(wire.EVERY_NODE, self._here_i_am(greeting=False))

    async def close(self) -> None:
        """Say goodbye; from now on this node is alone. Idempotent."""
        if self._is_open:
            self._is_open = False
            if self._beat is not None:
                self._beat.cancel()
            with suppress(BrokerUnavailable, TimeoutError):
                goodbye = wire.pack(wire.Bye(self.node_id))
                later = self.engine.hub.publish(wire.EVERY_NODE, goodbye)
                await self.engine.runtime.within(PATIENCE, Pending, resolved(later))

    def _tick(self, now: float) -> None:
        # A node that was silent for three beats is gone. While no other node is known, each beat is a greeting.
        for node, at in list(self._heard.items()):
            if now - at >= SILENT_AFTER:
                self._lose(node, now)
        self._silent = {node: at for node, at in self._silent.items() if now - at < KEPT.ttl}
        self.plans.keep_only({*self._heard, *self._silent})
        self._say(wire.EVERY_NODE, self._here_i_am(greeting=not self._heard))
        self._beat = self.engine.runtime.timers.at(now + BEAT, self._tick)

    def _here_i_am(self, *, greeting: bool) -> wire.Here:
        return wire.Here(self.node_id, greeting, self.here.is_ready(), self.plans.digest)

    def _say(self, topic: Topic, message: wire.Message) -> None:
        """Publish without waiting: a lost message is repeated, or the request it belongs to times out."""
        try:
            self.engine.hub.publish(topic, wire.pack(message))
        except BrokerUnavailable:
            return

    def statistics(self) -> ClusterStatistics:
        """The counters."""
        return ClusterStatistics(
            nodes=len(self._heard),
            asked=self._number,
            unanswered=self._unanswered,
            garbage=self._garbage,
        )

    # ------------------------------------------------------------------------------------------------- messages

    def deliver(self, payload: bytes) -> None:
        """Handle a message from the control topics."""
        message = wire.unpack(payload)
        if message is None:
            self._garbage += 1
        elif message.node != self.node_id and self._is_open:
            self._take(message)

    def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.Bye):
            self._forget(message.node)
            return
        self._silent.pop(message.node, None)
        if message.node in self._heard or len(self._heard) < MOST_NODES:
            self._heard[message.node] = self.engine.runtime.clock.monotonic()
        if isinstance(message, wire.Here):
            self._take_here(message)
        elif isinstance(message, wire.Ask):
            launch(self._reply(message), self.engine.runtime.spawn)
        else:
            self._take_answer(message)

    def _take_here(self, here: wire.Here) -> None:
        if here.ready and here.node in self._heard:
            self._ready.add(here.node)
        else:
            self._ready.discard(here.node)
        if here.node in self._heard:
            self.plans.hear(here.node, here.plan)
            self._compare()
        if here.greeting:
            self._say(wire.node_topic(here.node), self._here_i_am(greeting=False))

    def _compare(self) -> None:
        """Ask the other nodes for their plans if needed. One that does not answer is asked again after its next `here`."""
        if self.plans.is_in_doubt and self._is_open and not self._is_comparing:
            self._is_comparing = True
            self.engine.runtime.spawn(self._ask_for_plans())

    async def _ask_for_plans(self) -> None:
        rows: dict[str, list[Json]] = {}
        try:
            for node, row in await self._everywhere("plan", {}):
                rows.setdefault(node, []).append(row)
        except BrokerUnavailable:
            return
        finally:
            self._is_comparing = False
        self.plans.learn(rows)

    def _lose(self, node: str, now: float) -> None:
        """Treat a node as gone because it has not been heard from."""
        self._heard.pop(node, None)
        self._ready.discard(node)
        if len(self._silent) < MOST_NODES:
            self._silent[node] = now

    def _forget(self, node: str) -> None:
        self._heard.pop(node, None)
        self._ready.discard(node)
        self._silent.pop(node, None)
        self.plans.keep_only({*self._heard, *self._silent})
        for question in self._questions.values():
            question.settle(node)

    async def _reply(self, ask: wire.Ask) -> None:
        try:
            rows = await VERBS[ask.verb](self.here, ask.arguments)
        except BrokerUnavailable:
            return
        topic = wire.node_topic(ask.node)
        for part in wire.parts(self.node_id, ask, rows):
            self._say(topic, part)

    def _take_answer(self, answer: wire.Answer) -> None:
        question = self._questions.get(answer.number)
        if question is None:
            return  # too late
        if question.verb != answer.verb or len(question.rows) + len(answer.rows) > MOST_ROWS:
            self._garbage += 1
            return
        question.rows += [(answer.node, row) for row in answer.rows]
        if any(map(question.is_enough, answer.rows)):
            question.done.set()
        if answer.last:
            question.settle(answer.node)

    # ------------------------------------------------------------------------------------------------ questions

    async def _everywhere(
        self,
        verb: str,
        arguments: dict[str, Json],
        is_enough: Callable[[Json], bool] = lambda _row: False,
    ) -> list[tuple[str, Json]]:
        """Carry out a verb on every node. Returns the rows, each with its node."""
        rows, _ = await self._ask_all(verb, arguments, is_enough)
        return rows

    async def _changed(self, verb: str, arguments: dict[str, Json]) -> Reached:
        """Carry out a verb that changes something on every node, at the latest when the node is heard from again."""
        rows, unheard = await self._ask_all(verb, arguments, keep=KEPT)
        now = self.engine.runtime.clock.monotonic()
        self._silent = {node: at for node, at in self._silent.items() if now - at < KEPT.ttl}
        pending = sorted({*unheard, *self._silent}) if self._is_open else []
        return Reached(sum(row for _, row in rows if isinstance(row, int)), tuple(pending))

    async def _ask_all(
        self,
        verb: str,
        arguments: dict[str, Json],
        is_enough: Callable[[Json], bool] = lambda _row: False,
        keep: History | None = None,
        patience: float = PATIENCE,
    ) -> tuple[list[tuple[str, Json]], set[str]]:
        """The rows, each with its node, and the nodes that have not answered."""
        if not self._is_open:
            return await self._here(verb, arguments), set()
        if len(self._questions) >= MOST_QUESTIONS:
            raise BrokerUnavailable(PATIENCE)
        self._number += 1
        number, done = self._number, self.engine.runtime.make_event()
        question = self._questions[number] = _Question(verb, set(self._heard), done, is_enough)
        try:
            ask = wire.Ask(self.node_id, number, verb, arguments)
            later = self.engine.hub.publish(wire.EVERY_NODE, wire.pack(ask), PublishOptions(keep))
            await Pending(resolved(later))
            here = await self._here(verb, arguments)
            if not any(is_enough(row) for _, row in here):
                await self._wait(question, patience if keep is None else PATIENCE_FOR_CHANGES)
        finally:
            del self._questions[number]
        return here + question.rows, question.waiting

    async def _here(self, verb: str, arguments: dict[str, Json]) -> list[tuple[str, Json]]:
        rows: Sequence[Json] = await Pending(VERBS[verb](self.here, arguments))
        return [(self.node_id, row) for row in rows]

    async def _wait(self, question: _Question, patience: float) -> None:
        try:
            if question.waiting:
                await self.engine.runtime.within(patience, question.done.wait)
        except TimeoutError:
            self._unanswered += len(question.waiting)
            for node in question.waiting:
                self._lose(node, self.engine.runtime.clock.monotonic())
            log("node_silent", nodes=sorted(question.waiting), question=question.verb)
            self.missing = frozenset(question.waiting)
        else:
            self.missing = frozenset()

    # ---------------------------------------------------------------------------------------------------- verbs

    async def connections(
        self, *, user: str | None = None, channel: str | None = None, room: str | None = None
    ) -> list[ConnectionInfo]:
        """The connections of a user, on a channel, or in a room (of that channel or of any), oldest first."""
        arguments: dict[str, Json] = {"user": user, "channel": channel, "room": room}
        rows = await self._everywhere("connections", arguments)
        found = [connection_of(node, row) for node, row in rows]
        return sorted(found, key=lambda one: (one.since, one.id))

    async def rooms(self, channel: str) -> dict[str, int]:
        """The rooms of a channel that have members, by name, with their numbers of connections."""
        sums: dict[str, int] = {}
        for _, row in await self._everywhere("rooms", {"channel": channel}):
            _, room, connections = _triple(row)
            sums[room] = sums.get(room, 0) + connections
        return sums

    async def counts(self) -> dict[str, tuple[int, int]]:
        """For each declared channel, the numbers of connections and of rooms with members."""
        rooms: dict[str, set[str]] = {name: set() for name in self.engine.plan.channels}
        connections = dict.fromkeys(rooms, 0)
        for _, row in await self._everywhere("rooms", {"channel": None}):
            channel, room, _ = _triple(row)
            rooms.setdefault(channel, set()).add(room)
        for _, row in await self._everywhere("counts", {}):
            channel, count = _pair(row)
            connections[channel] = connections.get(channel, 0) + count
        return {name: (connections[name], len(rooms[name])) for name in self.engine.plan.channels}

    async def disconnect(
        self,
        *,
        user: str | None = None,
        connection: str | None = None,
        code: int = CloseCode.KICKED,
        reason: str = "",
    ) -> Reached:
        """Close a user's connections, or one connection; returns how many there were."""
        arguments: dict[str, Json] = {"code": int(code), "reason": reason[:512]}
        return await self._count("disconnect", user, connection, arguments)

    async def subscribe(
        self,
        *,
        user: str | None = None,
        connection: str | None = None,
        channel: str,
        room: str,
    ) -> Reached:
        """Put a user's connections on a channel, or one connection, into a room; returns how many are in it now.

        Raises:
            ValueError: it is not a valid room name.
        """
        room = room_name(room)
        if not is_room_name(room):
            raise ValueError("a room name has 1 to 128 characters, each of which can be seen")
        arguments: dict[str, Json] = {"channel": channel, "room": room}
        return await self._count("subscribe", user, connection, arguments)

    async def unsubscribe(
        self,
        *,
        user: str | None = None,
        connection: str | None = None,
        channel: str,
        room: str,
        reason: str | None = None,
    ) -> Reached:
        """Take a user's connections on a channel, or one connection, out of a room; returns how many were in it."""
        said = None if reason is None else reason[:512]
        arguments: dict[str, Json] = {"channel": channel, "room": room_name(room), "reason": said}
        return await self._count("unsubscribe", user, connection, arguments)

    async def _count(
        self, verb: str, user: str | None, connection: str | None, arguments: dict[str, Json]
    ) -> Reached:
        if (user is None) == (connection is None):
            raise ValueError("name a user or a connection")
        arguments |= {"user": user, "connection": connection}
        return await self._changed(verb, arguments)

    async def revoke(self, revocation: Revocation) -> Reached:
        """Refuse tokens from now on, on every node, and close the connections that use one; returns how many there were.

        Raises:
            RevocationsFull: too many are in force; nothing was done.
        """
        self.engine.revocations.check_room(revocation, self.engine.runtime.clock.wall())
        if self._is_open:
            await self._write({"revoke": row_of(revocation)})
        reached = await self._changed("revoke", attrs.asdict(revocation))
        log("revoked", revocation=revocation.id, connections=reached.connections)
        return reached

    async def restore(self, id: str) -> bool:
        """Lift a revocation; False if there was none."""
        if self._is_open:
            await self._write({"restore": id})
        rows = await self._everywhere("restore", {"id": id})
        return any(row for _, row in rows)

    async def _write(self, entry: dict[str, Json]) -> None:
        await append(self.engine.hub, entry, self.engine.runtime.clock.wall())

    async def _recall(self) -> None:
        """Put the revocations in force that were made while this node could not hear the others."""
        with suppress(BrokerUnavailable):
            engine = self.engine
            await replay(engine.hub, engine.revocations, engine.runtime.clock.wall())

    async def online(self, channel: str, user: str) -> bool:
        """Whether a user has a connection on a channel, on any node."""
        if self.engine.hub.online(channel, user):
            return True
        arguments: dict[str, Json] = {"channel": channel, "user": user}
        rows = await self._everywhere("online", arguments, bool)
        return any(row for _, row in rows)

    async def show(self, topic: Topic, user: str, state: Mapping[str, object] | None) -> bool:
        """Set a presence state of a user, through its newest connection in that presence; False if there is none."""
        room = topic.name or None
        found = await self.connections(user=user, channel=topic.channel, room=room)
        if not found:
            return False
        shown = None if state is None else cast("dict[str, Json]", dict(state))
        arguments: dict[str, Json] = {"connection": found[-1].id, "room": room, "state": shown}
        return any(row for _, row in await self._everywhere("show", arguments, bool))

    async def post(
        self, stream: str, channel: str, user: str | None, texts: list[bytes]
    ) -> list[bytes] | int:
        """Give a client's messages to its stream, on whichever node that is. Returns the answers, or an HTTP status."""
        sent: list[Json] = [text.decode("utf-8", "replace") for text in texts]
        arguments: dict[str, Json] = {
            "stream": stream,
            "channel": channel,
            "user": user,
            "texts": sent,
        }
        rows, unheard = await self._ask_all("post", arguments, bool, patience=PATIENCE_FOR_POSTS)
        for _, row in rows:
            return row if isinstance(row, int) else [str(one).encode() for one in _items(row)]
        return 504 if unheard else 404

    async def published(self, channel: str, key: str) -> tuple[str, str | None] | None:
        """The result of an idempotency key, from the node that took it; None if no node remembers it."""
        arguments: dict[str, Json] = {"channel": channel, "key": key}
        for _, row in await self._everywhere("published", arguments, bool):
            fingerprint, position = _items(row)
            return str(fingerprint), None if position is None else str(position)
        return None

    async def nodes(self) -> int:
        """How many nodes answer, including this one."""
        return len(await self._everywhere("ping", {}))

    async def publish(
        self,
        channel: str,
        frame: Mapping[str, object],
        *,
        room: str | None = None,
        user: str | None = None,
        skip: str | None = None,
    ) -> tuple[Position | None, int]:
        """As `Engine.publish`; also returns the number of nodes.

        Raises:
            FrameRefused: the channel's clients may not get it.
            BrokerUnavailable: it was not published.
        """
        later = self.engine.publish(channel, frame, room=room, user=user, skip=skip)
        return await Pending(resolved(later)), 1 + len(self._heard)

    async def samples(self) -> list[Sample]:
        """The metric samples of all processes of this node's group; those with the same labels are summed.

        A process that does not answer (all others, while the broker is unreachable) counts with its last samples.
        """
        arguments: dict[str, Json] = {"group": self.here.group}
        try:
            rows = await self._everywhere("samples", arguments)
        except BrokerUnavailable:
            rows = await self._here("samples", arguments)
        answers: dict[str, list[Json]] = {}
        for node, row in rows:
            if isinstance(row, list):
                answers.setdefault(node, []).append(row)
        unpacked = {node: list(wire.unpack_samples(some)) for node, some in answers.items()}
        taken = self.group_samples.take(unpacked, {*self._heard, *self._silent})
        # Kept before they are shown: what has been shown must survive this process.
        await self.keep_samples(self.group_samples.packed)
        return taken

    # ---------------------------------------------------------------------------------------------- for sessions

    @property
    def is_shared(self) -> bool:
        """Whether there may be other nodes."""
        return self._is_open

    @property
    def is_another_ready(self) -> bool:
        """Whether another node accepts clients, so that a client may be sent away now."""
        return bool(self._ready)

    def replace_oldest(self, channel: str, user: str, most: int) -> None:
        """Close a user's oldest connections beyond `most`, on any node, because of a new one. Does not wait."""
        if self._is_open:
            self.engine.runtime.spawn(self._replace_oldest(channel, user, most))

    async def _replace_oldest(self, channel: str, user: str, most: int) -> None:
        try:
            found = await self.connections(user=user, channel=channel)
            for oldest in found[: max(0, len(found) - most)]:
                await self.disconnect(
                    connection=oldest.id,
                    code=CloseCode.REPLACED,
                    reason="replaced by a newer connection",
                )
        except BrokerUnavailable:
            return  # this user's next connection looks again


async def _keep_nowhere(_pack: Callable[[], bytes]) -> None:
    return


def _pair(row: Json) -> tuple[str, int]:
    channel, count = _items(row)
    return str(channel), int(str(count))


def _triple(row: Json) -> tuple[str, str, int]:
    channel, room, count = _items(row)
    return str(channel), str(room), int(str(count))


def _items(row: Json) -> Sequence[Json]:
    return row if isinstance(row, list) else ()
