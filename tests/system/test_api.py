"""The control API of the real command, over real sockets: what applications do with it, and what strangers try."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from channeld.client import Client, Publish
from tests.system.kit import PATIENCE, SECRET, Served, environment, token

Serve = Callable[..., Served]

KEY, NEXT_KEY = "the-first-key-of-thirty-two-chars", "the-second-key-of-thirty-two-char"
YAML = """
    channeld: 1
    api: {bind: "127.0.0.1:0", keys: ["${API_KEY}", "${OLD_KEY:-}"]}
    server: {bind: "127.0.0.1:0", drain: 2s}
    auth:
      session: {type: jwt, algorithms: [HS256], secret: "${SECRET}", audience: chat}
    channels:
      feed:
        path: /feed
        auth: session
        presence: true
        rooms: all
        history: {size: 10, ttl: 1h}
        events:
          news: {schema: {type: object, required: [n], properties: {n: {type: integer}}}}
"""


class Api:
    """A served configuration and its API."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.address = served.event("api_started")["bind"][0]
        self.url = f"http://{self.address}"
        self.http = httpx2.Client(base_url=self.url, trust_env=False, timeout=PATIENCE)

    def status(self, path: str = "/v1/channels", key: str | None = KEY) -> int:
        headers = {} if key is None else {b"authorization": b"Bearer " + key.encode()}
        return self.http.get(path, headers=headers).status_code


def served_by(serve: Serve) -> Iterator[Api]:
    it = Api(serve(YAML.replace(', "${OLD_KEY:-}"', ""), API_KEY=KEY, SECRET=SECRET))
    with it.http:
        yield it


@pytest.fixture
def api(serve: Serve) -> Iterator[Api]:
    yield from served_by(serve)


@pytest.fixture(scope="module")
def lasting(serve_all: Serve) -> Iterator[Api]:
    """For tests that ask and change nothing."""
    yield from served_by(serve_all)


def test_an_application_s_day(api: Api) -> None:
    with (
        Client(api.url, KEY) as client,
        api.served.connect(f"/feed?token={token('ann')}") as ann,
    ):
        ann.receive("presence")
        sent = client.publish("feed", {"type": "news", "n": 1}, room="all")
        assert ann.receive("news") == {"type": "news", "n": 1, "room": "all", "pos": sent.pos}
        client.batch([Publish(channel="feed", event={"type": "news", "n": 2}, user="ann")])
        assert ann.receive("news")["n"] == 2
        assert [user.user for user in client.presence("feed", "all").users] == ["ann"]
        assert [frame["n"] for frame in client.history("feed", "all").frames] == [1]
        there = client.user("ann")
        assert (there.online, there.connections[0].rooms) == (True, ("all",))
        assert client.subscribe("feed", "extra", user="ann") == 1
        assert ann.receive("subscribed")["room"] == "extra"
        assert [room.room for room in client.rooms("feed").rooms] == ["all", "extra"]
        assert client.disconnect(connection=there.connections[0].id, reason="bye") == 1
        assert ann.until_closed()[1] == 4410
        assert not client.user("ann").online


def test_the_commands(api: Api) -> None:
    def channeld(*arguments: str) -> str:
        environ = environment(CHANNELD_API_KEY=KEY, SECRET=SECRET, API_KEY=KEY)
        line = [sys.executable, "-m", "channeld", *arguments, "--url", api.url]
        return subprocess.run(line, env=environ, check=True, capture_output=True, text=True).stdout

    with api.served.connect(f"/feed?token={token('ann')}") as ann:
        ann.receive("presence")
        out = channeld("publish", "feed", '{"type": "news", "n": 7}', "--room", "all")
        assert ann.receive("news")["pos"] == json.loads(out)["pos"]
        assert channeld("presence", "feed", "all").startswith("ann")
        assert channeld("disconnect", "--user", "ann") == "1\n"
        assert ann.until_closed()[1] == 4410


def test_strangers(lasting: Api) -> None:
    for key in (None, "wrong", KEY[:-1], KEY + "x", "schlüssel"):
        assert lasting.status(key=key) == 401
    good = {"authorization": f"Bearer {KEY}"}
    other = {**good, "origin": "https://evil.example"}
    assert lasting.http.get("/v1/channels", headers=other).status_code == 403
    form = lasting.http.post("/v1/publish", data={"a": "b"}, headers=good)
    assert form.status_code == 415
    large = lasting.http.post("/v1/publish", content=b"x" * 5_000_000, headers=good)
    assert large.status_code in (413, 415)
    as_json = {**good, "content-type": "application/json"}
    large = lasting.http.post("/v1/publish", content=b"x" * 5_000_000, headers=as_json)
    assert large.status_code == 413
    refused = lasting.served.event("api_refused", reason="key")
    assert KEY not in json.dumps(refused)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/channels/../../metrics", 404),
        ("/v1/channels/..%2F..%2Fmetrics", 404),
        ("/v1/channels/feed/rooms/..%2F..%2Fall", 200),
        ("/v1/channels/feed/rooms/%00", 404),
        ("/v1/channels/feed/rooms/" + "x" * 10_240, 404),
        ("/v1/channels/feed/rooms/" + "x" * 20_000, 431),
        ("/console/files/..%2F..%2Fapp.py", 404),
        ("http://elsewhere/metrics", 404),
    ],
)
def test_paths(lasting: Api, path: str, status: int) -> None:
    # As written: libraries would tidy them up.
    host, _, port = lasting.address.rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as sock:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        sock.sendall(f"{head}Connection: close\r\n\r\n".encode())
        assert sock.recv(12) == b"HTTP/1.1 %d" % status


