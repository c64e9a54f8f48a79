"""Where the primary is: URLs, and real Sentinels and a real cluster that fail over."""

import re
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from coredis.connection import Location, TCPLocation

from channeld.broker.broker import BrokerUnavailable, History, Topic
from channeld.broker.redis.discovery import NotFound, read_url
from tests.broker.conftest import Node, Server
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
        ("redis+sentinel:///m", "names no host"),
        ("redis+sentinel://a:1,,b/m", "names no host"),
        ("redis+sentinel://a:x/m", "Port"),
        ("redis+cluster://a/1", "no databases"),
        ("redis+cluster://", "names no host"),
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


def start(make_server: MakeServer, kind: str, *options: str) -> tuple[Server, int]:
    """A server on a TCP port of this machine, and the port."""
    server, port = make_server(kind), free_port()
    server.kill()
    server.start("--port", str(port), "--bind", "127.0.0.1", *options)
    return server, port


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


async def published(node: Node, payload: bytes) -> None:
    """Publish until it is taken, for at most 20 seconds."""
    with trio.fail_after(20):
        while True:
            try:
                await node.broker.publish(ROOM, payload, KEEP)
            except BrokerUnavailable:
                await trio.sleep(0.1)
            else:
                return


@KINDS
async def test_a_failover_by_sentinel(kind: str, make_server: MakeServer, one_node: Any) -> None:
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
    await node.until(lambda: not node.broker.healthy, 15)
    await published(node, b"2")
    await node.until(lambda: node.payloads == [b"1", b"2"])
    page = await node.broker.since(ROOM, None, KEEP)
    assert page.top.offset == 2
    assert b"role:master" in await replica.command("INFO", "replication")


async def has(server: Server, words: bytes) -> bool:
    return words in await server.command("INFO", "replication")


async def is_level(primary: Server, replica: Server) -> bool:
    """Whether a replica has all that its primary has: WAIT knows only of what its own connection wrote."""
    offsets = [
        re.search(rb"master_repl_offset:(\d+)", await server.command("INFO", "replication"))
        for server in (primary, replica)
    ]
    return all(offsets) and len({found[1] for found in offsets if found}) == 1


async def knows_replica(sentinel: int) -> bool:
    stream = await trio.open_tcp_stream("127.0.0.1", sentinel)
    async with stream:
        await stream.send_all(b"SENTINEL REPLICAS main\r\n")
        return b"127.0.0.1" in await stream.receive_some()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    with trio.fail_after(30):
        while not await true():  # noqa: ASYNC110 - it is other processes that are watched
            await trio.sleep(0.05)


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


@KINDS
async def test_a_failover_in_a_cluster(kind: str, make_server: MakeServer, one_node: Any) -> None:
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "700", "--save", "")
    buses = [free_port() for _ in range(4)]
    members = [start(make_server, kind, *options, "--cluster-port", str(bus)) for bus in buses]
    for (server, _), (first, last) in zip(
        members, [(0, 5460), (5461, 10922), (10923, 16383)], strict=False
    ):
        await server.command("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
    for (_, port), bus in zip(members, buses, strict=True):
        await members[0][0].command("CLUSTER", "MEET", "127.0.0.1", str(port), str(bus))
    await until(lambda: all_ok([server for server, _ in members]))
    ports = [port for _, port in members]
    url = f"redis+cluster://127.0.0.1:{ports[0]},127.0.0.1:{ports[2]}"
    node = await one_node(url)
    owner = await owner_of(members, f"{{{node.prefix}}}")
    spare = members[3][0]
    name = (await owner.command("CLUSTER", "MYID")).split(b"\r\n")[1].decode()
    await spare.command("CLUSTER", "REPLICATE", name)
    await until(lambda: has(spare, b"master_link_status:up"))
    await node.broker.subscribe(ROOM)
    await published(node, b"1")
    await until(lambda: is_level(owner, spare))
    owner.kill()
    await node.until(lambda: not node.broker.healthy, 15)
    await published(node, b"2")
    await node.until(lambda: node.payloads == [b"1", b"2"])
    assert b"role:master" in await spare.command("INFO", "replication")


async def all_ok(servers: list[Server]) -> bool:
    for server in servers:
        words = await server.command("CLUSTER", "INFO")
        if b"cluster_state:ok" not in words or b"cluster_known_nodes:4" not in words:
            return False
    return True


async def owner_of(members: list[tuple[Server, int]], key: str) -> Server:
    for server, _ in members:
        if not (await server.command("EXISTS", key)).startswith(b"-MOVED"):
            return server
    raise AssertionError("nobody owns it")
