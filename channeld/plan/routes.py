"""Routes: each declared target becomes a `TargetPlan`, or findings that say why it can't reach whom it means to.

The checks prove what can be proven without running: that a room is named, that its sender can be in it, that nobody
gets a frame twice. What depends on a hook or on the control API is not judged.
"""

import itertools
from collections.abc import Mapping, Sequence

import attrs

from channeld.config.model import Route
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Place, Related
from channeld.plan.context import ChannelContext, MessageContext
from channeld.plan.expressions import Expression, Text, expressions
from channeld.plan.plan import TargetPlan
from channeld.plan.rooms import may_meet, tokens
from channeld.plan.templates import CheckedTemplate
from channeld.pointer import at
from channeld.suggest import did_you_mean

__all__ = ["Target", "compile_targets", "route_pointers"]


@attrs.frozen(slots=True, kw_only=True)
class Target:
    """One target of a route, checked: its declaration and place, its templates, its plan."""

    route: Route
    pointer: str
    name: CheckedTemplate | None
    plan: TargetPlan


def compile_targets(message: MessageContext) -> tuple[Target, ...]:
    """The targets of a message, `none` left out; those with findings, too."""
    routes = message.message.route
    pointers = route_pointers(message, len(routes))
    targets = []
    for route, pointer in zip(routes, pointers, strict=True):
        target = _target(message, route, pointer)
        if target is not None:
            targets.append(target)
    if all(route.to == "none" for route in routes) and message.message.hook is None:
        _warn_of_nothing(message)
    _warn_of_twice(message, targets)
    return tuple(targets)


def route_pointers(message: MessageContext, count: int) -> list[str]:
    """Where each route stands: `route` takes one target or a list of them."""
    pointer = at(message.pointer, "route")
    if isinstance(message.context.templates.written(pointer), list):
        return [at(pointer, index) for index in range(count)]
    return [pointer] * count


def _target(message: MessageContext, route: Route, pointer: str) -> Target | None:
    _warn_of_unused(message.context, route, pointer)
    if route.to == "none" or not _channel_exists(message.context, route, pointer):
        return None
    if route.to == "room":
        return _to_room(message, route, pointer)
    if route.to == "user":
        return _to_user(message, route, pointer)
    plan = TargetPlan(kind=route.to, channel=route.channel, except_sender=route.except_sender)
    return Target(route=route, pointer=pointer, name=None, plan=plan)


def _to_room(message: MessageContext, route: Route, pointer: str) -> Target | None:
    context = message.context
    name = _room_name(message, route, pointer)
    if name is None:
        return None
    if route.members_only:
        _refuse_outsiders(context, route, name, pointer)
    _note_injection(message, name)
    plan = TargetPlan(
        kind="room",
        room=name.render,
        channel=route.channel,
        except_sender=route.except_sender,
        members_only=route.members_only,
    )
    return Target(route=route, pointer=pointer, name=name, plan=plan)


def _room_name(message: MessageContext, route: Route, pointer: str) -> CheckedTemplate | None:
    context = message.context
    if route.room is not None:
        scope = message.scope("route.room", room=context.has_one_room)
        return context.templates.compile_name(route.room, at(pointer, "room"), scope)
    joins = context.channel.rooms.join
    if route.channel not in (None, context.channel.name):
        label = f"a room of `{route.channel}` has to be named"
    elif not joins:
        label = "the channel joins no room on connect"
    elif len(joins) > 1:
        label = f"the channel joins {len(joins)} rooms on connect"
    else:
        # A join template that has a finding of its own needs none here.
        return context.joins[0] if context.joins else None
    help = 'name it: `{to: room, room: "…"}`'
    if route.channel is None and not joins:
        help += ', or join one: `rooms: "…"`'
    place = context.sources.place(pointer)
    context.add(diagnose("CH321", "the route names no room", place, label=label, help=help))
    return None


