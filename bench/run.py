"""Measures channeld and its peers in one run: `python bench/run.py [--quick] [--peers a,b] [--runs N] [--json OUT]`."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from catalogue import CATALOGUE, Peer
from install import BENCH, NotInstalledError, compile_c, install
from measure import SPARE_FILES, Plan, measure, raise_file_limit
from report import machine, markdown, write_document

QUICK = Plan(seconds=0.8, warmup=0.2, fan_windows=(1, 20), idle=2000)
FULL = Plan()
MEMBER_STEPS = (10, 30, 100, 300, 1000, 3000, 10_000)
CONNECTION_STEPS = (1000, 2000, 5000, 10_000, 15_000, 20_000)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short run of a few peers: about a minute"
    )
    parser.add_argument(
        "--peers", help="names, separated by commas; channeld is not added by itself"
    )
    parser.add_argument(
        "--runs", type=int, help="interleaved runs whose medians are shown (3; quick: 1)"
    )
    parser.add_argument("--no-growth", action="store_true", help="leave the growth curves out")
    parser.add_argument("--json", type=Path, help="also write every single measurement there")
    parser.add_argument(
        "--docs", action="store_true", help="write docs/benchmarks.md even from a partial run"
    )
    parser.add_argument("--list", action="store_true", help="name the peers and end")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> list[Peer]:
    """The peers to measure; ends the program on an unknown name."""
    if not options.peers:
        return [peer for peer in CATALOGUE if peer.quick or not options.quick]
    names = options.peers.split(",")
    unknown = set(names) - {peer.name for peer in CATALOGUE}
    if unknown:
        known = ", ".join(peer.name for peer in CATALOGUE)
        sys.exit(f"no peer is called {', '.join(sorted(unknown))}; there are: {known}")
    return [peer for peer in CATALOGUE if peer.name in names]


def chosen_plan(options: argparse.Namespace, files: int) -> Plan:
    """How much to measure; the curves end where the limit of open files does."""
    if options.quick:
        return QUICK
    if options.no_growth:
        return FULL
    most = files - SPARE_FILES
    steps = tuple(sorted({min(step, most) for step in CONNECTION_STEPS}))
    members = tuple(step for step in MEMBER_STEPS if step <= most)
    return Plan(member_steps=members, connection_steps=steps)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def estimate(peers: list[Peer], plan: Plan, runs: int) -> float:
    """Minutes that the run should take."""
    works = len(plan.echo_windows) + len(plan.fan_windows) + len(plan.low_connections) + 1
    each = works * (plan.seconds + plan.warmup + 0.7) + 6
    growing = 55.0 * sum(peer.growth for peer in peers) if plan.member_steps else 0.0
    return runs * (each * len(peers) + growing) / 60


def bring(peers: list[Peer]) -> tuple[dict[str, str], dict[str, str]]:
    """Installs what the peers need; returns the versions of those that are there, and why the others are not."""
    versions, absent = {}, {}
    for peer in peers:
        try:
            versions[peer.name] = install(peer.packages)
        except NotInstalledError as error:
            absent[peer.name] = str(error)
            say(f"{peer.name}: not installed: {error}")
    return versions, absent


def report_errors(name: str, result: dict[str, Any]) -> None:
    for work, error in result["errors"].items():
        say(f"  {name}, {work}: {error}")


def main() -> int:
    """Runs the bench; returns 1 when a server failed at something it was asked."""
    options = arguments()
    peers = chosen(options)
    if options.list:
        print("\n".join(f"{peer.name:26}{peer.title}" for peer in peers))
        return 0
    plan = chosen_plan(options, raise_file_limit())
    runs = options.runs or (1 if options.quick else 3)
    for source in (BENCH / "load.c", BENCH / "floors" / "floor.c"):
        compile_c(source)
    versions, absent = bring(peers)
    present = [peer for peer in peers if peer.name not in absent]
    say(f"{len(present)} servers, {runs} runs: about {estimate(present, plan, runs):.0f} minutes")
    results: list[dict[str, Any]] = []
    for number in range(runs):
        results.append({})
        for peer in present:
            say(f"run {number + 1} of {runs}: {peer.name}")
            results[-1][peer.name] = measure(peer, plan)
            report_errors(peer.name, results[-1][peer.name])
    mode = "quick" if options.quick else "full"
    record = {
        "machine": machine(),
        "mode": mode,
        "versions": versions,
        "absent": absent,
        "runs": results,
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1))
    print(markdown(record))
    if options.docs or not (options.quick or options.peers):
        write_document(record)
    return int(any(result["errors"] for run in results for result in run.values()))


if __name__ == "__main__":
    sys.exit(main())
