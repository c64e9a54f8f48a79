"""The target `global`: every connection of a channel, or of all channels."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from channeld.config.model import Channel, Message, Route
from channeld.plan.context import MessageContext
from channeld.plan.plan import Sender, TargetPlan
from channeld.plan.targets.target import CompiledTarget, TargetKind, of_channel
from channeld.protocol.frames import Frame
from channeld.protocol.names import EVERYONE, Topic


@attrs.frozen(slots=True, kw_only=True)
class EveryonePlan(TargetPlan):
    """The topic of a whole channel, or of all channels for `*`."""

    def topic(self, sender: Sender, frame: Frame) -> Topic:
        """The topic that everyone on the channel receives."""
        channel = self.channel or sender.channel.name
        return EVERYONE if channel == "*" else Topic("channel", channel, "")


class ToEveryone(TargetKind):
    """Every connection of the channel."""

    name = "global"
    keys = frozenset({"channel", "except_sender"})
    everywhere = True
    covers: ClassVar[Mapping[str, str]] = {
        "sender": "the sender",
        "room": "everyone in the room",
        "user": "the user",
    }

    def words(self, route: Route, channel: Channel, message: Message) -> str:
        """Everyone, and where."""
        if route.channel == "*":
            return "everyone on every channel"
        return f"everyone{of_channel(route)}"

    def is_same(self, one: Route, other: Route) -> bool:
        """There is only one such target per channel."""
        return True

    def compile(self, message: MessageContext, route: Route, pointer: str) -> CompiledTarget:
        """Its channel has already been checked."""
        plan = EveryonePlan(channel=route.channel, except_sender=route.except_sender)
        return CompiledTarget(route=route, pointer=pointer, kind=self, plan=plan)
