"""Computes what a million connections take, and where the design stops growing, from what `nodes.py` measured."""

import math
import re
from dataclasses import dataclass

from catalogue import ROOT
from report import Record, middle, of, table

BENCHMARKS = ROOT / "docs" / "benchmarks.md"
# What is assumed, and not measured.
CONNECTIONS, ROOM, EVERY, USED = 1_000_000, 10, 60, 0.6
KERNEL_KIB, OUTBOX_MIB, WIRE_BYTES, FILES = 8, 1, 400, 50_000
UNREAD = "up to `tcp_rmem` + `tcp_wmem` when clients stop reading"
MESSAGES = CONNECTIONS / EVERY
DELIVERIES = MESSAGES * ROOM


class NotMeasuredError(Exception):
    """The record lacks what the sums need; the text says what."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """Microseconds of CPU for a message: on the sender's node, on each other node, in Valkey for one node that hears it
    and for each further one, and for each further member on a node."""

    sender: float
    other: float
    valkey: float
    more: float
    member: float

    def servers(self, nodes: int) -> float:
        """All nodes' cores, when a room's members are on that many nodes."""
        further = (ROOM - nodes) * self.member
        return MESSAGES * (self.sender + (nodes - 1) * self.other + further) / 1e6

    def broker(self, nodes: int) -> float:
        """Valkey's cores, of which it has one."""
        return MESSAGES * (self.valkey + (nodes - 1) * self.more) / 1e6


@dataclass(frozen=True)
class Connecting:
    """What docs/benchmarks.md says of channeld's connections, and of which day."""

    kib: float
    us: float
    date: str


def known(record: Record, setup: str, work: str, field: str) -> float:
    """A median; raises `NotMeasuredError` when no run has it."""
    value = middle(record, setup, of(work, field))
    if value is None:
        raise NotMeasuredError(f"`{work}` of the set-up `{setup}`")
    return value


def message(record: Record, setup: str, work: str, at: int) -> float:
    """One part of a message's price: node by node, Valkey last."""
    value = middle(record, setup, lambda result: float(result[work]["message_us"][at]))
    if value is None:
        raise NotMeasuredError(f"`{work}` of the set-up `{setup}`")
    return value


def price(record: Record, load: str) -> Price:
    """The prices of one load: `pair` is one message at a time, `rooms` 30 at once."""
    valkey = message(record, "worker", load, -1)
    return Price(
        sender=message(record, "nodes", load, 0),
        other=message(record, "nodes", load, 1),
        valkey=valkey,
        more=valkey * second_node(record),
        member=known(record, "memory", "one", "us"),
    )


def second_node(record: Record) -> float:
    """By what share a lone message costs Valkey more when a second node hears it.

    From lone messages for both loads: how many publishes Valkey takes together differs with 30 at once between the
    set-ups, by more than the second node costs.
    """
    one, two = (message(record, setup, "pair", -1) for setup in ("worker", "nodes"))
    return max(two / one - 1, 0.0)


def connecting(page: str) -> Connecting:
    """Reads memory and CPU of a connection off channeld's row of the benchmarks."""
    row = re.search(r"^\| \*\*channeld\*\* \|(.*)\|$", page, re.MULTILINE)
    date = re.search(r"<!-- bench: begin -->\s+([\d-]+),", page)
    cells = row.group(1).split("|") if row else []
    if len(cells) != 7 or not date:
        raise NotMeasuredError("channeld's row in docs/benchmarks.md")
    return Connecting(float(cells[6]), float(cells[5]), date.group(1))


