"""Signals that come before anybody obeys them, while modules are imported and a server is being started; and ends that do not come.

Ctrl-C ends any command at once with 130, without Python's traceback. A command that serves also ends well on SIGTERM, with 0 since
there is nobody to send away; SIGHUP and SIGUSR1 would end it by default, and are kept for the server. Once it has something that
must be put away, SIGTERM is kept as well.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence

SERVING = frozenset({"run", "mock"})

EARLY: list[int] = []
"""Signals that came, for the server to obey when it can."""

INTERRUPTED = 130
"""The exit status after Ctrl-C."""


_WRITTEN_S = 0.1
"""Seconds that the last line of the log has to be written, which a thread may do."""
_LEFT_S = 2.0
"""Seconds that threads have to end once the command has."""


def _leave(*_: object) -> None:
    os._exit(130)


def _leave_well(*_: object) -> None:
    os._exit(0)


def _keep(number: int, _frame: object) -> None:
    EARLY.append(number)


def leave_quietly(arguments: Sequence[str] = ()) -> None:
    """From now on Ctrl-C ends the process; SIGTERM as well, and well, where the command serves. What is ignored stays so."""
    _replace(signal.SIGINT, signal.default_int_handler, _leave)
    if SERVING.isdisjoint(arguments):
        return
    _replace(signal.SIGTERM, signal.SIG_DFL, _leave_well)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        _replace(number, signal.SIG_DFL, _keep)


def raise_again() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt again, so that a command can end in its own way."""
    _replace(signal.SIGINT, _leave, signal.default_int_handler)


def keep_signals() -> None:
    """From now on SIGTERM is kept as well. A server that runs has handlers of its own; when it has ended, a late signal changes nothing."""
    _replace(signal.SIGTERM, _leave_well, _keep)


def end_within(seconds: float, status: int = 0) -> None:
    """End the process after that many seconds if something still holds it up: a call that blocks, a task that cannot be cancelled, a thread."""
    timer = threading.Timer(seconds, _end, (seconds, status))
    timer.daemon = True
    timer.start()


def leave_threads(status: int) -> None:
    """Let Python wait for the threads that somebody's code has left, but not for ever."""
    main = threading.main_thread()
    if any(not one.daemon and one is not main for one in threading.enumerate()):
        end_within(_LEFT_S, status)


def _end(seconds: float, status: int) -> None:
    from channeld.telemetry import log  # noqa: PLC0415 - this module comes before all others

    log("end_forced", seconds=seconds)
    sys.stdout.flush()
    threading.Event().wait(_WRITTEN_S)
    os._exit(status)


def _replace(number: signal.Signals, one: object, other: "signal._HANDLER") -> None:
    if signal.getsignal(number) is one:
        signal.signal(number, other)
