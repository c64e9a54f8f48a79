"""How a prefix is distributed over one server, several servers, or the shards of a cluster, and where a topic is.

The home of a topic is the shard with the highest score for it (rendezvous hashing, Thaler and Ravishankar 1998): if a shard is added,
only the topics that get it as their home move. The score depends only on the topic and the shard's name, which is a server's host and
port or the tag of a cluster's shard. Tags are spread evenly over the slots; with twice as many shards, a cluster has the same tags and
as many more between them.

Servers remember how their prefix is distributed, because nodes with different layouts would not hear each other.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Final

import attrs

from channeld.broker.redis.encoding import SLOTS, slot_of
from channeld.config.scalars import server_of

_LETTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_MASK: Final = (1 << 64) - 1


@attrs.frozen
class Shard:
    """One server, or one part of a cluster: its name, how to connect, and what its keys begin with."""

    name: str
    url: str = attrs.field(repr=False)
    prefix: str


@attrs.frozen
class Spread:
    """How a node spreads its prefix, as servers remember it; empty if it is not spread.

    A `fixed` spread is never replaced. Any other is replaced once all nodes that use it are gone.
    """

    text: str = ""
    is_fixed: bool = False

    def refusal(self, stored: str) -> str:
        """Why a server that remembers another spread refuses a node with this one."""
        if self.is_fixed:
            return (
                f"the keys of this prefix are in {stored or 'one piece'}, and this node has {self.text}: "
                "`shards` is fixed when a prefix is first used; give all nodes the same, or another prefix"
            )
        there, here = (
            f"over {text}" if text else "over one server" for text in (stored, self.text)
        )
        return (
            "give all nodes the same `urls`; this one waits until the others have stopped: "
            f"they spread this prefix {there}, and this one {here}"
        )


ALONE: Final = Spread()
"""The spread of a node with one server."""


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _score(topic: int, shard: int) -> int:
    # The finalizer of SplitMix64: each input bit affects each bit of the score.
    mixed = (topic ^ shard) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
    return mixed ^ (mixed >> 31)


def _numbers(layout: "Layout") -> tuple[int, ...]:
    return tuple(_number(shard.name) for shard in layout.shards)


@attrs.frozen
class Layout:
    """The shards of a prefix.

    Attributes:
        shards: all of them; their order does not affect where a topic is.
        carriers: the numbers of the two shards that carry messages between nodes.
        readers: the numbers of the shards where kept messages between nodes may be.
        spread: what the servers remember; `guard` is the number of the shard that is asked first, if there is one.
    """

    shards: tuple[Shard, ...]
    carriers: tuple[int, ...]
    readers: tuple[int, ...]
    spread: Spread
    guard: int | None = None
    _scored: tuple[int, ...] = attrs.field(
        init=False, repr=False, default=attrs.Factory(_numbers, takes_self=True)
    )

    def home(self, text: str) -> int:
        """The number of the shard where a topic of this name is."""
        topic, scored = _number(text), self._scored
        return max(
            range(len(scored)),
            key=lambda at: (_score(topic, scored[at]), self.shards[at].name),
        )


def of_servers(urls: Sequence[str], prefix: str) -> Layout:
    """The layout of several servers, each a shard."""
    shards = tuple(Shard(server_of(url), url, prefix) for url in urls)
    topic = _number("node")
    ranks = sorted(
        range(len(shards)),
        key=lambda at: (_score(topic, _number(shards[at].name)), shards[at].name),
        reverse=True,
    )
    names = " ".join(sorted(shard.name for shard in shards))
    return Layout(shards, tuple(ranks[:2]), tuple(ranks), Spread(names))


def of_cluster(url: str, prefix: str, count: int) -> Layout:
    """The layout of a cluster in `count` shards, each of which has its keys in one slot."""
    shards = tuple(Shard(tag, url, f"{prefix}:{{{tag}}}") for tag in _tags(count))
    # Half of the slots apart, so that both are on one primary only if it has more than half of the slots.
    carriers = (0, count // 2)[: min(2, count)]
    return Layout(shards, carriers, carriers, Spread(f"{count} shards", is_fixed=True), guard=0)


@cache
def _tags(count: int) -> tuple[str, ...]:
    """The hash tags of evenly spread slots: for each slot the shortest one, the first in alphabetical order."""
    wanted = [number * SLOTS // count for number in range(count)]
    left, found = set(wanted), dict[int, str]()
    for tag in _words():
        slot = slot_of(tag)
        if slot in left:
            left.discard(slot)
            found[slot] = tag
            if not left:
                break
    return tuple(found[slot] for slot in wanted)


def _words() -> Iterator[str]:
    for length in range(1, 6):
        yield from map("".join, product(_LETTERS, repeat=length))
