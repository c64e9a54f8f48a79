"""The commands of a session: for one server, or for a cluster node that holds one shard of our keys.

In a cluster, publications must stay on the nodes of their slot (`SPUBLISH`, `SSUBSCRIBE`: Redis 7, any Valkey). While a slot moves,
some of its keys are on one node and some on another, and a script must not run with half of them. A node refuses a call (`TRYAGAIN`,
`ASK`) if a named key is missing, but it does not check keys that the script derives. So each call names a key that never exists.
"""

import hashlib
from collections.abc import Mapping, Sequence

import attrs

from channeld.broker.redis.queue import Argument
from channeld.broker.redis.scripts import SCRIPTS


def _digests(dialect: "Dialect") -> dict[str, bytes]:
    return {
        name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode()
        for name, text in dialect.scripts.items()
    }


@attrs.frozen(eq=False)
class Dialect:
    """The scripts, and the words of pub/sub. `guard` are keys that each call names in addition."""

    scripts: Mapping[str, str]
    subscribe: bytes
    unsubscribe: bytes
    message: bytes
    # Whether `PUBLISH` reaches all nodes.
    publishes: bool = True
    guard: tuple[str, ...] = ()
    digests: Mapping[str, bytes] = attrs.field(
        init=False, default=attrs.Factory(_digests, takes_self=True)
    )

    def words(
        self, script: str, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> tuple[Argument, ...]:
        """A call of a script."""
        count = len(keys) + len(self.guard)
        return (b"EVALSHA", self.digests[script], count, *keys, *self.guard, *arguments)


PLAIN = Dialect(SCRIPTS, b"SUBSCRIBE", b"UNSUBSCRIBE", b"message")
_SHARDED = Dialect(
    {
        name: "table.remove(KEYS)\n" + text.replace("'PUBLISH'", "'SPUBLISH'")
        for name, text in SCRIPTS.items()
    },
    b"SSUBSCRIBE",
    b"SUNSUBSCRIBE",
    b"smessage",
    publishes=False,
)


def of_cluster(base: str) -> Dialect:
    """The dialect of a cluster; `base` is the prefix of our keys, and not a key itself."""
    return attrs.evolve(_SHARDED, guard=(f"{base}:nothing",))
