"""Handles signals while modules are imported and a server starts, and ends a process that hangs.

Ctrl-C ends any command at once with status 130, without a traceback. SIGTERM ends a command that serves with status 0, as long
as it has no connections. SIGHUP and SIGUSR1, which would end it by default, are kept for the server. Once the command holds
something that it must clean up, SIGTERM is kept as well.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence

SERVING = frozenset({"run", "mock"})

EARLY: list[int] = []
"""Signals received so far, which the server handles when it is ready."""

INTERRUPTED = 130
"""The exit status after Ctrl-C."""


_WRITTEN_S = 0.1
"""How many seconds a thread has to write the last line of the log."""
_LEFT_S = 2.0
"""How many seconds threads have to end after the command."""


def _leave(*_: object) -> None:
    os._exit(130)


def _leave_well(*_: object) -> None:
    os._exit(0)


def _keep(number: int, _frame: object) -> None:
    EARLY.append(number)


def leave_quietly(arguments: Sequence[str] = ()) -> None:
    """Let Ctrl-C end the process, and SIGTERM too (with status 0) if the command serves. Ignored signals stay ignored."""
    _replace(signal.SIGINT, signal.default_int_handler, _leave)
    if SERVING.isdisjoint(arguments):
        return
    _replace(signal.SIGTERM, signal.SIG_DFL, _leave_well)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        _replace(number, signal.SIG_DFL, _keep)


def raise_again() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, so that a command can end in its own way."""
    _replace(signal.SIGINT, _leave, signal.default_int_handler)


def keep_signals() -> None:
    """Keep SIGTERM as well. A running server has its own handlers, and a late signal changes nothing after it has ended."""
    _replace(signal.SIGTERM, _leave_well, _keep)


def end_within(seconds: float, status: int = 0) -> None:
    """End the process after that many seconds if a blocking call, a task that cannot be cancelled or a thread still keeps it."""
    timer = threading.Timer(seconds, _end, (seconds, status))
    timer.daemon = True
    timer.start()


def leave_threads(status: int) -> None:
    """Let Python wait for threads that other code has left running, but not forever."""
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
