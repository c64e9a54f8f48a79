"""Compiles `emit` and `stamp`, and checks that an emitted frame can satisfy the event whose type it has."""

from collections.abc import Mapping, Sequence

import attrs

from channeld.plan.context import ChannelContext, MessageContext
from channeld.plan.expressions import Literal, Node, Object
from channeld.plan.plan import Template
from channeld.plan.targets.target import CompiledTarget
from channeld.plan.template_closures import build
from channeld.plan.template_scope import TemplateScope
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.protocol.reserved import RESERVED
from channeld.schema.violations import Validator
from channeld.suggest import did_you_mean

POSITION_FIELDS = ("room", "pos")


@attrs.frozen(slots=True, kw_only=True)
class Delivery:
    """How the delivered frame is made: `emit` renders all of it; otherwise `stamps` are applied to the message."""

    emit: Template | None = None
    stamps: tuple[tuple[str, Template], ...] = ()
    out: Validator | None = None


def compile_delivery(message: MessageContext, targets: Sequence[CompiledTarget]) -> Delivery:
    """The delivery of a message that goes to `targets`."""
    one_room = message.context.has_one_room
    everywhere_a_room = bool(targets) and all(target.kind.in_room for target in targets)
    scope = message.scope("emit", room=one_room or everywhere_a_room)
    if message.message.emit is not None:
        return _emit(message, message.message.emit, scope, targets)
    _check_other_channels(message, message.type, targets)
    _refuse_position(message, targets)
    found = len(message.context.templates.report.errors)
    stamps = []
    for field, value in (message.message.stamp or {}).items():
        pointer = at(message.pointer, "stamp", field)
        _warn_of_position(message, field, pointer, targets)
        checked = message.context.templates.compile(
            value, pointer, attrs.evolve(scope, place="stamp")
        )
        if checked is not None:
            stamps.append((field, checked.render))
    is_clear = len(message.context.templates.report.errors) == found
    out = _proven(message, message.type, attrs.evolve(scope, place="stamp"), targets, is_clear)
    return Delivery(stamps=tuple(stamps), out=out)


def _emit(
    message: MessageContext,
    emit: Mapping[str, Json],
    scope: TemplateScope,
    targets: Sequence[CompiledTarget],
) -> Delivery:
    pointer = at(message.pointer, "emit")
    for field in emit:
        _warn_of_position(message, field, at(pointer, field), targets)
    type_ = _emitted_type(message, emit, pointer)
    checked = message.context.templates.compile(dict(emit), pointer, scope)
    if checked is None or type_ is None:
        return Delivery()
    _check_other_channels(message, type_, targets)
    entries = [(key, node) for key, node in _entries(checked.node) if key != "type"]
    node = Object((("type", Literal(type_)), *entries), pointer)
    return Delivery(emit=build(node), out=_proven(message, type_, scope, targets, is_clear=True))


def _emitted_type(message: MessageContext, emit: Mapping[str, Json], pointer: str) -> str | None:
    type_ = emit.get("type", message.type)
    context, where = message.context, at(pointer, "type")
    if not isinstance(type_, str) or "{" in type_ or not type_:
        finding = "the type of an emitted frame must be constant"
        context.templates.find("CH334", finding, where, f"write `type: {message.type}`")
        return None
    if type_ in RESERVED:
        context.templates.find(
            "CH313", f"`{type_}` is used by channeld itself", where, "pick another type"
        )
        return None
    events = context.channel.events
    if events is not None and type_ not in events and type_ not in context.channel.messages:
        help = did_you_mean(type_, events, f"declare `{type_}` under `events`")
        context.templates.find(
            "CH328", f"`{type_}` is not one of the channel's events", where, help
        )
        return None
    return type_


def _check_other_channels(
    message: MessageContext, type_: str, targets: Sequence[CompiledTarget]
) -> None:
    """Check that a channel with `events` declares what other channels send to it."""
    own = message.context.channel.name
    for target in targets:
        for name, channel in message.context.config.channels.items():
            reached = target.route.channel in (name, "*") and name != own
            if not reached or channel.events is None or type_ in channel.events:
                continue
            finding = f"the route reaches `{name}`, which declares no event `{type_}`"
            help = f"declare `{type_}` under the `events` of `{name}`"
            message.context.templates.find("CH335", finding, at(target.pointer, "channel"), help)


def _proven(
    message: MessageContext,
    type_: str,
    scope: TemplateScope,
    targets: Sequence[CompiledTarget],
    is_clear: bool,
) -> Validator | None:
    """The check needed at delivery; None if the event is proven to accept everything that is delivered."""
    if not is_clear or not any(
        channel.events for channel in message.context.config.channels.values()
    ):
        return None
    from channeld.plan.proof import prove  # noqa: PLC0415 - with the comparison of schemas, 14 modules

    if not prove(message, type_, scope, targets):
        return None
    return message.context.schemas.validator(at(message.context.pointer, "events", type_, "schema"))


def _entries(node: Node) -> list[tuple[str, Node]]:
    if isinstance(node, Object):
        return list(node.entries)
    if isinstance(node, Literal) and isinstance(node.value, dict):
        return [(key, Literal(value)) for key, value in node.value.items()]
    return []


def _refuse_position(message: MessageContext, targets: Sequence[CompiledTarget]) -> None:
    """CH347: message fields that never arrive because numbered frames have their own fields of that name."""
    to_rooms = [target for target in targets if _is_numbered(message, target)]
    # If the field itself names the room, it gets the same value again.
    named = bool(to_rooms) and all(t.route.room == "{message.room}" for t in to_rooms)
    own = message.context.channel.history is not None
    lost = {"pos": bool(to_rooms or (own and targets)), "room": bool(to_rooms) and not named}
    for field, is_lost in lost.items():
        if is_lost and field in message.shape.property_names():
            refuse_position(message.context, message.type, at(message.pointer, "schema"), field)


def _is_numbered(message: MessageContext, target: CompiledTarget) -> bool:
    """Whether frames get a `room` and a position there."""
    context = message.context
    reached = context.config.channels.get(target.route.channel or context.channel.name)
    return target.kind.in_room and reached is not None and reached.history is not None


def refuse_position(context: ChannelContext, type: str, pointer: str, field: str) -> None:
    """Report that frames of a type lose a field that their schema declares."""
    finding = f"the field `{field}` of `{type}` never arrives"
    label = f"a channel with history gives its frames a `{field}` of its own"
    help = "give the field another name"
    context.templates.find("CH347", finding, pointer, help, label=label, key=True)


def _warn_of_position(
    message: MessageContext, field: str, pointer: str, targets: Sequence[CompiledTarget]
) -> None:
    is_kept = bool(message.message.history) and any(_is_numbered(message, one) for one in targets)
    if field in POSITION_FIELDS and is_kept:
        finding = f"`{field}` is overwritten in a channel that keeps history"
        label, help = "every kept frame gets its `room` and `pos`", "give the field another name"
        message.context.templates.find("CH329", finding, pointer, help, label=label, key=True)
