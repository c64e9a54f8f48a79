"""Starts one server on its own core, drives it with the load client from another, and returns what was measured."""

import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalogue import ROOT, Peer
from install import BENCH, BUILD, compile_c
from tokens import secure_paths

START_LIMIT = 20.0
LOAD_LIMIT = (
    120.0  # over the time a measurement should take: a slow server's backlog, thousands of connects
)
SPARE_FILES = 200

Result = dict[str, Any]


class FailedError(Exception):
    """A server did not start, or did not do what was asked; the text says so in one line."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured: seconds of each measurement, and the sizes."""

    seconds: float = 2.0
    warmup: float = 0.5
    echo_connections: int = 50
    echo_windows: tuple[int, ...] = (1, 8)
    members: int = 500
    fan_windows: tuple[int, ...] = (1, 2, 20)
    idle: int = 5000
    pace: float = 4000.0
    low_connections: tuple[int, ...] = (1, 8, 50)
    low_rate: float = 1000.0
    member_steps: tuple[int, ...] = ()
    connection_steps: tuple[int, ...] = ()


def cores() -> tuple[int, int]:
    """The server's core and the client's; the same one where there is no second."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def raise_file_limit() -> int:
    """Raises the soft limit of open files to the hard one; returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether somebody listens on 127.0.0.1 or any address, without connecting (some servers mind a probe)."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[1].endswith(wanted):
                return True
    return False


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def pin(core: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, {core})


def last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ends the server's whole process group; first kindly."""
    for sign, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
        if sign == signal.SIGKILL or server.poll() is None:
            try:
                os.killpg(server.pid, sign)
            except ProcessLookupError:
                break
        try:
            server.wait(patience)
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def serving(peer: Peer) -> Iterator[tuple[int, list[int]]]:
    """Runs the peer's server on the first core while the block lasts; gives its port and process ids."""
    port = free_port()
    log = BUILD / "logs" / f"{peer.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        server = subprocess.Popen(
            peer.command(port),
            cwd=ROOT,
            env=os.environ | peer.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=pin(cores()[0]),  # noqa: PLW1509 (no threads here)
        )
    try:
        deadline = time.monotonic() + START_LIMIT
        while not is_listening(port):
            if server.poll() is not None:
                raise FailedError(f"did not start: {last_words(log)}")
            if time.monotonic() > deadline:
                raise FailedError(f"did not listen within {START_LIMIT:.0f} s: {last_words(log)}")
            time.sleep(0.02)
        time.sleep(0.2)
        yield port, family(server.pid)
    finally:
        stop(server)


def drive(mode: str, options: dict[str, Any]) -> Result:
    """One run of the load client; returns its JSON, or raises `FailedError` with what it said.

    An option that is a list is given once for each of its values; one that is None is left out.
    """
    command = [str(compile_c(BENCH / "load.c")), mode]
    command += ["--cores", ",".join(map(str, sorted(set(cores()))))]
    for name, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                command += [f"--{name}", str(one)]
    limit = LOAD_LIMIT + 2 * float(options.get("seconds", 0))
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            preexec_fn=pin(cores()[1]),
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"{mode}: not done within {limit:.0f} s") from None
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"load client ended with {done.returncode}"]
        raise FailedError(f"{mode}: {words[-1][:300]}")
    result: Result = json.loads(done.stdout)
    return result


def load(peer: Peer, server: tuple[int, list[int]], mode: str, path: str, **options: Any) -> Result:
    """Drives one peer's server; returns the load client's JSON, or raises `FailedError`."""
    port, pids = server
    where = {"paths" if path.startswith(str(BUILD)) else "path": path}
    who = {"port": port, "pids": ",".join(map(str, pids)), "protocol": peer.protocol}
    return drive(mode, who | where | options)


def spent(result: Result) -> Result:
    """Adds rate, microseconds of server CPU per count, and how busy either side and others kept the cores."""
    count, seconds = max(result["count"], 1), result["seconds"]
    result["rate"] = count / seconds
    result["us"] = result["server_cpu"] / count * 1e6
    result["server_busy"] = result["server_cpu"] / seconds
    result["client_busy"] = result["client_cpu"] / seconds
    result["foreign"] = result["foreign_cpu"] / seconds / len(set(cores()))
    return result


