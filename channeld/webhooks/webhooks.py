"""Turns what happens to connections, users and rooms into events for the webhooks that want them.

The engine calls this observer while it handles frames, so nothing here waits. Each method records what was reported, so
that each `connected` has exactly one `disconnected`, and each `joined` one `left`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import trio

from channeld.broker.broker import Position, Topic
from channeld.config.model import Webhook
from channeld.engine.engine import Engine
from channeld.engine.ports import Observed
from channeld.hub.presence import stay
from channeld.later import Pending
from channeld.protocol.frames import Json, encode
from channeld.telemetry import Sample, log
from channeld.webhooks.occupancy import Occupancy
from channeld.webhooks.sender import WebhookSender

DRAIN: Final = 5.0
"""Seconds that `drain` may take."""


class Webhooks:
    """The engine's observer. `run` sends; without it events are only queued.

    Args:
        engine: whose connections it is about.
        webhooks: the configuration's.
        senders: one for each webhook, instead of those made from it.

    Raises:
        ValueError: an address that must not be called.
    """

    def __init__(
        self,
        engine: Engine,
        webhooks: Sequence[Webhook],
        senders: Sequence[WebhookSender] | None = None,
    ) -> None:
        self._engine = engine
        runtime = engine.runtime
        self._senders = senders or [
            WebhookSender(str(number), webhook, runtime) for number, webhook in enumerate(webhooks)
        ]
        for sender in self._senders:
            sender.tracing = engine.tracing
        self._wishes: dict[str, list[tuple[frozenset[str], WebhookSender]]] = {}
        for webhook, sender in zip(webhooks, self._senders, strict=True):
            for event in dict.fromkeys(webhook.events):
                wish = (frozenset(webhook.channels), sender)
                self._wishes.setdefault(event, []).append(wish)
        self._connected: set[str] = set()
        self._joined: set[tuple[Topic, str]] = set()
        self._occupancy = Occupancy(engine.hub.broker, runtime, self.room_changed)
        engine.observer = self
        engine.hub.presence.on_change = self.presence_changed

    def samples(self) -> Iterator[Sample]:
        """Metrics of all webhooks."""
        for sender in self._senders:
            yield from sender.samples()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled."""
        async with trio.open_nursery() as nursery:
            for sender in self._senders:
                nursery.start_soon(sender.run)
            task_status.started()

    async def drain(self, seconds: float = DRAIN, *, is_outlived: bool = False) -> None:
        """Send what waits within that many seconds, after every connection has ended; the rest is dropped.

        All grace periods end, unless `is_outlived`: then other nodes take them over and report when they end.
        """
        with trio.move_on_after(seconds):
            if not is_outlived:
                await self._engine.hub.presence.end_grace()
                # A room is vacated after its last user has left.
                self._occupancy.end_grace()
            await self._occupancy.settle()
            if is_outlived:
                await Pending(self._occupancy.bequeath())
            async with trio.open_nursery() as nursery:
                for sender in self._senders:
                    nursery.start_soon(sender.drain)
        for sender in self._senders:
            sender.give_up()

    # ------------------------------------------------------------------------------------------- from the engine

    def connected(self, session: Observed) -> None:
        """A client was accepted; its rooms are joined next."""
        self._connected.add(session.connection_id)
        self._tell("connected", session.channel.name, **_who(session))

    def disconnected(self, session: Observed, code: int, reason: str) -> None:
        """A connection has ended; ignored if it had not been accepted."""
        if session.connection_id in self._connected:
            self._connected.discard(session.connection_id)
            channel = session.channel.name
            self._tell("disconnected", channel, **_who(session), code=code, reason=reason)

    def joining(self, session: Observed, room: Topic) -> None:
        """A connection is joining a room: the room is occupied before its first user has joined."""
        if self._wants("room_occupied", room.channel) or self._wants("room_vacated", room.channel):
            self._occupancy.enter(room, session.connection_id)

    def joined(self, session: Observed, room: Topic) -> None:
        """A connection is in a room."""
        if not _has_presence(session):
            self._joined.add((room, session.connection_id))
            self._tell("joined", room.channel, room=room.name, **_whose(session))

    def left(self, session: Observed, room: Topic) -> None:
        """A connection has left a room; ignored if it was not in it."""
        if (room, session.connection_id) in self._joined:
            self._joined.discard((room, session.connection_id))
            self._tell("left", room.channel, room=room.name, **_whose(session))
        presence = session.channel.presence if _has_presence(session) else None
        self._occupancy.leave(room, session.connection_id, stay(presence, session.away))

    def room_changed(self, topic: Topic, is_occupied: bool, version: Position) -> None:
        """A room got its first member over all nodes, or lost its last."""
        event = "room_occupied" if is_occupied else "room_vacated"
        self._tell(event, topic.channel, room=topic.name, **_numbered(version))

    def presence_changed(
        self, topic: Topic, user: str, info: Mapping[str, Json] | None, version: Position
    ) -> None:
        """A user became present (with `info`) or absent (None), over all nodes."""
        room = {"room": topic.name} if topic.is_room else {}
        event, shown = ("left", {}) if info is None else ("joined", {"info": info})
        self._tell(event, topic.channel, **room, user=user, **shown, **_numbered(version))

    # ------------------------------------------------------------------------------------------- to the senders

    def _wants(self, event: str, channel: str) -> bool:
        return any(not only or channel in only for only, _ in self._wishes.get(event, ()))

    def _tell(self, event: str, channel: str, **fields: object) -> None:
        if not self._wants(event, channel):
            return
        runtime = self._engine.runtime
        told = {
            "event": event,
            "id": runtime.random_id(),
            "time": int(runtime.clock.wall() * 1000),
            "channel": channel,
            **fields,
        }
        try:
            encoded = encode(told)
        except TypeError as error:  # what a hook has made of a user; the client is not to blame
            log("webhook_dropped", events=1, reason=f"not JSON: {error}")
            return
        for only, sender in self._wishes[event]:
            if not only or channel in only:
                sender.put(encoded)


def _numbered(version: Position) -> dict[str, str]:
    # Without a version, the order is unknown.
    return {"version": str(version)} if version.offset else {}


def _has_presence(session: Observed) -> bool:
    presence = session.channel.presence
    return presence is not None and presence.scope == "room"


def _whose(session: Observed) -> dict[str, object]:
    return {"connection": session.connection_id, "user": session.user_id}


def _who(session: Observed) -> dict[str, object]:
    return {**_whose(session), "params": session.params, "address": session.address}
