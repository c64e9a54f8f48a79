"""The option `deprecated`: since when a type is deprecated, when it will be removed, and what to send instead."""

import datetime as dt
from collections.abc import Iterator

from channeld.config.model import Deprecation, Message
from channeld.plan.context import MessageContext
from channeld.plan.options.option import Difference, MessageOption
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.suggest import did_you_mean


def is_past(deprecation: Deprecation | None, today: dt.date) -> bool:
    """Whether its sunset date has passed."""
    return (
        deprecation is not None
        and deprecation.sunset is not None
        and deprecation.sunset < today.isoformat()
    )


def deprecation_note(deprecation: Deprecation) -> dict[str, Json]:
    """The note that an `ack` carries to the client."""
    note: dict[str, Json] = {}
    if deprecation.sunset is not None:
        note["sunset"] = deprecation.sunset
    if deprecation.use is not None:
        note["use"] = deprecation.use
    return note


class DeprecatedOption(MessageOption):
    """Marks a type as deprecated."""

    key = "deprecated"

    def check(self, message: MessageContext) -> None:
        """CH345: the replacement is not a type; CH346: the sunset date has passed; CH356: it is before `since`."""
        found = message.message.deprecated
        if found is None:
            return
        context, pointer = message.context, at(message.pointer, "deprecated")
        channel = context.channel
        declared = channel.messages if message.section == "messages" else channel.events or {}
        if found.use is not None and (found.use not in declared or found.use == message.type):
            others = [name for name in declared if name != message.type]
            help = did_you_mean(found.use, others, "name another type")
            finding = f"`{found.use}` is not another type of the channel"
            context.templates.find("CH345", finding, at(pointer, "use"), help)
        if found.since is not None and found.sunset is not None and found.since > found.sunset:
            finding = f"`{message.type}` is deprecated only after its sunset on {found.sunset}"
            help = "write a `since` that is not after the `sunset`"
            context.templates.find("CH356", finding, at(pointer, "since"), help)
        # The only check that depends on the date; it does not change the plan.
        if is_past(found, dt.datetime.now(dt.UTC).date()):
            finding = f"the sunset of `{message.type}` was on {found.sunset}"
            help = "remove the message type, or move the date"
            context.templates.find("CH346", finding, at(pointer, "sunset"), help)

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """Deprecation by itself breaks nothing."""
        if was.deprecated == now.deprecated:
            return
        if now.deprecated is None:
            words = f"the message `{type}` is no longer deprecated"
        elif was.deprecated is None:
            words = f"the message `{type}` is now deprecated"
        else:
            words = f"the deprecation of `{type}` changed"
        until = now.deprecated.sunset if now.deprecated is not None else None
        label = f"it may be removed after {until}" if until is not None else ""
        yield Difference(code="D207", level="safe", words=words, label=label)

    def shown(self, message: Message) -> Json:
        """True, or the details."""
        found = message.deprecated
        if found is None:
            return None
        said = {"since": found.since, "sunset": found.sunset, "use": found.use, "note": found.note}
        return {key: value for key, value in said.items() if value} or True

    def words(self, message: Message) -> str:
        """The sunset date and the replacement."""
        found = message.deprecated
        if found is None:
            return ""
        since = f" since {found.since}" if found.since else ""
        until = f", may be removed after {found.sunset}" if found.sunset else ""
        use = f" Send `{found.use}` instead." if found.use else ""
        note = f" {found.note}" if found.note else ""
        return f"**Deprecated**{since}{until}.{use}{note}"
