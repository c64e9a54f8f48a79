"""TLS and passwords where the primary has to be found first: Sentinels and clusters."""

from pathlib import Path
from typing import Any

import pytest
import trio

from channeld.broker.broker import Topic
from tests.broker.conftest import Node
from tests.broker.redis.groups import KEEP, MakeServer, published, start, start_cluster
from tests.broker.redis.test_session import certificate
from tests.ports import free_port

ROOM = Topic("room", "lobby", "general")
WORD = "p@ss/w%rd"
WRITTEN = "p%40ss%2Fw%25rd"


@pytest.fixture
def tls(tmp_path: Path) -> tuple[str, ...]:
    """What a server needs to speak TLS alone, and to speak it to the others."""
    certificate(tmp_path, "127.0.0.1")
    files = (("cert", "cert.pem"), ("key", "key.pem"), ("ca-cert", "cert.pem"))
    found = [part for kind, name in files for part in (f"--tls-{kind}-file", str(tmp_path / name))]
    return (*found, "--port", "0", "--tls-auth-clients", "no", "--tls-replication", "yes")


def authority(tls: tuple[str, ...]) -> str:
    return tls[tls.index("--tls-ca-cert-file") + 1]


async def works(node: Node) -> None:
    await node.broker.subscribe(ROOM)
    await published(node, b"1")
    await node.until(lambda: node.payloads == [b"1"])
    assert (await node.broker.since(ROOM, None, KEEP)).top.offset == 1


async def test_sentinels_with_tls_and_a_password_of_their_own(
    make_server: MakeServer,
    tls: tuple[str, ...],
    one_node: Any,
    new_node: Any,
    nursery: trio.Nursery,
) -> None:
    secret = ("--requirepass", WORD, "--masterauth", WORD)
    _, port = start(make_server, "redis", *tls, *secret, port_option="--tls-port")
    sentinel, own = make_server("redis"), free_port()
    sentinel.kill()
    config = sentinel.folder / "sentinel.conf"
    lines = [f"sentinel monitor main 127.0.0.1 {port} 1", f"sentinel auth-pass main {WORD}"]
    lines += [f"{name[2:]} {value}" for name, value in zip(tls[::2], tls[1::2], strict=True)]
    config.write_text("\n".join([*lines, f"tls-port {own}", "requirepass watcher"]) + "\n")
    sentinel.start_with(str(config), "--sentinel", "--bind", "127.0.0.1")
    url = f"rediss+sentinel://:{WRITTEN}@127.0.0.1:{own}/main?ssl_ca_certs={authority(tls)}"
    await works(await one_node(f"{url}&sentinel_password=watcher"))
    for wrong, why in (
        (url, "NOAUTH"),
        (f"{url}&sentinel_password=wrong", "invalid username-password"),
        (f"{url}&sentinel_password=watcher".replace(WRITTEN, "wrong"), "invalid username-password"),
        (url.replace("rediss", "redis"), "no Sentinel of"),
    ):
        node = new_node(wrong)
        await nursery.start(node.broker.run)
        assert not node.broker.healthy
        assert why in node.broker.reason
        assert WORD not in node.broker.reason
        await node.broker.aclose()


async def test_a_cluster_with_tls_and_a_password(
    make_server: MakeServer, tls: tuple[str, ...], new_node: Any, nursery: trio.Nursery
) -> None:
    options = (*tls, "--tls-cluster", "yes", "--masterauth", WORD)
    cluster = await start_cluster(make_server, "redis", 3, 0, *options, port_option="--tls-port")
    for server, _ in cluster.members:
        await server.command("CONFIG", "SET", "requirepass", WORD)
    places = cluster.url.partition("://")[2]
    url = f"rediss+cluster://:{WRITTEN}@{places}?ssl_ca_certs={authority(tls)}"
    node = await new_node(url, shards=4).start(nursery)
    await works(node)
    await node.broker.aclose()
    wrong = new_node(url.replace(WRITTEN, "wrong"), shards=4)
    nursery.start_soon(wrong.broker.run)
    await wrong.until(lambda: "invalid username-password" in wrong.broker.reason)
    await wrong.broker.aclose()
