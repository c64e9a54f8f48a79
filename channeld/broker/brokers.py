"""The table of brokers: how each is written under `broker:`, whether processes share it, and how it is opened.

A new broker needs a module and a row here; its settings are a class in `config/model.py`. A row imports its modules when it
is used, so a server that keeps everything in memory loads no Redis client.
"""

import secrets
from collections.abc import Callable
from typing import Any

import attrs

from channeld.broker.broker import Broker, Deliver, PrivateServer
from channeld.config.model import RedisBroker as RedisSettings
from channeld.timers import Clock

# A private server has no other keys.
_PREFIX = "channeld"


@attrs.frozen(slots=True, kw_only=True)
class BrokerSite:
    """What a broker needs to be opened. `server` is the URL of the private server, empty for a kind without one."""

    deliver: Deliver
    clock: Clock
    node_id: str
    server: str = ""


@attrs.frozen(slots=True, kw_only=True)
class BrokerKind:
    """A row: `broker: NAME`, or `broker: {NAME: SETTINGS}` with an instance of `settings` in the configuration.

    `open(settings, site)` makes the broker of one process. `private_server` makes the server that must be running first, one
    for all processes that start together.
    """

    name: str
    open: Callable[[Any, BrokerSite], Broker]
    settings: type | None = None
    private_server: Callable[[], PrivateServer] | None = None
    is_shared: bool = True


def kind_of(settings: object) -> BrokerKind:
    """The row that matches a configuration's `broker`."""
    for kind in BROKERS:
        if settings == kind.name or (kind.settings and isinstance(settings, kind.settings)):
            return kind
    raise LookupError(settings)


def _open_memory(_settings: object, site: BrokerSite) -> Broker:
    from channeld.broker.memory import MemoryBroker  # noqa: PLC0415 - each kind loads its own

    # The epoch grows with each start, so a position from an earlier run is never mistaken for one of this run.
    epoch = f"{int(site.clock.wall() * 1000):011x}"
    return MemoryBroker(site.deliver, site.clock, epoch, secrets.randbits(32))


def _open_redis(settings: RedisSettings, site: BrokerSite) -> Broker:
    from channeld.broker.redis import layout  # noqa: PLC0415 - 300 ms, as the next ones
    from channeld.broker.redis.broker import RedisBroker  # noqa: PLC0415
    from channeld.broker.redis.shards import ShardedBroker  # noqa: PLC0415

    def make(shard: layout.Shard, spread: layout.Spread, deliver: Deliver) -> RedisBroker:
        return RedisBroker(shard.url, shard.prefix, deliver, site.clock, site.node_id, spread)

    url, prefix = settings.urls[0], settings.prefix
    if len(settings.urls) > 1:
        return ShardedBroker(layout.of_servers(settings.urls, prefix), make, site.deliver)
    if "+cluster:" in url:
        shards = layout.of_cluster(url, prefix, settings.shards)
        return ShardedBroker(shards, make, site.deliver)
    return make(layout.Shard("", url, prefix), layout.ALONE, site.deliver)


def _open_valkey(_settings: object, site: BrokerSite) -> Broker:
    return _open_redis(RedisSettings(urls=(site.server,), prefix=_PREFIX), site)


def _embedded_valkey() -> PrivateServer:
    from channeld.broker.redis.embedded import EmbeddedValkey  # noqa: PLC0415 - only here

    return EmbeddedValkey()


BROKERS = (
    BrokerKind(name="memory", open=_open_memory, is_shared=False),
    BrokerKind(name="valkey", open=_open_valkey, private_server=_embedded_valkey),
    BrokerKind(name="redis", open=_open_redis, settings=RedisSettings),
)
