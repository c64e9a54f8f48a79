"""`channeld mock`."""

import socket
from pathlib import Path

import pytest

from channeld.cli.main import run


@pytest.mark.parametrize(
    "options",
    [["--bind", "0.0.0.0:0"], ["--bind", "nonsense"], ["--every", "soon"], ["nothing.yaml"]],
)
def test_wrong_usage(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("channels.yaml").write_text(
        "channeld: 1\nchannels: {c: {path: /c, auth: none}}\n"
    )
    assert run(["mock", *options]) == 2


def test_an_address_that_others_reach_needs_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    run(["mock", "--bind", "0.0.0.0:4000"])
    assert "--public" in capsys.readouterr().err


def test_an_address_that_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("channels.yaml").write_text(
        "channeld: 1\nchannels: {c: {path: /c, auth: none}}\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(["mock", "--bind", f"127.0.0.1:{taken.getsockname()[1]}"]) == 1
    said = capsys.readouterr().err
    assert said.endswith("To use another address: --bind HOST:PORT\n")
    assert "--take-over" not in said
