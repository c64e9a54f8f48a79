"""The option `hook`: a function or backend that is called before a message is routed."""

from collections.abc import Iterator

from channeld.config.model import HookRef, Message
from channeld.plan.options.option import Difference, MessageOption, MessageOutcome


def lets_more_in(was: HookRef | None, now: HookRef | None) -> bool:
    """Whether the change lets in what the hook refused: it is gone, or its failure now counts as consent."""
    if was is None:
        return False
    return now is None or (now.on_failure == "accept" and was.on_failure != "accept")


def hook_words(what: str, was: HookRef | None, now: HookRef | None) -> str:
    """Describes the change of a hook: replaced, removed, or with another meaning of its failure."""
    if was is not None and now is not None and was.call == now.call:
        if was.on_failure != now.on_failure:
            return f"{what} now {now.on_failure}s if it fails"
        return f"{what} now runs differently"
    return f"{what} is now {now.call if now is not None else 'none'}"


class HookOption(MessageOption):
    """Calls a hook. Clients cannot see it, so exports leave it out; it is checked when it is loaded."""

    key = "hook"

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """Report that the hook is another one, which may do anything."""
        if was.hook != now.hook:
            before = was.hook.call if was.hook is not None else "none"
            words = hook_words(f"the hook of `{type}`", was.hook, now.hook)
            label = f"{before} before; its code is not analysed"
            yield Difference(
                code="D701",
                level="dangerous",
                words=words,
                label=label,
                is_of_security=lets_more_in(was.hook, now.hook),
            )

    def outcomes(self, type: str, message: Message) -> Iterator[MessageOutcome]:
        """That the hook was called."""
        if message.hook is not None:
            yield MessageOutcome("hook", message.hook.call)
