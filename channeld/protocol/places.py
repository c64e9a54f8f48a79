"""A client's positions in several rooms as one text, which `since` and `Last-Event-ID` accept besides a single position.

It is opaque to clients, at most `LONGEST` characters, and safe in a URL and in a line of server-sent events. A position
(`EPOCH-OFFSET`) never begins with the mark that a place begins with.
"""

import binascii
from collections.abc import Mapping
from typing import Final

import attrs
import orjson

LONGEST: Final = 2048
LOST: Final = "?"
"""Stands for the position in a room that is to be returned to, although what was missed there is lost."""
_MARK: Final = "~"
_MOST: Final = (LONGEST - len(_MARK)) * 3 // 4 - len("[{},false]")
"""Bytes of JSON for the rooms."""


@attrs.frozen(slots=True)
class Places:
    """The last position in each room. `is_whole` is False if rooms were left out because they did not fit."""

    rooms: Mapping[str, str]
    is_whole: bool = True

    def text(self) -> str:
        """The text that `parse` reads; if not all fits, positions are left out before rooms, the last ones first."""
        text = _written(self.rooms, self.is_whole)
        return text if len(text) <= LONGEST else _written(*self._fitting())

    def _fitting(self) -> tuple[dict[str, str], bool]:
        left, named = _MOST, dict[str, str]()
        for room in self.rooms:
            size = len(orjson.dumps(room)) + len(':"?",')
            if size <= left:
                left -= size
                named[room] = LOST
        for room in named:
            left -= len(orjson.dumps(self.rooms[room])) - len('"?"')
            if left < 0:
                break
            named[room] = self.rooms[room]
        return named, self.is_whole and len(named) == len(self.rooms)

    @classmethod
    def parse(cls, text: str) -> "Places | None":
        """The places that `text` wrote, or None for anything else."""
        if not text.startswith(_MARK) or len(text) > LONGEST:
            return None
        data = text[1:].replace("-", "+").replace("_", "/")
        try:
            value = orjson.loads(binascii.a2b_base64(data + "=" * (-len(data) % 4)))
        except ValueError:  # binascii.Error and orjson.JSONDecodeError are such
            return None
        match value:
            case [dict(rooms), bool(whole)] if all(isinstance(one, str) for one in rooms.values()):
                return cls(rooms, whole)
            case _:
                return None


def _written(rooms: Mapping[str, str], whole: bool) -> str:
    data = binascii.b2a_base64(orjson.dumps([rooms, whole]), newline=False).decode()
    return _MARK + data.rstrip("=").replace("+", "-").replace("/", "_")


def since_of(text: str | None, rooms: list[str]) -> Mapping[str, str]:
    """What a `since` requests in each joined room: a position, or a text that is not one.

    A single position belongs to the only room. With several rooms it is ambiguous, so no room can recover, and the client is
    told so. A room that is missing from complete places was not joined before.
    """
    if text is None:
        return {}
    places = Places.parse(text)
    if places is None:
        return {room: text if len(rooms) == 1 else "" for room in rooms}
    lost = {} if places.is_whole else dict.fromkeys(rooms, "")
    return lost | {room: places.rooms[room] for room in rooms if room in places.rooms}
