"""Ctrl-C while modules are imported."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from channeld.cli.interrupt import leave_quietly, raise_again


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


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
