import io
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from channeld.cli.loading import DevEnvironment, checked_config, demand_valid
from channeld.plan.load import check

GOOD = """\
channeld: 1
channels: {chat: {path: /chat, auth: none, description: Chat., messages: {say: {schema: {
  type: object, additionalProperties: false}, route: sender}}}}
"""
BAD = GOOD.replace("auth: none", "auth: nobody")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_good_file_gives_a_plan() -> None:
    Path("channels.yaml").write_text(GOOD)
    checked = check("channels.yaml")
    assert checked.plan is not None
    assert list(checked.plan.channels) == ["chat"]
    assert not checked.report.errors
    assert checked.unreadable == ""


def test_errors_leave_no_plan() -> None:
    Path("channels.yaml").write_text(BAD)
    checked = check("channels.yaml")
    assert checked.plan is None
    assert checked.report.errors[0].place.file == "channels.yaml"


def test_a_missing_file_is_a_finding_and_unreadable() -> None:
    checked = check("none.yaml")
    assert checked.unreadable == "No such file or directory"
    assert [found.code for found in checked.report] == ["CH117"]


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    checked = check("-")
    assert checked.file == "<stdin>"
    assert checked.report.errors[0].place.file == "<stdin>"


def test_what_is_piped_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channeld.plan.load.MAX_BYTES", 10)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert check("-").unreadable.startswith("it is over")


def test_ignores_are_applied_at_the_end() -> None:
    text = GOOD.replace(", description: Chat.", "")
    Path("channels.yaml").write_text(text)
    assert [found.code for found in check("channels.yaml").report] == ["CH701"]
    Path("channels.yaml").write_text(text.replace("{\n", "{  # channeld: ignore[CH701] short\n"))
    assert [found.code for found in check("channels.yaml").report] == []


def test_hooks_are_imported_unless_told_otherwise() -> None:
    Path("loud_hooks.py").write_text("raise RuntimeError('imported')\ndef greet(ctx): ...\n")
    Path("channels.yaml").write_text(
        GOOD.replace("auth: none", "auth: none, hooks: {connect: 'loud_hooks:greet'}")
    )
    assert check("channels.yaml").plan is None
    assert check("channels.yaml", import_hooks=False).plan is not None


def test_a_missing_variable_is_an_error_only_to_run() -> None:
    Path("channels.yaml").write_text(GOOD + "server: {bind: '127.0.0.1:${PORT}'}\n")
    assert not check("channels.yaml", environ={}).report.errors
    assert check("channels.yaml", environ={}, missing_is_error=True).report.errors
    assert check("channels.yaml", environ={"PORT": "4000"}, missing_is_error=True).plan is not None


def test_a_valid_file_is_demanded(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(BAD)
    with pytest.raises(click.ClickException, match=r"channels\.yaml is not valid") as raised:
        demand_valid(check("channels.yaml"))
    captured = capsys.readouterr()
    assert raised.value.exit_code == 1
    assert captured.out == ""
    assert "error[CH401]" in captured.err


def test_a_missing_default_file_says_what_to_do() -> None:
    with pytest.raises(
        click.ClickException, match="name the file, go to its folder, or create a project"
    ) as raised:
        checked_config("channels.yaml")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("name", ["JWT_SECRET", "API_KEY", "admin_token", "PASSWORD"])
def test_secrets_are_made_up_once(name: str) -> None:
    environ = DevEnvironment({})
    assert environ[name] == environ.get(name) == environ[name]
    assert len(environ[name]) >= 32
    assert list(environ) == list(environ.generated) == [name]


@pytest.mark.parametrize("names", [("PORT",), ("HOME", "PORT")])
def test_nothing_else_is_made_up(names: Sequence[str]) -> None:
    environ = DevEnvironment({"HOME": "/home"})
    assert [environ.get(name) for name in names] == [{"HOME": "/home"}.get(name) for name in names]
    assert len(environ) == 1


def test_what_is_set_wins() -> None:
    environ = DevEnvironment({"A_SECRET": "mine"})
    assert environ["A_SECRET"] == "mine"
    assert environ.generated == {}
