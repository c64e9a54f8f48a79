"""Proves that whatever a message delivers satisfies the event of its type on every channel that it reaches."""

from collections.abc import Iterator, Sequence
from typing import Literal

from channeld.config.model import Channel
from channeld.diagnostics.diagnostic import Related
from channeld.plan.context import ChannelContext, MessageContext
from channeld.plan.rendered import Claims, Scene, rendered_fields
from channeld.plan.targets.target import CompiledTarget
from channeld.plan.template_scope import TemplateScope
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.protocol.reserved import ROOM
from channeld.schema.compare.inclusion import Inclusion, inclusion
from channeld.schema.definitions import Definitions, Unframeable, numbers
from channeld.schema.words import shown


def prove(
    message: MessageContext, type_: str, scope: TemplateScope, targets: Sequence[CompiledTarget]
) -> bool:
    """Report frames that may be delivered but are invalid; returns whether its own channel needs a check at run time.

    If the schemas can't be compared, a note is reported and frames are checked at delivery.
    """
    needs_check = False
    delivered: Json = None
    for channel in _reached(message, targets):
        event = (channel.events or {}).get(type_)
        pointer = at("/channels", channel.name, "events", type_, "schema")
        wanted = message.context.schemas.resolved(pointer)
        if event is None or event.schema is True or wanted is None:
            continue
        if delivered is None:
            delivered = _delivered(message, scope)
        found = Inclusion(undecided="the schema of the message can't be rewritten")
        if delivered is not None:
            found = inclusion(delivered, wanted)
        own = channel is message.context.channel
        if found.refuted is not None or found.undecided:
            needs_check = needs_check or own
            _report(message, type_, channel, pointer, found)
    return needs_check


def _reached(message: MessageContext, targets: Sequence[CompiledTarget]) -> Iterator[Channel]:
    """The channels on which the message may arrive, its own first."""
    own = message.context.channel
    to = [target.route.channel or own.name for target in targets]
    for channel in (own, *message.context.config.channels.values()):
        if (channel is own) == (channel.name == own.name) and {"*", channel.name} & set(to):
            yield channel


def _report(
    message: MessageContext, type_: str, channel: Channel, pointer: str, found: Inclusion
) -> None:
    context = message.context
    made = (name for name in ("emit", "stamp") if getattr(message.message, name) is not None)
    where = at(message.pointer, *made)
    event = f"the event `{type_}`"
    if channel is not context.channel:
        event += f" of channel `{channel.name}`"
    place = context.sources.place(pointer, key=True)
    there = (Related(place=place, message="the event is declared here"),)
    if found.refuted is None:
        finding = f"it can't be told whether {event} accepts what `{message.type}` delivers"
        help = "it is checked as it is delivered; simpler schemas can be compared"
        label = found.undecided
        context.templates.find("CH337", finding, where, help, label=label, related=there, key=True)
        return
    value, words = found.refuted
    finding = f"{event} can't be relied on: `{message.type}` may deliver what it refuses"
    label = f"`{shown(value)}` would be refused: {words}"
    help = f"narrow the schema of `{message.type}`, `emit` what fits, or widen that of the event"
    context.templates.find("CH316", finding, where, help, label=label, related=there, key=True)


def _delivered(message: MessageContext, scope: TemplateScope) -> Json:
    """A schema that every delivered frame satisfies, without its `type`; None if none can be derived."""
    context = message.context
    root = context.schemas.resolved(at(message.pointer, "schema"))
    definitions = Definitions(numbers())
    scene = Scene(
        definitions=definitions,
        scope=scope,
        params=_params(message, definitions),
        query=_declared(context, "query", definitions),
        claims=Claims.of(context.channel.auth.names, context.config, context.schemas),
        message=root,
        hint="part",
        closed=True,
    )
    emit = message.message.emit
    templates = (message.message.stamp or {}) if emit is None else emit
    fields = {k: scene.render(v) for k, v in templates.items() if emit is None or k != "type"}
    rendered = rendered_fields(fields)
    if emit is not None:
        frame: dict[str, Json] = {"type": "object", **rendered, "additionalProperties": False}
        return {**frame, "$defs": {**definitions.all()}}
    try:
        body = definitions.around(root, fields, "whole")
    except Unframeable:
        return None
    return {
        "type": "object",
        "allOf": [body, {"type": "object", **rendered}],
        "$defs": {**definitions.all()},
    }


def _params(message: MessageContext, definitions: Definitions) -> dict[str, Json]:
    # A name in a path may be as long as a room's name.
    found = dict.fromkeys(message.context.params, ROOM)
    return found | _declared(message.context, "params", definitions)


def _declared(
    context: ChannelContext, section: Literal["params", "query"], definitions: Definitions
) -> dict[str, Json]:
    pointer = at(context.pointer, section)
    return {
        name: definitions.copy_whole(context.schemas.resolved(at(pointer, name)), name)
        for name in getattr(context.channel, section)
    }
