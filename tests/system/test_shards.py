"""Nodes as processes over several servers: one is away, one more is added while clients are connected."""

import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from channeld.broker.broker import Topic
from channeld.broker.redis.encoding import topic_key
from channeld.broker.redis.layout import of_servers
from tests.broker.conftest import Server, _binary
from tests.system.kit import Served, eventually
from tests.system.nodes import CHANNELS, Fleet, _end, come, enter, fleet_of

ROOMS = [f"r{number}" for number in range(12)]
ALL_UP = (200, {"shards": ["up", "up", "up"]})


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    made = []
    for _ in range(2):
        server = Server(_binary("valkey"), tmp_path_factory.mktemp("s"))
        server.start()
        made.append(server)
    yield made
    for server in made:
        _end(server)


@pytest.fixture
def fleet(servers: list[Server], tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of("valkey", tmp_path) as fleet:
        spread(fleet, [fleet.server, *servers])
        yield fleet


def spread(fleet: Fleet, servers: list[Server]) -> None:
    """Nodes that start from now on spread their rooms over these servers."""
    urls = ", ".join(f'"{server.url}"' for server in servers)
    text = CHANNELS.replace('url: "${REDIS_URL}"', f"urls: [{urls}]")
    fleet.folder.joinpath("channels.yaml").write_text(text)


def homes(servers: list[Server]) -> dict[str, Server]:
    """At which server each room is."""
    layout = of_servers([server.url for server in servers], "nodes")
    return {room: servers[layout.home(topic_key(Topic("room", "room", room)))] for room in ROOMS}


def health(node: Served, query: str = "") -> tuple[int, object]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.port}/health{query}") as answer:
            return answer.status, orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, orjson.loads(error.read())


def test_one_server_away_is_its_own_rooms_away(fleet: Fleet, servers: list[Server]) -> None:
    here, there = fleet.starts(2)
    where = homes([fleet.server, *servers])
    frozen = servers[0]
    clients = {room: enter(here, f"ann-{room}", room) for room in ROOMS[:5]}
    clients |= {room: enter(there, f"bob-{room}", room) for room in ROOMS[5:]}
    assert {where[room] is frozen for room in ROOMS} == {True, False}
    eventually(lambda: health(here, "?ready") == ALL_UP)
    frozen.signal(signal.SIGSTOP)
    for node in (here, there):
        node.event("broker_shard_unavailable", shard=str(frozen.socket))
    for room, client in clients.items():
        answer = client.ask("say", n=1)
        if where[room] is frozen:
            assert (answer["type"], answer["code"]) == ("error", "UNAVAILABLE")
        else:
            assert answer["type"] == "ack"
            assert client.receive("say")["n"] == 1
    assert health(here, "?ready") == (200, {"shards": ["up", "away", "up"]})
    frozen.signal(signal.SIGCONT)
    for node in (here, there):
        node.event("broker_shard_recovered")
    for room, client in clients.items():
        assert client.ask("say", n=2)["type"] == "ack", room
        while client.receive("say")["n"] != 2:
            pass
        client.close()


def test_a_server_is_added_with_clients_connected(fleet: Fleet, servers: list[Server]) -> None:
    spread(fleet, servers)
    old = fleet.starts(2)
    clients = {
        (room, who): enter(node, f"{who}-{room}", room)
        for room in ROOMS
        for who, node in zip(("ann", "bob"), old, strict=True)
    }
    latest = {}
    for room in ROOMS:
        clients[room, "ann"].ask("say", n=1)
        for who in ("ann", "bob"):
            latest[room, who] = clients[room, who].receive("say")["pos"]
    spread(fleet, [fleet.server, *servers])
    new = [fleet.start() for _ in range(2)]
    for node in new:
        node.wait_ready()
        reason = node.event("broker_unavailable")["reason"]
        assert "give all nodes the same `urls`" in str(reason)
        assert health(node, "?ready")[0] == 503
    # Those that are connected go on meanwhile.
    clients[ROOMS[0], "ann"].ask("say", n=2)
    assert clients[ROOMS[0], "bob"].receive("say")["n"] == 2
    for node in old:
        node.tell(signal.SIGTERM)
    for client in clients.values():
        assert client.until_closed()[1] == 1012
        client.close()
    for node in old:
        assert node.wait() == 0
    # A node is ready as soon as one of its servers has let it in.
    eventually(lambda: [health(node, "?ready") for node in new] == [ALL_UP, ALL_UP])
    for room in ROOMS:
        with come(new[0], f"ann-{room}", room, latest[room, "ann"]) as ann:
            assert ann.receive("subscribed")["recovered"] is False
            with come(new[1], f"bob-{room}", room, latest[room, "bob"]) as bob:
                assert bob.receive("subscribed")["recovered"] is False
                ann.ask("say", n=3)
                assert bob.receive("say")["n"] == 3
                users = bob.ask("presence", room=room)["users"]
                assert {user["user"] for user in users} == {f"ann-{room}", f"bob-{room}"}
