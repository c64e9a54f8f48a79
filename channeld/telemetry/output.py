"""Where finished lines go: to stderr or a stream at once, or to the writer that the process has for them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO


class LineSink(Protocol):
    """Takes lines and writes them later; `dropped` counts those that it lost."""

    dropped: int

    def put(self, line: str) -> None:
        """Take a line. Never waits, never raises."""


class _Process:
    """The writer of this process, while it has one, and what those before it lost."""

    sink: LineSink | None = None
    dropped = 0


def put(line: str, stream: TextIO | None = None) -> None:
    """Write a line: by the process's writer, or at once where there is none or a stream is given. Never raises."""
    if stream is None and _Process.sink is not None:
        _Process.sink.put(line)
    else:
        write([line], stream)


def write(lines: list[str], stream: TextIO | None = None) -> bool:
    """Write lines now, to a stream or to stderr, and say whether it could be done. Never raises."""
    output = stream if stream is not None else sys.stderr
    text = "\n".join(lines) + "\n"
    try:
        try:
            descriptor = output.fileno()
        except (AttributeError, OSError, ValueError):
            output.write(text)
            output.flush()
        else:
            # Past the stream's buffer, whose lock a thread that waits for a full pipe would keep at the process's end.
            left = memoryview(text.encode("utf-8", "backslashreplace"))
            while left:
                left = left[os.write(descriptor, left) :]
    except (OSError, ValueError):
        return False
    return True


def dropped() -> int:
    """Lines that the writers of this process have lost."""
    return _Process.dropped + (_Process.sink.dropped if _Process.sink is not None else 0)


@contextmanager
def writing_to(sink: LineSink) -> Iterator[None]:
    """Give lines to a writer meanwhile."""
    _Process.sink = sink
    try:
        yield
    finally:
        _Process.sink = None
        _Process.dropped += sink.dropped
