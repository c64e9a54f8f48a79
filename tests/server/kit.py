"""What tests of the server share: a plan, an engine that records, servers over three drivers, a client of raw bytes."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from channeld.config.model import Config, Limits, Server, Tls
from channeld.engine.ports import Peer
from channeld.hooks import Request
from channeld.plan.plan import ChannelPlan, Match, Plan
from channeld.server.admission import Admission
from channeld.server.listener import Server as SocketServer
from channeld.server.listener import tls_context
from channeld.server.outbox import Fanout
from channeld.server.runtime import TrioRuntime
from channeld.server.sockets import bind
from channeld.server.transports import TRANSPORTS
from channeld.server.transports.transport import Transport

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
DRIVERS = ("lane", "stream", "memory")


def request_bytes(path: str = "/echo", *fields: str) -> bytes:
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY.decode()}",
        "Sec-WebSocket-Version: 13",
        *fields,
        "",
        "",
    )
    return "\r\n".join(lines).encode("latin-1")


def frame(
    payload: bytes = b"",
    first: int = 0x81,
    *,
    key: bytes = b"\x01\x80\x03\xff",
    masked: bool = True,
) -> bytes:
    """A client's WebSocket frame."""
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    return head + key + bytes(b ^ key[i & 3] for i, b in enumerate(payload))


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(struct.pack("!H", code) + reason, 0x88)


