"""The newest of one thing over two nodes: kept, replaced, cleared and held as on one."""

from collections.abc import Iterator

import pytest

from tests.system.kit import Client, Frame
from tests.system.nodes import Fleet, come, fleet_of

ID = "{type: object, required: [k], properties: {k: {type: string, maxLength: 9}}}"
BOARD = f"""
channeld: 1
server: {{drain: 1s}}
broker: {{redis: {{url: "${{REDIS_URL}}", prefix: newest}}}}
auth:
  who: {{type: jwt, algorithms: [HS256], secret: "${{SECRET}}", audience: chat}}
channels:
  room:
    path: /rooms/{{room}}
    description: A board.
    auth: who
    rooms: "{{params.room}}"
    presence: {{grace: 0s}}
    history: {{size: 50, ttl: 1h, replay: all}}
    messages:
      pin: {{schema: {ID}, route: room, key: "{{message.k}}", history: latest}}
      unpin: {{schema: {ID}, route: room, key: "{{message.k}}", history: false, clears: [pin, slide, move]}}
      cursor: {{schema: true, route: room, key: "{{user.id}}", history: latest, clears: {{on: leave}}}}
      move: {{schema: {ID}, route: room, key: "{{message.k}}", history: latest, conflate: 6s}}
      slide: {{schema: {ID}, route: room, key: "{{message.k}}", history: latest, rate: {{limit: 1/h, over: latest}}}}
      say: {{schema: true, route: room}}
"""
OURS = ("pin", "unpin", "cursor", "move", "slide", "say")


@pytest.fixture(scope="module", params=["valkey", "redis"])
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    with fleet_of(request.param, tmp_path_factory.mktemp("newest")) as fleet:
        fleet.folder.joinpath("channels.yaml").write_text(BOARD)
        fleet.starts(2)
        yield fleet


def ours(client: Client) -> Frame:
    """The next frame that somebody sent."""
    while (frame := client.receive())["type"] not in OURS:
        pass
    return frame


def replayed(client: Client) -> list[tuple[str, object]]:
    """What a newcomer is shown."""
    count = client.receive("subscribed")["replayed"]
    return [(frame["type"], frame["n"]) for frame in (ours(client) for _ in range(count))]


def test_a_newcomer_on_the_other_node_gets_what_is_left(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    with come(here, "ann", room) as ann, come(there, "bob", room) as bob:
        for number, (client, type, key) in enumerate(
            [
                (ann, "pin", "a"),
                (bob, "pin", "b"),
                (ann, "say", ""),
                (bob, "pin", "a"),
                (ann, "cursor", ""),
                (bob, "cursor", ""),
            ]
        ):
            client.send(type, k=key, n=number)
            for member in (ann, bob):
                member.receive(type)
        with come(there, "eve", room) as eve:
            assert replayed(eve) == [
                ("pin", 1),
                ("say", 2),
                ("pin", 3),
                ("cursor", 4),
                ("cursor", 5),
            ]
        ann.close()
        bob.receive("presence")
        bob.send("say", n=9)
        pos = bob.receive("say")["pos"]
        bob.send("unpin", k="b", n=6)
        bob.receive("unpin")
        with come(here, "eve", room) as eve:
            assert replayed(eve) == [("say", 2), ("pin", 3), ("cursor", 5), ("say", 9)]
        with come(here, "eve", room, since=pos) as eve:
            assert eve.receive("subscribed")["recovered"] is True
            assert ours(eve)["n"] == 6


def test_what_waits_on_one_node_is_cleared_on_the_other(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    with come(here, "ann", room) as ann, come(there, "bob", room) as bob:
        for type in ("move", "slide"):
            ann.send(type, k="a", n=1)
            assert bob.receive(type)["n"] == 1
            assert ann.ask(type, k="a", n=2)["held"] is True
        bob.send("unpin", k="a", n=3)
        assert ann.receive("unpin")["n"] == 3
        ann.close()
        with come(there, "eve", room) as eve:
            assert replayed(eve) == []
            bob.send("say", n=4)
            assert ours(eve)["n"] == 4


def test_nodes_conflate_together_and_the_last_one_stays(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    with (
        come(here, "ann", room) as ann,
        come(there, "bob", room) as bob,
        come(here, "eve", room) as eve,
    ):
        assert "held" not in ann.ask("move", k="a", n=0)
        for number in range(1, 6):
            assert bob.ask("move", k="a", n=number)["held"] is True
        assert [eve.receive("move")["n"] for _ in range(2)] == [0, 5]
        with come(here, "fay", room) as fay:
            assert replayed(fay) == [("move", 5)]
