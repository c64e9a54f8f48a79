"""The target `sender`: the connection that sent the message."""

from typing import ClassVar

import attrs

from channeld.config.model import Channel, Message, Route
from channeld.plan.context import MessageContext
from channeld.plan.plan import Sender, TargetPlan
from channeld.plan.targets.target import CompiledTarget, TargetKind
from channeld.protocol.frames import Frame
from channeld.protocol.names import Topic


@attrs.frozen(slots=True, kw_only=True)
class SenderPlan(TargetPlan):
    """Sends the frame straight back; there is no topic."""

    is_direct: ClassVar[bool] = True

    def topic(self, sender: Sender, frame: Frame) -> Topic | None:
        """None: nothing is published."""
        return None


class ToSender(TargetKind):
    """The sending connection."""

    name = "sender"
    to_others = False

    def words(self, route: Route, channel: Channel, message: Message) -> str:
        """A fixed description."""
        return "the sender"

    def arrives(self, route: Route, own: str, there: str) -> bool:
        """On its own channel only."""
        return there == own

    def compile(self, message: MessageContext, route: Route, pointer: str) -> CompiledTarget:
        """There is nothing to check."""
        return CompiledTarget(route=route, pointer=pointer, kind=self, plan=SenderPlan())
