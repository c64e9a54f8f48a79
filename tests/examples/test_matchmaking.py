"""`examples/matchmaking`: its scenarios, and two nodes whose tasks pair the same players."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.npm_parts import ROOT
from tests.system.kit import SECRET, Client, Served, command, environment, process_of, token
from tests.system.nodes import Fleet, fleet_of

EXAMPLE = ROOT / "examples" / "matchmaking"
VARIABLES = {"CHANNELD_JWT_SECRET": SECRET}


def test_its_scenarios_pass(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    with process_of(command("test", "."), tmp_path, environment(**VARIABLES)) as process:
        assert process.wait() == 0, process.out.text()
        assert "3 passed" in process.out.text()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of("valkey", tmp_path) as fleet:
        shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
        with tmp_path.joinpath("channels.yaml").open("a") as file:
            file.write('broker: {redis: {url: "${REDIS_URL}"}}\n')
        yield fleet


def player(node: Served, user: str, **claims: Any) -> Client:
    client = node.connect(f"/play?token={token(user, aud='game', **claims)}")
    client.receive("authenticated")
    return client


def games_of(client: Client) -> list[str]:
    """The rooms that it was put into until its countdown is over, but for `waiting`."""
    rooms: list[str] = []
    while (frame := client.receive()).get("in") != 0:
        if frame["type"] == "subscribed" and frame["room"] != "waiting":
            rooms.append(frame["room"])
    assert frame["game"] == rooms[-1]
    return rooms


@pytest.mark.slow
def test_over_two_nodes_each_player_gets_one_game_and_a_moderator_reaches_all(nodes: Fleet) -> None:
    here, there = (nodes.start(**VARIABLES) for _ in range(2))
    here.wait_ready()
    there.wait_ready()
    clients = {
        name: player(node, name) for name, node in zip("abcdef", [here, there] * 3, strict=True)
    }
    for client in clients.values():
        client.send("subscribe", room="waiting")
    games = {name: games_of(client) for name, client in clients.items()}
    assert all(len(rooms) == 1 for rooms in games.values()), games
    pairs = sorted(
        sorted(name for name in games if games[name] == rooms) for rooms in games.values()
    )
    assert [len(pair) for pair in pairs] == [2] * 6
    (other,) = (name for name in games if games[name] == games["a"] and name != "a")
    game = games["a"][0]
    with player(there, "mod", role="moderator") as mod:
        assert mod.ask("mute", user="a")["type"] == "ack"
        assert clients["a"].ask("say", game=game, text="hi")["code"] == "MUTED"
        assert clients[other].ask("say", game=game, text="hi")["type"] == "ack"
        assert clients["a"].receive("say")["from"] == other
        assert mod.ask("kick", user="a")["ended"] == 1
        assert clients["a"].until_closed()[1] == 4403
    for client in clients.values():
        client.close()
