import subprocess
from pathlib import Path

import pytest

from channeld.cli.completion import SHELLS
from channeld.cli.main import run
from tests.system.kit import command, environment


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_CHANNELD_COMPLETE={shell}_complete" in script
    assert "channeld" in script


def test_another_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "cmd"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err


def completed(folder: Path, *words: str) -> list[str]:
    """What bash is told to offer after these words."""
    asked = environment(
        _CHANNELD_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(["channeld", *words]),
        COMP_CWORD=str(len(words)),
    )
    done = subprocess.run(
        command(), cwd=folder, env=asked, capture_output=True, text=True, check=True
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    assert completed(tmp_path, "pub") == ["publish"]
    assert completed(tmp_path, "run", "--wa") == ["--watch"]
    assert completed(tmp_path, "validate", "--format", "gi") == ["github"]


def test_bash_reads_its_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
