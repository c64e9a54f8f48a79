"""Turns measurements into Markdown tables, and writes them into docs/benchmarks.md between its markers."""

import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from catalogue import CATALOGUE, ROOT, Peer
from chart import Series, line_chart
from page_marks import write_into
from targets import Figures, targets
from works import PARTS, Column, Part

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PICTURES = ROOT / "docs" / "benchmarks"
Record = dict[str, Any]
QUIET = 0.1  # more of the cores taken by others than this, and the figures are not worth keeping
BUSY = 0.9  # a core with this much of its time used has little to spare


def commit() -> str:
    """The commit that is measured, and whether the source differs from it."""
    try:
        git = [
            "git",
            "-C",
            str(ROOT),
            "describe",
            "--always",
            "--dirty",
            "--abbrev=8",
            "--exclude=*",
        ]
        return subprocess.check_output(git, text=True, stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, str]:
    """What the numbers were measured on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def values(record: Record, name: str, pick: Callable[[Record], float]) -> list[float | None]:
    """What `pick` finds for a peer, run by run; None where it was not measured."""
    found: list[float | None] = []
    for run in record["runs"]:
        try:
            found.append(pick(run[name]))
        except KeyError:
            found.append(None)
    return found


def middle(record: Record, name: str, pick: Callable[[Record], float]) -> float | None:
    """The median over the runs that measured it."""
    known = [value for value in values(record, name, pick) if value is not None]
    return median(known) if known else None


def ratio(record: Record, top: str, bottom: str, pick: Callable[[Record], float]) -> float | None:
    """The median over the runs of one peer's value divided by another's in the same run."""
    pairs = zip(values(record, top, pick), values(record, bottom, pick), strict=True)
    known = [a / b for a, b in pairs if a is not None and b]
    return median(known) if known else None


def of(work: str, field: str) -> Callable[[Record], float]:
    return lambda result: float(result[work][field])


COMPARED = {
    "echo, W=1": of("echo_1", "us"),
    "echo, W=8": of("echo_8", "us"),
    "delivery, W=1": of("fan_1", "us"),
    "delivery, W=20": of("fan_20", "us"),
    "connect": of("open", "us"),
    "idle memory": of("open", "kib"),
}


def merged(records: list[Record]) -> Record:
    """One record of several; the runs stand side by side, and a peer is absent that none of them has."""
    all_of: Record = {**records[-1], "runs": [run for one in records for run in one["runs"]]}
    for key in ("builds", "versions", "absent"):
        all_of[key] = {name: text for one in records for name, text in one[key].items()}
    for name in all_of["versions"]:
        all_of["absent"].pop(name, None)
    all_of["commit"] = ", ".join(dict.fromkeys(one["commit"] for one in records))
    return all_of


def rate(record: Record, name: str, pick: Callable[[str], Callable[[Record], float]]) -> str:
    """A rate in thousands; `≥` where the load client was at its limit and the server was not."""
    value = middle(record, name, pick("rate"))
    if value is None:
        return "–"
    text = f"{value / 1000:.0f}k" if value >= 10_000 else f"{value / 1000:.1f}k"
    server = middle(record, name, pick("server_busy")) or 0.0
    client = middle(record, name, pick("client_busy")) or 0.0
    return f"≥{text}" if server < BUSY <= client else text


def number(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "–"
    if 0 < abs(value) < 1:
        digits = 2
    return f"{value:.{digits}f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def joined(record: Record, name: str, works: list[str], field: str) -> str:
    """`a / b / c` over the works; one dash when none was measured."""
    if field == "rate":
        parts = [rate(record, name, partial(of, work)) for work in works]
    else:
        parts = [number(middle(record, name, of(work, field)), 2) for work in works]
    return "–" if set(parts) <= {"–"} else " / ".join(parts)


def title(record: Record, peer: Peer) -> str:
    """The row's name, with versions, and a mark when something failed."""
    version = record["versions"].get(peer.name)
    text = f"{peer.title} ({version})" if version else peer.title
    failed = any(run.get(peer.name, {}).get("errors") for run in record["runs"])
    return f"{text}: **failed, see below**" if failed else text


def measured(record: Record, part: Part | None = None) -> list[Peer]:
    """Who was measured, in the part if there is one: channeld first, then its other builds, then the peers."""
    works = {work.name for work in part.works} if part else None
    names = {
        name
        for run in record["runs"]
        for name, result in run.items()
        if works is None or works & result.keys()
    }
    others = [
        replace(CATALOGUE[0], name=name, title=text)
        for name, text in record["builds"].items()
        if name != "channeld"
    ]
    return [peer for peer in (CATALOGUE[0], *others, *CATALOGUE[1:]) if peer.name in names]


