import json
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click
import pytest

from channeld import __version__
from channeld.cli import main as module
from channeld.cli.main import COMMANDS, run


def raising(error: BaseException) -> click.Command:
    @click.command("fails")
    def command() -> None:
        raise error

    return command


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Makes `channeld fails` raise an error, and returns the exit status."""

    def run_failing(error: BaseException, *arguments: str) -> int:
        monkeypatch.setattr("tests_cli_fails.command", raising(error), raising=False)
        return run(["fails", *arguments])

    holder = type(sys)("tests_cli_fails")
    monkeypatch.setitem(sys.modules, "tests_cli_fails", holder)
    monkeypatch.setattr(module, "COMMANDS", {**COMMANDS, "fails": ("tests_cli_fails", "Fails.")})
    return run_failing


def test_nothing_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"channeld {__version__}\n"


def test_a_misspelt_command_gets_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["valdate"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "No such command 'valdate'. Did you mean 'validate'?" in captured.err


def test_an_unknown_command_gets_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["frobnicate"]) == 2
    assert "No such command 'frobnicate'.\n" in capsys.readouterr().err


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "--nope"]) == 2
    assert "No such option" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_row_is_a_command_with_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    first = capsys.readouterr().out.partition("\n\n")[2].strip().partition("\n")[0]
    assert first.rstrip(".")
    module, _, attribute = COMMANDS[name][0].partition(":")
    assert getattr(import_module(module), attribute or "command").name == name


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (ExceptionGroup("trio", [ExceptionGroup("trio", [click.ClickException("bad")])]), 1),
        (BaseExceptionGroup("trio", [KeyboardInterrupt()]), 130),
        (click.ClickException("bad"), 1),
        (click.UsageError("bad"), 2),
        (SystemExit(3), 3),
        (FileNotFoundError(2, "No such file or directory", "x.yaml"), 2),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"), 2),
        (ZeroDivisionError("boom"), 2),
    ],
)
def test_every_error_has_its_status(
    fails: Callable[..., int], error: BaseException, status: int
) -> None:
    assert fails(error) == status


def test_a_missing_file_is_one_line(
    fails: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    fails(FileNotFoundError(2, "No such file or directory", "x.yaml"))
    assert capsys.readouterr().err == "Error: x.yaml: No such file or directory\n"


def test_a_bug_is_one_line_with_a_hint(
    fails: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    fails(ZeroDivisionError("boom\nbang"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "Error: internal error: ZeroDivisionError: boom bang; "
        "run it again with --debug for the traceback\n"
    )


def test_debug_shows_the_traceback(
    fails: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    fails(ZeroDivisionError("boom"), "--debug")
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("Error: internal error: ZeroDivisionError: boom\n")


def channeld(*arguments: str, **how: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "channeld", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **how,
    )


def test_a_closed_pipe_is_quiet() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "channeld", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_output_that_cannot_be_written_is_no_bug_of_ours() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "channeld", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "Error: the output cannot be written: No space left on device\n"


def test_a_small_file_is_checked_without_what_is_heavy(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text(
        "channeld: 1\nchannels:\n  chat:\n    path: /chat\n    auth: none\n"
    )
    program = (
        "import sys\nfrom channeld.cli.main import run\nstatus = run(['validate'])\n"
        "heavy = {'trio', 'httpx2', 'coredis', 'cryptography', 'rich', 'structlog', 'prometheus_client'}\n"
        "print(status, sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stderr == "0 []\n"


def test_python_dash_m_is_the_script() -> None:
    assert channeld("--version").stdout == f"channeld {__version__}\n"


@pytest.mark.parametrize("command", ["run", "validate", "publish", "export"])
def test_every_command_takes_both_forms_of_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "-h"]) == 0
    short = capsys.readouterr().out
    assert run([command, "--help"]) == 0
    assert capsys.readouterr().out == short
    assert "-h, --help" in short


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_are_the_null_device(closed: str) -> None:
    code = (
        "import os, sys\n"
        "from channeld.cli.main import main\n"
        "sys.argv[1:] = ['explain', 'CH310']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    kinds = [os.fstat(number).st_mode for number in range(3)]\n"
        "    ours = all((sys.stdin, sys.stdout, sys.stderr)) and not sys.stderr.isatty()\n"
        "    os._exit(end.code or (0 if ours and len(kinds) == 3 else 9))\n"
    )
    # Python itself keeps closed descriptors closed, so the shell has to close them.
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code]
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("routes", "none.yaml", "--format", "json"),
        ("access", "none.yaml", "--format", "json"),
        ("trace", "/x", "--config", "none.yaml", "--format", "json"),
        ("test", "--fuzz", "3", "none.yaml", "--format", "json"),
        ("bench", "none.yaml", "--json"),
        ("diff", "none.yaml", "none.yaml", "--format", "json"),
        ("validate", "none.yaml", "--format", "json"),
        ("validate", "--format", "json", "--loud"),
        ("presence", "room", "general", "--config", "none.yaml", "--format", "json"),
    ],
)
def test_json_is_one_document_whatever_happens(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run([*arguments]) == 2
    assert json.loads(capsys.readouterr().out)["version"] == 1


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "--port", "4000"], "Write '--bind HOST:PORT'."),
        (["run", "--config", "channels.yaml"], "The file has no option"),
        (["token", "--ttl", "1h"], "Write '--expires 1h'."),
        (["run", "--reload"], "Write '--watch'."),
    ],
)
def test_an_option_of_another_tool_leads_to_ours(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert hint in capsys.readouterr().err
