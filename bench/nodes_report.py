"""Turns what `nodes.py` measured into tables, and writes them into docs/topics/capacity.md between its markers."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from capacity import sums
from catalogue import ROOT
from page_marks import write_into
from report import (
    QUIET,
    Record,
    disturbance,
    errors,
    middle,
    number,
    of,
    rate,
    ratio,
    table,
    values,
)
from setups import SETUPS, SetUp

PAGE = ROOT / "docs" / "topics" / "capacity.md"
LOADS = ("one", "twenty", "senders", "pair", "rooms", "many", "users")
COMING = ("plain", "join", "churn")
WORKS = (*LOADS, *COMING, "publish", "batch")
# What others' CPU is compared with, in the same run.
COMPARED = ("memory", "starlette", "socket.io")
Cell = tuple[str, Callable[[SetUp], str]]


def shown(record: Record) -> list[SetUp]:
    """The set-ups that were asked for, those that can't be installed included."""
    names = {name for run in record["runs"] for name in run} | set(record["absent"])
    return [setup for setup in SETUPS if setup.name in names]


def failures(record: Record, name: str, work: str) -> int:
    """In how many runs a set-up failed at a work, or did not start for it."""
    results = [run[name] for run in record["runs"] if name in run]
    return sum(
        work not in result and bool({work, "start"} & set(result["errors"])) for result in results
    )


def checked(record: Record, name: str, work: str, text: str) -> str:
    """A cell's text, unless the work failed, which it says then."""
    failed, runs = failures(record, name, work), len(record["runs"])
    if failed and failed == runs:
        return "**failed**"
    return f"{text} (**failed** in {failed} of {runs} runs)" if failed else text


def rate_cell(record: Record, setup: SetUp, work: str) -> str:
    return checked(record, setup.name, work, rate(record, setup.name, partial(of, work)))


def cpu_cell(record: Record, setup: SetUp, work: str) -> str:
    """Microseconds of the servers + those of Valkey, where there is one."""
    servers = middle(record, setup.name, of(work, "servers_us"))
    valkey = middle(record, setup.name, of(work, "valkey_us"))
    text = number(servers, 2 if (servers or 0) < 100 else 0)
    if valkey:
        text += f" + {number(valkey, 2 if (servers or 0) < 100 else 0)}"
    return checked(record, setup.name, work, text)


def time_cell(record: Record, setup: SetUp, work: str, prefix: str = "") -> str:
    """Latency in milliseconds; a dash where the client could not tell (`far`, with one port)."""
    parts = [
        middle(record, setup.name, of(work, f"{prefix}{which}_us")) for which in ("p50", "p99")
    ]
    known = [f"{part / 1000:.2f}" for part in parts if part is not None]
    return checked(record, setup.name, work, " / ".join(known) if len(known) == 2 else "–")


def message_cell(record: Record, setup: SetUp, work: str) -> str:
    """Microseconds for a message: the sender's node / the other one / Valkey."""
    count = setup.nodes + 1
    parts = [
        middle(record, setup.name, lambda result, at=at: float(result[work]["message_us"][at]))  # type: ignore[misc]
        for at in range(count)
    ]
    texts = [number(part, 0) for part in parts[:1]]
    texts += [number(part, 0) for part in parts[1:-1]] or ["–"]
    texts += [number(parts[-1], 0) if parts[-1] else "–"]
    return checked(record, setup.name, work, " / ".join(texts))


def rows(record: Record, setups: list[SetUp], cells: list[Cell], *, why: bool = False) -> str:
    """A table of set-ups; with `why`, versions and the reason of what is not installed."""
    lines = []
    for setup in setups:
        version, absent = record["versions"].get(setup.name), record["absent"].get(setup.name)
        title = f"{setup.title} ({version})" if version and why else setup.title
        title += (f": not installed: {absent}" if why else ": not installed") if absent else ""
        lines.append([title, *("–" if absent else cell(setup) for _, cell in cells)])
    return table(["set-up", *(head for head, _ in cells)], lines)


def load_cells(record: Record, cell: Callable[[Record, SetUp, str], str]) -> list[Cell]:
    heads = ["one sender, W=1", "one sender, W=20"]
    heads += [f"{record['senders']} senders, W=1 each", "room of two, W=1", "30 rooms of two"]
    heads += ["1,000 rooms of two", "30 users with two devices"]
    return _cells(record, cell, heads, LOADS)


def coming_cells(record: Record) -> list[Cell]:
    heads = ["to a room that only delivers", "to a room of its own with presence"]
    heads += ["to a room with presence and 40 others"]
    return _cells(record, cpu_cell, heads, COMING)


def ratio_cells(record: Record, other: str) -> list[Cell]:
    """All CPU of a set-up divided by that of another, run by run."""

    def cell(record: Record, setup: SetUp, work: str) -> str:
        share = ratio(record, setup.name, other, of(work, "us"))
        return checked(record, setup.name, work, number(share, 2))

    heads = [head for head, _ in (*load_cells(record, cell), *coming_cells(record))]
    return _cells(record, cell, heads, (*LOADS, *COMING))


def _cells(
    record: Record,
    cell: Callable[[Record, SetUp, str], str],
    heads: Sequence[str],
    works: Sequence[str],
) -> list[Cell]:
    return [
        (head, lambda setup, work=work: cell(record, setup, work))  # type: ignore[misc]
        for head, work in zip(heads, works, strict=True)
    ]