def _to_user(message: MessageContext, route: Route, pointer: str) -> Target | None:
    context = message.context
    if route.user is None:
        context.add(
            diagnose(
                "CH322",
                "the route names no user",
                context.sources.place(pointer),
                help='name one: `{to: user, user: "{message.to}"}`',
            )
        )
        return None
    scope = message.scope("route.user", room=context.has_one_room)
    name = context.templates.compile_name(route.user, at(pointer, "user"), scope)
    if name is None:
        return None
    _warn_of_unsigned(message, name)
    plan = TargetPlan(
        kind="user", user=name.render, channel=route.channel, except_sender=route.except_sender
    )
    return Target(route=route, pointer=pointer, name=name, plan=plan)


def _channel_exists(context: ChannelContext, route: Route, pointer: str) -> bool:
    if route.channel is None or route.to in ("sender", "none"):
        return True
    place = context.sources.place(at(pointer, "channel"))
    if "{" in route.channel:
        message = "`route.channel` takes no template"
        context.add(diagnose("CH320", message, place, help="write the channel's name"))
        return False
    if route.channel == "*":
        if route.to == "global":
            return True
        message = f'`channel: "*"` goes with `global`, not with `{route.to}`'
        context.add(diagnose("CH312", message, place, help="name one channel"))
        return False
    if route.channel in context.config.channels:
        return True
    message = f"there is no channel `{route.channel}`"
    known = ", ".join(f"`{name}`" for name in itertools.islice(context.config.channels, 8))
    help = did_you_mean(route.channel, context.config.channels, f"there are {known}")
    context.add(diagnose("CH312", message, place, help=help))
    return False


def _refuse_outsiders(
    context: ChannelContext, route: Route, name: CheckedTemplate, pointer: str
) -> None:
    place = context.sources.place(at(pointer, "room") if route.room is not None else pointer)
    if route.channel not in (None, context.channel.name):
        label = f"a connection is only in rooms of its own channel, `{context.channel.name}`"
        _add_outsider(context, place, label)
        return
    if context.has_hooks or context.config.api is not None:
        return
    rooms = context.channel.rooms
    if not rooms.join and rooms.subscribe is None:
        _add_outsider(context, place, "the channel joins no room and allows no `subscribe`")
        return
    if route.room is None or (rooms.subscribe is not None and rooms.subscribe.hook is not None):
        return
    wanted = tokens(name.node, stars=False)
    known = [tokens(join.node, stars=False) for join in context.joins] + list(context.allowed)
    declared = len(rooms.join) + len(rooms.subscribe.allow if rooms.subscribe else ())
    if len(known) == declared and not any(may_meet(wanted, pattern) for pattern in known):
        help = "add it to `rooms.subscribe.allow` or `rooms.join`, or say `members_only: false`"
        message = f"nobody can be in the room `{route.room}`"
        context.add(diagnose("CH324", message, place, help=help))


def _add_outsider(context: ChannelContext, place: Place, label: str) -> None:
    help = "let it join or subscribe (`rooms:`), or say `members_only: false`"
    context.add(diagnose("CH323", "the sender can't be in the room", place, label=label, help=help))


def _note_injection(message: MessageContext, name: CheckedTemplate) -> None:
    # A whole name out of the message is checked by membership; a part of one can be made to spell another room.
    if not isinstance(name.node, Text):
        return
    for expression in expressions(name.node):
        if expression.root != "message" or not message.shape.lookup(expression.path).types & {
            "string"
        }:
            continue
        if message.shape.lookup(expression.path).values or _has_pattern(message, expression):
            continue
        message.context.add(
            diagnose(
                "CH317",
                "any text of the client's becomes part of a room name",
                message.context.templates.place(expression),
                help=f"give `{'.'.join(expression.path)}` a `pattern` or an `enum` in the schema",
            )
        )


def _has_pattern(message: MessageContext, expression: Expression) -> bool:
    schema: object = message.message.schema
    for name in expression.path:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        schema = properties.get(name) if isinstance(properties, dict) else None
    # What lies behind a reference is not judged.
    return not isinstance(schema, dict) or bool(
        schema.keys() & {"pattern", "format", "$ref", "allOf"}
    )


