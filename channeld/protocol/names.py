"""Room names and topics."""

import re
import unicodedata
from typing import Final, NamedTuple

# Invisible or reordering characters: two names that look alike would be different rooms. They are Unicode's categories Cc
# and Cs, characters without width, and those that turn the direction of text.
_HIDDEN: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200d\u2060\ufeff\u202a-\u202e\u2066-\u2069]"
)
_LONGEST: Final = 128
# The maximum number of characters that one NFC character can come from: U+1F82 is a letter and three marks.
_COMPOSED: Final = 4


def nfc(text: str) -> str:
    """The text in Unicode NFC (annex 15), so that equal-looking names are equal."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def room_name(text: str) -> str:
    """The text in NFC; unchanged if it is too long to be a room name in any form.

    Ordering combining marks takes quadratic time: half a second for 64 KiB of them.
    """
    return nfc(text) if len(text) <= _LONGEST * _COMPOSED else text


def is_plain(text: str) -> bool:
    """Whether it has no invisible characters: control, zero-width, or direction-changing ones."""
    return text.isprintable() if text.isascii() else _HIDDEN.search(text) is None


def is_room_name(room: str) -> bool:
    """Whether it is 1 to 128 visible characters in NFC."""
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
