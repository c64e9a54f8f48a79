"""A client that wants nothing but its echo, in a process of its own: `python -m tests.hostile.bystander PORT`.

Each line on stdin asks how it has gone since the last one; the answer is a line of JSON. A last echo is awaited for it,
so an answer means that the server still serves.
"""

import json
import select
import socket
import subprocess
import sys
import time
from typing import Self

import attrs

from tests.hostile.wire import PATIENCE, Raw, say
from tests.system.kit import ROOT, environment

_PAUSE = 0.015


@attrs.frozen(slots=True, kw_only=True)
class Spell:
    """How a stretch of time went: round trips, and of their milliseconds the middle and the 99th of a hundred."""

    count: int
    p50: float
    p99: float
    longest: float


class Bystander:
    """The process, from outside."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.bystander", str(port)],
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


def _spell(times: list[float]) -> Spell:
    ordered = sorted(time * 1000 for time in times)
    at = [ordered[int(len(ordered) * share)] for share in (0.5, 0.99)]
    return Spell(count=len(ordered), p50=at[0], p99=at[1], longest=ordered[-1])


def _echo(client: Raw, number: int) -> float:
    start = time.perf_counter()
    client.answers.clear()
    client.pour([say("echo", text=str(number))])
    client.read_until("echo")
    assert client.answers["echo"] == 1, dict(client.answers)
    return time.perf_counter() - start


def main() -> None:
    client = Raw(int(sys.argv[1])).open("/echo")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    times: list[float] = []
    number = 0
    while True:
        number += 1
        times.append(_echo(client, number))
        if select.select([sys.stdin], [], [], _PAUSE)[0]:
            if not sys.stdin.readline():
                return
            number += 1
            times.append(_echo(client, number))
            print(json.dumps(attrs.asdict(_spell(times))), flush=True)
            times.clear()


if __name__ == "__main__":
    assert PATIENCE > 1
    main()
