"""Verbs of the broker that are a single script call and deliver nothing: keys, allowances, counts."""

import abc
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from channeld.broker.broker import Bucket, Later, PresenceCount, Topic
from channeld.broker.once import MOST_KEYS, Once
from channeld.broker.redis.encoding import Names, topic_key
from channeld.broker.redis.queue import Answer, Reply, Script

MOST_DEBTS: Final = 100


class SingleCalls(abc.ABC):
    """A mixin of `RedisBroker`, which provides the names and the queue."""

    _names: Names

    @abc.abstractmethod
    def _put(self, entry: Script) -> None:
        """Queue a call.

        Raises:
            BrokerUnavailable: Redis is unreachable, or the queue is full.
        """

    def is_taken(self, once: Once) -> Answer[bool]:
        """Whether the key is taken."""
        keys = (self._names.once(once.owner),)
        script = Script("is_taken", keys, (once.key,), bool)
        self._put(script)
        return script.answer

    def take(self, once: Once) -> Answer[bool]:
        """Take a key without publishing anything."""
        keys = (self._names.once(once.owner),)
        arguments = (once.key, round(once.ttl * 1000), MOST_KEYS)
        script = Script("take_once", keys, arguments, bool)
        self._put(script)
        return script.answer

    def spend(self, bucket: Bucket) -> Answer[float]:
        """Take a token of a shared allowance; 0, or the seconds until there is one."""
        arguments = (bucket.interval * 1000, bucket.slack * 1000)
        keys = (self._names.bucket(bucket.key),)
        script = Script("spend", keys, arguments, lambda reply: int(reply) / 1000)
        self._put(script)
        return script.answer

    def owe(self, account: str, debt: Mapping[str, float]) -> Answer[None]:
        """Record what a connection has used up as a debt for the next connection of its account."""
        life = max(1, math.ceil(max(debt.values()) * 1000))
        arguments = (orjson.dumps(dict(debt)), secrets.token_hex(6), life, MOST_DEBTS)
        script = Script("owe", (self._names.debts(account),), arguments, lambda _reply: None)
        self._put(script)
        return script.answer

    def redeem(
        self, account: str, told: Callable[[Mapping[str, float]], object] | None = None
    ) -> Answer[Mapping[str, float]]:
        """Take over the largest debt of an account, and call `told` with it if there is one."""

        def read(reply: Reply) -> Mapping[str, float]:
            debt = _read_debt(reply) if reply else {}
            if debt and told is not None:
                told(debt)
            return debt

        script = Script("redeem", (self._names.debts(account),), (), read)
        self._put(script)
        return script.answer

    def clear(self, topic: Topic, keys: Sequence[str] | None = None) -> Later[int]:
        """Remove kept frames, all or those of keys; returns how many there were."""
        if keys is not None and not keys:
            return 0
        names = (self._names.state, *self._names.history(topic))
        script = Script("clear", names, tuple(keys or ()), int)
        self._put(script)
        return script.answer

    def count(self, topic: Topic) -> Answer[PresenceCount]:
        """How many are present, on all nodes."""
        script = Script(
            "count", (self._names.base,), (topic_key(topic),), lambda reply: PresenceCount(*reply)
        )
        self._put(script)
        return script.answer


def _read_debt(reply: Reply) -> Mapping[str, float]:
    age, text = reply
    return {type: left - age / 1000 for type, left in orjson.loads(text).items()}
