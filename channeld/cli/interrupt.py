"""Ctrl-C while modules are imported: the command ends at once with 130, without Python's traceback."""

import os
import signal


def _leave(*_: object) -> None:
    os._exit(130)


def leave_quietly() -> None:
    """From now on Ctrl-C ends the process, unless it is ignored, as in the background of a script."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_again() -> None:
    """From now on it is a KeyboardInterrupt again, so that a command can end in its own way."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
