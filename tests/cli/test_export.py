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
    description: Words.
    messages:
      say: {schema: {type: object, properties: {text: {type: string}}, additionalProperties: false}, route: sender}
    events:
      news: {}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(TEXT)


@pytest.mark.parametrize(
    ("arguments", "inside"),
    [
        (["asyncapi"], '"asyncapi": "3.0.0"'),
        (["asyncapi", "--spec-version", "3.1.0"], '"asyncapi": "3.1.0"'),
        (["asyncapi", "--title", "Mine", "--release", "7"], '"title": "Mine",\n    "version": "7"'),
        (["asyncapi", "--server", "wss://example.org"], '"host": "example.org"'),
        (["jsonschema", "--title", "Mine"], '"title": "Mine"'),
        (["typescript"], "export interface ChannelMap"),
        (["typescript", "--client"], "export class ChannelClient<"),
        (["javascript"], "export class ChannelClient {"),
        (["python"], "class ChatSendSay(TypedDict):"),
        (["markdown", "--title", "Mine"], "# Mine\n"),
    ],
)
def test_each_target(capsys: pytest.CaptureFixture[str], arguments: list[str], inside: str) -> None:
    assert run(["export", *arguments]) == 0
    captured = capsys.readouterr()
    assert inside in captured.out
    assert captured.out.endswith("\n")
    assert captured.err == ""


@pytest.mark.parametrize(
    "target", ["asyncapi", "jsonschema", "typescript", "javascript", "python", "markdown"]
)
def test_it_is_the_same_each_time(capsys: pytest.CaptureFixture[str], target: str) -> None:
    assert run(["export", target]) == run(["export", target, "channels.yaml"]) == 0
    out = capsys.readouterr().out
    assert out[: len(out) // 2] == out[len(out) // 2 :]


def test_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "jsonschema", "-o", "frames.json"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "wrote frames.json\n")
    assert "ChatSendSay" in json.loads(Path("frames.json").read_text())["$defs"]


def test_a_file_is_checked_and_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "python", "-o", "frames.py"]) == 0
    assert run(["export", "python", "-o", "frames.py", "--check"]) == 0
    Path("channels.yaml").write_text(TEXT.replace("say", "tell"))
    before = Path("frames.py").read_text()
    capsys.readouterr()
    assert run(["export", "python", "-o", "frames.py", "--check"]) == 1
    captured = capsys.readouterr()
    assert "-class ChatSendSay(TypedDict):\n" in captured.out
    assert "+class ChatSendTell(TypedDict):\n" in captured.out
    assert captured.err == "Error: frames.py is not what the configuration exports\n"
    assert Path("frames.py").read_text() == before


def test_a_file_that_is_missing_is_not_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "python", "-o", "frames.py", "--check"]) == 1
    assert not Path("frames.py").exists()
    assert "+class ChatSendSay(TypedDict):\n" in capsys.readouterr().out


def test_a_check_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "python", "--check"]) == 2
    assert "name it with --output" in capsys.readouterr().err


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "python", "-o", "none/frames.py"]) == 2
    assert capsys.readouterr().err == "Error: none/frames.py: No such file or directory\n"


def test_an_invalid_configuration_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(TEXT.replace("none", "nobody"))
    assert run(["export", "typescript"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error[CH401]" in captured.err


def test_an_unknown_target_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "cobol"]) == 2
    assert "No such command 'cobol'" in capsys.readouterr().err


def test_it_shows_its_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "--help"]) == 0
    out = capsys.readouterr().out
    for target in ("asyncapi", "jsonschema", "typescript", "javascript", "python", "markdown"):
        assert f"  {target} " in out
