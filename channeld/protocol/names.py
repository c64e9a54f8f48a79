"""Names: what may be one of a room, and what is published to and subscribed to."""

import unicodedata
from typing import Final, NamedTuple

__all__ = ["EVERYONE", "Topic", "is_room_name"]


def is_room_name(room: str) -> bool:
    """Whether it is 1 to 128 characters, in NFC (Unicode annex 15), with no control characters."""
    if not 1 <= len(room) <= 128:
        return False
    if room.isascii():
        return room.isprintable()
    return unicodedata.is_normalized("NFC", room) and not any(
        unicodedata.category(character) in ("Cc", "Cs") for character in room
    )


class Topic(NamedTuple):
    """What is published to and subscribed to. `kind`: `room`, `user`, `channel` (everyone on it), `all`, `node`.

    `name` is the room, the user or the node; empty for `channel` and `all`; `channel` is empty for `all` and `node`.
    Names are data: an adapter escapes or hashes them.
    """

    kind: str
    channel: str
    name: str


EVERYONE: Final = Topic("all", "", "")
"""Every connection of every channel."""
