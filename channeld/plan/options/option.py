"""The interface of a message option, and the change of one as it affects clients."""

import abc
from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

import attrs

from channeld.config.model import Message
from channeld.plan.context import MessageContext
from channeld.protocol.frames import Json


@attrs.frozen(slots=True, kw_only=True)
class Difference:
    """One change of an option. `words` is a full sentence, `label` a note at its location, which is `key` under the option.

    `is_gone`: the location is in the old file. `is_of_senders`: it affects senders.
    """

    code: str
    level: Literal["breaking", "dangerous", "safe"]
    words: str
    label: str = ""
    key: str = ""
    is_gone: bool = False
    is_of_senders: bool = False
    is_of_security: bool = False


class MessageOutcome(NamedTuple):
    """A possible outcome of a message, as scenario coverage names it."""

    kind: Literal["refusal", "hook"]
    name: str


class MessageOption(abc.ABC):
    """One key of a message type."""

    key: ClassVar[str]

    def check(self, message: MessageContext) -> None:  # noqa: B027 - some are checked where they are compiled
        """Report what is wrong with the option."""

    @abc.abstractmethod
    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """How a change affects clients."""

    def shown(self, message: Message) -> Json:
        """The option in machine-readable exports; None to leave it out."""
        return None

    def words(self, message: Message) -> str:
        """The option as a sentence for people; empty to leave it out."""
        return ""

    def outcomes(self, type: str, message: Message) -> Iterator[MessageOutcome]:
        """Outcomes of a message that the option makes possible."""
        return iter(())
