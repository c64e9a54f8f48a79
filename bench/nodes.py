"""Measures one node, workers and nodes that share a Valkey, and the same glued by hand: `python bench/nodes.py [--docs]`."""

import argparse
import contextlib
import http.client
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from install import BENCH, NotInstalledError, compile_c, install
from joins import join
from measure import FailedError, Result, cores, drive, raise_file_limit, spent
from nodes_report import COMING, markdown, write_document
from report import QUIET, commit, machine
from setups import KEY, SETUPS, Servers, SetUp, cores_of, name_of, serving

MEMBERS, SENDERS, ROOMS, MANY, WARMUP, RING = 200, 20, 30, 1000, 0.5, 64
REQUESTS, BATCHES, BATCH, API_WARMUP = 1500, 200, 100, 0.1
TRIES = 3
PUBLISH = {"channel": "fan", "to": "room", "room": "nobody"}
EVENT = {"type": "chat", "text": "x" * 75}


@dataclass(frozen=True, kw_only=True)
class Fan:
    """A load: members in rooms of one size, the first of whom send, and how many messages are in flight in all.

    `of_users`: a room is a user, its members that user's devices.
    """

    members: int
    rooms: int = 1
    senders: int = 1
    window: int = 1
    of_users: bool = False


def fans(senders: int) -> dict[str, Fan]:
    """The loads by the names that the report knows them by."""
    return {
        "one": Fan(members=MEMBERS),
        "twenty": Fan(members=MEMBERS, window=20),
        "senders": Fan(members=MEMBERS, senders=senders, window=senders),
        "pair": Fan(members=2),
        "rooms": Fan(members=2 * ROOMS, rooms=ROOMS, senders=ROOMS, window=ROOMS),
        "many": Fan(members=2 * MANY, rooms=MANY, senders=MANY, window=MANY),
        "users": Fan(members=2 * ROOMS, rooms=ROOMS, senders=ROOMS, window=ROOMS, of_users=True),
    }


def fan(setup: SetUp, servers: Servers, work: Fan, seconds: float) -> Result:
    """Drives a set-up with a load; returns what was measured, with CPU of servers and Valkey apart."""
    options = {
        "ports": ",".join(map(str, servers.ports)),
        "pids": ",".join(map(str, servers.pids)),
        "path": setup.of_users(work.rooms) if work.of_users else setup.paths(work.rooms),
        "protocol": setup.protocol,
        "ready": '"authenticated"' if work.of_users and setup.has_users else None,
        "connections": work.members,
        "senders": work.senders,
        "window": work.window,
        "seconds": seconds,
        "warmup": WARMUP,
    }
    result = spent(drive("fan", options))
    apart = split(servers, result["each_cpu"])
    count, messages = result["count"], result["count"] * work.rooms / work.members
    result |= {"servers_us": sum(apart[:-1]) / count * 1e6, "valkey_us": apart[-1] / count * 1e6}
    result["message_us"] = [cpu / messages * 1e6 for cpu in apart]
    result["message_rate"] = messages / result["seconds"]
    return result


def split(servers: Servers, each: list[float]) -> list[float]:
    """What was measured of each process, summed up node by node, and for Valkey last."""
    by_pid = dict(zip(servers.pids, each, strict=True))
    groups = [*servers.nodes, servers.valkey]
    return [sum(by_pid[pid] for pid in group) for group in groups]


def clock(pid: int) -> float:
    """Seconds of CPU of a process; the clock's number is made as `clock_getcpuclockid` does."""
    return time.clock_gettime((~pid << 3) | 2)