class Session:
    """All works of one peer in one run; what fails is kept as text under `errors`."""

    def __init__(self, peer: Peer, plan: Plan) -> None:
        self.peer = peer
        self.plan = plan
        self.results: Result = {"errors": {}}

    def attempt(self, name: str, work: Callable[[], Result]) -> None:
        try:
            self.results[name] = work()
        except FailedError as error:
            self.results["errors"][name] = str(error)

    def echo(self, server: tuple[int, list[int]], window: int) -> Result:
        plan = self.plan
        sizes = {"connections": plan.echo_connections, "window": window}
        times = {"seconds": plan.seconds, "warmup": plan.warmup}
        return spent(load(self.peer, server, "echo", self.peer.echo, **sizes, **times))

    def fan(self, server: tuple[int, list[int]], members: int, window: int) -> Result:
        plan, peer = self.plan, self.peer
        sizes = {"connections": members, "window": window}
        times = {"seconds": plan.seconds, "warmup": plan.warmup}
        return spent(load(peer, server, "fan", peer.fan, **sizes, **times, ignore=peer.ignore))

    def pace(self, server: tuple[int, list[int]], connections: int, rate: float) -> Result:
        plan = self.plan
        sizes = {"connections": connections, "rate": rate}
        times = {"seconds": plan.seconds, "warmup": plan.warmup}
        return spent(load(self.peer, server, "pace", self.peer.echo, **sizes, **times))

    def open(self, server: tuple[int, list[int]], steps: tuple[int, ...]) -> Result:
        """Connects and holds; a step's `kib` is memory per connection since the start."""
        peer = self.peer
        path = str(secure_paths(BUILD / "secure-paths.txt")) if peer.ours else peer.idle
        result = load(
            peer,
            server,
            "open",
            path,
            steps=",".join(map(str, steps)),
            warmup=0.5,
            ready=peer.ready if peer.ours else None,
        )
        for step in result["steps"]:
            spent(step)
            step["kib"] = (step["resident_kib"] - result["resident_kib"]) / step["open"]
        return result

    def messages(self) -> None:
        plan, works = self.plan, self.peer.works
        with serving(self.peer) as server:
            for window in plan.echo_windows if "echo" in works else ():
                self.attempt(f"echo_{window}", lambda w=window: self.echo(server, w))  # type: ignore[misc]
            if "echo" in works and plan.pace:
                self.attempt("pace", lambda: self.pace(server, plan.echo_connections, plan.pace))
                for few in plan.low_connections:
                    self.attempt(
                        f"low_{few}",
                        lambda n=few: self.pace(server, n, plan.low_rate),  # type: ignore[misc]
                    )
            for window in plan.fan_windows:
                self.attempt(
                    f"fan_{window}",
                    lambda w=window: self.fan(server, plan.members, w),  # type: ignore[misc]
                )

    def opening(self) -> None:
        """A warm-up of a few hundred first, so that what is loaded lazily is not counted as memory per connection."""
        steps = (200, 200 + self.plan.idle)
        with serving(self.peer) as server:
            self.attempt("open", lambda: self.open(server, steps))
        if "open" in self.results:
            first, last = self.results["open"]["steps"]
            held = last["open"] - first["open"]
            self.results["open"]["kib"] = (last["resident_kib"] - first["resident_kib"]) / held

    def growth(self) -> None:
        with serving(self.peer) as server:
            for members in self.plan.member_steps:
                self.attempt(
                    f"members_{members}",
                    lambda m=members: self.fan(server, m, 1),  # type: ignore[misc]
                )
        with serving(self.peer) as server:
            self.attempt("connections", lambda: self.open(server, self.plan.connection_steps))

    def run(self) -> Result:
        """Everything the plan asks; a server that does not start is one error under `start`."""
        parts = [self.messages, self.opening]
        if self.peer.growth and self.plan.member_steps:
            parts.append(self.growth)
        for part in parts:
            try:
                part()
            except FailedError as error:
                self.results["errors"]["start"] = str(error)
                break
        return self.results


def measure(peer: Peer, plan: Plan) -> Result:
    """All works of one peer, once."""
    return Session(peer, plan).run()
