"""Ctrl-C while modules are imported."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from channeld.cli.interrupt import EARLY, keep_signals, leave_quietly, leave_threads, raise_again


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in kinds}
    yield
    for number, one in before.items():
        signal.signal(number, one)
    EARLY.clear()


def test_it_ends_the_process_without_a_word() -> None:
    code = (
        "import signal; from channeld.cli.interrupt import leave_quietly\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # not so in the background\n"
        "leave_quietly(); signal.raise_signal(signal.SIGINT)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (130, b"")


def test_afterwards_it_is_an_exception_again() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    leave_quietly()
    raise_again()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_quietly()
    raise_again()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize(
    ("command", "status"), [("run", 0), ("mock", 0), ("validate", -signal.SIGTERM)]
)
def test_a_command_that_serves_ends_well_before_it_does(command: str, status: int) -> None:
    code = (
        "import signal; from channeld.cli.interrupt import leave_quietly\n"
        f"leave_quietly(['{command}']); signal.raise_signal(signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (status, b"")


def test_what_a_server_obeys_is_kept_for_it() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    leave_quietly(["run", "channels.yaml"])
    keep_signals()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
        signal.raise_signal(number)
    assert EARLY == [signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1]


@pytest.mark.parametrize(
    "code",
    [
        "from channeld.cli.interrupt import end_within; end_within(0.01, 3); threading.Event().wait()",
        (
            "from channeld.cli import interrupt; interrupt._LEFT_S = 0.01; threading.Thread(target=threading.Event().wait).start()\n"
            "interrupt.leave_threads(3); sys.exit(3)"
        ),
    ],
)
def test_the_end_comes_even_if_something_holds_it_up(code: str) -> None:
    code = f"import sys, threading; {code}"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 3
    assert b"end_forced" in done.stderr


def test_nothing_is_ended_where_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.enumerate", lambda: [threading.main_thread()])
    monkeypatch.setattr("channeld.cli.interrupt.end_within", lambda *_: pytest.fail("ended"))
    leave_threads(0)
