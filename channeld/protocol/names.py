"""Names: what may be one of a room, and what is published to and subscribed to."""

import re
import unicodedata
from typing import Final, NamedTuple

# Nobody sees them, or they make other characters stand elsewhere: two names that look alike would be two rooms. They are
# Unicode's categories Cc and Cs, characters without width, and those that turn the direction of text.
_HIDDEN: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200d\u2060\ufeff\u202a-\u202e\u2066-\u2069]"
)
_LONGEST: Final = 128
# The characters that one of a text in NFC can come from, at most: U+1F82 is a letter and three marks.
_COMPOSED: Final = 4


def nfc(text: str) -> str:
    """The text in Unicode's form NFC (annex 15): what looks the same is the same name."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def room_name(text: str) -> str:
    """The text in NFC; as it stands where it is too long to be a room's name in any form.

    Marks without end cost their square to bring into order: half a second for 64 KiB of them.
    """
    return nfc(text) if len(text) <= _LONGEST * _COMPOSED else text


def is_plain(text: str) -> bool:
    """Whether it has no character that cannot be seen: control, zero-width, or one that turns the direction of text."""
    return text.isprintable() if text.isascii() else _HIDDEN.search(text) is None


def is_room_name(room: str) -> bool:
    """Whether it is 1 to 128 characters, in NFC, each of which can be seen."""
    return 1 <= len(room) <= _LONGEST and is_plain(room) and nfc(room) == room


class Topic(NamedTuple):
    """What is published to and subscribed to. `kind`: `room`, `user`, `channel` (everyone on it), `all`, `node`.

    `name` is the room, the user or the node; empty for `channel` and `all`; `channel` is empty for `all` and `node`.
    Names are data: an adapter escapes or hashes them.
    """

    kind: str
    channel: str
    name: str

    @property
    def is_room(self) -> bool:
        """Whether it is a room's."""
        return self.kind == "room"


EVERYONE: Final = Topic("all", "", "")
"""Every connection of every channel."""
