"""What is measured: parts of a run, each a group of servers and the loads on one running server, and the messages that are sent."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from install import BUILD

NEAR = (
    "channeld",
    "websockets",
    "starlette",
    "picows",
    "nchan",
    "c-floor-turn",
)
"""The servers that targets speak of: the only ones in every run, and in a quick one."""

CONNECTIONS, MEMBERS = 50, 500
MEMBER_STEPS = (10, 100, 1000, 10_000)
CONNECTION_STEPS = (1000, 2000, 5000, 10_000, 15_000, 20_000)
STARTING = 1.5  # seconds for starting a server and ending it
BATCH = 1.0  # seconds, of the crowded channel's presence
BROWSER = "permessage-deflate; client_max_window_bits"


@dataclass(frozen=True, kw_only=True)
class Work:
    """One load: how the client drives a server, and with what options (`load.c`)."""

    name: str
    mode: str
    place: str
    options: dict[str, Any] = field(default_factory=dict)
    message: str | None = None

    def seconds(self, measuring: float) -> float:
        """About how long it takes, with so much measuring and warming up."""
        opened = (self.options.get("steps") or (self.options.get("connections", 0),))[-1]
        return opened * 4e-4 + 0.7 + (1.0 if self.mode == "open" else measuring)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the part's table: CPU microseconds of a work, or another of its figures."""

    title: str
    work: str
    field: str = "us"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Works that belong together. Each of `sessions` is a server's life; `peers` are all that can where it is empty."""

    name: str
    title: str
    sessions: tuple[tuple[Work, ...], ...]
    peers: tuple[str, ...] = ()
    flavour: str = "plain"
    runs: int = 3
    quick: bool = True
    columns: tuple[Column, ...] = ()
    about: str = ""

    @property
    def works(self) -> tuple[Work, ...]:
        return tuple(work for session in self.sessions for work in session)

    def only(self, names: list[str]) -> "Part":
        """The part with nothing but these of its works."""
        sessions = (tuple(one for one in works if one.name in names) for works in self.sessions)
        return replace(self, sessions=tuple(works for works in sessions if works))

    def seconds(self, measuring: float) -> float:
        """About how long one server takes."""
        works = sum(work.seconds(measuring) for work in self.works)
        return works + STARTING * len(self.sessions)


def echo(name: str, window: int = 1, **more: Any) -> Work:
    place = more.pop("place", "echo")
    message = more.pop("message", None)
    options = {"connections": CONNECTIONS, "window": window} | more
    return Work(name=name, mode="echo", place=place, message=message, options=options)


def fan(name: str, members: int = MEMBERS, window: int = 1, **more: Any) -> Work:
    options = {"connections": members, "window": window} | more
    return Work(name=name, mode="fan", place="fan", options=options)


def pace(name: str, connections: int, rate: float, **more: Any) -> Work:
    options = {"connections": connections, "rate": rate} | more
    return Work(name=name, mode="pace", place="echo", options=options)


def opening(name: str, place: str, *steps: int, **more: Any) -> Work:
    """Connections that are opened step by step; CPU is that of the last step, memory the growth after the first."""
    options = {"steps": steps, "warmup": 0.5} | more
    return Work(name=name, mode="open", place=place, options=options)


def columns(**titles: str) -> tuple[Column, ...]:
    """A column of CPU for each work, by its name."""
    return tuple(Column(title=title, work=work) for work, title in titles.items())


