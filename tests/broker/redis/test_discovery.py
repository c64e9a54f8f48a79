"""Where the primary is: URLs, and real Sentinels and a real cluster that fail over."""

import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from coredis.connection import TCPLocation

from channeld.broker.broker import History, Topic
from channeld.broker.redis.connection import Location
from channeld.broker.redis.discovery import NotFound, read_url
from tests.broker.conftest import Server
from tests.broker.redis.groups import has, is_level, published, start, until
from tests.ports import free_port

ROOM = Topic("room", "lobby", "general")
KEEP = History(size=10, ttl=60)
MakeServer = Callable[[str], Server]
KINDS = pytest.mark.parametrize("kind", ["valkey", "redis"])


def asked(answers: dict[int, Any]) -> Callable[..., Awaitable[Any]]:
    """Servers that answer by their ports; the others are not there."""

    async def ask(location: Location, _of_sentinel: bool, _words: tuple[bytes, ...]) -> Any:
        await trio.lowlevel.checkpoint()
        assert isinstance(location, TCPLocation)
        if location.port not in answers:
            raise NotFound("nobody")
        return answers[location.port]

    return ask


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://a", "`http` is not a Redis scheme"),
        ("redis+http://a", "`redis\\+http` is not a Redis scheme"),
        ("unix+sentinel://a/m", "`unix\\+sentinel` is not a Redis scheme"),
        ("redis+sentinel://a:1", "name the primary"),
        ("redis+sentinel:///m", "does not name a host"),
        ("redis+sentinel://a:1,,b/m", "does not name a host"),
        ("redis+sentinel://a:x/m", "Port"),
        ("redis+cluster://a/1", "no databases"),
        ("redis+cluster://", "does not name a host"),
    ],
)
def test_urls_that_are_none(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"not a Redis URL: .*{words}"):
        read_url(url, "p")


def test_what_a_sentinel_url_says() -> None:
    url = "rediss+sentinel://ann:p%40ss@a,[::1]:7/main/3?sentinel_password=s&ssl_cert_reqs=none"
    target = read_url(url, "chat")
    options = target.pool.connection_kwargs
    assert (options["username"], options["password"], options["db"]) == ("ann", "p@ss", 3)
    assert options["ssl_context"] is not None
    assert target.sentinel_options == {"password": "s"}
    assert target.names.base == "chat"


@pytest.mark.parametrize(
    ("url", "secure"),
    [
        ("valkey://a", False),
        ("valkeys://a", True),
        ("valkeys+sentinel://a/m", True),
        ("valkey+cluster://a", False),
    ],
)
def test_valkey_is_another_word(url: str, secure: bool) -> None:
    assert (read_url(url, "p").pool.connection_kwargs.get("ssl_context") is not None) is secure


async def test_the_first_sentinel_that_knows_decides() -> None:
    find = read_url("redis+sentinel://a:1,b:2,c:3/main", "p").find
    knows: list[bytes] = [b"10.0.0.1", b"6379"]
    assert await find(asked({2: knows})) == TCPLocation("10.0.0.1", 6379)
    assert await find(asked({1: None, 3: knows})) == TCPLocation("10.0.0.1", 6379)
    with pytest.raises(NotFound, match="no Sentinel of a:1, b:2, c:3 knows a primary `main`"):
        await find(asked({1: None}))


@pytest.mark.parametrize(
    ("prefix", "base"),
    [("chat", "{chat}"), ("a{b}c", "a{b}c"), ("a{}b", "{a{}b}"), ("a{b", "{a{b}"), ("}", "{}}")],
)
def test_keys_of_a_cluster_have_one_tag(prefix: str, base: str) -> None:
    assert read_url("redis+cluster://a", prefix).names.base == base


async def test_the_owner_of_the_slot_is_the_primary() -> None:
    find = read_url("redis+cluster://a:1,b:2", "foo").find  # its slot is 12182
    ranges = [[0, 12181, [b"x", 5]], [12182, 16383, [b"", 6], [b"z", 7]]]
    assert await find(asked({2: ranges})) == TCPLocation("b", 6)
    # The nodes that were named are gone; one that they named is asked.
    assert await find(asked({5: [[0, 16383, [b"y", 8]]]})) == TCPLocation("y", 8)
    with pytest.raises(NotFound, match="who holds slot 12182"):
        await find(asked({1: [[0, 5, [b"x", 5]]]}))


def start_sentinel(make_server: MakeServer, kind: str, primary: int) -> int:
    server, port = make_server(kind), free_port()
    server.kill()
    config = server.folder / "sentinel.conf"
    config.write_text(
        f"sentinel monitor main 127.0.0.1 {primary} 1\n"
        "sentinel down-after-milliseconds main 500\n"
        "sentinel failover-timeout main 3000\n"
    )
    server.start_with(str(config), "--sentinel", "--port", str(port), "--bind", "127.0.0.1")
    return port


@KINDS
async def test_a_failover_by_sentinel(
    kind: str, make_server: MakeServer, one_node: Any, notices_freezes: None
) -> None:
    primary, port = start(make_server, kind)
    replica, _ = start(make_server, kind, "--replicaof", "127.0.0.1", str(port))
    sentinel = start_sentinel(make_server, kind, port)
    await until(lambda: has(replica, b"master_link_status:up"))
    await until(lambda: has(primary, b"connected_slaves:1"))
    # The Sentinel asks the primary for its replicas every 10 seconds.
    node = await one_node(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel}/main")
    await node.broker.subscribe(ROOM)
    await published(node, b"1")
    await until(lambda: is_level(primary, replica))
    await until(lambda: knows_replica(sentinel))
    primary.signal(signal.SIGSTOP)
    await node.until(lambda: not node.broker.healthy)
    await published(node, b"2")
    await node.until(lambda: node.payloads == [b"1", b"2"])
    page = await node.broker.since(ROOM, None, KEEP)
    assert page.top.offset == 2
    assert b"role:master" in await replica.command("INFO", "replication")


async def knows_replica(sentinel: int) -> bool:
    stream = await trio.open_tcp_stream("127.0.0.1", sentinel)
    async with stream:
        await stream.send_all(b"SENTINEL REPLICAS main\r\n")
        return b"127.0.0.1" in await stream.receive_some()


async def test_a_replica_is_not_taken_for_a_primary(
    make_server: MakeServer, new_node: Any, nursery: trio.Nursery
) -> None:
    _, port = start(make_server, "valkey")
    replica, own = start(make_server, "valkey", "--replicaof", "127.0.0.1", str(port))
    node = new_node(f"redis://127.0.0.1:{own}")
    nursery.start_soon(node.broker.run)
    await node.until(lambda: "is a replica" in node.broker.reason)
    await replica.command("REPLICAOF", "NO", "ONE")
    await node.until(lambda: node.broker.healthy)
    await node.broker.aclose()
