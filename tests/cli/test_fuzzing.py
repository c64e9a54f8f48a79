"""`channeld test --fuzz`."""

import json
from pathlib import Path

import pytest

from channeld.cli.main import run

CONFIG = """\
channeld: 1
channels:
  lobby:
    path: /lobby
    auth: none
    messages:
      say: {schema: {type: object, required: [n], properties: {n: {type: integer, minimum: 0}}}, route: sender, hook: "lobby_hooks:say"}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(CONFIG)
    # A module of one name is imported once; which folder's does not matter, as all are the same.
    Path("lobby_hooks.py").write_text("def say(ctx, message):\n    1 / message['n']\n")


def test_a_hook_that_raised(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "--fuzz", "100"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("FAIL  lobby/say  lobby_hooks:say: hook lobby_hooks:say raised ZeroDiv")
    assert '  for   {"type":"say","n":0}\n' in out
    assert '          - ann: {send: {"type": "say", "n": 0}}\n' in out


def test_a_hook_that_did_not(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(CONFIG.replace("minimum: 0", "minimum: 1"))
    assert run(["test", "--fuzz", "20", "channels.yaml"]) == 0
    assert capsys.readouterr().out == "PASS  lobby/say  lobby_hooks:say: 20 messages\n"


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "--fuzz", "100", "--format", "json"]) == 1
    (hook,) = json.loads(capsys.readouterr().out)["hooks"]
    assert hook["failure"]["frame"] == {"type": "say", "n": 0}


def test_nothing_to_try(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "--fuzz", "5", "-k", "nowhere"]) == 0
    assert capsys.readouterr().out == "there are no message hooks to try\n"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["nothing.yaml"], 2),
        (["channels.yaml", "channels.yaml"], 2),
        (["--format", "junit"], 2),
        (["broken.yaml"], 1),
    ],
)
def test_wrong_usage(arguments: list[str], status: int) -> None:
    Path("broken.yaml").write_text("channeld: 7\n")
    assert run(["test", "--fuzz", "5", *arguments]) == status
