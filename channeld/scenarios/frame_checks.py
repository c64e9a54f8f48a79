"""Checks every frame that a client receives against its declaration."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from channeld.plan.plan import ChannelPlan, MessagePlan, Plan
from channeld.protocol.frames import Frame, Json
from channeld.protocol.reserved import RESERVED
from channeld.scenarios.instrumentation import FrameOrigin
from channeld.schema.violations import Validator, Violation

_ADDED = ("room", "pos")
"""What a channel that keeps history adds to a frame."""


@attrs.frozen(slots=True, kw_only=True)
class Breach:
    """A frame that its declaration refuses, and why; `declared` says whose schema it is."""

    declared: str
    violations: tuple[Violation, ...]


def check_delivered(
    plan: Plan, channel: ChannelPlan, frame: Frame, origin: FrameOrigin | None
) -> Breach | None:
    """Check a frame that reached a client of `channel`; None if it is as declared.

    The server's own frames have no declaration. A declared event must satisfy its schema. A message that is delivered as
    sent must satisfy the message's schema, apart from stamps and history fields.
    """
    kind = frame.get("type")
    if kind in RESERVED:
        return None
    fields = {key: value for key, value in frame.items() if key != "type"}
    event = (channel.events or {}).get(str(kind))
    if event is not None:
        return _judge(event.validator, _variants(fields, (), channel), f"event `{kind}`")
    message = _message(plan, channel, str(kind), origin)
    if message is not None:
        if message.emit is not None:
            return None
        stamps = [name for name, _ in message.stamps]
        variants = _variants(fields, stamps, channel)
        return _judge(message.validator, variants, f"message `{kind}`")
    if origin is None or origin.kind == "message" or channel.events is None:
        return None
    undeclared = Violation("", "the channel declares no such event", "events")
    return Breach(declared=f"channel `{channel.name}`", violations=(undeclared,))


def _message(
    plan: Plan, channel: ChannelPlan, kind: str, origin: FrameOrigin | None
) -> MessagePlan | None:
    if origin is None:
        return channel.messages.get(kind)  # out of the history
    if origin.kind != "message":
        return None
    message = plan.channels[origin.channel].messages[origin.name]
    return message if message.emit is not None or message.type == kind else None


def _variants(
    fields: Mapping[str, Json], stamps: Sequence[str], channel: ChannelPlan
) -> Iterator[dict[str, Json]]:
    """The fields with and without added ones, since a schema may declare fields of the same names."""
    added = _ADDED if channel.history is not None else ()
    for dropped in ((*stamps, *added), stamps, added, ()):
        yield {key: value for key, value in fields.items() if key not in dropped}


def _judge(
    validator: Validator, variants: Iterator[dict[str, Json]], declared: str
) -> Breach | None:
    first: list[Violation] | None = None
    for variant in variants:
        violations = validator.explain(variant)
        if not violations:
            return None
        first = violations if first is None else first
    return Breach(declared=declared, violations=tuple(first or ()))