def _warn_of_unsigned(message: MessageContext, name: CheckedTemplate) -> None:
    declared = message.message
    chosen = next((found for found in expressions(name.node) if found.root == "message"), None)
    guards = (declared.require, message.context.channel.require, declared.hook)
    if chosen is None or any(guard is not None for guard in guards) or _names_sender(message):
        return
    message.context.add(
        diagnose(
            "CH327",
            "the sender chooses the receiver, who can't tell who sent it",
            message.context.templates.place(chosen),
            help='add `stamp: {from: "{user.id}"}`, or say who may with `require`',
        )
    )


def _names_sender(message: MessageContext) -> bool:
    templates = message.context.templates
    declared = message.message
    for key, value in (("emit", declared.emit), ("stamp", declared.stamp)):
        node = templates.parse(dict(value), at(message.pointer, key)) if value is not None else None
        if node is not None and any(e.root in ("user", "claims") for e in expressions(node)):
            return True
    return False


def _warn_of_nothing(message: MessageContext) -> None:
    message.context.add(
        diagnose(
            "CH315",
            f"`{message.type}` goes nowhere",
            message.context.sources.place(message.pointer, key=True),
            label="it has no route and no hook",
            help="add `route: room` (or another target), or a `hook` that does the work",
        )
    )


def _warn_of_unused(context: ChannelContext, route: Route, pointer: str) -> None:
    unused = {
        "room": route.room is not None and route.to != "room",
        "user": route.user is not None and route.to != "user",
        "channel": route.channel is not None and route.to in ("sender", "none"),
        "except_sender": route.except_sender and route.to in ("sender", "none"),
        "members_only": not route.members_only and route.to != "room",
    }
    for key, found in unused.items():
        if found:
            context.add(
                diagnose(
                    "CH333",
                    f"`{key}` means nothing with `to: {route.to}`",
                    context.sources.place(at(pointer, key), key=True),
                    help="remove it",
                )
            )


def _warn_of_twice(message: MessageContext, targets: Sequence[Target]) -> None:
    context = message.context
    for first, second in itertools.combinations(targets, 2):
        who = _gets_twice(context, first, second) or _gets_twice(context, second, first)
        if who:
            earlier = Related(
                place=context.sources.place(first.pointer), message="first delivered here"
            )
            context.add(
                diagnose(
                    "CH325",
                    f"{who} gets the frame twice",
                    context.sources.place(second.pointer),
                    help="remove one of the two, or add `except_sender: true` to the wider one",
                    related=(earlier,),
                )
            )


def _gets_twice(context: ChannelContext, wide: Target, narrow: Target) -> str | None:
    """Who is reached by both targets, for all that is known; `wide` is the one that reaches more."""
    everywhere = wide.route.channel == "*"
    if not everywhere and _channel_of(context, wide) != _channel_of(context, narrow):
        return None
    kinds = (wide.route.to, narrow.route.to)
    if kinds[0] == kinds[1]:
        same = wide.route.room == narrow.route.room and wide.route.user == narrow.route.user
        return "everyone reached" if same or kinds[0] == "global" else None
    # A room route without membership may miss the sender; a user's id may be somebody else's.
    elsewhere = (kinds[0] == "room" and not wide.route.members_only) or (
        kinds[0] == "user" and wide.route.user != "{user.id}"
    )
    if kinds[1] == "sender" and (wide.route.except_sender or elsewhere):
        return None
    return _REACHED_TWICE.get(kinds)


def _channel_of(context: ChannelContext, target: Target) -> str:
    return target.route.channel or context.channel.name


_REACHED_TWICE: Mapping[tuple[str, str], str] = {
    ("global", "sender"): "the sender",
    ("global", "room"): "everyone in the room",
    ("global", "user"): "the user",
    ("room", "sender"): "the sender",
    ("user", "sender"): "the sender",
}
