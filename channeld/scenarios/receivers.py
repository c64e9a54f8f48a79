"""Computes who must receive a message, from the plan and what is known about clients from outside."""

from collections.abc import Iterable, Iterator, Mapping

import attrs

from channeld.plan.plan import MISSING, ChannelPlan, MessagePlan, NotInRoom, Plan
from channeld.protocol.frames import Frame, Json
from channeld.protocol.names import EVERYONE, Topic


class NotKnown(Exception):
    """A template needs something that only the server knows."""


@attrs.define(eq=False)
class Known:
    """A connection (a `Sender`), as far as its client knows it."""

    channel: ChannelPlan
    params: Mapping[str, Json]
    user: str | None
    claims: Mapping[str, Json]
    query: Mapping[str, Json] = attrs.field(factory=dict)
    room: str | None = None
    home: str | None = None
    rooms: dict[str, Topic] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for room in self._joined():
            self.rooms[room] = Topic("room", self.channel.name, room)
        if len(self.rooms) == 1:
            self.home = self.room = next(iter(self.rooms))

    def _joined(self) -> Iterator[str]:
        for template in self.channel.join:
            try:
                value = template(self, {})  # type: ignore[arg-type]
            except NotKnown:
                continue
            if value is not MISSING:
                yield from map(str, value if isinstance(value, list) else [value])

    @property
    def user_id(self) -> str | None:
        """The user's id."""
        return self.user

    @property
    def connection_id(self) -> str:
        """Not known."""
        raise NotKnown

    def now_ms(self) -> int:
        """Not known."""
        raise NotKnown

    def uuid(self) -> str:
        """Not known."""
        raise NotKnown

    @property
    def topics(self) -> Iterator[Topic]:
        """Its topics."""
        name = self.channel.name
        yield from (EVERYONE, Topic("channel", name, ""), *self.rooms.values())
        if self.user is not None:
            yield Topic("user", name, self.user)


def is_checkable(plan: Plan, message: MessagePlan, channel: str) -> bool:
    """Whether each accepted message is delivered once to each receiver, and the receivers are known from outside."""
    if message.newest is not None and message.newest.conflate:
        return False
    if message.rate is not None and message.rate.over != "refuse":
        return False
    routes = plan.config.channels[channel].messages[message.type].route
    depends = any("message" in (route.room or "") + (route.user or "") for route in routes)
    return message.hook is None or not depends


class Receivers:
    """The clients by their topics."""

    def __init__(self, clients: Iterable[Known]) -> None:
        self._by_topic: dict[Topic, list[Known]] = {}
        for client in clients:
            for topic in client.topics:
                self._by_topic.setdefault(topic, []).append(client)

    def of(self, sender: Known, message: MessagePlan, frame: Frame) -> list[Known]:
        """The receivers of a sender's message, each once; those that can't be known from outside are left out."""
        found: dict[int, Known] = {}
        for target in message.targets:
            if target.is_direct:
                found[id(sender)] = sender
                continue
            try:
                topic = target.topic(sender, frame)  # type: ignore[arg-type]
            except (NotInRoom, NotKnown):
                continue
            for one in self._by_topic.get(topic, ()) if topic is not None else ():
                if one is not sender or not target.except_sender:
                    found[id(one)] = one
        return list(found.values())
