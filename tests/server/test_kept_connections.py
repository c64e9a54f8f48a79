"""Calls over one connection: it is kept between them, within bounds, and nothing can be smuggled into it."""

import contextlib
from collections.abc import AsyncIterator

import attrs
import pytest
import trio
import trio.testing

from channeld.server.exchange import answer
from channeld.server.handshake import Condition
from channeld.server.ports import StreamClient
from channeld.server.transports import call as calls
from channeld.server.transports.call import KEPT_S, Call
from channeld.server.transports.transport import Respond
from tests.server.kit import DRIVERS, Client, RecordingEngine, Served, request_bytes, serving

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


@attrs.define
class Echo:
    """Answers every call with its body."""

    streams: dict[str, StreamClient] = attrs.field(factory=dict)
    bodies: list[bytes] = attrs.field(factory=list)
    may_answer: trio.Event | None = None

    async def answer(self, call: Call, body: bytes, respond: Respond) -> None:
        self.bodies.append(body)
        if self.may_answer is not None:
            await self.may_answer.wait()
        respond(answer(200, body, "text/plain", *call.agreement.fields))


@contextlib.asynccontextmanager
async def echoing(driver: str, patience: float = 20) -> AsyncIterator[tuple[Served, Echo]]:
    async with serving(driver, RecordingEngine(), patience=patience) as served:
        served.admission.answerer = echo = Echo()
        yield served, echo


def post(body: bytes, *fields: str, version: str = "1.1", length: int | str | None = None) -> bytes:
    lines = [f"POST /echo HTTP/{version}", "Host: x", "Content-Type: application/json"]
    lines += ["Channeld-Connection: s", *fields]
    lines += [f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode() + body


async def answered(client: Client) -> tuple[bytes, bytes]:
    """The next answer's head and body."""
    head = await client.head()
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(client.data) < length:
        assert await client.fill()
    body, client.data = client.data[:length], client.data[length:]
    return head, body


async def test_one_connection_carries_many_calls(driver: str) -> None:
    async with echoing(driver) as (served, _):
        client = await served.raw()
        for number in range(5):
            await client.send(post(b"%d" % number))
            head, body = await answered(client)
            assert head.startswith(b"HTTP/1.1 200")
            assert b"\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75" in head
            assert body == b"%d" % number
        await served.until(lambda: served.admission.calls == 0)
        assert (served.admission.sockets, served.admission.callers) == (1, {})


async def test_requests_ahead_of_their_time_are_answered_in_order(driver: str) -> None:
    async with echoing(driver) as (served, _):
        client = await served.raw()
        await client.send(post(b"1") + post(b"22") + post(b"333")[:-2])
        assert [(await answered(client))[1] for _ in range(2)] == [b"1", b"22"]
        await client.send(b"33")
        assert (await answered(client))[1] == b"333"


async def test_one_call_at_a_time(driver: str) -> None:
    async with echoing(driver) as (served, echo):
        echo.may_answer = trio.Event()
        client = await served.raw()
        await client.send(post(b"1") + post(b"2"))
        await served.until(lambda: bool(echo.bodies))
        await trio.testing.wait_all_tasks_blocked()
        assert echo.bodies == [b"1"]
        echo.may_answer.set()
        assert [(await answered(client))[1] for _ in range(2)] == [b"1", b"2"]


async def test_every_cut_is_answered_the_same(driver: str) -> None:
    whole = post(b"one") + post(b"two")
    async with echoing(driver) as (served, _):
        for cut in range(1, len(whole), 5):
            client = await served.raw()
            await client.send(whole[:cut])
            await trio.testing.wait_all_tasks_blocked()
            await client.send(whole[cut:])
            assert [(await answered(client))[1] for _ in range(2)] == [b"one", b"two"]
            await client.hang_up()


async def test_a_client_that_wants_it_closed_has_it_closed(driver: str) -> None:
    async with echoing(driver) as (served, echo):
        client = await served.raw()
        await client.send(post(b"1", "Connection: x, Close") + post(b"2"))
        head, _, rest = (await client.rest()).partition(b"\r\n\r\n")
        assert b"\r\nConnection: close" in head
        assert b"Keep-Alive" not in head
        assert (rest, echo.bodies) == (b"1", [b"1"])


async def test_a_connection_carries_a_bounded_number_of_calls(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "MOST_CALLS", 3)
    async with echoing(driver) as (served, echo):
        client = await served.raw()
        await client.send(post(b"1") + post(b"2") + post(b"3") + post(b"4"))
        heads = [(await answered(client))[0] for _ in range(3)]
        assert [b"Connection: close" in head for head in heads] == [False, False, True]
        assert await client.rest() == b""
        assert echo.bodies == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        # RFC 9112 section 6.3: what could be read as two bodies by two readers is read by nobody.
        (post(b"x", "Transfer-Encoding: chunked"), 411),
        (post(b"0\r\n\r\n", "Transfer-Encoding: identity, chunked"), 400),
        (post(b"x", "Content-Length: 2"), 400),
        (post(b"x", length="1, 2"), 400),
        (post(b"x", length="+1"), 400),
        (post(b"x", length="0x1"), 400),
        (post(b"x", length="-1"), 400),
        (post(b"x", version="1.0"), 400),
        (post(b"x", version="1.0").replace(b"Host: x", b"Connection: keep-alive"), 400),
        (post(b"x").replace(b"Content-Type:", b"Content-Type :"), 400),
        (post(b"x").replace(b"Host: x", b" folded"), 400),
        (post(b"x").replace(b"Content-Length: ", b"Content-Length:\r\n "), 400),
        (
            post(b"x").replace(
                b"Content-Type: ", b"X: y\r\n\tTransfer-Encoding: chunked\r\nContent-Type: "
            ),
            400,
        ),
        (post(b"x").replace(b"Content-Type: ", b"X: y\nContent-Type: "), 400),
        (post(b"x", "Content-Length: 1"), 400),
        (post(b"x", "content-length: 1"), 400),
        (post(b"x", length="1, 1"), 400),
        (b"OPTIONS /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /", 400),
        (b"GARBAGE\r\n\r\n", 400),
        (b"x" * 20_000, 431),
    ],
)
async def test_what_two_readers_could_read_differently_ends_it(
    driver: str, wrong: bytes, status: int
) -> None:
    async with echoing(driver) as (served, echo):
        client = await served.raw()
        await client.send(post(b"1"))
        await answered(client)
        await client.send(wrong + post(b"smuggled"))
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 %d" % status), head
        assert b"\r\nConnection: close" in head
        await client.rest()
        assert b"HTTP/1.1 " not in client.data.partition(b"}")[2]
        assert echo.bodies == [b"1"]


