"""Names for definitions that are identifiers in every target, each given once."""

import re
import unicodedata
from typing import Final

import attrs

__all__ = ["Names", "identifier"]

LONGEST: Final = 80

# Words that mean something else in one of the targets, in the client or in the generated modules' imports.
TAKEN: Final = frozenset(
    """
    Any Array Boolean Date Error Exception Exclude Extract False Final Function Generic JSON List Literal Map Mapping
    Math Never None NotRequired Number Object Omit Partial Pick Promise Protocol Readonly Record Required Set String
    Symbol True Type TypeAlias TypedDict URL Union WebSocket Answer Answers AnyFrame ChannelClient ChannelError
    ChannelMap ChannelTypes Ending Options Pending Socket SocketClass State Token
    """.split()
)


def identifier(text: str) -> str:
    """The text in `PascalCase`, in ASCII letters and digits, never starting with a digit and never empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", plain))
    name = name[:LONGEST] or "Schema"
    return f"T{name}" if name[0].isdigit() else name


@attrs.define(eq=False)
class Names:
    """The names that are given already."""

    _given: set[str] = attrs.field(factory=lambda: set(TAKEN))

    def give(self, text: str) -> str:
        """A new identifier for a text; a number is added where the plain one is taken."""
        name = base = identifier(text)
        number = 1
        while name in self._given:
            number += 1
            name = f"{base}{number}"
        self._given.add(name)
        return name

    def copy(self) -> "Names":
        """The same names given, apart from the original from now on."""
        return Names(set(self._given))
