"""The target `none`: nothing is delivered; a hook does the work."""

from channeld.config.model import Channel, Message, Route
from channeld.plan.context import MessageContext
from channeld.plan.targets.target import CompiledTarget, TargetKind


class ToNobody(TargetKind):
    """Nobody."""

    name = "none"
    delivers = False
    to_others = False

    def words(self, route: Route, channel: Channel, message: Message) -> str:
        """The hook, if there is one."""
        return f"hook {message.hook.call}" if message.hook is not None else "nobody"

    def arrives(self, route: Route, own: str, there: str) -> bool:
        """Never arrives."""
        return False

    def compile(self, message: MessageContext, route: Route, pointer: str) -> CompiledTarget | None:
        """There is nothing to compile."""
        return None
