"""Writes log lines in a thread of its own, so that a blocked pipe or a slow disk delays no client.

Lines and bytes that wait are bounded. Beyond the bound new lines are dropped and counted; once there is room, one line says
how many were lost. A line that cannot be written (full disk, closed pipe) is lost as well.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from channeld.telemetry import LineRates, bound_lines, log
from channeld.telemetry.output import write, writing_to

MOST_LINES = 10_000
MOST_BYTES = 8 << 20
# Seconds that writing the last lines of a process may take.
_LAST_S = 2.0
# Waking the thread costs the loop twenty times as much as a line does, so lines are written in batches of this many
# seconds.
_GATHER_S = 0.02
_BATCH = 1000


class LineWriter:
    """A bounded queue of lines, and the thread that writes them to stderr, or to a stream.

    Args:
        stream: None: `sys.stderr` at the time of writing.
        tell_lost: called with the number of lines lost once there is room, in the thread that puts a line.
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
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log lines", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue a line. Never waits for it to be written, never raises."""
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
        """Write what waits, within a time limit, and stop."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(_LAST_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._lines and not self._closing.is_set():
                    self._changed.wait()
            self._closing.wait(_GATHER_S)
            with self._changed:
                if not self._lines:
                    return
                lines = [self._lines.popleft() for _ in range(min(_BATCH, len(self._lines)))]
                self._size -= sum(map(len, lines))
            if not write(lines, self._stream):
                with self._changed:
                    self.dropped += len(lines)


@contextmanager
def off_the_loop() -> Iterator[None]:
    """Write log lines in a thread during the block, at the rates that `LineRates` allows.

    A blocked pipe or a slow disk delays no client, and no client can fill the disk.
    """
    bound_lines(LineRates(time.monotonic))
    writer = LineWriter(tell_lost=lambda lost: log("log_lines_dropped", lines=lost))
    writer.start()
    try:
        with writing_to(writer):
            yield
    finally:
        writer.close()
        bound_lines(None)