def test_many_idle_connections_keep_nobody_out(lasting: Api) -> None:
    host, _, port = lasting.address.rpartition(":")
    idle = [socket.create_connection((host, int(port)), PATIENCE) for _ in range(400)]
    try:
        assert lasting.status() == 200
        assert lasting.status("/health/ready", None) == 200
    finally:
        for sock in idle:
            sock.close()


def test_a_slow_body_holds_nobody_up(lasting: Api) -> None:
    host, _, port = lasting.address.rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as sock:
        head = f"POST /v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        kind = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        sock.sendall(f"{head}{kind}{{".encode())
        assert lasting.status() == 200
        with Client(lasting.url, KEY) as client:
            assert client.publish("feed", {"type": "news", "n": 1}).nodes == 1


def test_metrics_of_a_server_that_was_used(api: Api) -> None:
    with api.served.connect(f"/feed?token={token('ann')}") as ann:
        ann.receive("presence")
        ann.ask("nosuch")
        text = api.http.get("/metrics").text
    assert 'channeld_connections{channel="feed",transport="websocket"} 1.0' in text
    assert 'channeld_handshakes_total{result="accepted"} 1.0' in text
    assert re.search(r"channeld_received_bytes_total [1-9]", text)
    assert 'channeld_build_info{python="' in text


def test_keys_are_rotated_by_a_reload(serve: Serve, tmp_path: Path) -> None:
    it = Api(serve(YAML, API_KEY=KEY, OLD_KEY=NEXT_KEY, SECRET=SECRET))
    assert (it.status(key=KEY), it.status(key=NEXT_KEY)) == (200, 200)
    file = tmp_path / "channels.yaml"
    file.write_text(file.read_text().replace('"${API_KEY}", ', ""))
    it.served.tell(signal.SIGHUP)
    it.served.event("config_reloaded")
    assert (it.status(key=KEY), it.status(key=NEXT_KEY)) == (401, 200)
    assert 'channeld_config_reloads_total{result="ok"} 1.0' in it.http.get("/metrics").text
    it.http.close()


def test_while_it_drains_it_is_not_ready(api: Api) -> None:
    assert api.status("/health/ready", None) == 200
    with socket.create_connection(("127.0.0.1", api.served.port), PATIENCE) as sock:
        # A client that answers nothing, so that the drain takes its time.
        head = f"GET /feed?token={token('ann')} HTTP/1.1\r\nHost: x\r\n"
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        sock.sendall(f"{head}{upgrade}{key}".encode())
        assert sock.recv(12) == b"HTTP/1.1 101"
        api.served.tell(signal.SIGTERM)
        api.served.event("server_draining")
        answer = api.http.get("/health/ready")
        assert (answer.status_code, "draining" in answer.text) == (503, True)
        assert api.status("/health/live", None) == 200
    api.http.close()
    assert api.served.wait() == 0


def test_on_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    yaml = YAML.replace("127.0.0.1:0", f"unix:{tmp_path}/api.sock", 1)
    serve(yaml.replace(', "${OLD_KEY:-}"', ""), API_KEY=KEY, SECRET=SECRET)
    transport = httpx2.HTTPTransport(uds=f"{tmp_path}/api.sock")
    with Client("http://localhost", KEY, transport=transport) as client:
        assert client.channel("feed").connections == 0


def test_an_address_that_is_taken(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        yaml = YAML.replace("127.0.0.1:0", address, 1).replace(', "${OLD_KEY:-}"', "")
        served = serve(yaml, ready=False, API_KEY=KEY, SECRET=SECRET)
        assert served.wait() == 1
    assert f"Error: Cannot listen on {address}" in served.err.text()


def test_for_development_it_is_on_with_a_key_in_the_link(serve: Serve) -> None:
    yaml = "channeld: 1\nchannels: {lobby: {path: /chat, auth: none, events: {news: {}}}}\n"
    served = serve(yaml, "--dev")
    found = re.search(r"console: (http://\S+/)#key=(\S+)", served.out.text())
    assert found is not None
    with Client(found[1], found[2]) as client:
        assert client.channels()[0].name == "lobby"


def test_without_api_there_is_none(serve: Serve) -> None:
    served = serve("channeld: 1\nchannels: {lobby: {path: /chat, auth: none, events: {n: {}}}}\n")
    assert served.events("api_started") == []
    assert "console" not in served.out.text()


@pytest.mark.slow
def test_it_is_what_its_description_says(api: Api, tmp_path: Path) -> None:
    tool = Path(sys.executable).with_name("st")
    if not tool.exists():
        pytest.skip("schemathesis is not installed")
    line = [
        str(tool),
        "run",
        f"{api.url}/openapi.json",
        *("--header", f"Authorization: Bearer {KEY}"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--max-time", "12", "--max-examples", "20", "--generation-deterministic"),
        *("--warnings", "off", "--no-color"),
    ]
    done = subprocess.run(line, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    assert api.status() == 200
    assert api.served.events("internal_error") == []
    assert api.served.events("task_failed") == []