def busy_cores() -> float:
    """Seconds that the two cores were busy since boot, in the kernel's ticks; as the load client counts them."""
    names, ticks = {f"cpu{core}" for core in cores()}, 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *numbers = line.split()
        if name in names:
            user, nice, system, _, _, irq, soft, steal, *_ = map(int, numbers)
            ticks += user + nice + system + irq + soft + steal
    return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """This process has that core alone, while the block lasts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def ask(connection: http.client.HTTPConnection, path: str, body: str) -> None:
    """One request to the control API; raises `FailedError` unless all of it was done."""
    head = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connection.request("POST", path, body, head)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200 or b'"problem"' in text:
        raise FailedError(f"{path}: {answer.status} {text[:200]!r}")


def requests(servers: Servers, path: str, body: str, count: int, events: int) -> Result:
    """One request after the other over one connection, from the load client's core; `us` is for one event."""
    connection = http.client.HTTPConnection("127.0.0.1", servers.apis[0], timeout=20)
    pids, shared, took = [*servers.pids, os.getpid()], len({*cores()}), []

    def clocks() -> list[float]:
        return [busy_cores(), time.perf_counter(), *map(clock, pids)]

    with contextlib.closing(connection), on_core(cores()[1]):
        for _ in range(round(count * API_WARMUP)):
            ask(connection, path, body)
        before = clocks()
        for _ in range(count):
            at = time.perf_counter()
            ask(connection, path, body)
            took.append((time.perf_counter() - at) * 1e6)
        whole, seconds, *each = (now - was for now, was in zip(clocks(), before, strict=True))
    apart = [cpu / count / events * 1e6 for cpu in split(servers, each[:-1])]
    cuts = statistics.quantiles(took, n=100)
    return {
        "count": count * events,
        "seconds": seconds,
        "us": sum(apart),
        "servers_us": sum(apart[:-1]),
        "valkey_us": apart[-1],
        "p50_us": cuts[49],
        "p99_us": cuts[98],
        "foreign": max(whole - sum(each), 0.0) / seconds / shared,
    }


def coming(setup: SetUp, servers: Servers, seconds: float, work: str) -> Result:
    """What it costs that one client comes to a room and leaves it again."""
    pids, shared = [*servers.pids, os.getpid()], len({*cores()})
    with on_core(cores()[1]):
        result = join(servers, setup, seconds, lambda: [busy_cores(), *map(clock, pids)], work)
    whole, *each = result.pop("clocks")
    apart = split(servers, each[:-1])
    foreign = max(whole - sum(each), 0.0) * result["count"] / 1e6 / result["seconds"] / shared
    servers_us, valkey_us = sum(apart[:-1]), apart[-1]
    return result | {
        "us": servers_us + valkey_us,
        "servers_us": servers_us,
        "valkey_us": valkey_us,
        "foreign": foreign,
    }


def publish(servers: Servers) -> Result:
    """Publishes through the control API to a room with nobody in it, one event a request."""
    return requests(servers, "/v1/publish", json.dumps(PUBLISH | {"event": EVENT}), REQUESTS, 1)


def batch(servers: Servers) -> Result:
    """The same, a hundred events a request."""
    body = json.dumps([{"publish": PUBLISH | {"event": EVENT}}] * BATCH)
    return requests(servers, "/v1/batch", body, BATCHES, BATCH)


def calmest(work: Callable[[Servers], Result], servers: Servers) -> Result:
    """Measures again, at most twice, while others take too much of the cores; returns the least disturbed.

    Nothing but what others took decides which it is; the rest stands in it under `disturbed`.
    """
    tries: list[Result] = []
    while len(tries) < TRIES and all(result["foreign"] > QUIET for result in tries):
        tries.append(work(servers))
    best = min(tries, key=lambda result: float(result["foreign"]))
    return best | {"disturbed": [result for result in tries if result is not best]}


def works(setup: SetUp, options: argparse.Namespace) -> dict[str, Callable[[Servers], Result]]:
    """All that is measured of a set-up."""
    found: dict[str, Callable[[Servers], Result]] = {
        name: lambda servers, load=load: fan(setup, servers, load, options.seconds)  # type: ignore[misc]
        for name, load in fans(options.senders).items()
    }
    found |= {
        name: lambda servers, name=name: coming(setup, servers, options.seconds, name)  # type: ignore[misc]
        for name in COMING
    }
    return found | ({"publish": publish, "batch": batch} if setup.api else {})


