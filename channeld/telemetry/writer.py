"""Writes log lines in a thread of its own, so that a pipe that nobody reads, or a slow disk, holds up no client.

What is bounded: lines and bytes that wait. Over the bound a new line is lost, and counted; when there is room again one
line says how many were lost. A line that cannot be written (a full disk, a closed pipe) is lost as well.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["MOST_BYTES", "MOST_LINES", "LineWriter", "dropped", "put", "writing_apart"]

MOST_LINES = 10_000
MOST_BYTES = 8 << 20
# The last lines of a process have this long.
_LAST_S = 2.0
_BATCH = 64


class LineWriter:
    """A bounded queue of lines, and the thread that writes them to stderr, or to a stream.

    Args:
        stream: None for stderr, whatever it is at that time.
        tell_lost: called, in the thread that puts a line, with the number of lines lost, once there is room again.
    """

    def __init__(
        self, stream: TextIO | None = None, tell_lost: Callable[[int], None] = lambda _lost: None
    ) -> None:
        self.dropped = 0
        self._stream = stream
        self._tell_lost = tell_lost
        self._untold = 0
        self._lines: deque[str] = deque()
        self._size = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log lines", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue a line. Never waits for whoever reads it, never raises."""
        with self._changed:
            if len(self._lines) >= MOST_LINES or self._size + len(line) > MOST_BYTES:
                self.dropped += 1
                self._untold += 1
                return
            lost = 0
            if self._untold and len(self._lines) < MOST_LINES // 2:
                lost, self._untold = self._untold, 0
            self._lines.append(line)
            self._size += len(line)
            self._changed.notify()
        if lost:
            self._tell_lost(lost)

    def close(self) -> None:
        """Write what waits, but not for ever."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(_LAST_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._lines and not self._is_closing:
                    self._changed.wait()
                if not self._lines:
                    return
                lines = [self._lines.popleft() for _ in range(min(_BATCH, len(self._lines)))]
                self._size -= sum(map(len, lines))
            if not write(lines, self._stream):
                with self._changed:
                    self.dropped += len(lines)


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


class _Apart:
    """The writer of this process, while it has one."""

    writer: LineWriter | None = None
    dropped = 0


def put(line: str, stream: TextIO | None = None) -> None:
    """Write a line: by the process's writer, or at once where there is none or a stream is given. Never raises."""
    if stream is None and _Apart.writer is not None:
        _Apart.writer.put(line)
    else:
        write([line], stream)


def dropped() -> int:
    """Log lines that were lost since the process began to write apart."""
    return _Apart.dropped + (_Apart.writer.dropped if _Apart.writer is not None else 0)


@contextmanager
def writing_apart(tell_lost: Callable[[int], None] = lambda _lost: None) -> Iterator[None]:
    """Let log lines be written in a thread of their own meanwhile; see `LineWriter`."""
    writer = _Apart.writer = LineWriter(tell_lost=tell_lost)
    writer.start()
    try:
        yield
    finally:
        _Apart.writer = None
        writer.close()
        _Apart.dropped += writer.dropped