def read_frames(data: bytes) -> list[tuple[int, bytes]]:
    """A server's whole WebSocket frames as (first byte, payload)."""
    found, at = [], 0
    while at < len(data):
        size, start = data[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        assert start + size <= len(data), "a WebSocket frame is cut short"
        found.append((data[at], data[start : start + size]))
        at = start + size
    return found


def limits(**changes: Any) -> Limits:
    return Limits(**changes)


def channel(name: str = "echo", **limit_changes: Any) -> ChannelPlan:
    return ChannelPlan(
        name=name,
        path=f"/{name}",
        auth=(),
        auth_optional=False,
        require=(),
        join=(),
        subscribe=None,
        presence=None,
        history=None,
        messages={},
        events=None,
        connect=None,
        close=None,
        on_subscribe=None,
        on_unsubscribe=None,
        limits=limits(**limit_changes),
        contract=name,
    )


def plan(server: Server | None = None, **limit_changes: Any) -> Plan:
    """A plan with one channel, /echo, without authentication."""
    server = server or Server()
    echo = channel(**limit_changes)

    def match(path: str) -> Match | None:
        return Match(echo, {}) if path == "/echo" else None

    return Plan(
        config=Config(server=server),
        server=server,
        limits=server.limits,
        channels={"echo": echo},
        match=match,
        lifespans=(),
    )


class Heard:
    """Keeps the messages of a reader, and what its transport answers."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.answers: list[bytes] = []

    def receive(self, text: bytes, now: float) -> None:
        self.messages.append(text)

    receive_again = receive

    def redirect(self, to: Callable[[bytes], None] | None) -> None:
        pass

    def respond(self, data: bytes) -> None:
        self.answers.append(data)

    def take_posted(self) -> None:
        pass


class RecordingSession:
    """Echoes, unless its engine says otherwise; keeps what it was told."""

    def __init__(self, engine: "RecordingEngine", channel: ChannelPlan, peer: Peer) -> None:
        self.engine, self.channel, self.peer = engine, channel, peer
        self.connection_id = f"c{len(engine.sessions)}"
        self.limits = channel.limits
        self.user_id: str | None = None
        self.messages: list[bytes] = []
        self.calls: list[str] = []
        self.ends: list[tuple[int, str]] = []
        self.respond: Callable[[bytes], None] | None = None
        self.in_flight: trio.Event | None = None

    def redirect(self, to: Callable[[bytes], None] | None) -> None:
        self.respond = to

    def open(self, now: float) -> Awaitable[None] | None:
        self.calls.append("open")
        return self.engine.on_open(self)

    def receive(self, payload: bytes, now: float) -> Awaitable[None] | None:
        assert not self.ends, "a message after the end"
        assert not self.calls or self.calls[-1] != "closed"
        if self.engine.keeps_messages:
            self.messages.append(payload)
        return self.engine.on_message(self, payload)

    receive_again = receive

    def settled(self) -> Awaitable[None] | None:
        return None if self.in_flight is None else self.in_flight.wait()

    def too_large(self, now: float) -> None:
        self.calls.append("too_large")
        self.peer.send(b"TOO_LARGE")
        self.peer.close(1009, "message too large")

    def retire(self) -> None:
        self.calls.append("retire")
        self.peer.close(1012, "old")

    def closed(self, code: int, reason: str, now: float) -> Awaitable[None] | None:
        self.ends.append((code, reason))
        assert len(self.ends) == 1, "closed twice"
        return self.engine.on_closed(self)

    def echo(self, payload: bytes) -> None:
        (self.respond or self.peer.send)(payload)


OnMessage = Callable[[RecordingSession, bytes], Awaitable[None] | None]
OnEvent = Callable[[RecordingSession], Awaitable[None] | None]


@attrs.define(eq=False)
class RecordingEngine:
    on_message: OnMessage = lambda session, payload: session.echo(payload)
    on_open: OnEvent = lambda _session: None
    on_closed: OnEvent = lambda _session: None
    sessions: list[RecordingSession] = attrs.field(factory=list)
    requests: list[Request] = attrs.field(factory=list)
    keeps_messages: bool = True

    def connect(self, match: Match, request: Request, peer: Peer) -> RecordingSession:
        self.requests.append(request)
        self.sessions.append(RecordingSession(self, match.channel, peer))
        return self.sessions[-1]

    @property
    def session(self) -> RecordingSession:
        return self.sessions[-1]


class Client:
    """The other end of a connection, in raw bytes."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.data = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def fill(self) -> bool:
        """Read some; whether there is more to come. A reset is an end as well."""
        try:
            data = await self.stream.receive_some(65536)
        except trio.BrokenResourceError:
            return False
        self.data += bytes(data)
        return bool(data)

    async def head(self) -> bytes:
        while b"\r\n\r\n" not in self.data:
            assert await self.fill(), f"no answer but {self.data!r}"
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        return head

    async def frame(self) -> tuple[int, bytes] | None:
        """The next WebSocket frame as (first byte, payload), or None at the end."""
        while True:
            size, start = (self.data[1], 2) if len(self.data) > 1 else (0, 1 << 60)
            if size == 126:
                size, start = int.from_bytes(self.data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(self.data[2:10], "big"), 10
            if len(self.data) >= start + size:
                found = self.data[0], self.data[start : start + size]
                self.data = self.data[start + size :]
                return found
            if not await self.fill():
                return None

    async def text(self) -> bytes:
        found = await self.frame()
        assert found is not None, "the connection ended"
        assert found[0] == 0x81, found
        return found[1]

    async def close_code(self) -> int:
        """The code of the Close frame that must come next; 1005 without one."""
        found = await self.frame()
        assert found is not None, "the connection ended without a Close frame"
        assert found[0] == 0x88, found
        return int.from_bytes(found[1][:2], "big") if found[1] else 1005

    async def rest(self) -> bytes:
        while await self.fill():
            pass
        return self.data

    async def open(self, path: str = "/echo", *fields: str, glued: bytes = b"") -> "Client":
        await self.send(request_bytes(path, *fields) + glued)
        head = await self.head()
        assert head.startswith(b"HTTP/1.1 101"), head
        return self

    async def hang_up(self, *, reset: bool = False) -> None:
        if reset and isinstance(self.stream, trio.SocketStream):
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.stream.aclose()

    async def half_close(self) -> None:
        assert isinstance(self.stream, trio.abc.HalfCloseableStream)
        await self.stream.send_eof()


@attrs.define(eq=False)
class Served:
    """A running server over one driver."""

    engine: RecordingEngine
    admission: Admission
    server: SocketServer
    nursery: trio.Nursery
    driver: str
    port: int = 0
    clients: list[Client] = attrs.field(factory=list)
    trusting: ssl.SSLContext | None = None

    async def raw(self, *, bounded: bool = False) -> Client:
        """A client that has sent nothing yet. Bounded: what is not read fills some buffer in the end."""
        if self.driver == "memory":
            make_pair = (
                trio.testing.lockstep_stream_pair if bounded else trio.testing.memory_stream_pair
            )
            ours, theirs = make_pair()
            self.nursery.start_soon(self.server.serve_stream, theirs, "192.0.2.1")
            client = Client(ours)
        else:
            stream = await trio.open_tcp_stream("127.0.0.1", self.port)
            client = Client(stream if self.trusting is None else self._over_tls(stream))
        self.clients.append(client)
        return client

    def _over_tls(self, stream: trio.SocketStream) -> trio.abc.Stream:
        assert self.trusting is not None
        return trio.SSLStream(
            stream, self.trusting, server_hostname="localhost", https_compatible=True
        )

    async def client(self, *fields: str, glued: bytes = b"", bounded: bool = False) -> Client:
        """A client whose handshake was accepted."""
        return await (await self.raw(bounded=bounded)).open("/echo", *fields, glued=glued)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let everything run until this holds."""
        while not holds():
            await trio.lowlevel.checkpoint()


@contextlib.asynccontextmanager
async def serving(
    driver: str = "lane",
    engine: RecordingEngine | None = None,
    plan_of_now: Plan | None = None,
    *,
    linger: float = 0.2,
    transports: Sequence[Transport] = TRANSPORTS,
    patience: float = 100,
) -> AsyncIterator[Served]:
    engine = engine or RecordingEngine()
    the_plan = plan_of_now or plan()
    runtime = TrioRuntime()
    admission = Admission(
        engine=engine,
        plan_source=lambda: the_plan,
        runtime=runtime,
        fanout=Fanout(),
        linger=linger,
        transports=transports,
    )
    with trio.fail_after(patience):
        async with trio.open_nursery() as nursery:
            await nursery.start(runtime.run)
            server = SocketServer(admission, use_lane=driver in ("lane", "tls"))
            tls, trusting = tls_contexts() if driver == "tls" else (None, None)
            sockets = [] if driver == "memory" else bind(["127.0.0.1:0"])
            port = sockets[0].getsockname()[1] if sockets else 0
            await nursery.start(server.serve, sockets, tls)
            served = Served(engine, admission, server, nursery, driver, port, trusting=trusting)
            yield served
            nursery.cancel_scope.cancel()
        for client in served.clients:
            await trio.aclose_forcefully(client.stream)


def small(**changes: Any) -> Limits:
    """A server's limits with changes."""
    return Limits(**changes)


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and 127.0.0.1 that it signs itself, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path


def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context, and a client's that trusts it."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = write_certificate(Path(folder))
        server = tls_context(Tls(certificate=str(certificate), key=str(key)))
        return server, ssl.create_default_context(cafile=str(certificate))


async def gone(served: Served) -> None:
    """Everything of the last connection has been dropped, and its session was told once."""
    await served.until(lambda: served.admission.sockets == 0)
    await served.until(lambda: all(session.ends for session in served.engine.sessions))
    assert served.admission.open == 0
    assert served.admission.addresses == {}


async def echoes(client: Client) -> bool:
    await client.send(frame(b"alive?"))
    return await client.text() == b"alive?"


async def pass_time(clock: trio.testing.MockClock, seconds: float) -> None:
    """Let virtual time pass, second by second, and everything run that it wakes."""
    for _ in range(int(seconds)):
        clock.jump(1)
        for _ in range(30):
            await trio.lowlevel.checkpoint()