def main_row(record: Record, peer: Peer) -> list[str]:
    name = peer.name
    echoes, fans = ["echo_1", "echo_8"], ["fan_1", "fan_20"]
    return [
        title(record, peer),
        joined(record, name, echoes, "rate"),
        joined(record, name, echoes, "us"),
        joined(record, name, fans, "rate"),
        joined(record, name, fans, "us"),
        rate(record, name, partial(of, "open")),
        number(middle(record, name, of("open", "us")), 0),
        number(middle(record, name, of("open", "kib"))),
    ]


def main_table(record: Record, part: Part) -> str:
    """Rates, CPU and memory of each server; those that are absent say why."""
    header = [
        "server",
        "echo/s, W=1 / 8",
        "µs per echo",
        "deliveries/s, W=1 / 20",
        "µs per delivery",
        "connects/s",
        "µs per connect",
        "KiB per idle connection",
    ]
    rows = [main_row(record, peer) for peer in measured(record, part)]
    titles = {peer.name: peer.title for peer in CATALOGUE}
    for name, why in record["absent"].items():
        rows.append([f"{titles[name]}: not measured, not installed: {why}", *["–"] * 7])
    return table(header, rows)


def latency_table(record: Record, part: Part) -> str:
    """Latency at a fixed rate, and of a lone message to a full room."""
    rows = []
    for peer in measured(record, part):
        row = [peer.title]
        for work, field in (
            ("pace", "p50_us"),
            ("pace", "p99_us"),
            ("fan_1", "p50_us"),
            ("fan_1", "p99_us"),
        ):
            kept_up = middle(record, peer.name, of(work, "kept_up"))
            value = middle(record, peer.name, of(work, field))
            row.append(number(value, 0) if kept_up is None or kept_up >= 1 else "can't keep up")
        rows.append(row)
    header = ["server", "echo, paced: p50 µs", "p99 µs", "fan-out, W=1: p50 µs", "p99 µs"]
    return table(header, rows)


def ratio_table(record: Record, base: Peer, part: Part) -> str:
    """Each server's cost over the base's in the same run."""
    rows = [
        [peer.title]
        + [number(ratio(record, peer.name, base.name, pick), 2) for pick in COMPARED.values()]
        for peer in measured(record, part)
        if peer is not base
    ]
    return table(["server", *COMPARED], rows)


def cell(record: Record, peer: Peer, column: Column) -> str:
    """What was measured, and in brackets how much that is of channeld's in the same run."""
    pick = of(column.work, column.field)
    text = number(middle(record, peer.name, pick))
    times = None if peer.name == "channeld" else ratio(record, peer.name, "channeld", pick)
    return text if times is None else f"{text} ({number(times, 2)})"


def part_table(record: Record, part: Part) -> str:
    rows = [
        [title(record, peer), *(cell(record, peer, column) for column in part.columns)]
        for peer in measured(record, part)
    ]
    return table(["server", *(column.title for column in part.columns)], rows)


def build_table(record: Record, names: list[str]) -> str:
    """channeld's works beside those of its other builds: CPU of each, and how much of theirs channeld's is."""
    rows = []
    for work in (work for part in PARTS for work in part.works):
        own, pick = middle(record, "channeld", of(work.name, "us")), of(work.name, "us")
        cells = [number(own, 2)]
        for name in names:
            share = number(ratio(record, "channeld", name, pick), 2)
            cells.append(f"{number(middle(record, name, pick), 2)} ({share})")
        if own is not None:
            rows.append([f"`{work.name}`", *cells])
    return table(
        ["µs per operation", "channeld", *(record["builds"][name] for name in names)], rows
    )


def target_table(record: Record) -> str:
    builds = record["builds"]
    figures = Figures(
        middle=lambda name, work, field: middle(record, name, of(work, field)),
        ratio=lambda top, bottom, work: ratio(record, top, bottom, of(work, "us")),
        curve=lambda name, kind: curve(record, name, kind),
        compiled=next((name for name, text in builds.items() if "compiled" in text), None),
    )
    rows = [
        [one.work, one.text, number(one.value, 2), number(one.floor, 2), one.verdict]
        for one in targets(figures)
    ]
    return table(["work", "target", "measured", "floor", "met"], rows)


