import os
from pathlib import Path

import attrs
import pytest

from channeld.cli.announcer import Announcer
from channeld.cli.api_side import with_dev_api
from channeld.cli.ready import Manner
from channeld.dev import dev_file
from channeld.plan.load import load_plan
from channeld.plan.plan import Plan

KEY = "k" * 32
OPEN = "channeld: 1\nchannels: {lobby: {path: /chat, auth: none}}\n"


def plan_of(folder: Path, yaml: str = OPEN) -> Plan:
    folder.joinpath("channels.yaml").write_text(yaml)
    plan = load_plan(str(folder / "channels.yaml"), {})
    return attrs.evolve(plan, config=with_dev_api(plan.config, {"CHANNELD_API_KEY": KEY}))


def announcer(folder: Path, *, dev: bool = True, is_quiet: bool = False) -> Announcer:
    manner = Manner(dev=dev, console=f"http://127.0.0.1:4001/#key={KEY}")
    return Announcer(
        plan=plan_of(folder),
        manner=manner,
        folder=folder,
        secrets={"A_KEY": "x"},
        is_quiet=is_quiet,
    )


def test_a_development_server_leaves_a_file_while_it_runs(tmp_path: Path) -> None:
    with announcer(tmp_path) as says:
        says.ready(["127.0.0.1:4000"])
        assert dev_file.read(tmp_path) == dev_file.DevServer(
            pid=os.getpid(),
            url="ws://127.0.0.1:4000",
            api_url="http://127.0.0.1:4001",
            key=KEY,
            secrets={"A_KEY": "x"},
        )
    assert dev_file.read(tmp_path) is None


def test_another_server_leaves_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with announcer(tmp_path, dev=False) as says:
        says.ready(["127.0.0.1:4000"])
        assert not (tmp_path / ".channeld").exists()
        assert "lobby" in capsys.readouterr().out
    assert capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_written_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.joinpath(".channeld").write_text("a file")
    announcer(tmp_path).ready(["127.0.0.1:4000"])
    assert "Warning: other commands will not find this server" in capsys.readouterr().err


def test_links_are_printed_again_where_channels_have_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    says = announcer(tmp_path)
    says.reloaded(plan_of(tmp_path))
    says.ready(["127.0.0.1:4000"])
    capsys.readouterr()
    says.reloaded(plan_of(tmp_path))
    assert capsys.readouterr().out == ""
    says.reloaded(plan_of(tmp_path, OPEN.replace("/chat", "/talk")))
    assert "ws://127.0.0.1:4000/talk" in capsys.readouterr().out


def test_a_secret_that_a_reload_generates_reaches_other_commands(tmp_path: Path) -> None:
    says, secrets = announcer(tmp_path), {"A_KEY": "x"}
    says.secrets = secrets
    says.ready(["127.0.0.1:4000"])
    secrets["A_SECRET"] = "y"
    says.reloaded(plan_of(tmp_path))
    found = dev_file.read(tmp_path)
    assert found is not None
    assert found.secrets == {"A_KEY": "x", "A_SECRET": "y"}


def test_quiet_says_nothing_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with announcer(tmp_path, is_quiet=True) as says:
        says.ready(["127.0.0.1:4000"])
    assert capsys.readouterr().out == ""
