"""`channeld mock`."""

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