def processes(servers: Servers) -> list[dict[str, Any]]:
    """Each process: its part in the set-up, its name, and the cores it may use."""
    parts = [*(("server", pid) for node in servers.nodes for pid in node)]
    parts += [("Valkey", pid) for pid in servers.valkey]
    return [{"part": part, "name": name_of(pid), "cores": cores_of(pid)} for part, pid in parts]


def measure(setup: SetUp, options: argparse.Namespace) -> dict[str, Any]:
    """All works of one set-up, once.

    What fails is kept as text under `errors`, and the works after it get servers restarted; servers that do not
    start are one error under `start`.
    """
    waiting = works(setup, options)
    results: dict[str, Any] = {"errors": {}}
    while waiting:
        name = "start"
        try:
            with serving(setup) as servers:
                results["processes"] = processes(servers)
                for name in list(waiting):
                    results[name] = calmest(waiting.pop(name), servers)
        except (FailedError, OSError, http.client.HTTPException) as error:
            results["errors"][name] = str(error) or type(error).__name__
            if name == "start":
                break
    return results


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="interleaved runs; medians are shown")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--senders", type=int, default=SENDERS, help="in the row of many senders")
    parser.add_argument("--setups", help="names, separated by commas; all unless given")
    parser.add_argument("--json", type=Path, help="also write every single measurement there")
    parser.add_argument("--read", type=Path, help="measure nothing: report what --json wrote")
    parser.add_argument("--docs", action="store_true", help="write docs/topics/capacity.md")
    options = parser.parse_args()
    if not 1 <= options.senders <= RING or options.runs < 1:
        parser.error(f"--senders: 1 to {RING}; --runs: at least 1")
    return options


def chosen(options: argparse.Namespace) -> list[SetUp]:
    """The set-ups to measure; ends the program on an unknown name."""
    names = options.setups.split(",") if options.setups else [setup.name for setup in SETUPS]
    known = ", ".join(setup.name for setup in SETUPS)
    if unknown := set(names) - {setup.name for setup in SETUPS}:
        sys.exit(f"no set-up is called {', '.join(sorted(unknown))}; there are: {known}")
    return [setup for setup in SETUPS if setup.name in names]


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def bring(setups: list[SetUp]) -> tuple[dict[str, str], dict[str, str]]:
    """Installs what the set-ups need; returns the versions of those that are there, and why others are not."""
    versions, absent = {}, {}
    for setup in setups:
        try:
            versions[setup.name] = install(setup.packages)
        except NotInstalledError as error:
            absent[setup.name] = str(error)
            say(f"{setup.name}: not installed: {error}")
    return versions, absent


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """The record of a measurement of all chosen set-ups: all once, then all again."""
    setups = chosen(options)
    raise_file_limit()
    compile_c(BENCH / "load.c")
    versions, absent = bring(setups)
    present = [setup for setup in setups if setup.name not in absent]
    each = 9 * (options.seconds + WARMUP + 0.4) + 8
    minutes = options.runs * len(present) * each / 60
    say(f"{len(present)} set-ups, {options.runs} runs: about {minutes:.0f} minutes")
    runs: list[dict[str, Any]] = []
    for number in range(options.runs):
        runs.append({})
        for setup in present:
            say(f"run {number + 1} of {options.runs}: {setup.name}")
            result = runs[-1][setup.name] = measure(setup, options)
            for work, error in result["errors"].items():
                say(f"  {setup.name}, {work}: {error}")
    return {
        "machine": machine(),
        "commit": commit(),
        "client_core": cores()[1],
        "seconds": options.seconds,
        "senders": options.senders,
        "versions": versions,
        "absent": absent,
        "runs": runs,
    }


def main() -> int:
    """Runs the bench; returns 1 when a set-up failed at something it was asked."""
    options = arguments()
    record = json.loads(options.read.read_text()) if options.read else measured(options)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1))
    print(markdown(record))
    if options.docs:
        write_document(record)
    return int(any(result["errors"] for run in record["runs"] for result in run.values()))


if __name__ == "__main__":
    sys.exit(main())
