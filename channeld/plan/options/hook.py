"""The option `hook`: a function or backend that is called before a message is routed."""

from collections.abc import Iterator

from channeld.config.model import Message
from channeld.plan.options.option import Difference, MessageOption, MessageOutcome


class HookOption(MessageOption):
    """Calls a hook. Clients cannot see it, so exports leave it out; it is checked when it is loaded."""

    key = "hook"

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """Another hook may do anything, so only the fact is reported."""
        if was.hook != now.hook:
            before, after = (h.call if h is not None else "none" for h in (was.hook, now.hook))
            words = f"the hook of `{type}` is {after} now"
            label = f"{before} before; what it does is not analysed"
            yield Difference(code="D701", level="dangerous", words=words, label=label)

    def outcomes(self, type: str, message: Message) -> Iterator[MessageOutcome]:
        """That the hook was called."""
        if message.hook is not None:
            yield MessageOutcome("hook", message.hook.call)
