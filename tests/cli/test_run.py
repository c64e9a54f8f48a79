import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from channeld.app import App
from channeld.cli import run as module
from channeld.cli.announcer import Announcer
from channeld.cli.main import run

OPEN = """
channeld: 1
channels:
  lobby: {path: /chat, auth: none, description: All., messages: {say: {schema: true, route: sender}}}
"""
SIGNED = """
channeld: 1
auth: {session: {type: jwt, algorithms: [HS256], secret: "${JWT_SECRET}", audience: a}}
channels:
  room: {path: /room, auth: session, description: One room.}
"""

Start = Callable[..., int]


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The collector of the tests' process stays as it was."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Runs `channeld run` in a folder of its own; a server that is ready ends by a signal."""
    monkeypatch.chdir(tmp_path)
    # It would end the process of the tests, a minute after the server has ended.
    monkeypatch.setattr(module, "end_within", lambda _seconds: None)

    def command(yaml: str, *options: str, number: signal.Signals | None = signal.SIGTERM) -> int:
        tmp_path.joinpath("channels.yaml").write_text(yaml)
        ready = Announcer.ready

        def ready_and_end(announcer: Announcer, addresses: Sequence[str]) -> None:
            ready(announcer, addresses)
            if number is not None:
                signal.raise_signal(number)

        monkeypatch.setattr(Announcer, "ready", ready_and_end)
        bind = () if "--bind" in options else ("--bind", "127.0.0.1:0")
        return run(["run", *bind, "--log-format", "json", *options])

    return command


def test_the_collector_passes_over_what_was_loaded(start: Start) -> None:
    assert start(OPEN) == 0
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == module.COLLECTOR


def test_it_serves_until_it_is_told_to_stop(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(OPEN) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("channeld serves 1 channel on 127.0.0.1:")
    assert [line.split('"event":"')[1].split('"')[0] for line in captured.err.splitlines()] == [
        "server_started",
        "server_draining",
        "server_stopped",
    ]


def test_ctrl_c_is_an_end_like_any_other(start: Start) -> None:
    assert start(OPEN, number=signal.SIGINT) == 0


def test_a_missing_secret_is_an_error(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(SIGNED) == 1
    err = capsys.readouterr().err
    assert "JWT_SECRET" in err
    assert "`channeld run --dev` generates each secret" in err
    assert err.endswith("Error: channels.yaml is not valid\n")


def test_other_errors_are_no_reason_for_that_hint(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(OPEN.replace("route:", "rout:")) == 1
    assert "--dev" not in capsys.readouterr().err


def test_for_development_a_secret_is_made_up(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(SIGNED, "--dev") == 0
    out = capsys.readouterr().out
    assert "generated for this run: JWT_SECRET" in out
    assert "?token=" in out


def test_for_development_it_says_that_it_stopped_and_leaves_nothing(
    start: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert start(OPEN, "--dev", number=signal.SIGINT) == 0
    assert capsys.readouterr().out.endswith("Ctrl-C stops.\n\nStopped.\n")
    assert not (tmp_path / ".channeld" / "dev.json").exists()


def test_quiet_prints_no_banner(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(OPEN, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_a_taken_port_says_what_to_do(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert start(OPEN, "--bind", address) == 1
        assert f"Cannot listen on {address}: Address already in use. " in capsys.readouterr().err
        assert start(OPEN, "--bind", address, "--dev") == 0
        assert f"({address} is in use, so 127.0.0.1:" in capsys.readouterr().out


def test_warnings_are_shown_and_it_serves(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(OPEN + "  idle: {path: /idle, auth: none, description: Nothing.}\n") == 0
    captured = capsys.readouterr()
    assert "warning[CH" in captured.err
    assert captured.out.startswith("channeld serves")


def test_several_workers_are_refused(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(OPEN, "--workers", "2") == 2
    assert "--workers over 1 needs a broker" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "127.0.0.1:", "unix:"])
def test_a_bad_address_is_named(
    start: Start, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert start(OPEN, "--bind", address) == 2
    assert f"'--bind': '{address}' is not a valid address" in capsys.readouterr().err


def test_a_certificate_must_be_readable(
    start: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    yaml = OPEN + "server: {tls: {certificate: a.pem, key: b.pem}}\n"
    assert start(yaml) == 1
    assert "error[CH124] `a.pem` cannot be used: No such file" in capsys.readouterr().err
    for name in ("a.pem", "b.pem"):
        tmp_path.joinpath(name).write_text("nonsense")
    assert start(yaml) == 2
    assert "a.pem contains no PEM certificate" in capsys.readouterr().err


def test_a_reader_that_is_gone_does_not_stop_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("click.echo", broken)
    assert start(OPEN) == 0


def test_for_development_pages_of_this_machine_may_connect(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    original = App.__init__

    def init(app: App, plan: object, *rest: object, **options: object) -> None:
        seen.append(plan.server.allowed_origins)  # type: ignore[attr-defined]
        original(app, plan, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(App, "__init__", init)
    start(OPEN, "--dev")
    start(OPEN)
    assert seen == ["localhost", "same-origin"]


@pytest.mark.parametrize(
    ("called", "program"),
    [
        (".venv/bin/channeld", ".venv/bin/channeld"),
        ("/opt/bin/channeld", "/opt/bin/channeld"),
        ("/x/channeld/__main__.py", f"{Path(sys.executable).name} -m channeld"),
        ("/usr/bin/pytest", "channeld"),
    ],
)
def test_the_program_is_named_as_it_can_be_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, called: str, program: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [called])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module._program() == program
    tmp_path.joinpath("channeld").write_text("")
    tmp_path.joinpath("channeld").chmod(0o755)
    assert module._program() == "channeld"


def test_another_configuration_is_asked(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.yaml").write_text(OPEN.replace("say", "tell"))
    assert start(OPEN, "--shadow", "new.yaml") == 0
    text = capsys.readouterr().err
    assert '"event":"shadow_started"' in text
    assert '"event":"shadow_summary"' in text


@pytest.mark.parametrize(("yaml", "status"), [("channeld: 1", 1), (None, 2)])
def test_another_configuration_has_to_be_valid(
    start: Start,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    yaml: str | None,
    status: int,
) -> None:
    if yaml is not None:
        (tmp_path / "new.yaml").write_text(yaml)
    assert start(OPEN, "--shadow", "new.yaml", number=None) == status
    assert "Error: new.yaml" in capsys.readouterr().err


def test_another_configuration_is_a_file(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(OPEN, "--shadow", "-", number=None) == 2
    assert "--shadow takes the name of a file" in capsys.readouterr().err
