"""The destination of lines: written to stderr or a stream at once, or handed to the process's writer."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO


class LineSink(Protocol):
    """Takes lines and writes them later; `dropped` counts those that it lost."""

    dropped: int

    def put(self, line: str) -> None:
        """Queue a line. Never waits or raises."""


class _Process:
    """The writer of this process, if it has one, and how many lines earlier ones lost."""

    sink: LineSink | None = None
    dropped = 0


def put(line: str, stream: TextIO | None = None) -> None:
    """Write a line: through the process's writer, or at once if there is none or a stream is given. Never raises."""
    if stream is None and _Process.sink is not None:
        _Process.sink.put(line)
    else:
        write([line], stream)


def write(lines: list[str], stream: TextIO | None = None) -> bool:
    """Write lines now, to a stream or to stderr; returns whether that succeeded. Never raises."""
    output = stream if stream is not None else sys.stderr
    text = "\n".join(lines) + "\n"
    try:
        try:
            descriptor = output.fileno()
        except (AttributeError, OSError, ValueError):
            output.write(text)
            output.flush()
        else:
            # Bypass the stream's buffer, whose lock a thread blocked on a full pipe would hold at exit.
            left = memoryview(text.encode("utf-8", "backslashreplace"))
            while left:
                left = left[os.write(descriptor, left) :]
    except (OSError, ValueError):
        return False
    return True


def dropped() -> int:
    """How many lines the writers of this process have lost."""
    return _Process.dropped + (_Process.sink.dropped if _Process.sink is not None else 0)


@contextmanager
def writing_to(sink: LineSink) -> Iterator[None]:
    """Give lines to a writer during the block."""
    _Process.sink = sink
    try:
        yield
    finally:
        _Process.sink = None
        _Process.dropped += sink.dropped
