"""What every option of a message answers, and a change of one as clients feel it."""

import abc
from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs

from channeld.config.model import Message
from channeld.plan.context import MessageContext
from channeld.protocol.frames import Json

__all__ = ["Difference", "MessageOption"]


@attrs.frozen(slots=True, kw_only=True)
class Difference:
    """One change of an option. `words` stand alone, `label` stands at the place, which is `key` under the option."""

    code: str
    level: Literal["breaking", "dangerous", "safe"]
    words: str
    label: str = ""
    key: str = ""


class MessageOption(abc.ABC):
    """One key of a message type."""

    key: ClassVar[str]

    @abc.abstractmethod
    def check(self, message: MessageContext) -> None:
        """Report what is wrong with it."""

    @abc.abstractmethod
    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """What clients feel of a change."""

    @abc.abstractmethod
    def shown(self, message: Message) -> Json:
        """The option as machines read it in an export; None where nothing is said."""

    @abc.abstractmethod
    def words(self, message: Message) -> str:
        """The option as a sentence for people; empty where nothing is said."""

    def outcomes(self, type: str, message: Message) -> Iterator[str]:
        """What may become of a message because of it, as the coverage of scenarios names it."""
        return iter(())
