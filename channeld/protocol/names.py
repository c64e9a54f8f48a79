"""What may be the name of a room: the same for those that clients ask for and for those that a configuration writes."""

import unicodedata

__all__ = ["is_room_name"]


def is_room_name(room: str) -> bool:
    """Whether it is 1 to 128 characters, in NFC (Unicode annex 15), with no control characters."""
    if not 1 <= len(room) <= 128:
        return False
    if room.isascii():
        return room.isprintable()
    return unicodedata.is_normalized("NFC", room) and not any(
        unicodedata.category(character) in ("Cc", "Cs") for character in room
    )
