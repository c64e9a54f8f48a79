import json
from pathlib import Path

import pytest

from channeld.cli.main import run

TEXT = """\
channeld: 1
channels:
  chat:
    path: /chat
    auth: none
    messages:
      say: {schema: true, route: sender}
      shout: {schema: true, route: global}
    events:
      news: {}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(TEXT)


def test_plain_columns_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["routes"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "channel  path   auth  type    who may send  who receives",
        "chat     /chat  none  say     anyone        the sender",
        "chat     /chat  none  shout   anyone        everyone",
        "chat     /chat  none  ← news  API, hooks    as published",
    ]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["routes", "channels.yaml", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == 1
    assert document["routes"][1] == {
        "channel": "chat",
        "path": "/chat",
        "auth": "none",
        "type": "shout",
        "direction": "in",
        "senders": "anyone",
        "receivers": ["everyone"],
    }


def test_a_table_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    assert run(["routes"]) == 0
    out = capsys.readouterr().out
    assert out.count("/chat") == 1
    assert "─" in out
    assert "← news" in out
    monkeypatch.setenv("COLUMNS", "40")
    assert run(["routes"]) == 0
    assert "who receives" in capsys.readouterr().out


def test_a_bad_file_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(TEXT.replace("none", "nobody"))
    assert run(["routes"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error[CH401]" in captured.err
    assert captured.err.endswith("Error: channels.yaml is not valid\n")


def test_a_missing_file_is_unreadable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["routes", "none.yaml"]) == 2
    assert capsys.readouterr().err == "Error: none.yaml: No such file or directory\n"
