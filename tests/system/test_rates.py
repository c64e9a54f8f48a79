"""Rates over two nodes: an allowance is one, wherever those who share it are connected."""

from collections.abc import Iterator

import pytest

from tests.system.kit import Client
from tests.system.nodes import Fleet, come, fleet_of

ROOM = """
channeld: 1
server: {drain: 1s}
broker: {redis: {url: "${REDIS_URL}", prefix: rates}}
auth:
  who: {type: jwt, algorithms: [HS256], secret: "${SECRET}", audience: chat}
channels:
  room:
    path: /rooms/{room}
    description: Everyone in a room.
    auth: who
    rooms: "{params.room}"
    messages:
      say: {schema: {type: object, required: [n]}, route: room, rate: {limit: 3/h}}
      shout: {schema: true, route: room, rate: {limit: 3/h, per: room}}
      call: {schema: true, route: sender, rate: {limit: 3/h, per: address, over: drop}}
      hum: {schema: true, route: sender, rate: {limit: 3/h, per: connection}}
      move: {schema: true, route: room, rate: {limit: 12/m, burst: 1, over: latest}}
"""


@pytest.fixture(scope="module", params=["valkey", "redis"])
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    with fleet_of(request.param, tmp_path_factory.mktemp("rates")) as fleet:
        fleet.folder.joinpath("channels.yaml").write_text(ROOM)
        fleet.starts(2)
        yield fleet


def fates(clients: list[Client], type: str, count: int) -> list[str]:
    """What becomes of messages that clients send by turns."""
    found = []
    for number in range(count):
        answer = clients[number % len(clients)].ask(type, n=number)
        found.append("dropped" if answer.get("dropped") else str(answer.get("code", "ack")))
    return found


def test_a_user_has_one_allowance_on_all_nodes(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    user = f"ann-{room}"
    with come(here, user, room) as one, come(there, user, room) as two:
        assert fates([one, two], "say", 5) == ["ack"] * 3 + ["RATE_LIMITED"] * 2
        # What the schema refuses counts; what another user sends does not.
        with come(there, f"bob-{room}", room) as bob:
            assert bob.ask("say")["code"] == "INVALID_MESSAGE"
            assert fates([bob], "say", 3) == ["ack"] * 2 + ["RATE_LIMITED"]
    with come(there, user, room) as again:
        assert 1000 < again.ask("say", n=1)["retry_after"] <= 1200


def test_a_room_has_one_allowance_on_all_nodes(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    with come(here, "ann", room) as ann, come(there, "bob", room) as bob:
        assert fates([ann, bob], "shout", 5) == ["ack"] * 3 + ["RATE_LIMITED"] * 2
    with come(there, "bob", f"{room}-2") as bob:
        assert fates([bob], "shout", 1) == ["ack"]


def test_an_address_has_one_allowance_and_a_connection_its_own(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    with come(here, "ann", room) as ann, come(there, "bob", room) as bob:
        assert fates([ann, bob], "call", 5) == ["ack"] * 3 + ["dropped"] * 2
        assert fates([ann, bob], "hum", 8) == ["ack"] * 6 + ["RATE_LIMITED"] * 2


def test_what_a_connection_used_up_follows_it_to_the_other_node(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    user = f"max-{room}"
    with come(here, user, room) as one:
        assert fates([one], "hum", 4) == ["ack"] * 3 + ["RATE_LIMITED"]
    with come(there, user, room) as again:
        assert fates([again], "hum", 1) == ["RATE_LIMITED"]


def test_the_newest_is_held_until_the_user_has_one_left(fleet: Fleet, room: str) -> None:
    here, there = fleet.nodes
    user = f"eve-{room}"
    with (
        come(here, user, room) as one,
        come(there, user, room) as two,
        come(there, "fay", room) as fay,
    ):
        fay.ask("ping")
        assert "held" not in one.ask("move", n=0)
        for number in range(1, 4):
            assert two.ask("move", n=number)["held"] is True
        assert [fay.receive("move")["n"] for _ in range(2)] == [0, 3]
