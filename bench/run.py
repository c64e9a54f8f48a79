"""Measures channeld and its peers in one run: `python bench/run.py [--quick] [--parts a,b] [--peers a,b] [--against PATH]`.

Each run leaves its measurements in a file (`--json`); `--from` makes one report of several of them, without measuring.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from catalogue import CATALOGUE, Peer, another_channeld
from install import BENCH, BUILD, NotInstalledError, compile_c, install
from measure import Times, measure, raise_file_limit
from report import Record, commit, machine, markdown, merged, write_document
from works import NEAR, PARTS, Part

QUICK = Times(0.5, 0.1)
Named = TypeVar("Named")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one short run of the near peers, no growth curves")
    add("--parts", help="their names, separated by commas (all)")
    add("--works", help="only these rows of the parts (all)")
    add("--peers", help="their names, separated by commas (all); channeld is not added by itself")
    add(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="another channeld: a checkout, or an interpreter with a channeld or what it needs",
    )
    add("--runs", type=int, help="how often each part is measured, in turn (1 or 3, by part)")
    add("--seconds", type=float, help="of each measurement of messages (0.8; quick: 0.5)")
    add("--json", type=Path, help="where the measurements go (bench/build/results/)")
    add("--from", type=Path, nargs="+", dest="sources", help="report these; measure nothing")
    add("--docs", action="store_true", help="write the report into docs/benchmarks.md")
    add("--list", action="store_true", help="name parts, works and peers, and end")
    return parser.parse_args()


def chosen(wanted: str | None, known: Mapping[str, Named], what: str) -> list[Named]:
    """What was asked for by name, or everything; ends the program on an unknown name."""
    names = wanted.split(",") if wanted else list(known)
    if unknown := set(names) - known.keys():
        sys.exit(f"no {what} is called {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return [known[name] for name in known if name in names]


def chosen_parts(options: argparse.Namespace) -> list[Part]:
    """The parts to measure, with the works that were asked for."""
    parts = chosen(options.parts, {part.name: part for part in PARTS}, "part")
    if options.works:
        works = {work.name: work.name for part in parts for work in part.works}
        wanted = chosen(options.works, works, "work")
        parts = [part.only(wanted) for part in parts]
    elif options.quick and not options.parts:
        parts = [part for part in parts if part.quick]
    if options.runs or options.quick:
        parts = [replace(part, runs=options.runs or 1) for part in parts]
    return [part for part in parts if part.sessions]


def chosen_peers(options: argparse.Namespace) -> list[Peer]:
    """The peers to measure, and what else is called channeld."""
    peers = chosen(options.peers, {peer.name: peer for peer in CATALOGUE}, "peer")
    return [*map(another_channeld, options.against), *peers]


def servers(part: Part, peers: list[Peer], number: int, options: argparse.Namespace) -> list[Peer]:
    """Who is measured in a part's run of that number: those who are not near only in the first, if everybody is asked."""
    if part.peers:
        return [peer for peer in peers if peer.ours or peer.name in part.peers]
    everybody = options.peers or not (number or options.quick)
    return [peer for peer in peers if everybody or peer.ours or peer.name in NEAR]


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


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


def run(options: argparse.Namespace) -> Record:
    """Measures what was asked for, run by run, and in each part by part."""
    parts, peers = chosen_parts(options), chosen_peers(options)
    times = QUICK if options.quick else Times()
    if options.seconds:
        times = replace(times, seconds=options.seconds)
    raise_file_limit()
    for source in (BENCH / "load.c", BENCH / "floors" / "floor.c"):
        compile_c(source)
    asked = {peer.name: peer for part in parts for peer in servers(part, peers, 0, options)}
    versions, absent = bring(list(asked.values()))
    runs = max(part.runs for part in parts)
    jobs = [
        (
            number,
            part,
            [peer for peer in servers(part, peers, number, options) if peer.name not in absent],
        )
        for number in range(runs)
        for part in parts
        if number < part.runs
    ]
    measuring = times.seconds + times.warmup
    minutes = sum(part.seconds(measuring) * len(those) for _, part, those in jobs) / 60
    say(f"{len(asked) - len(absent)} servers, {runs} runs: about {minutes:.0f} minutes")
    results: list[dict[str, Any]] = [{} for _ in range(runs)]
    for number, part, those in jobs:
        for peer in those:
            say(f"run {number + 1} of {runs}: {part.name}: {peer.name}")
            found = measure(peer, part, times)
            for work, error in found["errors"].items():
                say(f"  {peer.name}, {work}: {error}")
            kept = results[number].setdefault(peer.name, {"errors": {}})
            kept["errors"] |= found.pop("errors")
            kept |= found
    return {
        "machine": machine(),
        "commit": commit(),
        "builds": {peer.name: peer.title for peer in peers if peer.ours},
        "seconds": times.seconds,
        "versions": versions,
        "absent": absent,
        "runs": results,
    }


def main() -> int:
    """Runs the bench; returns 1 when a server failed at something it was asked."""
    options = arguments()
    if options.list:
        for part in PARTS:
            print(f"part {part.name:14}{part.title}: {', '.join(work.name for work in part.works)}")
        for peer in CATALOGUE:
            print(f"peer {peer.name:26}{peer.title}")
        return 0
    if options.sources:
        record = merged([json.loads(path.read_text()) for path in options.sources])
    else:
        record = run(options)
        target = options.json or BUILD / "results" / time.strftime("%Y%m%d-%H%M%S.json")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(record, indent=1))
        say(f"the measurements are in {target}")
    print(markdown(record))
    if options.docs:
        write_document(record)
    return int(any(result["errors"] for run in record["runs"] for result in run.values()))


if __name__ == "__main__":
    sys.exit(main())
