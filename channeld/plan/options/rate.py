"""The option `rate`: how often a type may be sent, who shares the allowance, and what happens beyond it."""

from collections.abc import Iterator, Mapping
from typing import Final

from channeld.config.model import Message, MessageRate
from channeld.config.scalars import format_rate
from channeld.plan.context import MessageContext
from channeld.plan.options.option import Difference, MessageOption, MessageOutcome
from channeld.plan.targets.kinds import kind_of
from channeld.pointer import at
from channeld.protocol.frames import Json

_PER: Final[Mapping[str | None, str]] = {
    None: "from one user, or one anonymous connection",
    "user": "from one user",
    "connection": "from one connection",
    "address": "from one address",
    "room": "in one room",
}
_OVER: Final = {
    "refuse": "further ones are refused with `RATE_LIMITED`",
    "drop": "further ones are dropped",
    "latest": "the newest of further ones is held until the rate allows it",
}


def is_rate_asked(message: MessageContext) -> bool:
    """Whether a message type has a rate that is shared with other nodes through the broker."""
    return message.message.rate is not None and message.context.config.broker != "memory"


class RateOption(MessageOption):
    """Limits how often a type is sent."""

    key = "rate"

    def check(self, message: MessageContext) -> None:
        """CH343: an allowance shared by something that does not exist."""
        rate = message.message.rate
        if rate is None or rate.per is None:
            return
        if rate.per == "user" and not message.context.channel.auth.names:
            label = "every connection of this channel is anonymous"
            help = "write `per: connection`, or give the channel an authenticator"
            _refuse(message, rate, label, help)
        elif rate.per == "room" and not any(kind_of(r).in_room for r in message.message.route):
            label = f"`{message.type}` is not routed to a room"
            _refuse(message, rate, label, "route it to a room, or write `per: user`")

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """A lower rate, another `per` or another `over` affects clients."""
        old, new = was.rate, now.rate
        if (old is None) != (new is None) or (old and new and _bucket(old) != _bucket(new)):
            lower = new is not None and (old is None or new.is_below(old))
            before, after = ("unlimited" if r is None else format_rate(r) for r in (old, new))
            yield Difference(
                code="D501" if lower else "D507",
                level="breaking" if lower else "safe",
                words=f"the rate of `{type}` is now {after}",
                label=f"{before} before",
            )
        if old is None or new is None:
            return
        if old.per != new.per:
            words = f"the rate of `{type}` now counts messages {_PER[new.per]}"
            label = f"{_PER[old.per]} before"
            yield Difference(code="D510", level="dangerous", words=words, label=label, key="per")
        if old.over != new.over:
            words = f"over the rate of `{type}`, {_OVER[new.over]} from now on"
            label = f"{_OVER[old.over]} before"
            yield Difference(code="D510", level="dangerous", words=words, label=label, key="over")

    def shown(self, message: Message) -> Json:
        """The rate, and the other two keys if given."""
        rate = message.rate
        if rate is None:
            return None
        return {
            "limit": rate.limit,
            "period": rate.period,
            "burst": rate.burst,
            **({"per": rate.per} if rate.per is not None else {}),
            **({"over": rate.over} if rate.over != "refuse" else {}),
        }

    def words(self, message: Message) -> str:
        """The rate, who shares it, and what happens beyond it."""
        rate = message.rate
        if rate is None:
            return ""
        over = "" if rate.over == "refuse" else f"; {_OVER[rate.over]}"
        return f"At most {format_rate(rate)} {_PER[rate.per]}{over}."

    def outcomes(self, type: str, message: Message) -> Iterator[MessageOutcome]:
        """A refusal, if the option refuses."""
        if message.rate is not None and message.rate.over == "refuse":
            yield MessageOutcome("refusal", f"{type} (RATE_LIMITED)")


def _bucket(rate: MessageRate) -> tuple[int, float, int]:
    return rate.limit, rate.period, rate.burst


def _refuse(message: MessageContext, rate: MessageRate, label: str, help: str) -> None:
    where = at(message.pointer, "rate", "per")
    message.context.templates.find(
        "CH343", f"no {rate.per} can share this rate", where, help, label=label
    )
