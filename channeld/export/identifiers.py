"""Names for definitions that are identifiers in every target, each given once."""

import re
import unicodedata
from typing import Final

import attrs

LONGEST: Final = 80

# Words that mean something else in one of the targets, in the client or in the generated modules' imports.
TAKEN: Final = frozenset(
    {
        "ANSWERS", "AbortController", "Answer", "Answers", "Any", "AnyFrame", "Array",
        "BaseException", "Boolean", "CHANNELS", "ChannelClient", "ChannelError", "ChannelMap",
        "ChannelNames", "ChannelTypes", "Date", "Ending", "Error", "EventSocket", "Exception",
        "Exclude", "Extract", "False", "Final", "Function", "Generic", "JSON", "List", "Listener",
        "Literal", "Loose", "Map", "Mapping", "Math", "Never", "NoReturn", "None", "NotRequired",
        "Number", "OSError", "Object", "Omit", "Options", "OwnState", "PATHS", "Partial",
        "Pending", "Pick", "Present", "Promise", "Protocol", "Readonly", "ReadonlyMap", "Record",
        "RequestCredentials", "Required", "Response", "ReturnType", "Set", "Setting", "Shown",
        "Socket", "SocketClass", "SplitResult", "State", "StopAsyncIteration", "String", "Symbol",
        "TextDecoder", "TimeoutError", "Timer", "Token", "Transport", "True", "Type", "TypeAlias",
        "TypeError", "TypedDict", "URL", "Union", "ValueError", "Waiting", "WebSocket",
    }
)  # fmt: skip


def identifier(text: str) -> str:
    """The text in `PascalCase`, in ASCII letters and digits, never starting with a digit and never empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", plain))
    name = name[:LONGEST] or "Schema"
    return f"T{name}" if name[0].isdigit() else name


@attrs.define(eq=False)
class Identifiers:
    """The names that are taken."""

    _given: set[str] = attrs.field(factory=lambda: set(TAKEN))

    def give(self, text: str) -> str:
        """Make a new identifier from a text, with a number added if it is taken."""
        name = base = identifier(text)
        number = 1
        while name in self._given:
            number += 1
            name = f"{base}{number}"
        self._given.add(name)
        return name

    def take(self, name: str) -> None:
        """Take a name that is already an identifier."""
        self._given.add(name)

    def has(self, name: str) -> bool:
        """Whether a name is taken."""
        return name in self._given
