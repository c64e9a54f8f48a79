"""The stream driver: TLS, odd streams, and writers that wait for nobody."""

import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from channeld.config.model import Server
from channeld.server.admission import Admission
from channeld.server.listener import Server as SocketServer
from channeld.server.outbox import Fanout
from channeld.server.runtime import TrioRuntime
from channeld.server.sockets import bind
from tests.server.kit import (
    Client,
    RecordingEngine,
    close_frame,
    frame,
    plan,
    request_bytes,
    serving,
    small,
    tls_contexts,
)


@attrs.define(eq=False)
class Tls:
    """A running server that speaks TLS."""

    port: int
    trusting: ssl.SSLContext
    admission: Admission
    engine: RecordingEngine
    streams: list[trio.abc.Stream] = attrs.field(factory=list)

    async def plain(self) -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.streams.append(stream)
        return stream

    async def raw(self) -> Client:
        stream = trio.SSLStream(
            await self.plain(), self.trusting, server_hostname="localhost", https_compatible=True
        )
        return Client(stream)

    async def client(self, *fields: str, glued: bytes = b"") -> Client:
        return await (await self.raw()).open("/echo", *fields, glued=glued)

    async def until_empty(self) -> None:
        with trio.fail_after(60):
            await self.admission.wait_empty()


@pytest.fixture(params=[60.0])
async def tls(request: pytest.FixtureRequest) -> AsyncIterator[Tls]:
    """A server; its param is the time that a handshake may take."""
    the_plan = plan(Server(limits=small(handshake_timeout=request.param)), outbox=100_000)
    engine, runtime = RecordingEngine(), TrioRuntime()
    admission = Admission(
        engine=engine,
        plan_source=lambda: the_plan,
        runtime=runtime,
        fanout=Fanout(),
        linger=0.2,
    )
    context, trusting = tls_contexts()
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        sockets = bind(["127.0.0.1:0"])
        port = sockets[0].getsockname()[1]
        await nursery.start(SocketServer(admission).serve, sockets, context)
        served = Tls(port, trusting, admission, engine)
        yield served
        nursery.cancel_scope.cancel()
    for stream in served.streams:
        await trio.aclose_forcefully(stream)


async def test_tls_is_served(tls: Tls) -> None:
    client = await tls.client(glued=frame(b"a") + frame(b"fr", 0x01) + frame(b"ag", 0x80))
    assert [await client.text(), await client.text()] == [b"a", b"frag"]
    await client.send(close_frame(1000))
    assert await client.close_code() == 1000
    assert await client.frame() is None
    await tls.until_empty()
    assert tls.engine.session.ends == [(1000, "")]


async def test_the_scheme_of_tls_is_https(tls: Tls) -> None:
    await tls.client("Origin: https://localhost")
    other = await tls.raw()
    await other.send(request_bytes("/echo", "Origin: http://localhost"))
    assert (await other.head()).startswith(b"HTTP/1.1 403")


async def test_a_violation_over_tls_is_answered_and_ended(tls: Tls) -> None:
    client = await tls.client(glued=frame(b"a") + frame(b"x", 0x83))
    assert await client.text() == b"a"
    assert await client.close_code() == 1002
    assert await client.frame() is None
    await tls.until_empty()


async def test_a_large_message_over_tls(tls: Tls) -> None:
    client = await tls.client()
    await client.send(frame(b"x" * 65536))
    assert await client.text() == b"x" * 65536


async def test_a_slow_consumer_over_tls_is_closed(tls: Tls) -> None:
    client = await tls.client()
    while not tls.engine.session.ends:
        tls.engine.session.echo(bytes(50_000))
        await trio.lowlevel.checkpoint()
    assert tls.engine.session.ends == [(4508, "too slow")]
    await tls.until_empty()
    await client.hang_up()


async def test_plain_bytes_on_a_tls_port_end_that_connection(tls: Tls) -> None:
    client = Client(await tls.plain())
    await client.send(request_bytes())
    await client.rest()
    await tls.until_empty()
    assert await (await tls.client(glued=frame(b"alive"))).text() == b"alive"


