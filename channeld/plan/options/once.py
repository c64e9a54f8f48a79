"""The option `once`: an idempotency key, so that a client can resend a message without it being routed twice."""

from collections.abc import Iterator

from channeld.config.model import Message
from channeld.plan.context import MessageContext
from channeld.plan.options.option import Difference, MessageOption
from channeld.pointer import at
from channeld.protocol.frames import Json

FIELD = "once"
"""The field of a frame that brings the key."""


class OnceOption(MessageOption):
    """Routes a message once per key."""

    key = "once"

    def check(self, message: MessageContext) -> None:
        """CH344: the schema declares the key's field, which is removed before validation."""
        if message.message.once is None or FIELD not in message.shape.property_names():
            return
        where = at(message.pointer, "once")
        finding = f"the schema of `{message.type}` declares a field `once` of its own"
        help = "give the schema's field another name, or leave the option out"
        label = "it carries the key of a retry, and is removed before validation"
        message.context.templates.find("CH344", finding, where, help, label=label, key=True)

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """Clients that retry rely on it."""
        if was.once == now.once:
            return
        if now.once is None:
            words = f"`{type}` no longer takes a `once` key: a resent message is routed again"
            yield Difference(code="D511", level="breaking", words=words)
        elif was.once is None:
            words = f"`{type}` may now be sent with a `once` key"
            yield Difference(code="D512", level="safe", words=words)
        else:
            words = f"the `once` key of `{type}` is now remembered for {now.once:g} s"
            label = f"{was.once:g} s before"
            if now.once < was.once:
                yield Difference(code="D511", level="dangerous", words=words, label=label)
            else:
                yield Difference(code="D512", level="safe", words=words, label=label)

    def shown(self, message: Message) -> Json:
        """How long a key is remembered, in seconds."""
        return message.once

    def words(self, message: Message) -> str:
        """How a client retries."""
        if message.once is None:
            return ""
        return (
            f"With a `once` field (a string of 1 to 64 characters), it can be resent safely for {message.once:g} s: "
            'the same key is answered by an `ack` with `"repeated": true`, and not routed again.'
        )
