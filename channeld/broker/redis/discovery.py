"""Finds the primary: at a fixed address, through Sentinels, or the cluster node that holds our keys.

Each session looks it up again, so after a failover the next session finds the new primary. In a cluster all keys of one
prefix have one hash tag and so one slot; `shards.py` gives each shard a prefix of its own.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs
from coredis.connection import TCPLocation, UnixDomainSocketLocation
from coredis.exceptions import RedisError
from coredis.pool import ConnectionPool

from channeld.broker.redis.connection import Location
from channeld.broker.redis.encoding import Names, slot_of
from channeld.broker.redis.queue import Reply

# Sends one command over a connection of its own: (location, whether with the Sentinels' credentials, words) -> reply.
Ask: TypeAlias = Callable[[Location, bool, tuple[bytes, ...]], Awaitable[Reply]]
Finder: TypeAlias = Callable[[Ask], Awaitable[Location]]

# coredis recognises TLS only by the scheme's name.
_VALKEY = {"valkey": "redis", "valkeys": "rediss"}
_SENTINEL_PORT, _REDIS_PORT = 26_379, 6_379


class NotFound(Exception):
    """No primary was found; the message says who was asked."""


@attrs.frozen(kw_only=True, eq=False)
class Target:
    """A parsed URL: how to find the primary, the prefix of our keys, and how to connect.

    `pool` has the class and the options of connections to a server, parsed from `url`; `sentinel_options` are the options of
    connections to a Sentinel, if different.
    """

    find: Finder
    names: Names
    pool: ConnectionPool[Any]
    url: str
    sentinel_options: dict[str, Any] = attrs.field(factory=dict)
    is_cluster: bool = False


def read_url(url: str, prefix: str) -> Target:
    """What a URL says. Forms: `redis://`, `rediss://`, `unix://`; `redis+sentinel://HOST:PORT,…/NAME[/DB]` and
    `redis+cluster://HOST:PORT,…`, each with `rediss` for TLS; `valkey` and `valkeys` are other words for the two.

    Args:
        url: where to connect.
        prefix: the prefix of the keys, which determines their cluster slot.

    Raises:
        ValueError: it has none of these forms.
    """
    scheme, _, kind = urlsplit(url).scheme.partition("+")
    if scheme in _VALKEY:
        scheme = _VALKEY[scheme]
        url = f"{scheme}:{url.partition(':')[2]}"
    match kind:
        case "" if scheme in ("redis", "rediss", "unix"):
            return _fixed(url, Names(prefix))
        case "sentinel" if scheme in ("redis", "rediss"):
            return _by_sentinels(url, scheme, Names(prefix))
        case "cluster" if scheme in ("redis", "rediss"):
            return _by_slot(url, scheme, Names.of_one_slot(prefix))
        case _:
            shown = f"{scheme}+{kind}" if kind else scheme
            raise ValueError(f"not a Redis URL: `{shown}` is not a Redis scheme")


def _fixed(url: str, names: Names) -> Target:
    pool = _pool(url)
    location = pool.location
    if not isinstance(location, TCPLocation | UnixDomainSocketLocation):
        raise ValueError("not a Redis URL: it does not name a host")  # noqa: TRY004 - the value is wrong

    async def find(_ask: Ask) -> Location:
        return location

    return Target(find=find, names=names, pool=pool, url=url)


def _by_sentinels(url: str, scheme: str, names: Names) -> Target:
    parts = urlsplit(url)
    credentials, hosts = _hosts(parts.netloc, _SENTINEL_PORT)
    name, _, database = parts.path.strip("/").partition("/")
    if not name:
        raise ValueError(
            "not a Redis URL: name the primary, as in `redis+sentinel://HOST:26379/mymaster`"
        )
    query = dict(parse_qsl(parts.query))
    own = {
        key: query.pop(f"sentinel_{key}")
        for key in ("username", "password")
        if f"sentinel_{key}" in query
    }
    plain = urlunsplit((scheme, f"{credentials}localhost", f"/{database}", urlencode(query), ""))

    async def find(ask: Ask) -> Location:
        why = ""
        for sentinel in hosts:
            try:
                words = (b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name.encode())
                found = await ask(sentinel, True, words)
            except (RedisError, OSError, NotFound) as error:
                why = f": {error}"
                continue
            if found:
                return TCPLocation(found[0].decode(), int(found[1]))
        raise NotFound(f"no Sentinel of {_listed(hosts)} knows a primary `{name}`{why}")

    pool = _pool(plain)
    return Target(find=find, names=names, pool=pool, url=plain, sentinel_options=own)


def _by_slot(url: str, scheme: str, names: Names) -> Target:
    parts = urlsplit(url)
    credentials, hosts = _hosts(parts.netloc, _REDIS_PORT)
    if parts.path.strip("/"):
        raise ValueError("not a Redis URL: a cluster has no databases; remove the path")
    plain = urlunsplit((scheme, f"{credentials}localhost", "", parts.query, ""))
    slot = slot_of(names.base)
    known = list(hosts)

    async def find(ask: Ask) -> Location:
        why = ""
        for node in list(known):
            try:
                ranges = await ask(node, False, (b"CLUSTER", b"SLOTS"))
            except (RedisError, OSError, NotFound) as error:
                why = f": {error}"
                continue
            nodes = [_node(entry[2], node) for entry in ranges]
            # All configured nodes may be gone one day, so the nodes that they name are asked as well.
            known[:] = dict.fromkeys([*hosts, *nodes])
            for entry, owner in zip(ranges, nodes, strict=True):
                if entry[0] <= slot <= entry[1]:
                    return owner
        raise NotFound(f"no node of {_listed(hosts)} knows who holds slot {slot}{why}")

    return Target(find=find, names=names, pool=_pool(plain), url=plain, is_cluster=True)


def _node(entry: Sequence[Reply], asked: TCPLocation) -> TCPLocation:
    # A node that does not know its own address leaves it out: it is the node that was asked.
    return TCPLocation(entry[0].decode() if entry[0] else asked.host, int(entry[1]))


def _hosts(netloc: str, port: int) -> tuple[str, list[TCPLocation]]:
    """The credentials of a URL, with their `@`, and its hosts."""
    credentials, at, hosts = netloc.rpartition("@")
    found = []
    for host in hosts.split(","):
        try:
            parts = urlsplit(f"//{host}")
            name, number = parts.hostname, parts.port or port
        except ValueError as error:
            raise ValueError(f"not a Redis URL: {error}") from None
        if not name:
            raise ValueError("not a Redis URL: it does not name a host")
        found.append(TCPLocation(name, number))
    return f"{credentials}{at}", found


def _listed(hosts: Sequence[TCPLocation]) -> str:
    return ", ".join(map(repr, hosts))


def _pool(url: str) -> ConnectionPool[Any]:
    try:
        return ConnectionPool.from_url(url, decode_components=True)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"not a Redis URL: {error}") from None
