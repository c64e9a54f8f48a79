import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from channeld.cli.main import run

KEY = "a-key-of-exactly-thirty-two-char"
CONFIG = """\
channeld: 1
api: {{bind: "127.0.0.1:{port}", keys: ["${{CHANNELD_TEST_KEY}}"]}}
channels:
  lobby: {{path: /chat, auth: none, events: {{note: {{}}}}}}
"""


class Api(ThreadingHTTPServer):
    """Answers with what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, Any]] = [(200, {"nodes": 1})]
        self.asked: list[tuple[str, str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Api  # type: ignore[mutable-override]

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.path, self.headers["authorization"], body))
        answers = self.server.answers
        status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHANNELD_TEST_KEY", KEY)
    monkeypatch.delenv("CHANNELD_API_KEY", raising=False)
    with Api() as server:
        Path("channels.yaml").write_text(CONFIG.format(port=server.server_port))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


NOTE = '{"type": "note", "text": "hi"}'


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--room", "a"], {"to": "room", "room": "a"}),
        (["--user", "ann"], {"to": "user", "user": "ann"}),
        (["--all"], {"to": "global"}),
        (["--all", "--idempotency-key", "k"], {"to": "global", "idempotency_key": "k"}),
    ],
)
def test_publish(
    api: Api, capsys: pytest.CaptureFixture[str], options: list[str], body: dict[str, str]
) -> None:
    api.answers = [(200, {"pos": "p", "nodes": 2})]
    assert run(["publish", "lobby", NOTE, *options]) == 0
    assert json.loads(capsys.readouterr().out) == {"pos": "p", "nodes": 2}
    event = {"type": "note", "text": "hi"}
    asked = {"channel": "lobby", "event": event, **body}
    assert api.asked == [("/v1/publish", f"Bearer {KEY}", asked)]


def test_an_event_from_standard_input(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(NOTE))
    assert run(["publish", "lobby", "-", "--all"]) == 0
    assert api.asked[0][2]["event"]["text"] == "hi"


def test_an_api_on_every_interface_is_reached_on_this_machine(api: Api) -> None:
    text = CONFIG.format(port=api.server_port).replace("127.0.0.1:", ":")
    Path("channels.yaml").write_text(text)
    assert run(["publish", "lobby", NOTE, "--all"]) == 0
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lobby", NOTE], "exactly one of --room or --user or --all"),
        (["lobby", NOTE, "--room", "a", "--all"], "exactly one"),
        (["lobby", "nonsense", "--all"], "not JSON"),
        (["lobby", "[1]", "--all"], "a JSON object"),
    ],
)
def test_wrong_usage(
    api: Api, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(["publish", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert api.asked == []


def test_a_refusal_says_where(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    errors = [{"path": "/text", "message": "is too long", "keyword": "maxLength"}]
    api.answers = [(422, {"title": "x", "detail": "`note` is refused", "errors": errors})]
    assert run(["publish", "lobby", NOTE, "--all"]) == 1
    assert capsys.readouterr().err == "Error: `note` is refused\n  /text: is too long\n"


def test_another_key(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answers = [(401, {"title": "Unauthorized"})]
    monkeypatch.setenv("CHANNELD_API_KEY", "from-the-environment")
    assert run(["disconnect", "--user", "ann"]) == 1
    assert "give another with --key" in capsys.readouterr().err
    assert run(["disconnect", "--user", "ann", "--key", "from-the-option"]) == 1
    keys = [key for _, key, _ in api.asked]
    assert keys == ["Bearer from-the-environment", "Bearer from-the-option"]


def test_presence_over_pages(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    ann = {"user": "ann", "info": {"name": "Ann"}, "connections": 2}
    bob = {"user": "bob\x1b[2J", "info": {}, "connections": 1}
    page = {"room": "a/b", "count": 2, "connections": 3}
    api.answers = [(200, {**page, "users": [ann], "next": "ann"}), (200, {**page, "users": [bob]})]
    assert run(["presence", "lobby", "a/b"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == 'ann (2 connections)  {"name":"Ann"}'
    assert lines[1].startswith("bob")
    assert "\x1b" not in captured.out
    assert captured.err == "2 users, 3 connections\n"
    paths = [path for path, _, _ in api.asked]
    assert paths[1] == "/v1/channels/lobby/rooms/a%2Fb/presence?limit=1000&after=ann"


def test_presence_as_json(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers = [(200, {"room": "a", "count": 0, "connections": 1, "users": []})]
    assert run(["presence", "lobby", "a", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"room": "a", "count": 0, "connections": 1, "users": []}


def test_disconnect(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers = [(200, {"connections": 2})]
    assert run(["disconnect", "--connection", "c", "--code", "4950", "--reason", "bye"]) == 0
    assert capsys.readouterr().out == "2\n"
    assert api.asked[0][2] == {"connection": "c", "code": 4950, "reason": "bye"}
    assert run(["disconnect"]) == 2


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--user", "ann"], {"user": "ann"}),
        (
            ["--user", "ann", "--before", "1000", "--for", "7d"],
            {"user": "ann", "before": 1000.0, "for": "7d"},
        ),
        (
            ["--token-id", "t1", "--until", "2030-01-01T00:00:00Z"],
            {"token_id": "t1", "until": 1893456000.0},
        ),
    ],
)
def test_revoke(
    api: Api, capsys: pytest.CaptureFixture[str], options: list[str], body: dict[str, object]
) -> None:
    api.answers = [(200, {"id": "r1", "until": "2030-01-01T00:00:00Z", "connections": 2})]
    assert run(["revoke", *options]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("2\n", "revocation r1 until 2030-01-01T00:00:00Z\n")
    assert api.asked[0][::2] == ("/v1/revoke", body)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--user", "a", "--token-id", "t"],
        ["--user", "a", "--until", "5"],
        ["--token-id", "t", "--for", "1h"],
        ["--token-id", "t", "--before", "0"],
        ["--token-id", "t", "--until", "nan"],
        ["--user", "a", "--before", "2026-01-01"],
        ["--user", "a", "--for", "soon"],
    ],
)
def test_revoke_wants_one_of_them(api: Api, options: list[str]) -> None:
    assert run(["revoke", *options]) == 2
    assert api.asked == []


def test_options_are_named_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["revoke"]) == 2
    assert "give exactly one of --user or --token-id" in capsys.readouterr().err


def test_a_server_that_is_not_there(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["publish", "lobby", NOTE, "--all", "--url", "http://127.0.0.1:1"]) == 2
    assert "http://127.0.0.1:1 does not answer" in capsys.readouterr().err


def test_a_unix_socket_that_is_not_there(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["disconnect", "--user", "a", "--url", "unix:nowhere.sock", "--key", KEY]) == 2
    assert "unix:nowhere.sock does not answer" in capsys.readouterr().err


def test_with_url_and_key_no_file_is_needed(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").unlink()
    url = f"http://127.0.0.1:{api.server_port}/"
    assert run(["publish", "lobby", NOTE, "--all", "--url", url, "--key", KEY]) == 0
    assert run(["publish", "lobby", NOTE, "--all"]) == 2
    assert "or give --url and --key" in capsys.readouterr().err


def test_without_any_key(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHANNELD_TEST_KEY")
    assert run(["publish", "lobby", NOTE, "--all"]) == 2
    assert "CHANNELD_API_KEY" in capsys.readouterr().err
    assert api.asked == []


def test_a_configuration_without_an_api_means_the_one_of_dev(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path("channels.yaml").read_text().splitlines()
    Path("channels.yaml").write_text("\n".join(line for line in text if "api:" not in line))
    api.answers = [(404, {})]
    assert run(["publish", "lobby", NOTE, "--all"]) == 2
    assert "there is no key" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://[", "localhost:4001", "ftp://x", "http://", ""])
def test_a_url_that_is_none(api: Api, capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert run(["publish", "lobby", NOTE, "--all", "--url", url]) == 2
    assert "is not http://HOST:PORT" in capsys.readouterr().err
