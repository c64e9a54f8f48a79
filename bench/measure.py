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

from catalogue import ROOT, SECURE, Peer
from install import BENCH, BUILD, compile_c
from works import Part, Work, message_file

START_LIMIT = 20.0
LOAD_LIMIT = (
    120.0  # over the time a measurement should take: a slow server's backlog, thousands of connects
)
SPARE_FILES = 200

Result = dict[str, Any]


class FailedError(Exception):
    """A server did not start, or did not do what was asked; the text says so in one line."""


@dataclass(frozen=True)
class Times:
    """Seconds that a load of messages is measured, and those before."""

    seconds: float = 0.8
    warmup: float = 0.2


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
def serving(peer: Peer, flavour: str = "plain") -> Iterator[tuple[int, list[int]]]:
    """Runs the peer's server on the first core while the block lasts; gives its port and process ids."""
    port = free_port()
    log = BUILD / "logs" / f"{peer.name.replace('/', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        server = subprocess.Popen(
            peer.command(port, flavour),
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


def perform(
    peer: Peer, server: tuple[int, list[int]], part: Part, work: Work, times: Times
) -> Result:
    """Does one work on a running server."""
    path = peer.path(work.place)
    assert path is not None
    options: dict[str, Any] = {"tls": int(part.flavour == "tls")} | work.options
    if work.message:
        options["message"] = message_file(work.message)
    if work.mode != "open":
        return spent(load(peer, server, work.mode, path, **vars(times) | options))
    most = raise_file_limit() - SPARE_FILES
    steps = sorted({min(step, most) for step in options.pop("steps")})
    ready = peer.ready if work.place in SECURE else None
    result = load(
        peer, server, "open", path, **options, steps=",".join(map(str, steps)), ready=ready
    )
    first, last = result["steps"][0], result["steps"][-1]
    for step in result["steps"]:
        spent(step)
    kib = (last["resident_kib"] - first["resident_kib"]) / max(last["open"] - first["open"], 1)
    return result | {name: last[name] for name in KEPT} | {"kib": kib}


KEPT = ("rate", "us", "server_busy", "client_busy", "foreign")


def measure(peer: Peer, part: Part, times: Times) -> Result:
    """All works of a part that the peer can do, once; what fails is kept as text under `errors`."""
    results: Result = {"errors": {}}
    for session in part.sessions:
        works = [work for work in session if peer.path(work.place) is not None]
        if not works:
            continue
        try:
            with serving(peer, part.flavour) as server:
                for work in works:
                    try:
                        results[work.name] = perform(peer, server, part, work, times)
                    except FailedError as error:
                        results["errors"][work.name] = str(error)
        except FailedError as error:
            results["errors"][f"{part.name}: start"] = str(error)
            break
    return results