@pytest.mark.parametrize("tls", [0.1], indirect=True)
async def test_a_tls_handshake_that_never_comes_is_cut(tls: Tls) -> None:
    client = Client(await tls.plain())
    assert await client.rest() == b""
    await tls.until_empty()
    assert tls.admission.counters.handshake_timeouts == 1


async def test_a_client_that_resets_in_the_tls_handshake(tls: Tls) -> None:
    stream = await tls.plain()
    await stream.send_all(b"\x16\x03\x01")
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await stream.aclose()
    while tls.admission.sockets:
        await trio.lowlevel.checkpoint()


class Odd(trio.abc.Stream):
    """A stream that raises what it is told to."""

    def __init__(self, reading: Exception | None = None, writing: Exception | None = None) -> None:
        self.reading, self.writing = reading, writing
        self.incoming = [request_bytes() + frame(b"a")]
        self.closed = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.incoming:
            return self.incoming.pop()
        if self.reading is not None:
            raise self.reading
        await trio.sleep_forever()
        raise AssertionError

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if self.writing is not None:
            raise self.writing

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("error", [RuntimeError(), trio.BrokenResourceError(), ssl.SSLError()])
@pytest.mark.parametrize("side", ["reading", "writing"])
async def test_a_stream_that_raises_ends_one_connection(side: str, error: Exception) -> None:
    async with serving("memory") as served:
        stream = Odd(reading=error) if side == "reading" else Odd(writing=error)
        await served.server.serve_stream(stream)
        assert stream.closed
        await served.until(lambda: bool(served.engine.session.ends))
        assert served.engine.session.ends == [(1006, "")]
        assert served.admission.sockets == 0


class Stubborn(Odd):
    """A stream whose closing never ends."""

    async def aclose(self) -> None:
        self.closed = True
        await trio.sleep_forever()


async def test_a_stream_that_does_not_close_is_left() -> None:
    async with serving("memory") as served:
        stream = Stubborn()
        stream.incoming = [request_bytes() + close_frame(1000)]
        await served.server.serve_stream(stream)
        assert stream.closed


class Failing(Odd):
    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()
        raise RuntimeError("somebody else's bug")


async def test_a_stream_that_fails_to_close_is_left() -> None:
    async with serving("memory") as served:
        stream = Failing()
        stream.incoming = [request_bytes() + close_frame(1000)]
        await served.server.serve_stream(stream)
        assert stream.closed


async def test_a_peer_that_takes_nothing_holds_up_nobody_not_even_its_own_messages() -> None:
    async with serving("memory") as served:
        ours, theirs = trio.testing.lockstep_stream_pair()
        served.nursery.start_soon(served.server.serve_stream, theirs)
        stuck = Client(ours)
        await stuck.open()
        await stuck.send(frame(b"1"))
        await stuck.send(frame(b"2"))
        other = await served.client(glued=frame(b"a"))
        assert await other.text() == b"a"
        await served.until(lambda: served.engine.sessions[0].messages == [b"1", b"2"])


async def test_more_streams_than_may_be_open_are_closed_unheard() -> None:
    async with serving("memory", None, plan(Server(limits=small(connections=1)))) as served:
        served.server._most = 1
        await served.client()
        assert await (await served.raw()).rest() == b""


async def test_a_certificate_is_read_from_the_plans_files(tmp_path: Path) -> None:
    from channeld.config.model import Tls as DeclaredTls
    from tests.server.kit import write_certificate

    certificate, key = write_certificate(tmp_path)
    declared = DeclaredTls(certificate=str(certificate), key=str(key))
    the_plan = plan(Server(bind=("127.0.0.1:0",), tls=declared))
    runtime = TrioRuntime()
    admission = Admission(
        engine=RecordingEngine(), plan_source=lambda: the_plan, runtime=runtime, fanout=Fanout()
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        (name,) = await nursery.start(SocketServer(admission).serve)
        stream = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", int(name.rpartition(":")[2])),
            ssl.create_default_context(cafile=str(certificate)),
            server_hostname="localhost",
            https_compatible=True,
        )
        client = await Client(stream).open(glued=frame(b"a"))
        assert await client.text() == b"a"
        await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()
