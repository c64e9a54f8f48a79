"""What every option of a message answers, and a change of one as clients feel it."""

import abc
from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

import attrs

from channeld.config.model import Message
from channeld.plan.context import MessageContext
from channeld.protocol.frames import Json


@attrs.frozen(slots=True, kw_only=True)
class Difference:
    """One change of an option. `words` stand alone, `label` stands at the place, which is `key` under the option.

    `is_gone`: the place is in the old file. `is_of_senders`: they are named as those concerned.
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
    """What may become of a message, as the coverage of scenarios names it."""

    kind: Literal["refusal", "hook"]
    name: str


class MessageOption(abc.ABC):
    """One key of a message type."""

    key: ClassVar[str]

    def check(self, message: MessageContext) -> None:  # noqa: B027 - some are checked where they are compiled
        """Report what is wrong with it."""

    @abc.abstractmethod
    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """What clients feel of a change."""

    def shown(self, message: Message) -> Json:
        """The option as machines read it in an export; None where nothing is said."""
        return None

    def words(self, message: Message) -> str:
        """The option as a sentence for people; empty where nothing is said."""
        return ""

    def outcomes(self, type: str, message: Message) -> Iterator[MessageOutcome]:
        """What may become of a message because of it."""
        return iter(())
