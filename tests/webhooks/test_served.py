"""Webhooks of `channeld run`, told to the example's receiver: one node, two nodes, a node that is killed."""

import base64
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from tests.system.kit import PATIENCE, SECRET, Client, command, environment, process_of, token
from tests.system.nodes import CHANNELS, Fleet, enter, fleet_of
from tests.webhooks.kit import SECRET as SIGNING
from tests.webhooks.kit import receiver

EXAMPLE: Any = receiver()
HOOK = """
webhooks:
  - url: http://127.0.0.1:PORT/told
    secret: ${SIGNING}
    events: [connected, disconnected, joined, left, room_occupied, room_vacated]
"""
# What is left to be told in the end has the rest of the drain for it.
PATIENT = CHANNELS.replace("drain: 1s", "drain: 20s")
ALONE = PATIENT.replace('broker: {redis: {url: "${REDIS_URL}", prefix: "${PREFIX:-nodes}"}}\n', "")


class Heard:
    """What the example's receiver noted."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.port = 0
        self.verified = 0
        self._news = threading.Condition()

    def note(self, event: dict[str, Any]) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def wait_for(self, event: str, **fields: object) -> None:
        def has_come() -> bool:
            wanted = {"event": event, **fields}
            return any({key: one.get(key) for key in wanted} == wanted for one in self.events)

        self.until(has_come)

    def until(self, is_enough: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(is_enough, PATIENCE), self.names()

    def names(self) -> list[str]:
        return [event["event"] for event in self.events]


@contextmanager
def backend(secret: str = SIGNING) -> Iterator[Heard]:
    heard = Heard()
    library = standardwebhooks.Webhook(base64.b64encode(secret.encode()).decode())
    monkeypatch = pytest.MonkeyPatch()

    def is_signed(headers: dict[str, str], body: bytes, secrets: Any, now: float) -> bool:
        """What the example says, and the reference library of Standard Webhooks."""
        library.verify(body, headers)
        heard.verified += 1
        return bool(by_hand(headers, body, secrets, now))

    by_hand = EXAMPLE.is_signed
    monkeypatch.setattr(EXAMPLE, "is_signed", is_signed)

    class Receiver(EXAMPLE.Receiver):  # type: ignore[misc]
        secrets = (secret,)
        seen = EXAMPLE.Seen()

        def note(self, event: dict[str, Any]) -> None:
            heard.note(event)

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        heard.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield heard
        finally:
            server.shutdown()
            thread.join()
            monkeypatch.undo()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of("valkey", tmp_path) as fleet:
        fleet.folder.joinpath("channels.yaml").write_text(PATIENT)
        yield fleet


def test_a_backend_hears_all_of_a_life_also_of_the_server(tmp_path: Path) -> None:
    with backend() as heard:
        tmp_path.joinpath("channels.yaml").write_text(ALONE + HOOK.replace("PORT", str(heard.port)))
        arguments = command("run", "--bind", "127.0.0.1:0", "--log-format", "json")
        environ = environment(SECRET=SECRET, SIGNING=SIGNING)
        with process_of(arguments, tmp_path, environ) as served:
            served.wait_ready()
            ann = Client(f"ws://{served.address}/rooms/a?token={token('ann')}")
            heard.wait_for("joined", user="ann", room="a")
            served.tell(signal.SIGTERM)
            ann.until_closed()
            ann.close()
            assert served.wait() == 0
        assert heard.verified > 0
        assert heard.names()[:3] == ["connected", "room_occupied", "joined"]
        assert sorted(heard.names()[3:]) == ["disconnected", "left", "room_vacated"]


def test_while_another_node_is_ready_a_drain_tells_of_nobody_who_goes_there(fleet: Fleet) -> None:
    with backend() as heard:
        with fleet.folder.joinpath("channels.yaml").open("a") as file:
            file.write(HOOK.replace("PORT", str(heard.port)))
        here, there = (fleet.start(SIGNING=SIGNING).wait_ready() for _ in range(2))
        ann = enter(here, "ann")
        heard.wait_for("joined", user="ann", room="a")
        here.tell(signal.SIGTERM)
        frames, _ = ann.until_closed()
        assert frames[-1]["retry_after"] < 0.2
        with enter(there, "ann"):
            assert here.wait() == 0
            # What the stopping node had to tell is told; nothing of it says that she left.
            heard.wait_for("disconnected", user="ann")
        told = heard.names()
    assert "left" not in told
    assert "room_vacated" not in told
    assert told.count("joined") == 1


def test_with_a_broker_the_last_ones_are_told_of_too(fleet: Fleet) -> None:
    with backend() as heard:
        with fleet.folder.joinpath("channels.yaml").open("a") as file:
            file.write(HOOK.replace("PORT", str(heard.port)))
        served = fleet.start(SIGNING=SIGNING).wait_ready()
        ann = enter(served, "ann")
        heard.wait_for("joined", user="ann", room="a")
        served.tell(signal.SIGTERM)
        ann.until_closed()
        ann.close()
        assert served.wait() == 0
        assert sorted(heard.names()[3:]) == ["disconnected", "left", "room_vacated"]


@pytest.mark.slow
def test_over_two_nodes_each_thing_is_told_once(fleet: Fleet) -> None:
    with backend() as heard:
        with fleet.folder.joinpath("channels.yaml").open("a") as file:
            file.write(HOOK.replace("PORT", str(heard.port)))
        here, there = (fleet.start(SIGNING=SIGNING).wait_ready() for _ in range(2))
        first, second = enter(here, "ann"), enter(there, "ann")
        first.close()
        heard.wait_for("disconnected")
        second.close()
        heard.wait_for("room_vacated", room="a")
        heard.wait_for("left", user="ann")
        counts = {name: heard.names().count(name) for name in heard.names()}
        assert counts == {
            "connected": 2, "disconnected": 2, "joined": 1, "left": 1, "room_occupied": 1, "room_vacated": 1,
        }  # fmt: skip
        enter(here, "ann").close()
        heard.until(lambda: heard.names().count("left") == heard.names().count("room_vacated") == 2)
        # Two nodes have told of the room, each over a connection of its own.
        for names in (("joined", "left"), ("room_occupied", "room_vacated")):
            events = [event for event in heard.events if event["event"] in names]
            versions = {event["version"]: event["event"] for event in events}
            assert [versions[version] for version in sorted(versions)] == [*names] * 2


@pytest.mark.slow
def test_a_survivor_tells_of_a_node_that_was_killed(fleet: Fleet) -> None:
    with backend() as heard:
        with fleet.folder.joinpath("channels.yaml").open("a") as file:
            file.write(HOOK.replace("PORT", str(heard.port)))
        here, there = (fleet.start(SIGNING=SIGNING).wait_ready() for _ in range(2))
        with enter(here, "bob", "b"):
            enter(there, "ann")
            heard.wait_for("joined", user="ann")
            heard.wait_for("room_occupied", room="a")
            there.tell(signal.SIGKILL)
            heard.wait_for("left", user="ann", room="a")
            heard.wait_for("room_vacated", room="a")
            assert "left" not in [e["event"] for e in heard.events if e.get("user") == "bob"]
