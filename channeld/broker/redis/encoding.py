"""The format of data in Redis: names of keys and channels, and the envelope of publications.

Topic names come from clients, so they never appear in a key: a key contains a digest of the length-prefixed topic. An
envelope contains one or more publications of one topic. Anyone who can write to Redis can send anything, so it is parsed
strictly.
"""

import binascii
import hashlib
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, TypeAlias

import attrs
import orjson

from channeld.broker.broker import HistoryEntry, Position, Publication, Topic
from channeld.protocol.frames import Json

Event: TypeAlias = Literal["join", "leave", "update", "count"]

# History entries begin with the milliseconds at which they were kept, as decimal digits.
STAMP = 13
_HEAD = struct.Struct(">2sBIIH")
_PART = struct.Struct(">HI")
_MAGIC = b"C1"
# Followed by the node that made it, and the keys that it cleared.
_CLEARING = b"C2"
_SIZE = struct.Struct(">I")
_CHANGE = struct.Struct(">2scBIIIHII")
CHANGE_MAGIC = b"P1"
_EVENTS: Final[Mapping[bytes, Event]] = {
    b"j": "join",
    b"l": "leave",
    b"e": "leave",
    b"u": "update",
    b"n": "count",
}
SLOTS = 16_384


@lru_cache(maxsize=16_384)
def topic_key(topic: Topic) -> str:
    """A fixed-size name, unique to the topic."""
    text = f"{len(topic.kind)}:{topic.kind}{len(topic.channel)}:{topic.channel}{topic.name}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def fresh_letters() -> str:
    """Twelve letters that identify something that begins now. They need not be secret."""
    return f"{random.getrandbits(48):012x}"


class Names:
    """The keys and channels under one prefix."""

    __slots__ = ("base", "channel", "mark", "state")

    def __init__(self, prefix: str) -> None:
        self.base = prefix
        self.state = f"{prefix}:state"
        # A join needs those of its topic half a dozen times.
        self.channel: Callable[[Topic], bytes] = lru_cache(maxsize=16_384)(self._channel)
        self.mark: Callable[[str], str] = lru_cache(maxsize=1024)(self._mark)

    @classmethod
    def of_one_slot(cls, prefix: str) -> "Names":
        """Names that are all in one cluster slot: the prefix is their hash tag, unless it contains one."""
        return cls(prefix if _hash_tag(prefix) else f"{{{prefix}}}")

    def _channel(self, topic: Topic) -> bytes:
        """The pub/sub channel of a topic."""
        return f"{self.base}:c:{topic_key(topic)}".encode()

    def echo(self, lease: str) -> bytes:
        """The channel for a node's own echo."""
        return f"{self.base}:echo:{lease}".encode()

    def once(self, owner: str) -> str:
        """The key of an owner's idempotency keys."""
        return f"{self.base}:o:{owner}"

    def bucket(self, key: str) -> str:
        """The key of a shared allowance."""
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16)
        return f"{self.base}:r:{digest.hexdigest()}"

    def debts(self, account: str) -> str:
        """The key of an account's debts."""
        return self.bucket(f"debts\0{account}")

    def _mark(self, channel: str) -> str:
        """The mark of a channel's histories, which exists while they are kept."""
        digest = hashlib.blake2b(channel.encode("utf-8", "surrogatepass"), digest_size=16)
        return f"{self.base}:k:{digest.hexdigest()}"

    def history(self, topic: Topic) -> tuple[str, str, str]:
        """The keys of a history: the list of frames, the hash with epoch and top, and the channel's mark."""
        key = topic_key(topic)
        if topic.kind == "node":
            # Messages that nodes keep for each other are found whatever the layout (`find` in `scripts.py`).
            key = f"node:{key}"
        return f"{self.base}:h:{key}", f"{self.base}:m:{key}", self.mark(topic.channel)


def slot_of(key: str) -> int:
    """A key's cluster slot: that of its hash tag if it has one (Redis cluster specification, "Key distribution")."""
    return binascii.crc_hqx((_hash_tag(key) or key).encode(), 0) % SLOTS


def _hash_tag(key: str) -> str:
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if 0 <= start < end else ""


