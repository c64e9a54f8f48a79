import io
import json
import subprocess
from pathlib import Path

import pytest

from channeld.cli import diff
from channeld.cli.main import run

OLD = """\
channeld: 1
include: [parts/*.yaml]
channels:
  chat:
    path: /chat
    auth: none
    messages:
      say: {schema: say.json, route: sender}
"""
PART = "channels: {other: {path: /other, auth: none, events: {}}}\n"
SCHEMA = '{"type": "object", "properties": {"text": {"type": "string", "maxLength": 9}}}'
NARROWER = SCHEMA.replace("9", "8")


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit; in the folder the message is one character shorter, and the included channel is gone."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    Path("parts").mkdir()
    Path("channels.yaml").write_text(OLD)
    Path("parts/a.yaml").write_text(PART)
    Path("say.json").write_text(SCHEMA)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", *identity, *command], check=True, capture_output=True)
    Path("say.json").write_text(NARROWER)
    Path("parts/a.yaml").write_text(PART.replace("other", "more"))
    return tmp_path


def changed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    run(["diff", *arguments, "--format", "json"])
    return [each["code"] for each in json.loads(capsys.readouterr().out)["changes"]]


@pytest.mark.parametrize(
    ("old", "revision"),
    [
        ("git:HEAD", "HEAD"),
        ("git:main", "main"),
        ("main:channels.yaml", "main"),
        ("HEAD:./channels.yaml", "HEAD"),
    ],
)
def test_a_revision_is_read_with_all_that_it_refers_to(
    old: str, revision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", old]) == 1
    out = capsys.readouterr().out
    assert "breaking[D310] `text` now has at most 8 characters\n  say.json:1:" in out
    assert "breaking[D101] the channel `other` is gone" in out
    assert f"  ::: {revision}:parts/a.yaml:1:" in out
    assert "safe[D103] the channel `more` is new\n  parts/a.yaml:1:" in out


def test_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("old.yaml").write_text(OLD.replace("/chat", "/talk"))
    assert changed(capsys, "old.yaml", "channels.yaml") == ["D102"]
    assert changed(capsys, "old.yaml", "old.yaml") == []


@pytest.mark.parametrize("arguments", [["-"], ["git:HEAD", "-"], ["-", "channels.yaml"]])
def test_standard_input_is_a_side(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = OLD.replace("{schema: say.json, route: sender}", "{schema: true}")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(silent.encode())))
    assert "D601" in changed(capsys, *arguments)


def test_standard_input_is_one_side_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "-", "-"]) == 2
    assert "only one of OLD and NEW" in capsys.readouterr().err


def test_two_revisions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "git:main", "HEAD:channels.yaml"]) == 0
    assert capsys.readouterr().out == (
        "nothing changed for clients from git:main to HEAD:channels.yaml\n"
    )


@pytest.mark.parametrize(
    ("fail_on", "edit", "status"),
    [
        ("breaking", ("route: sender", "route: sender, rate: 1/s"), 1),
        ("never", ("route: sender", "route: sender, rate: 1/s"), 0),
        ("breaking", ("route: sender", "route: global"), 0),
        ("dangerous", ("route: sender", "route: global"), 1),
        ("breaking", ("channels:\n", "server: {allowed_origins: any}\nchannels:\n"), 0),
        ("security", ("channels:\n", "server: {allowed_origins: any}\nchannels:\n"), 1),
        ("security", ("route: sender", "route: sender, rate: 1/s"), 1),
        ("dangerous", ("path: /chat", "description: Talk.\n    path: /chat"), 0),
    ],
)
def test_the_exit_status(fail_on: str, edit: tuple[str, str], status: int) -> None:
    Path("new.yaml").write_text(OLD.replace(*edit))
    assert run(["diff", "channels.yaml", "new.yaml", "--fail-on", fail_on]) == status


def test_what_is_accepted_does_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    new = OLD.replace("route: sender", "route: sender, rate: 1/s")
    entry = "{code: D501, path: /channels/chat, reason: Abuse., until: 2999-01-01}"
    Path("new.yaml").write_text(f"{new}diff: {{accept: [{entry}]}}\n")
    assert run(["diff", "channels.yaml", "new.yaml"]) == 0
    assert "accepted[D501]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("git:none", "revision none not found"),
        ("main:none.yaml", "main:none.yaml: there is no such file in main"),
        ("none.yaml", "none.yaml: No such file or directory"),
        ("git:", "is neither a file nor a revision"),
    ],
)
def test_what_cannot_be_read_is_status_2(
    old: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", old, "channels.yaml", "--format", "json"]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert words in json.loads(captured.out)["error"]


def test_an_old_file_with_errors_is_compared_as_far_as_it_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = OLD.replace("route: sender", "route: sender, colour: red").replace("/chat", "/talk")
    Path("old.yaml").write_text(bad)
    assert run(["diff", "old.yaml", "channels.yaml"]) == 1
    captured = capsys.readouterr()
    assert "breaking[D102]" in captured.out
    assert "note: old.yaml has 1 error; what is wrong is left out:\n  old.yaml:8:" in captured.err


def test_an_old_file_that_says_nothing_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    Path("old.yaml").write_text("channels: [\n")
    assert run(["diff", "old.yaml", "channels.yaml"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error[CH0" in captured.err
    assert "old.yaml can't be compared" in captured.err


def test_a_new_file_with_errors_is_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.yaml").write_text(OLD.replace("auth: none", "auth: nobody"))
    assert run(["diff", "channels.yaml", "new.yaml", "--format", "json"]) == 1
    captured = capsys.readouterr()
    assert "error[CH401]" in captured.err
    assert json.loads(captured.out)["error"] == "new.yaml is not valid"


def test_a_new_file_that_no_server_starts_with_is_not_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("new.yaml").write_text(OLD.replace("route: sender", "route: room"))
    assert run(["diff", "channels.yaml", "new.yaml", "--format", "json"]) == 1
    captured = capsys.readouterr()
    assert "error[CH321]" in captured.err
    assert json.loads(captured.out)["error"] == "new.yaml is not valid"


def test_hooks_of_a_new_revision_are_not_looked_for() -> None:
    Path("gone.py").write_text("x = 1\n")
    Path("new.yaml").write_text(OLD.replace("route: sender", "route: sender, hook: gone:f"))
    assert run(["diff", "channels.yaml", "new.yaml"]) == 1
    subprocess.run(["git", "add", "new.yaml"], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *identity, "commit", "-qm", "two"], check=True)
    assert run(["diff", "HEAD:channels.yaml", "HEAD:new.yaml"]) == 0


def test_the_formats_of_pull_requests(capsys: pytest.CaptureFixture[str]) -> None:
    run(["diff", "git:main", "--format", "github"])
    assert capsys.readouterr().out.startswith("::error file=")
    run(["diff", "git:main", "--format", "markdown"])
    assert capsys.readouterr().out.startswith("### channeld: 2 breaking, 1 safe from git:main")


def test_words_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.yaml").write_text(OLD.replace("path: /chat", "description: Talk.\n    path: /chat"))
    assert changed(capsys, "channels.yaml", "new.yaml") == []
    assert changed(capsys, "channels.yaml", "new.yaml", "--all") == ["D702"]


def test_a_bug_leaves_one_document(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changes(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(diff, "changes", changes)
    assert run(["diff", "git:main", "--format", "json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "internal error"
