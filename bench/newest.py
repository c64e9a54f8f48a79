"""Measures what `conflate` and `over: latest` save, and that others pay nothing for them: `python bench/newest.py [--docs]`.

Members of one room send cursors at a rate, each its own. What is measured is the CPU time of channeld and its Valkey, by
their processes' clocks, so that a busy machine does not matter much; and how many frames came to the members.
"""

import argparse
import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from catalogue import ROOT, channeld_python
from page_marks import write_into
from report import commit, machine

PAGE = ROOT / "docs" / "topics" / "message-options.md"
MEMBERS, WARMUP = 50, 0.5
SCHEMA = "{type: object, required: [k, x], properties: {k: {type: integer}, x: {type: integer}}, additionalProperties: false}"
CONFIG = f"""
channeld: 1
server:
  bind: "127.0.0.1:PORT"
  limits: {{messages: {{limit: 1000000/s, burst: 1000000}}}}
log: {{format: json, level: warning}}
broker: BROKER
channels:
  bare:
    path: /bare
    description: No type has an option.
    auth: none
    rooms: room
    history: {{size: 100, ttl: 1m}}
    messages:
      plain: {{schema: {SCHEMA}, route: room}}
  board:
    path: /board
    description: Each option once.
    auth: none
    rooms: room
    history: {{size: 100, ttl: 1m}}
    messages:
      plain: {{schema: {SCHEMA}, route: room}}
      latest: {{schema: {SCHEMA}, route: room, key: "{{message.k}}", history: latest}}
      conflated: {{schema: {SCHEMA}, route: room, key: "{{message.k}}", history: latest, conflate: 100ms}}
      held: {{schema: {SCHEMA}, route: room, key: "{{message.k}}", rate: {{limit: 10/s, over: latest}}}}
"""
WORKS = {
    "bare": ("/bare", "plain", "no option anywhere in the channel"),
    "plain": ("/board", "plain", "no option, beside types that have them"),
    "latest": ("/board", "latest", "`history: latest`"),
    "conflated": ("/board", "conflated", "`history: latest`, `conflate: 100ms`"),
    "held": ("/board", "held", "`rate: {limit: 10/s, over: latest}`"),
}


@dataclass
class Member:
    """A connection: what it still has to send, and how many frames came."""

    socket: socket.socket
    unsent: bytes = b""
    frames: int = 0

    def send(self, text: bytes) -> None:
        # A mask of zeros is a mask (RFC 6455 section 5.3), and costs the client nothing.
        self.unsent += bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text
        with contextlib.suppress(BlockingIOError):
            self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.frames += self.socket.recv(1 << 20).count(b'{"type":"')


def join(port: int, path: str) -> Member:
    """A member that has come in."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    if b" 101 " not in head:
        sys.exit(head.decode())
    client.setblocking(False)
    return Member(client)


def cpu(pid: int) -> float:
    """Seconds of CPU of a process and its children, which live."""
    total = time.clock_gettime(
        (~pid << 3) | 2
    )  # the clock's number is made as `clock_getcpuclockid` does
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return total + sum(map(cpu, map(int, children)))


def drive(
    port: int, pid: int, path: str, type: str, rate: float, seconds: float
) -> dict[str, float]:
    """Members send `rate` times a second each; CPU in milliseconds a second, and frames a second."""
    members = [join(port, path) for _ in range(MEMBERS)]
    selector = selectors.DefaultSelector()
    for member in members:
        selector.register(member.socket, selectors.EVENT_READ, member)
    began = time.perf_counter()
    begun: tuple[float, float, int] | None = None
    step = 0
    while (now := time.perf_counter() - began) < WARMUP + seconds:
        if begun is None and now >= WARMUP:
            begun = (now, cpu(pid), sum(member.frames for member in members))
        # Senders take turns, so that the room has an even load.
        while step < now * rate * MEMBERS:
            sender, number = step % MEMBERS, step // MEMBERS
            members[sender].send(b'{"type":"%s","k":%d,"x":%d}' % (type.encode(), sender, number))
            step += 1
        for key, _ in selector.select(1 / rate / MEMBERS):
            key.data.receive()
    assert begun is not None
    took = time.perf_counter() - began - begun[0]
    result = {
        "cpu_ms": (cpu(pid) - begun[1]) / took * 1000,
        "frames": (sum(member.frames for member in members) - begun[2]) / took,
    }
    for member in members:
        member.socket.close()
    return result


@contextlib.contextmanager
def serving(config: str, source: Path = ROOT) -> Iterator[tuple[int, int]]:
    """The port and the process of a server that serves the configuration, in which `PORT` stands for its port."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        file = Path(folder, "channels.yaml")
        file.write_text(config.replace("PORT", str(port)))
        command = [channeld_python(), "-m", "channeld", "run", str(file)]
        environment = os.environ | {"PYTHONPATH": str(source)}
        process = subprocess.Popen(command, cwd=source, env=environment, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            while not process.stdout.readline().startswith(b"channeld serves"):
                if process.poll() is not None:
                    sys.exit("channeld did not start")
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(20)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every work at every rate with every broker, as often as was asked, interleaved."""
    rows = []
    for number in range(options.runs):
        for broker in ("memory", "valkey"):
            with serving(CONFIG.replace("BROKER", broker)) as (port, pid):
                for rate in options.rates:
                    for work, (path, type, _) in WORKS.items():
                        found = drive(port, pid, path, type, rate, options.seconds)
                        rows.append(
                            {"run": number, "broker": broker, "rate": rate, "work": work} | found
                        )
                        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The medians as Markdown."""
    keys = dict.fromkeys((row["broker"], row["rate"]) for row in rows)
    titles = [f"`{broker}`, {rate:g} Hz" for broker, rate in keys]
    about = machine()
    lines = [
        f"{MEMBERS} members of one room, each of whom sends its own cursor at a rate; CPU milliseconds a second of channeld, and its Valkey,",
        f"and in brackets the frames a second that each member gets. Measured on {about['date']}, commit {commit()}, {about['cpu']}, {about['cores']} cores, Python {about['python']}, by",
        "`python bench/newest.py --docs`.",
        "",
        "| | " + " | ".join(titles) + " |",
        "|---" * (len(titles) + 1) + "|",
    ]
    for work, (_, _, title) in WORKS.items():
        cells = []
        for broker, rate in keys:
            some = [r for r in rows if (r["broker"], r["rate"], r["work"]) == (broker, rate, work)]
            frames = median(row["frames"] for row in some) / MEMBERS
            cells.append(f"{median(row['cpu_ms'] for row in some):.0f} ({frames:.0f})")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rates",
        type=float,
        nargs="+",
        default=[20.0, 60.0],
        help="messages a second of each member",
    )
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument(
        "--runs", type=int, default=3, help="interleaved runs whose medians are shown"
    )
    parser.add_argument(
        "--docs", action="store_true", help="write the table into docs/topics/message-options.md"
    )
    options = parser.parse_args()
    text = table(measure(options))
    print(text)
    if options.docs:
        write_into(PAGE, "newest", text)


if __name__ == "__main__":
    main()
