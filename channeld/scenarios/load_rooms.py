"""The rooms of a load: which rooms a client subscribes to so that its messages arrive, and messages that name them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from channeld.config.model import Channel
from channeld.plan.plan import MessagePlan, NotInRoom
from channeld.protocol.frames import Json
from channeld.protocol.names import Topic, is_room_name
from channeld.scenarios.receivers import Known, NotKnown

MOST: Final = 10
"""How many rooms a client subscribes to."""
_WHOLE = re.compile(r"\{message\.(\w+)\??\}")
_FIELD = re.compile(r"\{message\.(\w+)[^}]*\}")
_NAME = re.compile(r"\{([^}?]+)\??\}")

_Made = Mapping[str, Sequence[dict[str, Json]]]


def routed_fields(declared: Channel, type_: str) -> frozenset[str]:
    """The fields of a message that select its room."""
    routes = declared.messages[type_].route
    texts = [text for route in routes for text in (route.room, route.user) if text is not None]
    return frozenset(name for text in texts for name in _FIELD.findall(text))


class LoadRooms:
    """One client's rooms, and what it sends of each type, from the messages `made` for all clients.

    Rooms that the client subscribes to are added to its own in `known`. `preferred` is the name that stands for `*` in what may
    be subscribed to.
    """

    def __init__(self, declared: Channel, known: Known, made: _Made, preferred: str) -> None:
        self._declared = declared
        self._known = known
        room = self._allowed(preferred)
        messages = known.channel.messages
        self._made = {
            type_: [self._naming(room, messages[type_], frame) for frame in frames]
            for type_, frames in made.items()
        }
        subscribe = known.channel.subscribe
        self.subscribed = [] if subscribe is None else self._wanted(subscribe.max)
        for name in self.subscribed:
            known.rooms[name] = Topic("room", known.channel.name, name)

    def messages(self, type_: str) -> list[dict[str, Json]]:
        """The client's messages of a type: those to its rooms or, if there are none, refused ones."""
        message = self._known.channel.messages[type_]
        frames = self._made[type_]
        return [frame for frame in frames if not [*self._missing(message, frame)]] or frames

    def refused(self, room: str) -> None:
        """Record that the server refused a room."""
        self._known.rooms.pop(room, None)

    def _allowed(self, preferred: str) -> str | None:
        """A room that may be subscribed to, by the first pattern that gives one."""
        allow = self._declared.rooms.subscribe.allow if self._declared.rooms.subscribe else ()
        rooms = (_NAME.sub(self._value, one.replace("*", preferred)) for one in allow)
        return next((room for room in rooms if self._may_subscribe(room)), None)

    def _value(self, found: re.Match[str]) -> str:
        root, *path = found[1].strip().split(".")
        value: Json | object = {
            "params": self._known.params,
            "claims": self._known.claims,
            "user": {"id": self._known.user},
        }.get(root)
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, list):
            value = next(iter(value), None)
        return str(value) if isinstance(value, str | int) else ""

    def _may_subscribe(self, room: str) -> bool:
        subscribe = self._known.channel.subscribe
        if subscribe is None or not is_room_name(room):
            return False
        try:
            return subscribe.allows(self._known, room)  # type: ignore[arg-type]
        except NotKnown:
            return False

    def _naming(
        self, room: str | None, message: MessagePlan, frame: dict[str, Json]
    ) -> dict[str, Json]:
        """A message for the room, where a field of it is the name of one that it goes to."""
        if room is None or not [*self._missing(message, frame)]:
            return frame
        for route in self._declared.messages[message.type].route:
            field = _WHOLE.fullmatch(route.room or "")
            named = {**frame, field[1]: room} if field is not None else frame
            if field is not None and message.accepts(named):
                frame = named
        return frame

    def _wanted(self, most_at_once: int | None) -> list[str]:
        known = self._known
        room_for = known.channel.limits.rooms_per_connection - len(known.rooms)
        most = min(MOST, most_at_once or MOST, room_for)
        found: dict[str, None] = {}
        for type_, frames in self._made.items():
            for frame in frames:
                for room in self._missing(known.channel.messages[type_], frame):
                    if self._may_subscribe(room):
                        found[room] = None
        return [*found][: max(0, most)]

    def _missing(self, message: MessagePlan, frame: dict[str, Json]) -> Iterator[str]:
        """The rooms of a message that the client is not in."""
        for target in message.targets:
            try:
                target.topic(self._known, frame)  # type: ignore[arg-type]
            except NotInRoom as error:
                yield error.room
            except NotKnown:
                continue