PARTS: tuple[Part, ...] = (
    Part(
        name="headline",
        title="Echo, fan-out, connect",
        sessions=(
            (
                echo("echo_1"),
                echo("echo_8", 8),
                pace("pace", CONNECTIONS, 4000),
                fan("fan_1"),
                fan("fan_20", window=20),
            ),
            (opening("open", "idle", 200, 2200),),
        ),
    ),
    Part(
        name="tokens",
        title="Connecting, with and without a token",
        sessions=(
            (opening("bare", "bare", 200, 2200),),
            (opening("new", "idle", 200, 2200), opening("again", "idle", 200, 2200)),
        ),
        peers=("channeld", "websockets"),
        columns=columns(bare="no token", new="a JWT, new", again="the same JWTs again"),
        about="`websockets` has no tokens: each column is the same work for it.",
    ),
    Part(
        name="tls",
        title="TLS",
        sessions=(
            (
                echo("tls_echo_1"),
                echo("tls_echo_8", 8),
                fan("tls_fan_1"),
                fan("tls_fan_20", window=20),
            ),
            (opening("tls_open", "idle", 200, 2200),),
        ),
        peers=("channeld", "websockets", "starlette", "ws"),
        flavour="tls",
        runs=2,
        columns=(
            *columns(
                tls_echo_1="echo, W=1",
                tls_echo_8="echo, W=8",
                tls_fan_1="delivery, W=1",
                tls_fan_20="delivery, W=20",
                tls_open="connect",
            ),
            Column(title="KiB per idle connection", work="tls_open", field="kib"),
        ),
        about="TLS 1.3 with a P-256 certificate; every connect is a full handshake.",
    ),
    Part(
        name="messages",
        title="Other messages than 100 bytes",
        sessions=(
            (
                echo("event", place="event", message="event"),
                echo("meter", place="event", message="meter"),
                echo("kib_10", place="document", message="kib_10"),
                echo("kib_100", place="document", message="kib_100"),
            ),
        ),
        peers=("channeld", "starlette", "websockets", "picows"),
        runs=2,
        columns=columns(
            event="nested event, 3 KB",
            meter="OCPP MeterValues",
            kib_10="10 KiB",
            kib_100="100 KiB",
        ),
        about="Echo, 50 connections, W=1. Starlette parses here and writes JSON again (`receive_json`, `send_json`); the "
        "others look at nothing. channeld validates against schemas that name every property.",
    ),
    Part(
        name="compression",
        title="permessage-deflate, a room of 100",
        sessions=(
            (
                fan("deflate", 100, deflate=BROWSER),
                fan("shared", 100, deflate=f"{BROWSER}; server_no_context_takeover"),
            ),
        ),
        peers=("channeld", "websockets", "ws"),
        flavour="deflate",
        columns=columns(deflate="as browsers offer it", shared="`server_no_context_takeover`"),
        about="µs per delivery, W=1. Node compresses in threads of its own, whose time is counted.",
    ),
    Part(
        name="low",
        title="Low load: 1,000 messages a second",
        sessions=((pace("low_1", 1, 1000), pace("low_8", 8, 1000), pace("low_50", 50, 1000)),),
        peers=("channeld", "websockets", "c-floor-turn"),
        columns=columns(low_1="1 connection", low_8="8", low_50="50"),
        about="µs per echo, where hardly two messages come in one turn of the server.",
    ),
    Part(
        name="crowd",
        title="10,000 connections, 100 of them active",
        sessions=((pace("crowd", 10_000, 1000, talkers=100),),),
        peers=("channeld", "websockets", "c-floor-turn"),
        runs=1,
        columns=(
            *columns(crowd="µs per echo"),
            Column(title="p99 µs", work="crowd", field="p99_us"),
        ),
        about="Echo, 1,000 messages a second in all.",
    ),
    Part(
        name="presence",
        title="Joining a room with presence",
        sessions=(
            (
                # The batch of those who came first has to be over: telling it to everyone costs as much as a hundred joins.
                opening("join_100", "presence", 100, 200, warmup=BATCH + 0.5),
                opening("join_1000", "presence", 1000, 1100, warmup=BATCH + 0.5),
                opening("join_4000", "presence", 4000, 4100, warmup=BATCH + 0.5),
            ),
        ),
        peers=("channeld",),
        runs=1,
        columns=columns(join_100="100 are there", join_1000="1,000", join_4000="4,000"),
        about="µs per connect with a JWT, of the next 100 to come, each of whom is told who is there. Everyone else hears of them once a "
        "second (`batch: 1s`), as large rooms need (by default each of them is a frame to everyone); that frame is not in these figures.",
    ),
    Part(
        name="growth",
        title="Growth",
        sessions=(
            tuple(fan(f"members_{members}", members) for members in MEMBER_STEPS),
            (opening("connections", "idle", *CONNECTION_STEPS),),
        ),
        peers=("channeld", "websockets", "uwebsockets", "c-floor-turn"),
        runs=1,
        quick=False,
    ),
)


def nested_event() -> dict[str, Any]:
    """An order as shops and their backends pass it around: nested, with long ids, about 3 KB."""
    lines = [
        {
            "id": f"{7203685477580700000 + number * 7919}",
            "sku": f"SKU-{number:05d}-BLK-{number % 7}",
            "name": f"Wireless keyboard, layout {number}, backlit",
            "quantity": number % 3 + 1,
            "price": {"amount": 4990 + number * 10, "currency": "EUR"},
            "tags": ["electronics", "input", f"batch-{number}"],
            "stock": {"warehouse": f"WH-{number % 4}", "reserved": number % 2 == 0, "lead_days": 3},
        }
        for number in range(11)
    ]
    return {
        "type": "order",
        "text": "#" * 20,
        "order_id": "7203685477580712345",
        "placed_at": "2026-11-28T09:15:27.123Z",
        "customer": {
            "id": "9007199254740993123",
            "name": "Zoë Müller",
            "address": {
                "street": "12 Long Street",
                "city": "Köln",
                "zip": "50667",
                "country": "DE",
            },
        },
        "lines": lines,
        "total": {"amount": 71240, "currency": "EUR"},
        "note": None,
    }


def meter_values() -> dict[str, Any]:
    """What a charging station reports each minute (OCPP 1.6 MeterValues)."""
    measurands = (
        "Energy.Active.Import.Register",
        "Power.Active.Import",
        "Current.Import",
        "Voltage",
    )
    samples = [
        {
            "value": f"{230 + number}.{number}",
            "context": "Sample.Periodic",
            "format": "Raw",
            "measurand": measurand,
            "phase": phase,
            "location": "Outlet",
            "unit": "V",
        }
        for number, measurand in enumerate(measurands)
        for phase in ("L1", "L2", "L3")
    ]
    return {
        "type": "MeterValues",
        "text": "#" * 20,
        "connectorId": 1,
        "transactionId": 102934,
        "meterValue": [{"timestamp": "2026-11-28T09:15:00Z", "sampledValue": samples}],
    }


def document(size: int) -> Callable[[], dict[str, Any]]:
    """One long string, as a picture is sent."""
    data = base64.b64encode(bytes(number * 151 % 251 for number in range(size))).decode()
    return lambda: {"type": "document", "text": "#" * 20, "data": data[: size - 64]}


MESSAGES: dict[str, Callable[[], dict[str, Any]]] = {
    "event": nested_event,
    "meter": meter_values,
    "kib_10": document(10 << 10),
    "kib_100": document(100 << 10),
}


def message_file(name: str) -> Path:
    """Writes a message where the load client finds it."""
    target = BUILD / "messages" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(MESSAGES[name](), separators=(",", ":"), ensure_ascii=False)
    target.write_text(text, encoding="utf-8")
    return target
