"""TLS in the lane: whole conversations with a client of trio's, and what OpenSSL says by itself."""

import contextlib
import shutil
import socket
import ssl
import subprocess

import pytest
import trio
import trio.testing

from channeld.server.drivers.lane import Lane
from channeld.server.drivers.tls import TlsBuffers, TlsSocket
from tests.server.kit import (
    Client,
    RecordingEngine,
    RecordingSession,
    close_frame,
    frame,
    plan,
    request_bytes,
    serving,
    tls_contexts,
)


class Pair:
    """A TLS socket of ours, and a client that is driven by hand over the same socket pair."""

    def __init__(self, buffers: TlsBuffers | None = None) -> None:
        server, client = tls_contexts()
        near, far = socket.socketpair()
        for sock in (near, far):
            sock.setblocking(False)
        self.near, self.far, self.wanted = near, far, 0
        self.tls = TlsSocket(far, server, buffers or TlsBuffers(), self)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def want_write(self) -> None:
        self.wanted += 1

    def pump(self) -> None:
        if self.outgoing.pending:
            self.near.send(self.outgoing.read())
        try:
            while data := self.near.recv(1 << 20):
                self.incoming.write(data)
        except BlockingIOError:
            return

    def shake(self) -> "Pair":
        for _ in range(6):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            self.pump()
            self.receive()
        return self

    def receive(self) -> bytes:
        try:
            return self.tls.recv(1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
def pair() -> object:
    made = Pair()
    yield made
    made.close()


def test_what_is_sent_arrives_both_ways(pair: Pair) -> None:
    pair.shake()
    pair.client.write(b"hello")
    pair.pump()
    assert pair.receive() == b"hello"
    assert pair.tls.send(b"a" * 100) == 100
    pair.pump()
    assert pair.client.read(1000) == b"a" * 100


def test_nothing_yet_is_no_end(pair: Pair) -> None:
    pair.shake()
    with pytest.raises(BlockingIOError):
        pair.tls.recv(1000)
    pair.client.write(b"x" * 100)
    record = pair.outgoing.read()
    pair.near.send(record[:7])
    with pytest.raises(BlockingIOError):
        pair.tls.recv(1000)
    pair.near.send(record[7:])
    assert pair.receive() == b"x" * 100


def test_connections_share_buffers_and_nothing_of_each_other() -> None:
    buffers = TlsBuffers()
    pairs = [Pair(buffers) for _ in range(3)]
    for _ in range(6):
        # In turn, and in halves, so that each has part of a flight or of a record when the next one has its turn.
        for pair in pairs:
            with contextlib.suppress(ssl.SSLWantReadError):
                pair.client.do_handshake()
            flight = pair.outgoing.read()
            for half in (flight[: len(flight) // 2], flight[len(flight) // 2 :]):
                if half:
                    pair.near.send(half)
                    pair.receive()
                    assert (buffers.incoming.pending, buffers.outgoing.pending) == (0, 0)
        for pair in pairs:
            pair.pump()
    records = []
    for number, pair in enumerate(pairs):
        pair.client.write(b"from %d" % number)
        records.append(pair.outgoing.read())
        pair.near.send(records[number][:9])
        assert pair.receive() == b""
    for number, pair in enumerate(pairs):
        assert pair.tls.send(b"to %d" % number) == 4
        pair.near.send(records[number][9:])
        assert pair.receive() == b"from %d" % number
        pair.pump()
        assert pair.client.read(100) == b"to %d" % number
        pair.close()


def test_what_breaks_one_connection_leaves_nothing_to_the_next() -> None:
    buffers = TlsBuffers()
    broken, other = Pair(buffers).shake(), Pair(buffers).shake()
    broken.client.write(b"x")
    broken.near.send(b"\x17\x03\x03\x00\x20" + bytes(32) + broken.outgoing.read())
    with pytest.raises(ssl.SSLError):
        broken.tls.recv(1000)
    assert (buffers.incoming.pending, buffers.outgoing.pending) == (0, 0)
    other.client.write(b"good")
    other.pump()
    assert other.receive() == b"good"
    broken.tls.shut()
    assert buffers.outgoing.pending == 0
    for pair in (broken, other):
        pair.close()


def test_several_records_in_one_read_are_all_given(pair: Pair) -> None:
    pair.shake()
    for number in range(50):
        pair.client.write(b"%02d" % number)
    pair.pump()
    assert pair.receive() == b"".join(b"%02d" % number for number in range(50))


def test_what_the_kernel_does_not_take_is_kept_in_order(pair: Pair) -> None:
    pair.shake()
    data = b"".join(b"%08d" % number for number in range(1 << 18))
    taken = pair.tls.send(data)
    assert 0 < taken < len(data)
    assert pair.tls.unsent
    assert pair.wanted > 0
    got = b""
    while len(got) < len(data):
        pair.pump()
        pair.tls.flush()
        if taken < len(data) and not pair.tls.unsent:
            taken += pair.tls.send(data[taken:])
        while pair.incoming.pending or pair.client.pending():
            try:
                got += pair.client.read(1 << 16)
            except ssl.SSLWantReadError:
                break
    assert got == data


def test_while_something_is_kept_nothing_more_is_taken(pair: Pair) -> None:
    pair.shake()
    pair.tls.send(bytes(1 << 22))
    with pytest.raises(BlockingIOError):
        pair.tls.send(b"more")


@pytest.mark.parametrize("announced", [True, False])
def test_the_end_is_seen_with_what_came_before_it(pair: Pair, announced: bool) -> None:
    pair.shake()
    pair.client.write(b"last")
    if announced:
        with pytest.raises(ssl.SSLWantReadError):
            pair.client.unwrap()
        pair.pump()
        assert pair.receive() == b"last"
        assert pair.tls.ended
    else:
        pair.pump()
        pair.near.shutdown(socket.SHUT_WR)
        assert pair.receive() == b"last"
    assert pair.tls.recv(1000) == b""
    assert pair.tls.recv(1000) == b""


def test_what_is_not_tls_is_refused_with_an_alert(pair: Pair) -> None:
    pair.near.send(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ssl.SSLError):
        pair.tls.recv(1000)


def test_nothing_is_said_before_the_handshake(pair: Pair) -> None:
    with pytest.raises(ConnectionError):
        pair.tls.send(b"x")
    pair.tls.shut()


def test_the_end_is_announced(pair: Pair) -> None:
    pair.shake()
    pair.tls.send(b"bye")
    pair.tls.shut()
    pair.pump()
    assert pair.client.read(100) == b"bye"
    assert pair.client.read(100) == b""


# ---- in the lane


async def test_a_conversation() -> None:
    async with serving("tls") as served:
        client = await served.client(glued=frame(b"glued"))
        assert await client.text() == b"glued"
        for size in (0, 1, 125, 16384, 60000):
            await client.send(frame(b"x" * size))
            assert await client.text() == b"x" * size
        await client.send(close_frame(1000))
        assert await client.close_code() == 1000
        assert await client.frame() is None
        await served.until(lambda: served.admission.sockets == 0)
        assert served.engine.session.ends == [(1000, "")]


async def test_it_is_in_the_lane_and_secure() -> None:
    async with serving("tls") as served:
        await served.client("Origin: https://localhost")
        assert isinstance(served.server._lane, Lane)
        assert len(served.server._lane.connections) == 1


async def test_a_refusal_is_read_to_its_end() -> None:
    async with serving("tls") as served:
        client = await served.raw()
        await client.send(request_bytes("/nowhere"))
        assert (await client.head()).startswith(b"HTTP/1.1 404")
        assert (await client.rest()).endswith(b"}")


async def test_a_large_answer_and_the_close_behind_it_arrive_whole() -> None:
    def answer(session: RecordingSession, _payload: bytes) -> None:
        session.echo(bytes(8_000_000))
        session.peer.close(4410, "out")

    async with serving(
        "tls", RecordingEngine(on_message=answer), plan(outbox=1 << 25), linger=20
    ) as served:
        client = await served.client(glued=frame(b"go"))
        found = await client.frame()
        assert found is not None
        assert len(found[1]) == 8_000_000
        assert await client.close_code() == 4410
        await client.send(close_frame(4410))
        assert await client.frame() is None


async def test_the_last_words_leave_though_the_client_is_slow_to_read_them() -> None:
    engine = RecordingEngine(on_message=lambda session, _payload: session.echo(bytes(3_000_000)))
    async with serving("tls", engine, plan(outbox=1 << 25), linger=20) as served:
        client = await served.client(glued=frame(b"go") + close_frame(1000))
        await served.until(lambda: bool(engine.sessions) and bool(engine.session.ends))
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        found = await client.frame()
        assert found is not None
        assert len(found[1]) == 3_000_000
        assert await client.close_code() == 1000


async def test_a_slow_consumer_gets_whole_frames_and_the_reason() -> None:
    def flood(session: RecordingSession, _payload: bytes) -> None:
        for _ in range(200):
            session.echo(bytes(100_000))

    engine = RecordingEngine(on_message=flood)
    async with serving("tls", engine, plan(outbox=200_000), linger=20) as served:
        client = await served.client(glued=frame(b"go"))
        await served.until(lambda: bool(engine.sessions) and bool(engine.session.ends))
        found = await client.frame()
        while found is not None and found[0] == 0x81:
            assert len(found[1]) == 100_000
            found = await client.frame()
        assert found == (0x88, (4508).to_bytes(2, "big") + b"too slow")


async def test_who_speaks_no_tls_is_dropped_and_the_others_are_served() -> None:
    async with serving("tls") as served:
        other = await served.client()
        async with await trio.open_tcp_stream("127.0.0.1", served.port) as stream:
            await stream.send_all(request_bytes())
            await Client(stream).rest()
        await served.until(lambda: served.admission.sockets == 1)
        await other.send(frame(b"still"))
        assert await other.text() == b"still"


async def test_a_client_that_vanishes_is_forgotten() -> None:
    async with serving("tls") as served:
        client = await served.client()
        assert isinstance(client.stream, trio.SSLStream)
        await trio.aclose_forcefully(client.stream.transport_stream)
        await served.until(lambda: served.admission.sockets == 0)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
async def test_keys_may_be_updated() -> None:
    async with serving("tls") as served:
        process = await trio.lowlevel.open_process(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", "-tls1_3"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        client = Client(trio.StapledStream(process.stdin, process.stdout))
        # `K` on a line of its own asks for new keys of both sides.
        for line, answer in (
            (b"", b"Verify return code"),
            (b"K\n", b"KEYUPDATE"),
            (b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 404"),
        ):
            if line:
                await client.send(line)
            while answer not in client.data:
                assert await client.fill(), client.data
        process.terminate()
        await process.wait()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
async def test_keys_may_not_be_updated_without_end() -> None:
    async with serving("tls") as served:
        process = await trio.lowlevel.open_process(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", "-tls1_3"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        client = Client(trio.StapledStream(process.stdin, process.stdout))
        updates = 0
        with contextlib.suppress(trio.BrokenResourceError):
            while served.admission.sockets or not updates:
                await client.send(b"k\n")
                updates += 1
                while client.data.count(b"KEYUPDATE") < updates and await client.fill():
                    pass
        await process.wait()
        # What is between the command and the server's end of the connection is not counted exactly.
        assert 128 < updates < 140
        await served.until(lambda: served.admission.sockets == 0)


@pytest.mark.parametrize("size", [1, 27, 2047, 2048, 4099, 65536])
def test_small_records_are_not_taken_for_ones_without_data(pair: Pair, size: int) -> None:
    pair.shake()
    for number in range(3000):
        pair.client.write(b"%06d" % number)
    wire = pair.outgoing.read()
    got = b""
    for start in range(0, len(wire), size):
        pair.near.send(wire[start : start + size])
        with contextlib.suppress(BlockingIOError):
            got += pair.tls.recv(65536)
    assert got == b"".join(b"%06d" % number for number in range(3000))