def thousands(value: float) -> str:
    """Two digits of it, for sums that are no more exact."""
    digits = 1 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def sizes(record: Record, it: Connecting, nodes: int) -> str:
    """The part of the sums that does not depend on the price of a message."""
    joined, valkey = (
        known(record, "nodes", "join", field) for field in ("servers_us", "valkey_us")
    )
    processes, kernel = (CONNECTIONS * kib / 2**20 for kib in (it.kib, KERNEL_KIB))
    source = f"[benchmarks](../benchmarks.md) of {it.date}"
    sums = [
        ["messages in", f"connections ÷ {EVERY} s", f"{thousands(MESSAGES)} a second"],
        ["deliveries", f"messages × {ROOM} members", f"{thousands(DELIVERIES)} a second"],
        [
            "memory of the processes",
            f"connections × {it.kib} KiB ({source})",
            f"{processes:.1f} GiB",
        ],
        [
            "memory of the kernel",
            f"connections × about {KERNEL_KIB} KiB of socket buffers in use (assumed); {UNREAD}",
            f"{kernel:.1f} GiB",
        ],
        [
            "outboxes, at worst",
            f"slow clients × `limits.outbox` ({OUTBOX_MIB} MiB)",
            f"{OUTBOX_MIB} GiB for each 1,000 that are slow at once",
        ],
        [
            "traffic out",
            f"deliveries × {WIRE_BYTES} bytes with headers",
            f"{thousands(DELIVERIES * WIRE_BYTES / 1e6)} MB a second",
        ],
        [
            "nodes by files and blast radius",
            f"connections ÷ {FILES:,}",
            f"**{math.ceil(CONNECTIONS / FILES)}**",
        ],
        [
            "everybody comes back at once, without rooms",
            f"connections × {it.us:.0f} µs ({source}) ÷ nodes",
            f"{CONNECTIONS * it.us / 1e6 / nodes:.0f} s on {nodes} nodes, and drain spreads it",
        ],
        [
            "the same, each to a room with history and presence",
            f"connections × {joined:.0f} µs (one that comes and goes, two nodes) ÷ nodes",
            f"{CONNECTIONS * joined / 1e6 / nodes:.0f} s on {nodes} nodes",
        ],
        [
            "Valkey's part of that",
            f"connections × {valkey:.0f} µs ÷ Valkeys",
            f"{CONNECTIONS * valkey / 1e6:.0f} s of one Valkey, {CONNECTIONS * valkey / 4e6:.0f} s of four",
        ],
    ]
    return table(["what", "formula", "comes to"], sums)


def work(busy: Price, alone: Price) -> str:
    """CPU at both prices: cores of the nodes, nodes, and Valkey's one core."""
    both = (busy, alone)

    def row(what: str, formula: str, value: list[float], digits: int = 1) -> list[str]:
        return [what, formula, *(f"{one:.{digits}f}" for one in value)]

    def prices(field: str) -> str:
        return " or ".join(f"{getattr(one, field):.0f}" for one in both) + " µs"

    rest, scale = ROOM - 1, MESSAGES / 1e6
    sums = [
        row("senders' nodes", f"messages × {prices('sender')}", [it.sender * scale for it in both]),
        row(
            f"other nodes, a room's members on {ROOM} nodes",
            f"messages × {rest} × {prices('other')}",
            [it.other * rest * scale for it in both],
        ),
        row(
            "other members, all on the sender's node instead",
            f"messages × {rest} × {busy.member:.1f} µs",
            [it.member * rest * scale for it in both],
        ),
        row(f"cores, members on {ROOM} nodes", "the first two", [it.servers(ROOM) for it in both]),
        row("cores, members on one node", "first and third", [it.servers(1) for it in both]),
        row(
            f"**nodes by CPU, members on {ROOM} nodes**",
            f"cores ÷ {USED}",
            [math.ceil(it.servers(ROOM) / USED) for it in both],
            0,
        ),
        row(
            f"Valkey, members on {ROOM} nodes",
            f"messages × ({prices('valkey')} + {rest} × {prices('more')})",
            [it.broker(ROOM) for it in both],
            2,
        ),
        row(
            "Valkey, members on one node",
            f"messages × {prices('valkey')}",
            [it.broker(1) for it in both],
            2,
        ),
    ]
    return table(["CPU, in cores", "formula", "30 at once", "one at a time"], sums)


