"""This process among others: its broker, whether that answers, and the other nodes.

With `broker: memory` it is alone, and nothing here runs. With the others `run` keeps the connection (and the embedded
Valkey, unless this is a worker: then its parent has one for all). A broker that is away stops nothing: clients stay and
are told UNAVAILABLE, and readiness says so.
"""

import secrets
import time
from typing import TYPE_CHECKING

import attrs
import trio

from channeld.broker.broker import Broker, Deliver
from channeld.broker.memory import MemoryBroker
from channeld.broker.redis.embedded import EmbeddedValkey, ValkeyFailed
from channeld.cluster.cluster import Cluster
from channeld.config.model import Config
from channeld.config.model import RedisBroker as RedisConfig
from channeld.engine.engine import Engine
from channeld.telemetry import log
from channeld.timers import Clock

if TYPE_CHECKING:
    from channeld.broker.redis.broker import RedisBroker

__all__ = ["ALONE", "Node", "Place"]

# Of a server that is nobody else's: one set of keys.
_PREFIX = "channeld"


@attrs.frozen(slots=True, kw_only=True)
class Place:
    """Where a process stands among those started with it: its number, their common id, their common Valkey's URL."""

    number: int | None = None
    group: str = ""
    broker_url: str | None = None


ALONE = Place()
"""A process that was started by itself."""


class Node:
    """One per `App`: `make_broker` and `join` while it is put together, `run` while it lives."""

    def __init__(self, config: Config, clock: Clock, place: Place = ALONE) -> None:
        """Choose the broker.

        Raises:
            ValkeyFailed: the embedded Valkey is not installed.
        """
        self.id = secrets.token_urlsafe(12)
        self.place = place
        self._clock = clock
        self._valkey: EmbeddedValkey | None = None
        self._redis: RedisBroker | None = None
        self._url, self._prefix = place.broker_url, _PREFIX
        if isinstance(config.broker, RedisConfig):
            self._url, self._prefix = config.broker.url, config.broker.prefix
        elif config.broker == "valkey" and self._url is None:
            self._valkey = EmbeddedValkey()
            self._url = self._valkey.url
        self._cluster: Cluster | None = None
        self._engine: Engine | None = None
        self._away_since: float | None = None

    def make_broker(self, deliver: Deliver) -> Broker:
        """The broker that the configuration asks for.

        Raises:
            ValueError: the URL of the Redis server is none that is known.
        """
        if self._url is None:
            # The epoch grows with each start, so a position of an earlier life is never taken for one of this.
            epoch = f"{int(time.time() * 1000):011x}{secrets.token_hex(2)}"
            return MemoryBroker(deliver, self._clock, epoch)
        from channeld.broker.redis.broker import RedisBroker  # noqa: PLC0415 - 300 ms, only for many nodes

        self._redis = RedisBroker(self._url, self._prefix, deliver, self._clock, self.id)
        return self._redis

    def join(self, engine: Engine) -> None:
        """Let the broker tell the engine, and give the engine its cluster."""
        self._engine = engine
        self._cluster = engine.cluster = Cluster(engine, self.id, group=self.place.group)
        if self._redis is not None:
            self._redis.on_gap = engine.on_gap
            self._redis.on_presence_lost = engine.on_presence_lost
            self._redis.on_presence_back = engine.on_presence_back
            self._redis.on_health = self._on_health

    @property
    def is_healthy(self) -> bool:
        """Whether what this node publishes reaches the others."""
        return self._redis is None or self._redis.healthy

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the broker; started after the first attempt to reach it, good or not. Needs the runtime's `run`.

        Raises:
            ValkeyFailed: the embedded Valkey did not start.
        """
        if self._redis is None or self._cluster is None:
            task_status.started()
            return
        failed: ValkeyFailed | None = None
        async with trio.open_nursery() as nursery:
            try:
                if self._valkey is not None:
                    await nursery.start(self._valkey.run)
            except ValkeyFailed as error:
                # Raised again outside, so that it is not wrapped in a group.
                failed = error
                nursery.cancel_scope.cancel()
            else:
                await nursery.start(self._redis.run)
                if not self._redis.healthy:
                    self._on_health(healthy=False, reason=self._redis.reason)
                await self._cluster.open()
                task_status.started()
        if failed is not None:
            raise failed

    async def leave(self) -> None:
        """Say goodbye to the other nodes; then `run` may be cancelled. Idempotent."""
        if self._cluster is not None:
            await self._cluster.close()
        if self._redis is not None:
            self._redis.on_health = lambda _healthy, _reason: None
            await self._redis.aclose()

    def _on_health(self, healthy: bool, reason: str) -> None:
        now = self._clock.monotonic()
        if not healthy:
            self._away_since = now
            log("broker_unavailable", reason=reason)
        elif self._away_since is not None:
            assert self._engine is not None  # noqa: S101 - the broker tells nobody before `join`
            seconds = round(now - self._away_since, 3)
            self._away_since = None
            log("broker_recovered", seconds=seconds, rooms=self._engine.hub.statistics().rooms)
        if healthy and self._cluster is not None:
            self._cluster.greet()
