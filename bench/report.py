"""Turns measurements into Markdown tables, and writes them into docs/benchmarks.md between its markers."""

import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from catalogue import CATALOGUE, ROOT, Peer
from chart import Series, line_chart
from targets import targets

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PICTURES = ROOT / "docs" / "benchmarks"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
Record = dict[str, Any]
QUIET = 0.1  # more of the cores taken by others than this, and the figures are not worth keeping
BUSY = 0.9  # a core with this much of its time used has little to spare


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


def connect_of(field: str) -> Callable[[Record], float]:
    return lambda result: float(result["open"]["steps"][-1][field])


MEASURES: dict[str, Callable[[Record], float]] = {
    "echo, W=1": of("echo_1", "us"),
    "echo, W=8": of("echo_8", "us"),
    "delivery, W=1": of("fan_1", "us"),
    "delivery, W=2": of("fan_2", "us"),
    "delivery, W=20": of("fan_20", "us"),
    "connect": connect_of("us"),
    "idle memory": of("open", "kib"),
}


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


def has_window(record: Record, work: str) -> bool:
    return any(work in result for run in record["runs"] for result in run.values())


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


def measured(record: Record) -> list[Peer]:
    names = {name for run in record["runs"] for name in run}
    return [peer for peer in CATALOGUE if peer.name in names]


def main_row(record: Record, peer: Peer, echoes: list[str], fans: list[str]) -> list[str]:
    name = peer.name
    return [
        title(record, peer),
        joined(record, name, echoes, "rate"),
        joined(record, name, echoes, "us"),
        joined(record, name, fans, "rate"),
        joined(record, name, fans, "us"),
        rate(record, name, connect_of),
        number(middle(record, name, connect_of("us")), 0),
        number(middle(record, name, of("open", "kib"))),
    ]


def main_table(record: Record) -> str:
    """Rates, CPU and memory of each server; those that are absent say why."""
    echoes = [work for work in ("echo_1", "echo_8") if has_window(record, work)] or ["echo_1"]
    fans = [work for work in ("fan_1", "fan_2", "fan_20") if has_window(record, work)]
    echo_windows = " / ".join(work.rpartition("_")[2] for work in echoes)
    fan_windows = " / ".join(work.rpartition("_")[2] for work in fans)
    header = [
        "server",
        f"echo/s, W={echo_windows}",
        "µs per echo",
        f"deliveries/s, W={fan_windows}",
        "µs per delivery",
        "connects/s",
        "µs per connect",
        "KiB per idle connection",
    ]
    rows = [main_row(record, peer, echoes, fans) for peer in measured(record)]
    titles = {peer.name: peer.title for peer in CATALOGUE}
    for name, why in record["absent"].items():
        rows.append([f"{titles[name]}: not measured, not installed: {why}", *["–"] * 7])
    return table(header, rows)


def latency_table(record: Record) -> str:
    """Latency at a fixed rate, and of a lone message to a full room."""
    rows = []
    for peer in measured(record):
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


def low_table(record: Record) -> str:
    """What a message costs where few come at a time: each is a turn of its own, or almost."""
    works = [work for work in ("low_1", "low_8", "low_50") if has_window(record, work)]
    rows = [
        [peer.title, *(number(middle(record, peer.name, of(work, "us"))) for work in works)]
        for peer in measured(record)
    ]
    return table(["server", *(f"{work[4:]} connections" for work in works)], rows)


def ratio_table(record: Record, base: Peer) -> str:
    """Each server's cost over the base's in the same run."""
    rows = []
    for peer in measured(record):
        if peer is not base:
            cells = [
                number(ratio(record, peer.name, base.name, pick), 2) for pick in MEASURES.values()
            ]
            rows.append([peer.title, *cells])
    return table(["server", *MEASURES], rows)


def target_table(record: Record) -> str:
    rows = [
        [target.work, target.text, number(target.value, 2), target.verdict]
        for target in targets(
            middle=lambda name, key: middle(record, name, MEASURES[key]),
            ratio=lambda top, bottom, key: ratio(record, top, bottom, MEASURES[key]),
            growth=lambda name, kind: curve(record, name, kind),
        )
    ]
    return table(["work", "target", "measured", "met"], rows)


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


def base_peer(record: Record) -> Peer | None:
    """What the ratios refer to: channeld, or else the first server that was measured."""
    works = {name for run in record["runs"] for name, result in run.items() if len(result) > 1}
    return next((peer for peer in measured(record) if peer.name in works), None)


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
    runs = len(record["runs"])
    how = f"medians of {runs} interleaved runs" if runs > 1 else "one run"
    return (
        f"{m['date']}, {record['mode']} mode, {how}; {m['cpu']}, {m['cores']} cores, {m['system']}, "
        f"Python {m['python']}. Server on one core, load client on the other. {disturbance(record)}"
    )


def markdown(record: Record, *, pictures: bool = False) -> str:
    """The whole report."""
    parts = [heading(record), main_table(record)]
    parts.append("`≥`: the load client was the limit there, the server had time to spare.")
    if errors(record):
        parts += ["**Failed:**", errors(record)]
    parts += ["### Latency", latency_table(record)]
    if has_window(record, "low_1"):
        parts += ["### Low load: µs per echo at 1,000 messages a second", low_table(record)]
    base = base_peer(record)
    if base:
        parts.append(f"### Cost against {base.title}, same run (1 = the same, more = dearer)")
        parts.append(ratio_table(record, base))
    if base and base.ours:
        parts += ["### Targets", target_table(record)]
    if any(curve(record, peer.name, "members") for peer in measured(record)):
        parts.append("### Growth")
        for kind, (text, _, _) in CURVES.items():
            if pictures:
                parts.append(f"![{text}](benchmarks/{kind}.svg)")
            parts.append(growth_table(record, kind))
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
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{markdown(record, pictures=True)}\n{END}{after}")
