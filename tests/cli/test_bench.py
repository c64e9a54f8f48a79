"""`channeld bench`."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from channeld.cli.bench import _show_progress
from channeld.cli.main import run
from channeld.scenarios.load_result import LoadResult

CONFIG = """\
channeld: 1
auth: {session: {type: jwt, algorithms: [HS256], secret: "${BENCH_SECRET}"}}
channels:
  room:
    path: "/rooms/{id}"
    auth: session
    rooms: "{params.id}"
    messages: {say: {schema: {type: object, required: [text], properties: {text: {type: string}}}, route: room}}
  mute: {path: /mute, auth: none}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(CONFIG)


def test_a_server_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--clients", "4", "--for", "1s", "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["version"], told["connected"], told["lost"], told["errors"]) == (1, 4, 0, {})
    assert told["messages"] > 0
    assert told["away"] is False
    assert captured.err == "channel mute is left out: it has no messages\n"


def test_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--clients", "2", "--for", "1s", "--channel", "room"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 of 2 clients, ")
    assert "  lost                0\n" in out
    assert "  answered    p50 " in out
    assert re.search(r"^    to +[0-9.]+ ms +[0-9.]+%  ▇", out, re.MULTILINE)


def test_progress_is_one_line_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = LoadResult(clients=4, connected=4, seconds=3.0, messages=1200, deliveries=12000)
    _show_progress(10.0, result)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    _show_progress(10.0, result)
    told = capsys.readouterr().err
    assert "3 s of 10 s: 4 clients, 1,200 messages, 12,000 deliveries" in told
    assert "\n" not in told


def test_a_server_that_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(CONFIG + "hooks: {lifespan: 'bench_hooks:life'}\n")
    Path("bench_hooks.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "@asynccontextmanager\nasync def life(server):\n    raise RuntimeError('no database')\n    yield\n"
    )
    assert run(["bench", "--clients", "1", "--for", "100ms"]) == 1
    err = capsys.readouterr().err
    assert "the server did not start" in err
    assert "no database" in err


def test_nobody_at_the_url(capsys: pytest.CaptureFixture[str]) -> None:
    url = "ws://127.0.0.1:1"
    assert run(["bench", "--clients", "2", "--for", "100ms", "--url", url]) == 1
    out = capsys.readouterr().out
    assert "  closed              2  no connection\n" in out
    assert out.endswith("  the server was unreachable\n")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--url", "ws://example.com/"], 2, "--anywhere"),
        (["--url", "ftp://x/"], 2, "is not a WebSocket address"),
        (["--channel", "nowhere"], 2, "has no such channel"),
        (["--channel", "mute"], 2, "there is no channel to load"),
        (["nothing.yaml"], 2, "No such file"),
        (["-"], 2, "give a file name"),
        (["--for", "soon"], 2, "is not a valid duration"),
    ],
)
def test_wrong_usage(
    arguments: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *arguments]) == status
    assert words in capsys.readouterr().err


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that starts something in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_shows_what_came_so_far(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float, result: LoadResult) -> None:
        if result.messages:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("channeld.cli.bench._show_progress", interrupt)
    assert run(["bench", "--clients", "2", "--for", "1000s", "--json"]) == 130
    told = json.loads(capsys.readouterr().out)
    assert told["interrupted"] is True
    assert told["messages"] > 0
    assert (told["lost"], told["away"]) == (0, False)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_before_the_load_ends_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await trio.sleep_forever()

    monkeypatch.setattr("channeld.cli.bench.run_load", never)
    assert run(["bench", "--clients", "2", "--url", "ws://127.0.0.1:9"]) == 130
    assert capsys.readouterr().out == ""
