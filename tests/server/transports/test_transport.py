"""The seam: a second transport, frames as lines over a socket, is one small class and one row, over every driver."""

from collections.abc import Awaitable

import attrs
import pytest

from channeld.hub.fanout import Recipient
from channeld.protocol.reader import Closing, FrameReader, Receives, Responds, Stop
from channeld.server.exchange import Refuse, RequestHead, refuse
from channeld.server.transports import TRANSPORTS
from channeld.server.transports.transport import Terms, Transport, Wire
from tests.server.kit import (
    DRIVERS,
    Client,
    RecordingEngine,
    RecordingSession,
    Served,
    frame,
    plan,
    serving,
)

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"


class LineReader:
    """A line is a message; an empty line is a sign of life, a line `bye` the client's close."""

    def __init__(self, receiver: Receives, largest: int, rest: bytes) -> None:
        self.receiver, self.largest, self.rest = receiver, largest, rest
        self.open = True
        self.pending: Awaitable[None] | None = None
        self.close: Closing | None = None

    def feed(self, data: bytes, now: float, budget: int) -> Stop:
        self.rest += data
        for _ in range(budget):
            line, end, rest = self.rest.partition(b"\n")
            if len(line) > self.largest:
                return Stop.TOO_LARGE
            if not end:
                return Stop.MORE
            self.rest = rest
            if line == b"bye":
                self.close = Closing(1000, "")
                return Stop.CLOSE
            if not line or not self.open:
                continue
            if not line.isascii():
                self.close = Closing(1007, "ASCII only")
                return Stop.VIOLATION
            self.pending = self.receiver.receive(line, now)
            if self.pending is not None:
                return Stop.PENDING
        return Stop.BUDGET


@attrs.frozen
class LinesAgreed:
    response: bytes = ANSWER
    since: str | None = None

    def open(self, receiver: Receives, responder: Responds, largest: int, rest: bytes) -> Wire:
        return Wire(LineReader(receiver, largest, rest), Lines().encode)


@attrs.frozen
class Lines:
    name: str = "lines"
    ping: bytes = b"\n"
    is_answered: bool = True

    def is_asked(self, head: RequestHead) -> bool:
        return head.fields.get("accept") == "application/x-ndjson"

    def judge(self, head: RequestHead) -> Refuse | None:
        return None if head.method == "GET" else refuse(405, "GET only", "Allow: GET")

    def accept(self, head: RequestHead, terms: Terms) -> LinesAgreed:
        return LinesAgreed()

    def encode(self, frame: bytes) -> bytes:
        return frame + b"\n"

    def close(self, code: int, reason: str) -> bytes:
        return b"bye %d %b\n" % (code, reason.encode())

    def succeed(self, reader: FrameReader) -> FrameReader:
        return reader

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        return start if offset == start else data.index(b"\n", offset - 1) + 1


BOTH: tuple[Transport, ...] = (*TRANSPORTS, Lines())


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def lines_client(served: Served, glued: bytes = b"", method: bytes = b"GET") -> Client:
    client = await served.raw(bounded=True)
    fields = b"Host: x\r\nAccept: application/x-ndjson\r\n\r\n"
    await client.send(method + b" /echo HTTP/1.1\r\n" + fields + glued)
    return client


async def line(client: Client) -> bytes:
    while b"\n" not in client.data:
        assert await client.fill(), f"the end came after {client.data!r}"
    found, _, client.data = client.data.partition(b"\n")
    return found


async def test_lines_are_messages(driver: str) -> None:
    async with serving(driver, transports=BOTH) as served:
        client = await lines_client(served, b"one\ntwo\nth")
        assert (await client.head()).startswith(b"HTTP/1.1 200 OK")
        await client.send(b"ree\nbye\n")
        assert [await line(client) for _ in range(4)] == [b"one", b"two", b"three", b"bye 1000 "]
        assert await client.rest() == b""
        assert served.engine.session.ends == [(1000, "")]


async def test_its_own_judgement_is_asked(driver: str) -> None:
    async with serving(driver, transports=BOTH) as served:
        client = await lines_client(served, method=b"POST")
        assert (await client.head()).startswith(b"HTTP/1.1 405 ")


async def test_a_line_over_the_limit_is_too_large(driver: str) -> None:
    async with serving(driver, None, plan(message_size=10), transports=BOTH) as served:
        client = await lines_client(served, b"x" * 11)
        await client.head()
        assert await line(client) == b"TOO_LARGE"
        assert await line(client) == b"bye 1009 message too large"


async def test_a_violation_is_answered_in_its_own_words(driver: str) -> None:
    async with serving(driver, transports=BOTH) as served:
        client = await lines_client(served, b"\xff\n")
        await client.head()
        assert await client.rest() == b"bye 1007 ASCII only\n"


async def test_a_room_reaches_each_member_in_its_transports_framing(driver: str) -> None:
    def publish(session: RecordingSession, payload: bytes) -> None:
        room: dict[Recipient, None] = {one.peer: None for one in engine.sessions}
        served.admission.fanout.publish(room, payload)
        session.echo(b"ack " + payload)

    engine = RecordingEngine(on_message=publish)
    async with serving(driver, engine, transports=BOTH) as served:
        socket, lines = await served.client(), await lines_client(served)
        await lines.head()
        await served.until(lambda: len(engine.sessions) == 2)
        await socket.send(frame(b"1"))
        assert [await socket.text() for _ in range(2)] == [b"1", b"ack 1"]
        await lines.send(b"2\n")
        assert [await line(lines) for _ in range(3)] == [b"1", b"2", b"ack 2"]
        assert await socket.text() == b"2"


async def test_the_server_closes_and_awaits_the_clients_word(driver: str) -> None:
    engine = RecordingEngine(on_message=lambda session, _payload: session.peer.close(4410, "out"))
    async with serving(driver, engine, transports=BOTH, linger=1000) as served:
        client = await lines_client(served, b"a\nb\n")
        await client.head()
        assert await line(client) == b"bye 4410 out"
        await client.send(b"c\nbye\n")
        assert await client.rest() == b""
        assert engine.session.messages == [b"a"]
        assert engine.session.ends == [(4410, "out")]


async def test_a_slow_consumer_gets_whole_lines_and_the_reason(driver: str) -> None:
    def flood(session: RecordingSession, _payload: bytes) -> None:
        for number in range(200):
            session.echo(b"%d" % number * 100_000)

    engine = RecordingEngine(on_message=flood)
    async with serving(driver, engine, plan(outbox=50_000), transports=BOTH) as served:
        client = await lines_client(served, b"go\n")
        await served.until(lambda: bool(engine.sessions) and bool(engine.session.ends))
        await client.head()
        lines = (await client.rest()).split(b"\n")
        assert lines[-2:] == [b"bye 4508 too slow", b""]
        assert all(len(one) % 100_000 == 0 for one in lines[:-2])