def unpack(message: bytes, node: str = "") -> list[Publication] | None:
    """The publications in an envelope (`head` in `scripts.py` begins it), or None for anything else.

    Keys cleared by this `node` itself are ignored, because the frames that wait there now are newer.
    """
    try:
        magic, epoch_size, high, low, count = _HEAD.unpack_from(message)
        if magic not in (_MAGIC, _CLEARING):
            return None
        at = _HEAD.size + epoch_size
        epoch = message[_HEAD.size : at].decode("ascii")
        offset = (high << 32) | low
        publications = []
        for number in range(count):
            skip_size, size = _PART.unpack_from(message, at)
            at += _PART.size
            skip = message[at : at + skip_size].decode() or None
            at += skip_size
            payload = message[at : at + size]
            at += size
            position = Position(epoch, offset + number) if epoch else None
            publications.append(Publication(payload, position, skip))
        if magic == _CLEARING:
            by, *cleared = _texts(message[at:])
            at = len(message)
            if by != node:
                publications = [attrs.evolve(one, clears=tuple(cleared)) for one in publications]
    except (struct.error, ValueError):
        return None
    # With wrong sizes, the end is not that of the message.
    return publications if publications and at == len(message) else None


def pack(publications: Sequence[tuple[str | None, bytes]]) -> bytes:
    """The envelope of publications that are not kept: for each the connection to skip, and the payload."""
    parts = [_HEAD.pack(_MAGIC, 0, 0, 0, len(publications))]
    for skip, payload in publications:
        name = (skip or "").encode()
        parts += (_PART.pack(len(name), len(payload)), name, payload)
    return b"".join(parts)


def _texts(packed: bytes) -> list[str]:
    """Parse length-prefixed texts.

    Raises:
        struct.error, ValueError: it is something else.
    """
    texts, at = [], 0
    while at < len(packed):
        (size,) = _SIZE.unpack_from(packed, at)
        at += _SIZE.size + size
        texts.append(packed[at - size : at].decode())
    if at != len(packed):
        raise ValueError("a wrong size")
    return texts


@attrs.define
class NumberedChange:
    """A change of a topic's presence; with the event `count`, only the number of live connections has changed.

    `is_end`: nobody is left, and the next change has number 1 of another epoch. The version's offset is 0 if Redis was out of memory:
    the order of the change is not known.
    """

    version: Position
    event: Event
    user: str
    info: Mapping[str, Json]
    connections: int
    skip: str | None
    is_end: bool = False


def unpack_change(message: bytes) -> NumberedChange | None:
    """The change in an envelope (`tell` in `presence.py` writes it), or None for anything else."""
    try:
        magic, kind, epoch_size, high, low, count, *sizes = _CHANGE.unpack_from(message)
        if magic != CHANGE_MAGIC:
            return None
        parts, at = [], _CHANGE.size
        for size in (epoch_size, *sizes):
            parts.append(message[at : at + size])
            at += size
        epoch, skip, user, info = parts
        version = Position(epoch.decode("ascii"), (high << 32) | low)
        shown = orjson.loads(info) if info else {}
        change = NumberedChange(
            version, _EVENTS[kind], user.decode(), shown, count, skip.decode() or None, kind == b"e"
        )
    except (struct.error, UnicodeDecodeError, KeyError, ValueError):
        return None
    return change if at == len(message) and isinstance(shown, dict) else None


def place(position: Position | None) -> tuple[bytes, int]:
    """A position as scripts take it: epoch and offset, empty for None."""
    if position is None:
        return b"", 0
    return position.epoch.encode("utf-8", "replace"), position.offset


class Epochs:
    """A topic's epochs: the current one, and earlier ones, each up to its last offset."""

    __slots__ = ("_before", "_current")

    def __init__(self, current: bytes, before: bytes) -> None:
        """Parse what scripts return: the epoch, and `epoch=offset;` for each earlier one, newest first."""
        self._current = current.decode()
        self._before: list[tuple[str, int]] = []
        for entry in before.decode().split(";"):
            epoch, _, last = entry.partition("=")
            if last:
                self._before.append((epoch, int(last)))

    def at(self, offset: int) -> Position:
        """The position of an offset, in the epoch that assigned it."""
        epoch = self._current
        for earlier, last in self._before:
            if offset > last:
                break
            epoch = earlier
        return Position(epoch, offset)

    def entries(self, frames: Sequence[bytes], at: int | Sequence[int]) -> tuple[HistoryEntry, ...]:
        """History entries with their positions; `at` is the first one's offset, or all of them."""
        offsets = range(at, at + len(frames)) if isinstance(at, int) else at
        return tuple(
            HistoryEntry(self.at(offset), frame[STAMP:])
            for offset, frame in zip(offsets, frames, strict=True)
        )
