"""Rules about the servers of a broker."""

from typing import Final
from urllib.parse import parse_qsl, urlsplit

import attrs

from channeld.config.language import joined
from channeld.config.model import Config, RedisBroker
from channeld.config.rules.evidence import Findings, finding, is_written, texts
from channeld.config.scalars import broker_problem, server_of
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Severity

_OPTIONS: Final = frozenset(
    {
        *("db", "client_name", "connect_timeout", "stream_timeout", "max_idle_time"),
        *("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"),
        *("sentinel_username", "sentinel_password"),
    }
)


def server_twice(config: Config, sources: Sources) -> Findings:
    """CH707: two of `urls` are the same server."""
    seen: set[str] = set()
    for url, pointer in texts(sources, "/broker/redis/urls"):
        if broker_problem(url):
            continue
        server = server_of(url)
        if server in seen:
            message = f"`urls` names the server `{server}` twice"
            help = "name each server once: several shards on one server add no capacity"
            yield finding("CH707", message, sources, pointer, help)
        seen.add(server)


def url_of_nothing(config: Config, sources: Sources) -> Findings:
    """CH710: a URL that can lead to no server."""
    for key in ("url", "urls"):
        for url, pointer in texts(sources, f"/broker/redis/{key}"):
            if pointer in sources.refused:
                continue
            if problem := broker_problem(url):
                what, _, help = problem.partition(": ")
                help = help or "write a URL such as `redis://10.0.0.1:6379/0`"
                yield finding("CH710", f"`broker.redis.{key}` {what}", sources, pointer, help)
            elif not dict(parse_qsl(urlsplit(url).query)).keys() <= _OPTIONS:
                # Do not quote the URL: it may contain a password.
                message = f"`broker.redis.{key}` has an option that channeld does not know"
                help = f"remove it; after `?` there may be {joined([f'`{one}`' for one in sorted(_OPTIONS)])}"
                found = finding("CH710", message, sources, pointer, help)
                yield attrs.evolve(found, severity=Severity.WARNING)


def shards_without_cluster(config: Config, sources: Sources) -> Findings:
    """CH708: `shards` without a cluster."""
    broker, pointer = config.broker, "/broker/redis/shards"
    if not isinstance(broker, RedisBroker) or not is_written(sources, pointer):
        return
    if sources.unset & {"/broker/redis/url"}:
        return
    if not any("+cluster:" in url for url in broker.urls):
        message = "`shards` is for a cluster, and `url` does not name one"
        help = "remove it, or name a cluster: `redis+cluster://HOST:PORT,…`; `urls` makes one shard of each server"
        yield finding("CH708", message, sources, pointer, help, key=True)