async def test_a_body_is_no_request(driver: str) -> None:
    inner = post(b"inner")
    async with echoing(driver) as (served, echo):
        client = await served.raw()
        await client.send(post(inner) + post(b"2"))
        assert [(await answered(client))[1] for _ in range(2)] == [inner, b"2"]
        assert echo.bodies == [inner, b"2"]


async def test_a_socket_may_follow_a_call(driver: str) -> None:
    async with echoing(driver) as (served, _):
        client = await served.raw()
        await client.send(post(b"1") + request_bytes())
        await answered(client)
        assert (await client.head()).startswith(b"HTTP/1.1 101")
        assert served.admission.open == 1


async def test_the_address_of_each_request_is_its_own(driver: str) -> None:
    async with echoing(driver) as (served, echo):
        echo.may_answer = trio.Event()
        client = await served.raw()
        await client.send(post(b"1"))
        await served.until(lambda: served.admission.calls == 1)
        (address,) = served.admission.callers
        echo.may_answer.set()
        await answered(client)
        echo.may_answer = trio.Event()
        await client.send(post(b"2"))
        await served.until(lambda: served.admission.calls == 1)
        assert served.admission.callers == {address: 1}


async def pass_time(clock: trio.testing.MockClock, seconds: float) -> None:
    for _ in range(round(seconds)):
        clock.jump(1)
        for _ in range(30):
            await trio.lowlevel.checkpoint()


async def test_an_idle_connection_ends_in_silence(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    async with echoing(driver, patience=1000) as (served, _):
        client = await served.raw()
        await client.send(post(b"1"))
        await answered(client)
        await pass_time(mock_clock, KEPT_S - 2)
        assert served.admission.sockets == 1
        await pass_time(mock_clock, 4)
        assert await client.rest() == b""
        assert served.admission.counters.handshake_timeouts == 0


@pytest.mark.parametrize("begun", [post(b"1")[:20], post(b"12345")[:-2], b"\r\n"])
async def test_a_slow_request_has_the_time_of_a_handshake(
    driver: str, begun: bytes, mock_clock: trio.testing.MockClock
) -> None:
    async with echoing(driver, patience=1000) as (served, _):
        client = await served.raw()
        await client.send(post(b"1"))
        await answered(client)
        await client.send(begun)
        await pass_time(mock_clock, 8)
        assert served.admission.sockets == 1
        await pass_time(mock_clock, 4)
        assert await client.rest() == b""
        await served.until(lambda: served.admission.sockets == 0)
        assert served.admission.calls == 0


async def test_idle_connections_end_when_the_server_drains(driver: str) -> None:
    async with echoing(driver) as (served, echo):
        idle, busy = await served.raw(), await served.raw()
        await idle.send(post(b"1"))
        await answered(idle)
        echo.may_answer = trio.Event()
        await busy.send(post(b"2"))
        await served.until(lambda: len(echo.bodies) == 2)
        served.admission.condition = lambda: Condition(is_draining=True)
        served.nursery.start_soon(served.server.drain, 5)
        assert await idle.rest() == b""
        echo.may_answer.set()
        assert (await answered(busy))[1] == b"2"
        # It was told that it would be kept, and is not.
        assert await busy.rest() == b""
        assert served.admission.sockets == 0


async def test_a_draining_server_keeps_nothing(driver: str) -> None:
    async with echoing(driver) as (served, _):
        served.admission.condition = lambda: Condition(is_draining=True)
        client = await served.raw()
        await client.send(post(b"1"))
        assert b"Connection: close" in await client.head()


async def test_idle_connections_make_room(driver: str) -> None:
    async with echoing(driver) as (served, _):
        client = await served.raw()
        await client.send(post(b"1"))
        await answered(client)
        await served.until(lambda: served.admission.calls == 0)
        assert served.admission.make_room()
        assert await client.rest() == b""
