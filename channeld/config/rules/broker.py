"""Rules about the servers of a broker."""

from channeld.config.model import Config, RedisBroker
from channeld.config.rules.evidence import Findings, finding, is_written, texts
from channeld.config.scalars import server_of
from channeld.config.source import Sources


def server_twice(config: Config, sources: Sources) -> Findings:
    """CH707: two of `urls` are the same server."""
    seen: set[str] = set()
    for url, pointer in texts(sources, "/broker/redis/urls"):
        server = server_of(url)
        if server in seen:
            message = f"`urls` names the server `{server}` twice"
            help = "name each server once: more shards of one server make room for nothing"
            yield finding("CH707", message, sources, pointer, help)
        seen.add(server)


def shards_without_cluster(config: Config, sources: Sources) -> Findings:
    """CH708: `shards` without a cluster."""
    broker, pointer = config.broker, "/broker/redis/shards"
    if not isinstance(broker, RedisBroker) or not is_written(sources, pointer):
        return
    if not any("+cluster:" in url for url in broker.urls):
        message = "`shards` is for a cluster, and `url` does not name one"
        help = "remove it, or name a cluster: `redis+cluster://HOST:PORT,…`; `urls` makes one shard of each server"
        yield finding("CH708", message, sources, pointer, help, key=True)
