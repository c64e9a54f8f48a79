"""The target `sender`: the connection that sent the message."""

from typing import ClassVar

import attrs

from channeld.config.model import Channel, Message, Route
from channeld.plan.context import MessageContext
from channeld.plan.plan import Sender, TargetPlan
from channeld.plan.targets.target import Target, TargetKind
from channeld.protocol.frames import Frame
from channeld.protocol.names import Topic


@attrs.frozen(slots=True, kw_only=True)
class SenderPlan(TargetPlan):
    """The frame goes straight back; there is no topic."""

    is_direct: ClassVar[bool] = True

    def topic(self, sender: Sender, frame: Frame) -> Topic | None:
        """None: nothing is published."""
        return None


class ToSender(TargetKind):
    """The sending connection."""

    name = "sender"
    to_others = False

    def words(self, route: Route, channel: Channel, message: Message) -> str:
        """Always the same."""
        return "the sender"

    def arrives(self, route: Route, own: str, there: str) -> bool:
        """On its own channel only."""
        return there == own

    def compile(self, message: MessageContext, route: Route, pointer: str) -> Target:
        """Nothing can be wrong with it."""
        return Target(route=route, pointer=pointer, kind=self, plan=SenderPlan())
