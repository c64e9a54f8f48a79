"""The target `room`: every connection in a room, on every node."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from channeld.config.model import Channel, Message, Route
from channeld.plan.context import ChannelContext, MessageContext
from channeld.plan.expressions import Expression, Text, expressions
from channeld.plan.plan import MISSING, NotInRoom, Sender, TargetPlan, Template
from channeld.plan.room_patterns import may_meet, tokens
from channeld.plan.targets.target import CompiledTarget, TargetKind, of_channel
from channeld.plan.templates import CheckedTemplate
from channeld.pointer import at
from channeld.protocol.frames import Frame
from channeld.protocol.names import Topic, is_room_name, room_name
from channeld.schema.vocabulary import mapping


@attrs.frozen(slots=True, kw_only=True)
class RoomPlan(TargetPlan):
    """A room's topic. `room` renders its name; None: the channel's only `join` room."""

    in_room: ClassVar[bool] = True
    room: Template | None = None
    members_only: bool = True

    def take_room(self, sender: Sender, frame: Frame) -> bool:
        """Set the route's room on the sender, for templates and hooks."""
        if self.room is None:
            return False
        room = self.room(sender, frame)
        sender.room = None if room is MISSING else room_name(str(room))
        return True

    def topic(self, sender: Sender, frame: Frame) -> Topic | None:
        """The room's topic; None if an optional part of its name is missing.

        Raises:
            NotInRoom: the sender must be in the room, and is not.
        """
        room = sender.home
        if self.room is not None:
            rendered = self.room(sender, frame)
            if rendered is MISSING:
                return None
            room = sender.room = room_name(str(rendered))
        if room is None:
            return None
        own = sender.channel.name
        if self.channel is None or self.channel == own:
            topic = sender.rooms.get(room)
            if topic is not None:
                return topic
        if self.members_only or not is_room_name(room):
            raise NotInRoom(room)
        return Topic("room", self.channel or own, room)


class ToRoom(TargetKind):
    """Every connection in the room."""

    name = "room"
    keys = frozenset({"room", "channel", "except_sender", "members_only"})
    in_room = True
    covers: ClassVar[Mapping[str, str]] = {"sender": "the sender"}

    def words(self, route: Route, channel: Channel, message: Message) -> str:
        """The room's template, and whether non-members may send."""
        room = route.room or next(iter(channel.rooms.join), "")
        outside = "" if route.members_only else ", from outside too"
        return f"room {room}{of_channel(route)}{outside}"

    def may_miss_sender(self, route: Route) -> bool:
        """True if the sender need not be a member."""
        return route.except_sender or not route.members_only

    def compile(self, message: MessageContext, route: Route, pointer: str) -> CompiledTarget | None:
        """Compile the room's name, and check as far as possible that a sender can be in it."""
        name = _room_name(message, route, pointer)
        if name is None:
            return None
        if route.members_only:
            _refuse_outsiders(message.context, route, name, pointer)
        _note_injection(message, name)
        plan = RoomPlan(
            room=name.render,
            channel=route.channel,
            except_sender=route.except_sender,
            members_only=route.members_only,
        )
        return CompiledTarget(route=route, pointer=pointer, kind=self, name=name, plan=plan)


def _room_name(message: MessageContext, route: Route, pointer: str) -> CheckedTemplate | None:
    context = message.context
    if route.room is not None:
        scope = message.scope("route.room", room=context.has_one_room)
        return context.templates.compile_name(route.room, at(pointer, "room"), scope)
    joins = context.channel.rooms.join
    if at("/channels", context.channel.name, "rooms") in context.sources.refused:
        return None
    if route.channel not in (None, context.channel.name):
        label = f"a room of `{route.channel}` has to be named"
    elif not joins:
        label = "the channel joins no room on connect"
    elif len(joins) > 1:
        label = f"the channel joins {len(joins)} rooms on connect"
    elif any(join.is_each for join in context.joins):
        label = "the channel joins a room for each element of a list"
    else:
        # A join template that has a finding already needs no second one.
        return context.joins[0] if context.joins else None
    help = 'name it: `{to: room, room: "…"}`'
    if route.channel is None and not joins:
        help += ', or join one: `rooms: "…"`'
    context.templates.find("CH321", "the route does not name a room", pointer, help, label=label)
    return None


def _refuse_outsiders(
    context: ChannelContext, route: Route, name: CheckedTemplate, pointer: str
) -> None:
    where = at(pointer, "room") if route.room is not None else pointer
    if route.channel not in (None, context.channel.name):
        label = f"a connection is only in rooms of its own channel, `{context.channel.name}`"
        _add_outsider(context, where, label)
        return
    if context.has_hooks or context.config.api is not None:
        return
    rooms = context.channel.rooms
    if not rooms.join and rooms.subscribe is None:
        _add_outsider(context, where, "the channel joins no room and allows no `subscribe`")
        return
    if route.room is None or (rooms.subscribe is not None and rooms.subscribe.hook is not None):
        return
    wanted = tokens(name.node, stars=False)
    known = [tokens(join.node, stars=False) for join in context.joins] + list(context.allowed)
    declared = len(rooms.join) + len(rooms.subscribe.allow if rooms.subscribe else ())
    if len(known) == declared and not any(may_meet(wanted, pattern) for pattern in known):
        help = "add it to `rooms.subscribe.allow` or `rooms.join`, or set `members_only: false`"
        message = f"no connection can be in the room `{route.room}`"
        context.templates.find("CH324", message, where, help)


def _add_outsider(context: ChannelContext, where: str, label: str) -> None:
    help = "let it join or subscribe (`rooms:`), or set `members_only: false`"
    context.templates.find("CH323", "the sender can't be in the room", where, help, label=label)


def _note_injection(message: MessageContext, name: CheckedTemplate) -> None:
    # A whole name from the message is checked by membership; a part of a name can be chosen to form another room's.
    if not isinstance(name.node, Text):
        return
    for expression in expressions(name.node):
        if expression.root != "message":
            continue
        found = message.shape.lookup(expression.path)
        if "string" in found.types and not found.values and not _has_pattern(message, expression):
            finding = "arbitrary client text becomes part of a room name"
            help = f"give `{'.'.join(expression.path)}` a `pattern` or an `enum` in the schema"
            message.context.templates.find(
                "CH317", finding, message.context.templates.place(expression), help
            )


def _has_pattern(message: MessageContext, expression: Expression) -> bool:
    schema = message.message.schema
    for name in expression.path:
        schema = mapping(schema, "properties").get(name)
    # References are not followed.
    return not isinstance(schema, dict) or bool(
        schema.keys() & {"pattern", "format", "$ref", "allOf"}
    )
