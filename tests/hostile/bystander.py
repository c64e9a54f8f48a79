"""A client that wants nothing but its echo, in a process of its own: `python -m tests.hostile.bystander PORT PID plain|tls`.

Each line on stdin asks how it has gone since the last one; the answer is a line of JSON. A last echo is awaited for it,
so an answer means that the server still serves.
"""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Self

import attrs

from tests.hostile.wire import PATIENCE, Raw, say
from tests.system.kit import ROOT, environment

_PAUSE = 0.015


@attrs.frozen(slots=True, kw_only=True)
class Spell:
    """How a stretch of time went: round trips, and of their milliseconds the middle and the 99th of a hundred.

    `work50` and `work99` are of the milliseconds of CPU that the server's loop took meanwhile: what stood before an echo,
    which a busy machine makes no longer.
    """

    count: int
    p50: float
    p99: float
    longest: float
    work50: float
    work99: float


class Bystander:
    """The process, from outside."""

    def __init__(self, port: int, pid: int, *, secure: bool) -> None:
        way = "tls" if secure else "plain"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.bystander", str(port), str(pid), way],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ask()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self) -> Spell:
        """How it went since the last time.

        Raises:
            AssertionError: it lost its connection, or waits for ever.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the bystander was not answered"
        return Spell(**json.loads(line))


def _spell(times: list[tuple[float, float]]) -> Spell:
    waits, works = (sorted(1000 * time for time in column) for column in zip(*times, strict=True))
    middle, high = int(len(waits) * 0.5), int(len(waits) * 0.99)
    return Spell(
        count=len(waits),
        p50=waits[middle],
        p99=waits[high],
        longest=waits[-1],
        work50=works[middle],
        work99=works[high],
    )


def _echo(client: Raw, number: int, work: Callable[[], float]) -> tuple[float, float]:
    """Seconds that it took, and seconds of the server's CPU."""
    start, before = time.perf_counter(), work()
    client.answers.clear()
    client.pour([say("echo", text=str(number))])
    client.read_until("echo")
    assert client.answers["echo"] == 1, dict(client.answers)
    return time.perf_counter() - start, work() - before


def _work_of(pid: int) -> Callable[[], float]:
    """What tells the seconds of CPU that a process's first thread has taken.

    Linux brings the number up to date when the thread is taken off its core, else once a tick (4 ms). So this process
    shares the thread's core, and on Linux root may have its turn on it at once: what the server does between its answer
    and that does not count either.
    """
    with contextlib.suppress(OSError, AttributeError):
        core = {max(os.sched_getaffinity(0))}
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setaffinity(0, core)
        os.sched_setaffinity(pid, core)
    file = os.open(f"/proc/{pid}/task/{pid}/schedstat", os.O_RDONLY)
    return lambda: int(os.pread(file, 100, 0).split()[0]) / 1e9


def main() -> None:
    client = Raw(int(sys.argv[1]), secure=sys.argv[3] == "tls").open("/echo")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    work = _work_of(int(sys.argv[2]))
    times: list[tuple[float, float]] = []
    number = 0
    while True:
        number += 1
        times.append(_echo(client, number, work))
        if select.select([sys.stdin], [], [], _PAUSE)[0]:
            if not sys.stdin.readline():
                return
            number += 1
            times.append(_echo(client, number, work))
            print(json.dumps(attrs.asdict(_spell(times))), flush=True)
            times.clear()


if __name__ == "__main__":
    assert PATIENCE > 1
    main()
