"""Nodes as processes: what holds on one holds over all of them, also while Redis or a node is away."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.system.kit import Client, eventually
from tests.system.nodes import CHANNELS, Fleet, come, enter, fleet_of

PERSISTENT = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture(scope="module", params=["valkey", "redis"])
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """Two nodes that no test harms."""
    with fleet_of(request.param, tmp_path_factory.mktemp("nodes")) as fleet:
        fleet.starts(2)
        yield fleet


@pytest.fixture
def new_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """A fleet of the test's own, on a Valkey with persistence."""
    with fleet_of("valkey", tmp_path, *PERSISTENT) as fleet:
        yield lambda: fleet


def test_messages_reach_members_on_every_node_in_one_order(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    with enter(here, "ann", room) as ann, enter(there, "bob", room) as bob:
        for number in range(20):
            (ann, bob)[number % 2].send("say", n=number)
        heard = [[client.receive("say") for _ in range(20)] for client in (ann, bob)]
    assert heard[0] == heard[1]
    positions = [frame["pos"] for frame in heard[0]]
    assert positions == sorted(positions)
    assert [f["n"] for f in heard[0] if f["from"] == "ann"] == list(range(0, 20, 2))


def test_user_and_global_targets_reach_other_nodes(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    with enter(here, "ann", room) as ann, enter(there, "bob", room + "-2") as bob:
        ann.send("tell", to="bob")
        assert bob.receive("tell")["to"] == "bob"
        ann.send("shout", text="all")
        assert (ann.receive("shout"), bob.receive("shout")["text"])[1] == "all"


def test_a_user_on_two_nodes_comes_and_goes_once(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    with enter(here, "watcher", room) as watcher:
        first, second = enter(here, "ann", room), enter(there, "ann", room)
        assert watcher.receive("presence")["event"] == "join"
        state = watcher.ask("presence", room=room)
        assert {u["user"]: u["connections"] for u in state["users"]} == {"watcher": 1, "ann": 2}
        first.close()
        eventually(lambda: len(watcher.ask("presence", room=room)["users"][1:]) == 1)
        second.close()
        frame = watcher.receive("presence")
        assert (frame["event"], frame["user"]) == ("leave", "ann")
        assert [u["user"] for u in watcher.ask("presence", room=room)["users"]] == ["watcher"]


def test_what_was_missed_is_recovered_on_another_node(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    with enter(here, "ann", room) as ann:
        bob = come(here, "bob", room)
        start = bob.receive("subscribed")["pos"]
        bob.close()
        for number in range(5):
            ann.ask("say", n=number)
        with come(there, "bob", room, since=start) as again:
            assert again.receive("subscribed")["recovered"] is True
            assert [again.receive("say")["n"] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_of_one_user_the_oldest_connection_on_any_node_gives_way(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    clients = [enter(node, f"one-{room}", room) for node in (here, there, here, there, here)]
    clients.append(enter(there, f"one-{room}", room))
    frames, code = clients[0].until_closed()
    assert (frames[-1]["type"], code) == ("disconnect", 4409)
    for client in clients[1:]:
        assert client.ask("presence", room=room)["type"] == "presence"
        client.close()


def test_users_of_a_killed_and_of_a_drained_node_leave_once(
    new_fleet: Callable[..., Fleet],
) -> None:
    here, killed, drained = new_fleet().starts(3)
    with enter(here, "watcher") as watcher, enter(drained, "bob") as bob:
        enter(killed, "ann")
        for _ in range(2):
            assert watcher.receive("presence")["event"] == "join"
        killed.tell(signal.SIGKILL)
        drained.tell(signal.SIGTERM)
        assert bob.until_closed()[1] == 1012
        assert drained.wait() == 0
        frames = [watcher.receive() for _ in range(2)]
        assert sorted((f["event"], f["user"]) for f in frames) == [
            ("leave", "ann"),
            ("leave", "bob"),
        ]
        watcher.send("say", text="a frame after it")
        assert watcher.receive()["type"] == "say"


def test_who_is_drained_goes_to_the_other_node_and_nobody_hears_of_it(
    new_fleet: Callable[..., Fleet],
) -> None:
    drained, there = new_fleet().starts(2)
    watcher = enter(there, "watcher")
    users = {f"user{number}": enter(drained, f"user{number}") for number in range(60)}
    for _ in users:
        assert watcher.receive("presence")["event"] == "join"
    drained.tell(signal.SIGTERM)

    def move(user: str) -> tuple[float, Client]:
        frames, code = users[user].until_closed()
        assert (frames[-1]["type"], code) == ("disconnect", 1012)
        users[user].close()
        return frames[-1]["retry_after"], enter(there, user)

    # They have ten seconds for it, which one after the other would need on a busy machine.
    with ThreadPoolExecutor(len(users)) as threads:
        moved = list(threads.map(move, users))
    assert max(back for back, _ in moved) < 0.2
    assert drained.wait() == 0
    watcher.send("presence", room="a")
    told = [watcher.receive("presence")]
    while told[-1]["event"] != "state":
        told.append(watcher.receive("presence"))
    # Neither a leave nor a join: to the others they were there all the time.
    assert [frame["event"] for frame in told] == ["state"]
    here = {user["user"]: user["connections"] for user in told[0]["users"]}
    assert here == dict.fromkeys(["watcher", *users], 1)
    for client in (watcher, *(client for _, client in moved)):
        client.close()


@pytest.mark.parametrize("history", ["    history: {size: 2, ttl: 1h}\n", ""])
def test_a_node_with_less_history_neither_trims_nor_unnumbers_what_others_keep(
    new_fleet: Callable[..., Fleet], history: str
) -> None:
    fleet = new_fleet()
    less = fleet.folder / "less.yaml"
    less.write_text(CHANNELS.replace("    history: {size: 50, ttl: 1h}\n", history))
    (here,) = fleet.starts(1)
    there = fleet.start(str(less)).wait_ready()
    for node in (here, there):
        assert node.event("plans_differ")["channels"] == ["room"]
    ann = come(here, "ann")
    begin = ann.receive("subscribed")["pos"]
    with ann, enter(there, "bob") as bob:
        for number in range(8):
            bob.ask("say", n=number)
        heard = [ann.receive("say") for _ in range(8)]
        assert all("pos" in frame for frame in heard)
        with come(here, "eve", since=begin) as eve:
            assert eve.receive("subscribed")["recovered"] is True
            assert [eve.receive("say")["n"] for _ in range(8)] == list(range(8))
    there.tell(signal.SIGTERM)
    here.event("plans_agree")


def test_while_redis_is_frozen_clients_stay_and_are_told(new_fleet: Callable[..., Fleet]) -> None:
    fleet = new_fleet()
    here, there = fleet.starts(2)
    with enter(here, "ann") as ann, enter(there, "bob") as bob:
        ann.ask("say", n=0)
        fleet.server.signal(signal.SIGSTOP)
        for node in (here, there):
            node.event("broker_unavailable")
        refused = ann.ask("say", n=1)
        assert (refused["type"], refused["code"]) == ("error", "UNAVAILABLE")
        assert refused["retry_after"] >= 1
        with here.connect("/open") as free:
            assert free.ask("ping")["type"] == "pong"
        with come(there, "eve") as eve:
            frames, code = eve.until_closed()
            assert (frames[-1]["code"], code) == ("UNAVAILABLE", 1013)
        fleet.server.signal(signal.SIGCONT)
        for node in (here, there):
            node.event("broker_recovered")
        assert ann.ask("say", n=2)["type"] == "ack"
        heard = [bob.receive("say")["n"] for _ in range(2)]
        # What was on its way when Redis froze may have been done, and was not promised.
        assert heard in ([0, 2], [0, 1])


def test_a_restart_with_persistence_loses_nothing(new_fleet: Callable[..., Fleet]) -> None:
    fleet = new_fleet()
    here, there = fleet.starts(2)
    with enter(here, "ann") as ann, enter(there, "bob") as bob:
        ann.ask("say", n=0)
        fleet.server.kill()
        for node in (here, there):
            node.event("broker_unavailable")
        fleet.server.start()
        here.event("broker_recovered")
        ann.ask("say", n=1)
        there.event("broker_recovered")
        ann.ask("say", n=2)
        assert [bob.receive("say")["n"] for _ in range(3)] == [0, 1, 2]
        state = bob.ask("presence", room="a")
        assert {u["user"]: u["connections"] for u in state["users"]} == {"ann": 1, "bob": 1}


def test_after_a_restart_without_persistence_members_are_told(tmp_path: Path) -> None:
    with fleet_of("redis", tmp_path) as fleet:
        here, there = fleet.starts(2)
        with enter(here, "ann") as ann, enter(there, "bob") as bob:
            ann.ask("say", n=0)
            assert bob.receive("say")["n"] == 0
            fleet.server.kill()
            there.event("broker_unavailable")
            fleet.server.start()
            frame = bob.receive("subscribed")
            assert (frame["room"], frame["recovered"]) == ("a", False)
            here.event("broker_recovered")
            bob.send("say", n=1)
            assert bob.receive("say")["pos"] > frame.get("pos", "")


def test_a_node_starts_without_redis_and_serves_when_it_comes(
    new_fleet: Callable[..., Fleet],
) -> None:
    fleet = new_fleet()
    fleet.server.kill()
    node = fleet.start()
    node.wait_ready()
    node.event("broker_unavailable")
    with come(node, "ann") as ann:
        assert ann.until_closed()[1] == 1013
    fleet.server.start()
    node.event("broker_recovered")
    with enter(node, "ann") as ann:
        assert ann.ask("say", n=1)["type"] == "ack"


def test_the_log_does_not_tell_the_password_of_redis(new_fleet: Callable[..., Fleet]) -> None:
    node = new_fleet().start(REDIS_URL="redis://ann:hidden-word@127.0.0.1:1/0")
    node.wait_ready()
    assert node.event("broker_unavailable")["reason"]
    node.tell(signal.SIGTERM)
    assert node.wait() == 0
    assert "hidden-word" not in node.err.text()