def latency_cells(record: Record) -> list[Cell]:
    many = f"{record['senders']} senders"
    asked = [("room of 200, W=1: all", "one", ""), ("to the other node", "one", "far_")]
    asked += [(f"{many}: all", "senders", ""), ("to the other node", "senders", "far_")]
    asked += [("room of two: both", "pair", ""), ("to the other node", "pair", "far_")]
    return [
        (head, lambda setup, it=(work, prefix): time_cell(record, setup, *it))  # type: ignore[misc]
        for head, work, prefix in asked
    ]


def api_table(record: Record) -> str:
    cells: list[Cell] = [
        ("a publish: CPU µs", lambda setup: cpu_cell(record, setup, "publish")),
        ("p50 / p99 ms", lambda setup: time_cell(record, setup, "publish")),
        ("an event of a batch of 100: CPU µs", lambda setup: cpu_cell(record, setup, "batch")),
        ("the batch: p50 / p99 ms", lambda setup: time_cell(record, setup, "batch")),
    ]
    return rows(record, [setup for setup in shown(record) if setup.api], cells)


def message_table(record: Record) -> str:
    """What a message costs, node by node; workers can't be told apart."""
    cells: list[Cell] = [
        ("room of two, one message at a time", lambda setup: message_cell(record, setup, "pair")),
        ("30 rooms of two, 30 senders", lambda setup: message_cell(record, setup, "rooms")),
    ]
    return rows(record, [setup for setup in shown(record) if setup.workers == 1], cells)


def placement(record: Record) -> str:
    """Which cores the processes had, as the kernel told it while they ran."""
    found: dict[str, set[int]] = {}
    for run in record["runs"]:
        for result in run.values():
            for process in result.get("processes", ()):
                found.setdefault(process["part"], set()).update(process["cores"])
    parts = [
        f"every {part} process: core {', '.join(map(str, sorted(cores)))}"
        for part, cores in found.items()
    ]
    parts.append(f"load client and the API's caller: core {record['client_core']}")
    return "Cores: " + "; ".join(parts) + "."


def spread(record: Record) -> str:
    """How far the runs lie apart: the rates' (most - least) ÷ median."""
    apart = []
    for setup in shown(record):
        for work in LOADS:
            known = [x for x in values(record, setup.name, of(work, "rate")) if x is not None]
            if len(known) > 1:
                apart.append((max(known) - min(known)) / median(known))
    if not apart:
        return "No repeats: small differences mean nothing."
    return f"A rate differed between the runs by {median(apart):.0%} (median), {max(apart):.0%} at most."


def worst(record: Record) -> str:
    """The largest share that others had of any measurement that counts, and how many were measured again for that."""
    found, again = [], 0
    for index, run in enumerate(record["runs"], 1):
        for name, result in run.items():
            for work in WORKS:
                if work in result:
                    found.append((result[work]["foreign"], f"{name}, {work}, run {index}"))
                    again += len(result[work]["disturbed"])
    text = "At most it was {:.0%} ({}).".format(*max(found)) if found else ""
    return text + (
        f" {again} measurements were thrown away for more than {QUIET:.0%}." if again else ""
    )


def heading(record: Record) -> str:
    m, runs = record["machine"], len(record["runs"])
    how = f"medians of {runs} interleaved runs" if runs > 1 else "one run"
    return (
        f"{m['date']}, commit {record['commit']}; {how} of {record['seconds']:g} s a measurement; {m['cpu']}, {m['cores']} cores, {m['system']}, "
        f"Python {m['python']}. {placement(record)} {disturbance(record)} {worst(record)} {spread(record)}"
    )


def notes(record: Record) -> str:
    return "\n".join(f"- {setup.title}: {setup.does}." for setup in shown(record))


def tables(record: Record) -> str:
    """All that was measured, with what failed."""
    setups = shown(record)
    parts = [heading(record)]
    parts += [
        "### Deliveries a second",
        rows(record, setups, load_cells(record, rate_cell), why=True),
    ]
    parts += ["`≥`: the load client was the limit there, the servers had time to spare."]
    if errors(record):
        parts += ["**Failed:**", errors(record)]
    parts += ["### CPU µs per delivery: servers + Valkey"]
    parts += [rows(record, setups, load_cells(record, cpu_cell))]
    parts += ["### A client that comes and goes: CPU µs, servers + Valkey"]
    parts += [rows(record, setups, coming_cells(record))]
    ours = [setup for setup in setups if setup.has_users and setup.name not in record["absent"]]
    for other in setups:
        if other.name in COMPARED and other.name not in record["absent"]:
            parts += [f"### CPU as a multiple of: {other.title}"]
            parts += [rows(record, ours, ratio_cells(record, other.name))]
    parts += ["### Latency, p50 / p99 ms", rows(record, setups, latency_cells(record))]
    parts += ["### Publishing through the API: servers + Valkey", api_table(record)]
    parts += ["### CPU µs for a message: sender's node / other node / Valkey"]
    parts += [message_table(record), "### What each does with a message", notes(record)]
    return "\n\n".join(parts)


def markdown(record: Record) -> str:
    """The whole report: what was measured, and what is computed from it."""
    return f"{tables(record)}\n\n{sums(record)}\n"


def write_document(record: Record) -> None:
    """Replaces what stands between the markers of docs/topics/capacity.md."""
    write_into(PAGE, "nodes", tables(record))
    write_into(PAGE, "sums", sums(record))