def verdict(busy: Price, it: Connecting, nodes: int) -> str:
    """The sums in words."""
    each = math.ceil(CONNECTIONS * (it.kib + KERNEL_KIB) / 2**20 / nodes)
    share = busy.broker(ROOM)
    enough = (
        "one Valkey on a machine of its own"
        if share < USED
        else "one Valkey on a machine of its own, near its end"
        if share < 1
        else "more Valkeys than one, or rooms on fewer nodes"
    )
    return (
        f"So about {nodes} cores with {each} GiB each at the price of busy nodes, and {enough}. A small room lies on many "
        "nodes: a load balancer that sends a room's members to the same node (by path, say) takes the "
        f"nodes' work from {busy.servers(ROOM):.1f} cores to {busy.servers(1):.1f}."
    )


def limits(record: Record, busy: Price) -> str:
    """Where one of something ends, a second."""
    valkey = message(record, "nodes", "rooms", -1)
    one, many = (known(record, "memory", load, "rate") for load in ("one", "twenty"))
    alone, shared = (known(record, name, "pair", "message_rate") for name in ("worker", "nodes"))
    publish, batch = (known(record, "memory", name, "us") for name in ("publish", "batch"))
    through = known(record, "nodes", "publish", "us")
    sums = [
        [
            "one Valkey, messages, two nodes hear each",
            f"1 s ÷ {valkey:.0f} µs",
            thousands(1e6 / valkey),
        ],
        ["one node, publishes", f"1 s ÷ {busy.sender:.0f} µs", thousands(1e6 / busy.sender)],
        [
            "one sender to one room through a broker, messages",
            "measured, room of two, W=1: one worker / two nodes",
            f"{thousands(alone)} / {thousands(shared)}",
        ],
        [
            "one room on one node, deliveries",
            "measured, `memory`, one sender: W=1 / W=20",
            f"{thousands(one)} / {thousands(many)}",
        ],
        [
            "control API, publishes one by one",
            "1 s ÷ CPU of a publish: `memory` / two nodes",
            f"{thousands(1e6 / publish)} / {thousands(1e6 / through)}",
        ],
        [
            "control API, events in batches of 100",
            "1 s ÷ CPU of an event, `memory`",
            thousands(1e6 / batch),
        ],
    ]
    return table(["what", "from", "a second"], sums)


ASSUMED = (
    f"Assumed: {CONNECTIONS:,} connections in {CONNECTIONS // ROOM:,} rooms of {ROOM}, spread evenly over the nodes; "
    "each user says something once a minute; messages of 300 bytes; one core a node, used to "
    f"{USED:.0%}. It has not been measured on that many machines."
)
PRICES = (
    "Prices are those of the last of the tables above: of a message among 30 at once in 30 rooms, and of one "
    "at a time. Nodes that are busy pay the first, since what waits goes through the broker together; the second is the "
    "upper bound. Nobody measured ten nodes: for each further one Valkey's price is taken to grow by {share:.0%} of that "
    "with one node, as that of a lone message does with the second."
)


def sums(record: Record) -> str:
    """The computed part of the page; one sentence when the record lacks something."""
    try:
        busy, alone = price(record, "rooms"), price(record, "pair")
        it = connecting(BENCHMARKS.read_text(encoding="utf-8"))
        stops = limits(record, busy)
        nodes = max(math.ceil(CONNECTIONS / FILES), math.ceil(busy.servers(ROOM) / USED))
        sized = sizes(record, it, nodes)
    except NotMeasuredError as error:
        return f"Not computed: {error} was not measured."
    parts = [f"Computed from the run of {record['machine']['date']} above.", ASSUMED]
    parts += [
        sized,
        PRICES.format(share=second_node(record)),
        work(busy, alone),
        verdict(busy, it, nodes),
    ]
    return "\n\n".join([*parts, "What one of each does:", stops])
