"""`python -m tests.hostile --minutes 5`: every attack in full, then again and again; writes docs/topics/hostile-clients.md.

`python -m tests.hostile containers archives` makes those alone, in full, and writes nothing.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import attrs

from tests.hostile.ground import BRISK, SECURE, SHIPPED, Ground, Siege, opened
from tests.hostile.scenarios import SCENARIOS, Scenario
from tests.made import made

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "hostile-clients.md"
START, END = "<!-- soak: begin -->", "<!-- soak: end -->"
# Milliseconds of work that cannot be told from less.
LEAST = 0.1
# Cut by the keep-alive, which takes 45 s as shipped.
_KEPT_ALIVE = ("frozen", "vanished")
_HEAD = """\
| attack | size | p50 alone / equal load / during / after, ms | p99 | work before an echo, ms: p50 | p99 | during ÷ equal load | RSS before / peak / after, MiB | files | log lines | CPU of time, s |
|---|---|---|---|---|---|---|---|---|---|---|"""


@attrs.define
class Record:
    """A scenario's siege in full, and what was wrong in any of its sieges."""

    scenario: Scenario
    full: Siege
    times: int = 1

    def share(self) -> str:
        """How much more the server did before it answered the bystander than beside good clients, p50 and p99."""
        if self.scenario.twin is None:
            return "–"
        _, level, during, _ = self.full.spells
        pairs = (during.work50, level.work50), (during.work99, level.work99)
        return ", ".join(f"{max(work, LEAST) / max(even, LEAST):.1f}" for work, even in pairs)

    def row(self) -> str:
        siege = self.full
        before, after = siege.before, siege.after
        waits, works = (
            [" / ".join(f"{getattr(spell, name):.1f}" for spell in siege.spells) for name in names]
            for names in (("p50", "p99"), ("work50", "work99"))
        )
        return (
            f"| {self.scenario.name} | {self.scenario.long:,} | {' | '.join(waits + works)} | {self.share()} "
            f"| {before.rss:.0f} / {siege.peak:.0f} / {after.rss:.0f} "
            f"| {before.files} → {after.files} | {siege.lines:,} | {after.cpu - before.cpu:.1f} of {siege.seconds:.1f} |"
        )


def problems_of(scenario: Scenario, siege: Siege, *, lines: int) -> list[str]:
    found = scenario.judge(siege.answers)
    if siege.lines > 20 + lines:
        found.append(f"{scenario.name}: {siege.lines} lines of log")
    return found


def soak(
    grounds: dict[str, Ground], minutes: float, scenarios: Sequence[Scenario] = SCENARIOS
) -> tuple[list[Record], list[str]]:
    deadline = time.monotonic() + 60 * minutes
    pause = threading.Event()
    records: list[Record] = []
    problems: list[str] = []
    for scenario in scenarios:
        is_brisk = scenario.name in _KEPT_ALIVE
        ground = grounds[scenario.home if is_brisk or scenario.secure else "ground"]
        size = scenario.long
        twin = partial(scenario.twin, count=size) if scenario.twin is not None else None
        siege = ground.besiege(partial(scenario.attack, count=size), lambda: pause.wait(1), twin)
        records.append(Record(scenario, siege))
        problems += problems_of(scenario, siege, lines=scenario.lines)
        print(records[-1].row(), flush=True)
    while time.monotonic() < deadline:
        for record in records:
            scenario = record.scenario
            if time.monotonic() > deadline:
                break
            ground = grounds[scenario.home]
            size = scenario.short
            siege = ground.besiege(partial(scenario.attack, count=size), lambda: None)
            record.times += 1
            problems += problems_of(scenario, siege, lines=scenario.lines)
    return records, problems


def render(records: list[Record], problems: list[str], ends: str, minutes: float) -> str:
    rows = "\n".join(record.row() for record in records)
    sieges = sum(record.times for record in records)
    wrong = (
        "\n".join(f"- {problem}" for problem in problems) or "Every answer was a documented one."
    )
    return (
        f"{made('make soak')}\n\n{sieges} attacks in {minutes:.0f} minutes, {len(records)} kinds, Python "
        f"{sys.version.split()[0]}, {os.cpu_count()} cores that server, attackers, bystander and other people's work "
        f"shared, so single latencies say little.\n\n{_HEAD}\n{rows}\n\n{ends}\n\n{wrong}"
    )


def write(text: str) -> None:
    page = PAGE.read_text()
    before, _, rest = page.partition(START)
    PAGE.write_text(f"{before}{START}\n{text}\n{END}{rest.partition(END)[2]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("kinds", nargs="*", help="these alone, once, and the page stays as it is")
    asked = parser.parse_args()
    scenarios = [each for each in SCENARIOS if each.name in asked.kinds] or SCENARIOS
    minutes = 0.0 if asked.kinds else asked.minutes
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        grounds = {
            name: stack.enter_context(
                opened(Path(stack.enter_context(tempfile.TemporaryDirectory())), server)
            )
            for name, server in (("ground", SHIPPED), ("brisk", BRISK), ("secure", SECURE))
        }
        shipped = grounds["ground"]
        first = shipped.read()
        records, problems = soak(grounds, minutes, scenarios)
        last = shipped.read()
    ends = (
        f"From the first attack to the last the server went from {first.rss:.0f} to {last.rss:.0f} MiB and from "
        f"{first.files} to {last.files} open files, and used {last.cpu - first.cpu:.0f} s of CPU."
    )
    spent = (time.monotonic() - began) / 60
    if not asked.kinds:
        write(render(records, problems, ends, spent))
    print(ends, *problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