def curve(record: Record, name: str, kind: str) -> list[tuple[float, float]]:
    """A growth curve: `members` gives µs per delivery, `connections` µs per connect."""
    results = [run[name] for run in record["runs"] if name in run]
    found: dict[float, list[float]] = {}
    for result in results:
        if kind == "members":
            for key, value in result.items():
                if key.startswith("members_"):
                    found.setdefault(float(key.removeprefix("members_")), []).append(value["us"])
        else:
            for step in result.get("connections", {}).get("steps", ()):
                found.setdefault(float(step["open"]), []).append(step["us"])
    return [(x, median(found[x])) for x in sorted(found)]


CURVES = {
    "members": ("CPU per delivery as a room grows", "members of the room", "µs per delivery"),
    "connections": ("CPU per connect as connections grow", "open connections", "µs per connect"),
}


def growth_table(record: Record, kind: str) -> str:
    curves = [(peer, curve(record, peer.name, kind)) for peer in measured(record)]
    steps = sorted({x for _, points in curves for x, _ in points})
    rows = []
    for peer, points in curves:
        if points:
            known = dict(points)
            rows.append([peer.title, *(number(known.get(x), 2) for x in steps)])
    return table([CURVES[kind][2], *(f"{x:,.0f}" for x in steps)], rows)


def errors(record: Record) -> str:
    lines = []
    for index, run in enumerate(record["runs"], 1):
        for name, result in run.items():
            lines += [
                f"- {name}, run {index}, {work}: {why}" for work, why in result["errors"].items()
            ]
    return "\n".join(lines)


def notes(record: Record) -> str:
    return "\n".join(f"- {peer.title}: {peer.does}." for peer in measured(record))


def foreign_share(record: Record) -> float:
    """The median share of the two cores that other processes took while messages were measured."""
    shares = [
        work["foreign"]
        for run in record["runs"]
        for result in run.values()
        for work in result.values()
        if "foreign" in work
    ]
    return median(shares) if shares else 0.0


def disturbance(record: Record) -> str:
    share = foreign_share(record)
    text = f"Other processes and the kernel took {share:.0%} of the two cores meanwhile."
    return text + (" **Too much: measure again on a quiet machine.**" if share > QUIET else "")


def heading(record: Record) -> str:
    m = record["machine"]
    return (
        f"{m['date']}, commit {record['commit']}; {m['cpu']}, {m['cores']} cores, {m['system']}, "
        f"Python {m['python']}. {record['seconds']} s for each measurement, up to {len(record['runs'])} interleaved runs. "
        f"Server on one core, load client on the other. {disturbance(record)}"
    )


def headline(record: Record, part: Part) -> list[str]:
    """The tables of the part that everybody takes part in."""
    parts = [main_table(record, part)]
    parts.append("`≥`: the load client was the limit there, the server had time to spare.")
    parts += ["### Latency", latency_table(record, part)]
    base = measured(record, part)[0]
    parts.append(f"### Cost against {base.title}, same run (1 = the same, more = dearer)")
    return [*parts, ratio_table(record, base, part)]


def growth(record: Record, *, pictures: bool) -> list[str]:
    parts = []
    for kind, (text, _, _) in CURVES.items():
        if pictures:
            parts.append(f"![{text}](benchmarks/{kind}.svg)")
        parts.append(growth_table(record, kind))
    return parts


def markdown(record: Record, *, pictures: bool = False) -> str:
    """The whole report."""
    parts = [heading(record)]
    if errors(record):
        parts += ["**Failed:**", errors(record)]
    if any("channeld" in run for run in record["runs"]):
        parts += ["### Targets", target_table(record)]
    for part in PARTS:
        if not measured(record, part):
            continue
        parts.append(f"### {part.title}")
        if part.columns:
            parts += [part.about, part_table(record, part)]
        elif part.name == "growth":
            parts += growth(record, pictures=pictures)
        else:
            parts += headline(record, part)
    if others := [name for name in record["builds"] if name != "channeld"]:
        parts += ["### Other builds of channeld (in brackets: channeld's over it, same run)"]
        parts.append(build_table(record, others))
    parts += ["### What each does with a message", notes(record)]
    return "\n\n".join(parts) + "\n"


def draw(record: Record) -> None:
    """Writes the growth curves as SVG."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for kind, (text, x_name, y_name) in CURVES.items():
        series = [
            Series(
                peer.title.strip("*").partition(",")[0],
                curve(record, peer.name, kind),
                strong=peer.ours,
                dashed=peer.floor,
            )
            for peer in measured(record)
        ]
        shown = [one for one in series if one.points]
        if shown:
            picture = line_chart(text, x_name, y_name, shown)
            (PICTURES / f"{kind}.svg").write_text(picture)


def write_document(record: Record) -> None:
    """Replaces what stands between the markers of docs/benchmarks.md."""
    draw(record)
    write_into(DOCUMENT, "bench", markdown(record, pictures=True))
