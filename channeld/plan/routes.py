"""Compiles routes: each declared target becomes a plan, or findings that say why it can't work.

The checks cover what is known statically: that a target's channel exists, that its keys apply, that nobody gets a frame
twice. Checks of each kind of target are in `channeld.plan.targets`. What depends on a hook or on the control API is not
checked.
"""

import itertools
from collections.abc import Sequence

from channeld.config.model import Route
from channeld.diagnostics.diagnostic import Related
from channeld.plan.context import ChannelContext, MessageContext
from channeld.plan.targets.kinds import kind_of
from channeld.plan.targets.target import CompiledTarget, TargetKind
from channeld.pointer import at
from channeld.suggest import did_you_mean


def compile_targets(message: MessageContext) -> tuple[CompiledTarget, ...]:
    """The targets of a message without `none`; includes those with findings."""
    routes = message.message.route
    written = message.context.templates.each(routes, at(message.pointer, "route"))
    found = (_target(message, route, pointer) for route, pointer in written)
    targets = [target for target in found if target is not None]
    nothing = not any(kind_of(route).delivers for route in routes) and message.message.hook is None
    if nothing and not _is_in_doubt(message):
        label = "it has no route and no hook"
        help = "add `route: room` (or another target), or a `hook` that does the work"
        finding = f"`{message.type}` goes nowhere"
        message.context.templates.find(
            "CH315", finding, message.pointer, help, label=label, key=True
        )
    _warn_of_twice(message, targets)
    _warn_of_idle(message)
    return tuple(targets)


def _warn_of_idle(message: MessageContext) -> None:
    """CH616: `none` next to other targets, and options for delivered frames if no frame is delivered."""
    declared = message.message
    routed = [route for route in declared.route if kind_of(route).delivers]
    if routed and len(routed) < len(declared.route):
        why = "`none` has no effect: other targets get the frame"
        message.context.templates.find("CH616", why, at(message.pointer, "route"), "remove it")
    options = {"emit": declared.emit, "stamp": declared.stamp, "once": declared.once}
    for key, value in options.items():
        if value is not None and not routed and declared.hook is not None:
            why = f"`{key}` has no effect: the message is not routed"
            where, help = at(message.pointer, key), "add a `route`, or remove it"
            message.context.templates.find("CH616", why, where, help, key=True)


def _target(message: MessageContext, route: Route, pointer: str) -> CompiledTarget | None:
    kind = kind_of(route)
    _warn_of_unused(message.context, route, kind, pointer)
    if not _channel_exists(message.context, route, kind, pointer):
        return None
    return kind.compile(message, route, pointer)


def _channel_exists(context: ChannelContext, route: Route, kind: TargetKind, pointer: str) -> bool:
    if route.channel is None or "channel" not in kind.keys:
        return True
    where = at(pointer, "channel")
    if "{" in route.channel:
        message = "`route.channel` takes no template"
        context.templates.find("CH320", message, where, "write the channel's name")
        return False
    if route.channel == "*":
        if kind.everywhere:
            return True
        message = f'`channel: "*"` goes with `global`, not with `{route.to}`'
        context.templates.find("CH312", message, where, "name one channel")
        return False
    if route.channel in context.config.channels:
        return True
    known = ", ".join(f"`{name}`" for name in itertools.islice(context.config.channels, 8))
    help = did_you_mean(route.channel, context.config.channels, f"there are {known}")
    context.templates.find("CH312", f"there is no channel `{route.channel}`", where, help)
    return False


def _is_in_doubt(message: MessageContext) -> bool:
    """Whether a finding about the message already exists: it may concern the route."""
    wrong = message.context.sources.report.wrong
    return any(pointer.startswith(f"{message.pointer}/") for pointer in wrong)


def _warn_of_unused(context: ChannelContext, route: Route, kind: TargetKind, pointer: str) -> None:
    given = {
        "room": route.room is not None,
        "user": route.user is not None,
        "channel": route.channel is not None,
        "except_sender": route.except_sender,
        "members_only": not route.members_only,
    }
    for key, is_given in given.items():
        if is_given and key not in kind.keys:
            finding = f"`{key}` has no effect with `to: {route.to}`"
            context.templates.find("CH333", finding, at(pointer, key), "remove it", key=True)


def _warn_of_twice(message: MessageContext, targets: Sequence[CompiledTarget]) -> None:
    context = message.context
    for first, second in itertools.combinations(targets, 2):
        who = _gets_twice(context, first, second) or _gets_twice(context, second, first)
        if who:
            place = context.sources.place(first.pointer)
            earlier = (Related(place=place, message="first delivered here"),)
            help = "remove one of the two, or add `except_sender: true` to the wider one"
            finding = f"{who} gets the frame twice"
            context.templates.find("CH325", finding, second.pointer, help, related=earlier)


def _gets_twice(
    context: ChannelContext, wide: CompiledTarget, narrow: CompiledTarget
) -> str | None:
    """Who is certainly reached by both targets; `wide` is the one that reaches more."""
    everywhere = wide.route.channel == "*"
    if not everywhere and _channel_of(context, wide) != _channel_of(context, narrow):
        return None
    if wide.kind is narrow.kind:
        return "everyone reached" if wide.kind.is_same(wide.route, narrow.route) else None
    if not narrow.kind.to_others and wide.kind.may_miss_sender(wide.route):
        return None
    return wide.kind.covers.get(narrow.kind.name)


def _channel_of(context: ChannelContext, target: CompiledTarget) -> str:
    return target.route.channel or context.channel.name
