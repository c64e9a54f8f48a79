"""The option `hook`: a function, or a backend, that is asked before a message is routed."""

from collections.abc import Iterator

from channeld.config.model import Message
from channeld.plan.options.option import Difference, MessageOption, MessageOutcome


class HookOption(MessageOption):
    """Who is asked first. Clients are not told, so exports say nothing of it; it is checked as it is loaded."""

    key = "hook"

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """Another hook may do anything."""
        if was.hook != now.hook:
            before, after = (h.call if h is not None else "none" for h in (was.hook, now.hook))
            words = f"the hook of `{type}` is {after} now"
            label = f"{before} before; what it does is not analysed"
            yield Difference(code="D701", level="dangerous", words=words, label=label)

    def outcomes(self, type: str, message: Message) -> Iterator[MessageOutcome]:
        """The call."""
        if message.hook is not None:
            yield MessageOutcome("hook", message.hook.call)
