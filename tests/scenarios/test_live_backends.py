"""Scenarios and fuzzing against a real backend on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from channeld.cli.main import run
from channeld.protocol.standard_webhooks import signature

SECRET = "a secret of more than thirty-two bytes"
CONFIG = f"""
channeld: 1
backends: {{app: {{url: "https://app.example", secret: "{SECRET}"}}}}
channels:
  room:
    path: /rooms/{{id}}
    auth: none
    rooms: "{{params.id}}"
    messages:
      say:
        schema: {{type: object, required: [text], properties: {{text: {{type: string, maxLength: 20}}}}, additionalProperties: false}}
        route: room
        hook: {{backend: app, path: /say}}
"""
SCENARIO = """
scenarios:
  - name: a backend has a say
    clients: {ann: {path: /rooms/a}}
    steps:
      - ann: {send: {type: say, text: hi, id: 1}}
      - ann: {expect: [{type: say, text: HI}, {type: ack, id: 1}]}
"""

Answer = Callable[[dict[str, Any]], tuple[int, Any]]


class Loud(BaseHTTPRequestHandler):
    """Answers as its server says, and checks signatures."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        moment = int(self.headers["webhook-timestamp"])
        good = signature(SECRET, self.headers["webhook-id"], moment, body)
        assert self.headers["webhook-signature"] == good
        self.server.asked.append((self.path, moment))  # type: ignore[attr-defined]
        status, said = self.server.answer(json.loads(body))  # type: ignore[attr-defined]
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def backend() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Loud)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(
    backend: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "channels.yaml").write_text(CONFIG)
    (tmp_path / "it.test.yaml").write_text(SCENARIO)

    def asked(answer: Answer, *arguments: str) -> int:
        backend.answer = answer  # type: ignore[attr-defined]
        url = f"http://127.0.0.1:{backend.server_port}"
        return run(["test", "--backend", f"app={url}", *arguments])

    return asked


def louder(asked: dict[str, Any]) -> tuple[int, Any]:
    text = asked["message"]["text"]
    return 200, {"message": {**asked["message"], "text": text.upper()}}


def test_a_scenario_asks_the_real_backend(
    ask: Callable[..., int], backend: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(louder, "--coverage") == 0
    told = capsys.readouterr().out
    assert "1 passed" in told
    ((path, moment),) = backend.asked  # type: ignore[attr-defined]
    assert path == "/say"
    # Signed with the time of now, not with the scenario's: a backend refuses what is old.
    assert moment > 1_780_000_000
    assert "hook     app/say" not in told


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {"massage": {}}), "`massage` does not answer hooks of the kind `message`"),
        ((418, {}), "the answer is HTTP 418"),
        ((200, {"message": {"type": "say"}}), "the schema refuses the result"),
        ((200, {"publish": [{"to": "user", "user": "bob", "event": {"no": "type"}}]}), "publish"),
    ],
)
def test_an_answer_that_means_nothing_fails_the_scenario(
    ask: Callable[..., int], capsys: pytest.CaptureFixture[str], answer: Any, words: str
) -> None:
    assert ask(lambda _asked: answer) == 1
    told = capsys.readouterr().out
    assert "hook app/say failed: " in told
    assert words in told


def test_a_backend_that_is_not_there_fails_the_scenario(
    ask: Callable[..., int], capsys: pytest.CaptureFixture[str], backend: ThreadingHTTPServer
) -> None:
    backend.shutdown()
    backend.server_close()
    assert ask(louder) == 1
    assert "hook app/say failed: backend app: " in capsys.readouterr().out


def test_fuzzing_asks_it_as_well(
    ask: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def picky(asked: dict[str, Any]) -> tuple[int, Any]:
        return (500, {}) if "a" in asked["message"]["text"] else (200, {})

    assert ask(lambda _asked: (200, {}), "--fuzz", "5") == 0
    assert "5 messages" in capsys.readouterr().out
    assert ask(picky, "--fuzz", "60") == 1
    told = capsys.readouterr().out
    assert "hook app/say failed: the answer is HTTP 500" in told
    assert '"text":"a"' in told


def test_a_backend_that_no_configuration_names(
    ask: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(louder, "--backend", "apq=http://127.0.0.1:1") == 2
    assert "no configuration has a backend 'apq': did you mean `app`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "written", ["app", "app=ftp://x", "app=", "=http://x", "app=http://a", "nope=http://x"]
)
def test_what_is_no_backend(
    ask: Callable[..., int], written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(louder, "--backend", written, "--fuzz", "1") == 2
    assert "backend" in capsys.readouterr().err
