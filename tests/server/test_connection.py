"""A connection's whole life, over every driver: each test runs in the lane, by the stream driver and in memory."""

import contextlib
import json
import random
import struct
import zlib
from collections.abc import Awaitable

import pytest
import trio
import trio.testing

from channeld.config.model import Server
from channeld.hub.fanout import Recipient
from channeld.protocol.websocket import encode_text
from channeld.server.connection import Connection
from channeld.server.head import LARGEST_HEAD
from tests.server.kit import (
    DRIVERS,
    OnEvent,
    RecordingEngine,
    RecordingSession,
    close_frame,
    echoes,
    frame,
    gone,
    pass_time,
    plan,
    read_frames,
    request_bytes,
    serving,
    small,
)

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


# ---------------------------------------------------------------------------------------------- handshake and echo


async def test_messages_are_answered_in_order(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client()
        await client.send(b"".join(frame(b"%d" % i) for i in range(200)))
        assert [await client.text() for _ in range(200)] == [b"%d" % i for i in range(200)]


async def test_frames_glued_to_the_request_are_answered(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=frame(b"a") + frame(b"fr", 0x01) + frame(b"ag", 0x80))
        assert [await client.text(), await client.text()] == [b"a", b"frag"]


async def test_everything_cut_at_each_byte_is_answered_the_same(driver: str) -> None:
    wire = frame(b"a") + frame(b"p", 0x89) + frame(b"fr", 0x01) + frame(b"ag", 0x80) + frame(b"z")
    whole = request_bytes() + wire + close_frame(1000)
    async with serving(driver) as served:
        for cut in range(1, len(whole)):
            client = await served.raw()
            await client.send(whole[:cut])
            await trio.testing.wait_all_tasks_blocked()
            await client.send(whole[cut:])
            await client.head()
            assert read_frames(await client.rest()) == [
                (0x81, b"a"),
                (0x8A, b"p"),
                (0x81, b"frag"),
                (0x81, b"z"),
                (0x88, b"\x03\xe8"),
            ]
        await gone(served)


async def test_a_request_in_single_bytes_is_answered(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.raw()
        for byte in request_bytes() + frame(b"a"):
            await client.send(bytes((byte,)))
        await client.head()
        assert await client.text() == b"a"


async def test_the_session_is_opened_first_with_the_request(driver: str) -> None:
    def greet(session: RecordingSession) -> None:
        session.echo(b"welcome")

    async with serving(driver, RecordingEngine(on_open=greet)) as served:
        client = await served.client(glued=frame(b"a"))
        assert [await client.text(), await client.text()] == [b"welcome", b"a"]
        assert served.engine.requests[0].path == "/echo"
        assert served.admission.counters.handshakes == {101: 1}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request_bytes("/nowhere"), 404),
        (b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"x" * (LARGEST_HEAD + 10), 431),
        (request_bytes("/echo", "Origin: https://evil.com"), 403),
        (request_bytes("/echo", "X: \xff\x00"), 400),
    ],
)
async def test_a_refusal_is_sent_and_the_connection_ended(
    driver: str, data: bytes, status: int
) -> None:
    async with serving(driver) as served:
        client = await served.raw()
        await client.send(data)
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        await client.hang_up()
        await gone(served)
        assert served.admission.counters.handshakes == {status: 1}
        assert served.engine.sessions == []


async def test_a_refused_client_that_stays_is_left_after_a_while(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.raw()
        await client.send(request_bytes("/nowhere"))
        await client.head()
        await gone(served)


async def test_a_refused_client_that_sends_on_still_gets_the_answer(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.raw()
        await client.send(request_bytes("/nowhere") + bytes(200_000))
        assert (await client.head()).startswith(b"HTTP/1.1 404")


async def test_bytes_over_127_in_the_head_hurt_nobody(driver: str) -> None:
    names = ("Host", "Connection", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Origin")
    async with serving(driver) as served:
        for name in names:
            client = await served.raw()
            await client.send(request_bytes("/echo", f"{name}: \xff\xe9"))
            assert (await client.head()).startswith(b"HTTP/1.1")
        assert await echoes(await served.client())


async def test_a_full_server_answers_503(driver: str) -> None:
    async with serving(driver, None, plan(Server(limits=small(connections=1)))) as served:
        first = await served.client()
        second = await served.raw()
        await second.send(request_bytes())
        assert (await second.head()).startswith(b"HTTP/1.1 503")
        await first.send(close_frame(1000))
        await first.rest()
        await served.until(lambda: served.admission.open == 0)
        assert await echoes(await served.client())


async def test_a_crowded_address_gets_429(driver: str) -> None:
    server = Server(limits=small(connections_per_address=1))
    async with serving(driver, None, plan(server)) as served:
        first = await served.client()
        second = await served.raw()
        await second.send(request_bytes())
        assert (await second.head()).startswith(b"HTTP/1.1 429")
        await second.hang_up()
        await first.hang_up()
        await gone(served)
        assert await echoes(await served.client())


async def test_a_handshake_that_takes_too_long_is_cut(driver: str) -> None:
    server = Server(limits=small(handshake_timeout=0.05))
    async with serving(driver, None, plan(server)) as served:
        client = await served.raw()
        await client.send(b"GET /echo HT")
        assert await client.rest() == b""
        await gone(served)
        assert served.admission.counters.handshake_timeouts == 1


async def test_a_client_that_goes_in_the_handshake_leaves_nothing(driver: str) -> None:
    async with serving(driver) as served:
        for reset in (False, True):
            client = await served.raw()
            await client.send(b"GET /echo HT")
            await served.until(lambda: served.admission.sockets == 1)
            await client.hang_up(reset=reset)
            await gone(served)


# ------------------------------------------------------------------------------------------------------- violations

VIOLATIONS = {
    "unmasked": (frame(b"hello", masked=False), 1002),
    "reserved bit": (frame(b"hello", 0xC1), 1002),
    "reserved opcode": (frame(b"hello", 0x83), 1002),
    "continuation of nothing": (frame(b"hello", 0x80), 1002),
    "long ping": (frame(b"p" * 126, 0x89), 1002),
    "fragmented ping": (frame(b"p", 0x09), 1002),
    "longer length than needed": (b"\x81\xfe\x00\x05" + frame(b"hello")[2:], 1002),
    "binary": (frame(b"hello", 0x82), 1003),
    "not UTF-8": (frame(b"ab\xff\xfe"), 1007),
    "surrogate": (frame(b"\xed\xa0\x80"), 1007),
    "fragment not UTF-8": (frame(b"\xff", 0x01) + frame(b"", 0x80), 1007),
    "too many fragments": (frame(b"a", 0x01) + frame(b"", 0x00) * 1024, 1008),
    "close code 1005": (close_frame(1005), 1002),
    "close of one byte": (frame(b"\x03", 0x88), 1002),
    "close reason not UTF-8": (close_frame(1000, b"\xff"), 1007),
}


@pytest.mark.parametrize("name", VIOLATIONS)
@pytest.mark.parametrize("slow", [False, True])
async def test_a_violation_ends_after_the_good_frames_before_it(
    driver: str, name: str, slow: bool
) -> None:
    wire, code = VIOLATIONS[name]
    before = frame(b"fr", 0x01) + frame(b"ag", 0x80) if slow else frame(b"before")
    async with serving(driver) as served:
        client = await served.client(glued=before + wire + frame(b"after"))
        assert await client.text() == (b"frag" if slow else b"before")
        assert await client.close_code() == code
        await client.hang_up()
        await gone(served)
        assert served.engine.session.ends[0][0] == code
        assert len(served.engine.session.messages) == 1


@pytest.mark.parametrize("wire", [frame(b"x", 0x83), frame(b"\xff"), frame(b"x" * 70000)])
async def test_a_violator_that_stays_is_left_after_a_while(driver: str, wire: bytes) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=wire)
        while (found := await client.frame()) and found[0] != 0x88:
            assert found == (0x81, b"TOO_LARGE")
        assert found is not None
        await gone(served)


async def test_bytes_after_a_violation_do_not_destroy_the_close_frame(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=frame(b"x", 0x83) + bytes(300_000))
        assert await client.close_code() == 1002


async def test_a_message_as_large_as_allowed_and_one_byte_more(driver: str) -> None:
    async with serving(driver, None, plan(message_size=1000)) as served:
        client = await served.client(glued=frame(b"x" * 1000) + frame(b"y" * 1001) + frame(b"z"))
        assert await client.text() == b"x" * 1000
        assert await client.text() == b"TOO_LARGE"
        assert await client.close_code() == 1009
        await client.hang_up()
        await gone(served)
        assert served.engine.session.calls == ["open", "too_large"]
        assert served.engine.session.ends == [(1009, "message too large")]


async def test_too_large_in_fragments(driver: str) -> None:
    wire = frame(b"x" * 600, 0x01) + frame(b"x" * 401, 0x80)
    async with serving(driver, None, plan(message_size=1000)) as served:
        client = await served.client(glued=wire)
        assert await client.text() == b"TOO_LARGE"
        assert await client.close_code() == 1009


@pytest.mark.parametrize("second", [frame(b"p", 0x89), frame(b"y" * 2000), close_frame(1000)])
async def test_what_follows_a_too_large_message_hurts_nobody(driver: str, second: bytes) -> None:
    async with serving(driver, None, plan(message_size=1000)) as served:
        client = await served.client(glued=frame(b"x" * 2000) + second)
        assert await client.text() == b"TOO_LARGE"
        assert await client.close_code() == 1009
        await client.hang_up()
        await gone(served)
        assert await echoes(await served.client())


async def test_too_large_is_said_before_the_message_has_come(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"keyk")
        assert await client.text() == b"TOO_LARGE"
        assert await client.close_code() == 1009


async def test_text_is_judged_before_it_has_come(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=frame(b"ab\xff" + b"x" * 5000)[:100])
        assert await client.close_code() == 1007


# ------------------------------------------------------------------------------------------------ the client's Close


@pytest.mark.parametrize("code", [1000, 1001, 1012, 1013, 1014, 3000, 4000, 4999])
@pytest.mark.parametrize("slow", [False, True])
async def test_a_close_is_answered_with_its_code(driver: str, code: int, slow: bool) -> None:
    before = frame(b"fr", 0x01) + frame(b"ag", 0x80) if slow else frame(b"a")
    async with serving(driver) as served:
        client = await served.client(glued=before + close_frame(code, b"bye") + frame(b"late"))
        await client.text()
        assert await client.close_code() == code
        assert await client.frame() is None
        await gone(served)
        assert served.engine.session.ends == [(code, "bye")]
        assert len(served.engine.session.messages) == 1


async def test_a_close_without_a_code_is_answered_without_one(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=frame(b"", 0x88))
        assert await client.frame() == (0x88, b"")
        await gone(served)
        assert served.engine.session.ends == [(1005, "")]


async def test_a_close_between_fragments_is_answered(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=frame(b"fr", 0x01) + close_frame(1001))
        assert await client.close_code() == 1001
        await gone(served)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("last", [b"", frame(b"half")[:5], frame(b"fr", 0x01)])
async def test_a_client_that_vanishes_is_1006(driver: str, reset: bool, last: bytes) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=frame(b"a") + last)
        await client.text()
        await client.hang_up(reset=reset)
        await gone(served)
        assert served.engine.session.ends == [(1006, "")]


async def test_a_client_that_stops_sending_gets_its_answers(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.raw()
        await client.send(request_bytes() + frame(b"a") + frame(b"b"))
        await client.half_close()
        await client.head()
        assert read_frames(await client.rest()) == [(0x81, b"a"), (0x81, b"b")]
        await gone(served)
        assert served.engine.session.ends == [(1006, "")]


async def test_a_client_that_closes_and_never_reads_is_left(driver: str) -> None:
    def stream(session: RecordingSession, payload: bytes) -> None:
        for _ in range(100):
            session.echo(bytes(100_000))

    many = plan(outbox=1 << 30)
    async with serving(driver, RecordingEngine(on_message=stream), many) as served:
        client = await served.client(glued=frame(b"go") + close_frame(1000), bounded=True)
        await gone(served)
        assert served.engine.session.ends == [(1000, "")]
        await client.hang_up()


# ------------------------------------------------------------------------------------------------ the server's Close


def close_when_asked(session: RecordingSession, payload: bytes) -> None:
    if payload == b"close":
        session.echo(b"first")
        session.peer.close(4001, "asked")
        session.peer.close(4002, "too late")
        session.echo(b"never")
    else:
        session.echo(payload)


@pytest.mark.parametrize("slow", [False, True])
async def test_a_close_from_the_session_comes_after_what_it_sent(driver: str, slow: bool) -> None:
    before = frame(b"fr", 0x01) + frame(b"ag", 0x80) if slow else frame(b"a")
    engine = RecordingEngine(on_message=close_when_asked)
    async with serving(driver, engine, linger=1000) as served:
        client = await served.client(glued=before + frame(b"close") + frame(b"unheard"))
        await client.text()
        assert await client.text() == b"first"
        assert await client.close_code() == 4001
        await client.send(frame(b"unheard") + frame(b"p", 0x89) + close_frame(4001))
        assert await client.frame() is None
        await gone(served)
        assert served.engine.session.ends == [(4001, "asked")]
        assert served.engine.session.messages[-1] == b"close"


async def test_the_clients_close_may_already_be_there(driver: str) -> None:
    engine = RecordingEngine(on_message=close_when_asked)
    async with serving(driver, engine, linger=1000) as served:
        client = await served.client(glued=frame(b"close") + close_frame(1000) + frame(b"x"))
        assert await client.text() == b"first"
        assert await client.close_code() == 4001
        assert await client.frame() is None
        await gone(served)
        assert served.engine.session.ends == [(4001, "asked")]


async def test_the_session_is_told_before_the_client_has_answered(driver: str) -> None:
    async with serving(driver, RecordingEngine(on_message=close_when_asked), linger=10) as served:
        await served.client(glued=frame(b"close"))
        await served.until(lambda: bool(served.engine.sessions and served.engine.session.ends))
        assert served.admission.sockets == 1


async def test_a_client_that_never_answers_is_left_after_a_while(driver: str) -> None:
    async with serving(driver, RecordingEngine(on_message=close_when_asked)) as served:
        client = await served.client(glued=frame(b"close"))
        await client.text()
        assert await client.close_code() == 4001
        await gone(served)


@pytest.mark.parametrize("wire", [frame(b"x", 0x83), frame(b"\xff"), frame(b"x" * 70000)])
async def test_a_violation_while_closing_is_not_answered_twice(driver: str, wire: bytes) -> None:
    async with serving(driver, RecordingEngine(on_message=close_when_asked)) as served:
        client = await served.client(glued=frame(b"close") + wire)
        await client.text()
        assert await client.close_code() == 4001
        assert await client.rest() == b""
        await gone(served)


async def test_a_close_from_outside_a_turn_cuts_a_half_message(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=frame(b"a") + frame(b"half")[:6])
        await client.text()
        served.engine.session.peer.close(4410, "kicked")
        assert await client.close_code() == 4410
        await client.send(frame(b"half")[6:] + close_frame(4410))
        assert await client.frame() is None
        await gone(served)
        assert served.engine.session.messages == [b"a"]


async def test_a_close_code_that_may_not_travel_is_left_out(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=frame(b"a"))
        await client.text()
        served.engine.session.peer.close(1006)
        assert await client.frame() == (0x88, b"")


async def test_sends_after_the_end_are_nothing(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=close_frame(1000))
        await client.close_code()
        await gone(served)
        served.engine.session.echo(b"late")
        served.engine.session.peer.close(1000)
        assert served.engine.session.ends == [(1000, "")]


# ------------------------------------------------------------------------------------------------- what must wait


async def test_one_message_at_a_time_while_others_go_on(driver: str) -> None:
    go_on = trio.Event()

    async def wait(session: RecordingSession, payload: bytes) -> None:
        await go_on.wait()
        session.echo(payload)

    def receive(session: RecordingSession, payload: bytes) -> Awaitable[None] | None:
        if payload.startswith(b"slow"):
            return wait(session, payload)
        session.echo(payload)
        return None

    wire = frame(b"slow1") + frame(b"2") + frame(b"slow3") + frame(b"fr", 0x01) + frame(b"", 0x80)
    async with serving(driver, RecordingEngine(on_message=receive)) as served:
        waiting = await served.client(glued=wire)
        other = await served.client()
        assert await echoes(other)
        assert served.engine.sessions[0].messages == [b"slow1"]
        go_on.set()
        got = [await waiting.text() for _ in range(4)]
        assert got == [b"slow1", b"2", b"slow3", b"fr"]
        assert await echoes(waiting)


async def test_who_is_resumed_for_two_reasons_still_takes_one_message_at_a_time(
    driver: str,
) -> None:
    go_on = trio.Event()

    async def wait(session: RecordingSession, payload: bytes) -> None:
        await go_on.wait()
        session.echo(payload)

    async with serving(driver, RecordingEngine(on_message=wait)) as served:
        client = await served.client(glued=frame(b"1") + frame(b"2"))
        await served.until(lambda: served.engine.session.messages == [b"1"])
        connection = served.engine.session.peer
        assert isinstance(connection, Connection)
        connection.proceed(trio.current_time())
        assert served.engine.session.messages == [b"1"]
        assert connection.paused
        go_on.set()
        assert [await client.text() for _ in range(2)] == [b"1", b"2"]


async def test_messages_wait_for_the_opening(driver: str) -> None:
    go_on = trio.Event()

    async def admit(session: RecordingSession) -> None:
        await go_on.wait()
        session.echo(b"welcome")

    async with serving(driver, RecordingEngine(on_open=admit)) as served:
        client = await served.client(glued=frame(b"a"))
        await client.send(frame(b"b"))
        await trio.testing.wait_all_tasks_blocked()
        assert served.engine.session.messages == []
        go_on.set()
        assert [await client.text() for _ in range(3)] == [b"welcome", b"a", b"b"]


async def test_nothing_is_read_while_something_is_pending(driver: str) -> None:
    async def wait_for_ever(session: RecordingSession) -> None:
        await trio.sleep_forever()

    async with serving(driver, RecordingEngine(on_open=wait_for_ever)) as served:
        client = await served.client()
        with trio.move_on_after(0.1):
            while True:
                await client.send(bytes(65536))
        assert served.admission.counters.bytes_in < 300_000


async def test_the_end_waits_for_what_is_pending(driver: str) -> None:
    go_on = trio.Event()

    async def wait(session: RecordingSession) -> None:
        await go_on.wait()

    engine = RecordingEngine(on_message=lambda session, _payload: wait(session))
    async with serving(driver, engine) as served:
        await served.client(glued=frame(b"a"))
        await served.until(lambda: bool(engine.sessions and engine.session.messages))
        engine.session.peer.close(4410)
        await trio.testing.wait_all_tasks_blocked()
        assert engine.session.ends == []
        go_on.set()
        await served.until(lambda: engine.session.ends == [(4410, "")])


@pytest.mark.parametrize(
    "last", [close_frame(1000), frame(b"x", 0x83), b"", frame(bytes(5000))], ids=repr
)
async def test_the_clients_end_is_looked_at_when_all_that_it_sent_is_answered(
    driver: str, last: bytes
) -> None:
    def take(session: RecordingSession, _payload: bytes) -> None:
        session.in_flight = trio.Event()

    engine = RecordingEngine(on_message=take)
    async with serving(driver, engine, plan(message_size=1000)) as served:
        client = await served.client(glued=frame(b"a"))
        await served.until(lambda: bool(engine.sessions and engine.session.messages))
        if last or driver == "tls":
            await client.send(last or close_frame(1000))
        else:
            await client.half_close()
        await trio.testing.wait_all_tasks_blocked()
        session = engine.session
        assert session.ends == []
        assert session.in_flight is not None
        session.peer.send(b"the answer")
        session.in_flight.set()
        session.in_flight = None
        assert await client.text() == b"the answer"
        await gone(served)


async def test_an_end_that_must_wait_is_awaited(driver: str) -> None:
    done: list[bool] = []

    async def say_goodbye(session: RecordingSession) -> None:
        await trio.lowlevel.checkpoint()
        done.append(True)

    async with serving(driver, RecordingEngine(on_closed=say_goodbye)) as served:
        await served.client(glued=close_frame(1000))
        await served.until(lambda: done == [True])


# ------------------------------------------------------------------------------------------------ bugs above


async def fail_later(session: RecordingSession) -> None:
    await trio.lowlevel.checkpoint()
    raise RuntimeError("a bug above")


def fail(session: RecordingSession) -> None:
    raise RuntimeError("a bug above")


@pytest.mark.parametrize("how", [fail, fail_later])
@pytest.mark.parametrize("slow", [False, True])
async def test_a_failing_message_is_1011_and_others_go_on(
    driver: str, how: OnEvent, slow: bool
) -> None:
    def receive(session: RecordingSession, payload: bytes) -> Awaitable[None] | None:
        if payload == b"boom":
            return how(session)
        session.echo(payload)
        return None

    engine = RecordingEngine(on_message=receive)
    wire = frame(b"bo", 0x01) + frame(b"om", 0x80) if slow else frame(b"boom")
    async with serving(driver, engine) as served:
        other = await served.client()
        client = await served.client(glued=frame(b"a") + wire)
        assert await client.text() == b"a"
        assert await client.close_code() == 1011
        await served.until(lambda: engine.session.ends == [(1011, "internal error")])
        assert await echoes(other)
        assert served.admission.counters.failures == 1


async def test_a_failing_message_in_a_later_turn_is_1011(driver: str) -> None:
    def receive(session: RecordingSession, payload: bytes) -> None:
        if payload == b"boom":
            raise RuntimeError("a bug above")

    async with serving(driver, RecordingEngine(on_message=receive)) as served:
        client = await served.client(glued=frame(b"a") * 40 + frame(b"boom"))
        assert await client.close_code() == 1011
        await served.until(lambda: served.engine.session.ends == [(1011, "internal error")])


@pytest.mark.parametrize("how", [fail, fail_later])
async def test_a_failing_opening_is_1011(driver: str, how: OnEvent) -> None:
    async with serving(driver, RecordingEngine(on_open=how)) as served:
        client = await served.client()
        assert await client.close_code() == 1011
        await served.until(lambda: served.engine.session.ends == [(1011, "internal error")])


@pytest.mark.parametrize("how", [fail, fail_later])
async def test_a_failing_end_is_contained(driver: str, how: OnEvent) -> None:
    async with serving(driver, RecordingEngine(on_closed=how)) as served:
        client = await served.client(glued=close_frame(1000))
        assert await client.close_code() == 1000
        await gone(served)
        assert await echoes(await served.client())


async def test_an_engine_that_makes_no_session_is_500(driver: str) -> None:
    class Broken(RecordingEngine):
        def connect(self, *_: object) -> RecordingSession:
            raise RuntimeError("a bug above")

    async with serving(driver, Broken()) as served:
        client = await served.raw()
        await client.send(request_bytes())
        assert (await client.head()).startswith(b"HTTP/1.1 500")
        await client.hang_up()
        await gone(served)


# ------------------------------------------------------------------------------------------------ slow consumers


async def test_a_slow_consumer_is_closed_with_whole_frames_before(driver: str) -> None:
    async with serving(driver, None, plan(outbox=200_000), linger=5) as served:
        slow, quick = await served.client(bounded=True), await served.client()
        await served.until(lambda: len(served.engine.sessions) == 2)
        first, second = served.engine.sessions
        sent = 0
        while not first.ends:
            payload = b"%06d" % sent + random.Random(sent).randbytes(5000).hex().encode()
            first.echo(payload)
            second.echo(payload)
            assert await quick.text() == payload
            sent += 1
        assert first.ends == [(4508, "too slow")]
        got = 0
        while (found := await slow.frame()) and found[0] == 0x81:
            assert found[1][:6] == b"%06d" % got
            got += 1
        assert found == (0x88, struct.pack("!H", 4508) + b"too slow")
        assert got < sent
        assert served.admission.counters.slow_consumers == 1
        assert await echoes(quick)


async def test_one_frame_over_the_limit_is_waited_for_and_what_is_behind_it_is_not(
    driver: str,
) -> None:
    async with serving(driver, None, plan(outbox=1000), linger=5) as served:
        slow, quick = await served.client(bounded=True), await served.client()
        await served.until(lambda: len(served.engine.sessions) == 2)
        first = served.engine.sessions[0]
        first.echo(bytes(32_000_000))
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        assert first.ends == []
        first.echo(bytes(2000))
        await served.until(lambda: bool(first.ends))
        assert first.ends == [(4508, "too slow")]
        assert served.admission.counters.slow_consumers == 1
        assert await echoes(quick)
        await slow.hang_up()


async def test_a_slow_consumer_that_never_reads_is_dropped(driver: str) -> None:
    async with serving(driver, None, plan(outbox=100_000)) as served:
        await served.client(bounded=True)
        await served.until(lambda: bool(served.engine.sessions))
        while not served.engine.session.ends:
            served.engine.session.echo(bytes(50_000))
            await trio.lowlevel.checkpoint()
        assert served.server.statistics().outbox_bytes < 200_000
        await gone(served)


async def test_a_patient_reader_within_the_limit_gets_everything(driver: str) -> None:
    async with serving(driver, None, plan(outbox=1 << 28)) as served:
        client = await served.client()
        await served.until(lambda: bool(served.engine.sessions))
        for i in range(200):
            served.engine.session.echo(b"%03d" % i + bytes(50_000))
            if i % 10 == 0:
                await trio.lowlevel.checkpoint()
        assert served.server.statistics().outbox_bytes > 0
        assert [(await client.text())[:3] for _ in range(200)] == [b"%03d" % i for i in range(200)]
        await served.until(lambda: served.server.statistics().outbox_bytes == 0)
        assert await echoes(client)


async def test_a_flood_of_pings_from_a_client_that_does_not_read_ends(driver: str) -> None:
    async with serving(driver, None, plan(outbox=50_000)) as served:
        client = await served.client(bounded=True)
        other = await served.client()

        async def flood() -> None:
            # Never cancelled within a send: half a frame would be another fault than a flood.
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while True:
                    await client.send(frame(b"p" * 125, 0x89) * 500)

        served.nursery.start_soon(flood)
        await served.until(lambda: served.admission.sockets == 1)
        assert served.admission.counters.slow_consumers == 1
        assert await echoes(other)


# ------------------------------------------------------------------------------------------------ the server's end


async def test_draining_waits_for_the_clients_and_closes_the_rest(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    async with serving(driver, patience=1000) as served:
        going, staying = await served.client(), await served.client()
        await served.until(lambda: served.admission.open == 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain, 10)
            await going.send(close_frame(1000))
            assert await going.close_code() == 1000
            # A second more, since the drain may begin after the first one has passed.
            await pass_time(mock_clock, 13)
        assert await staying.close_code() == 1012
        assert await staying.frame() is None
        await gone(served)


async def test_a_drain_takes_no_longer_than_it_says(
    driver: str, mock_clock: trio.testing.MockClock
) -> None:
    # No client answers.
    async with serving(driver, patience=1000, linger=2) as served:
        for _ in range(3):
            await served.client()
        await served.until(lambda: served.admission.open == 3)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain, 3)
            while nursery.child_tasks:
                mock_clock.jump(0.1)
                for _ in range(30):
                    await trio.lowlevel.checkpoint()
        assert trio.current_time() - began < 3.2
        assert [session.ends for session in served.engine.sessions] == [[(1012, "restarting")]] * 3


async def test_draining_an_empty_server_takes_no_time(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client(glued=close_frame(1000))
        await client.rest()
        await served.server.drain(1000)


async def test_when_the_server_is_cancelled_sessions_are_told(driver: str) -> None:
    async with serving(driver) as served:
        await served.client()
        await served.until(lambda: bool(served.engine.sessions))
    assert served.engine.session.ends == [(1001, "")]


async def test_statistics_are_plain_numbers(driver: str) -> None:
    async with serving(driver) as served:
        client = await served.client()
        assert await echoes(client)
        found = served.server.statistics()
        assert (found.connections, found.sockets, found.handshakes) == (1, 1, {101: 1})
        assert found.bytes_in == len(request_bytes()) + len(frame(b"alive?"))
        assert found.bytes_out > len(encode_text(b"alive?"))


async def test_a_refusal_is_logged_with_its_reason_and_origin(
    driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(driver) as served:
        client = await served.raw()
        await client.send(request_bytes("/echo?token=SECRET", "Origin: https://evil.com"))
        assert (await client.head()).startswith(b"HTTP/1.1 403 ")
    [line] = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["event"], line["status"], line["path"]) == ("handshake_refused", 403, "/echo")
    assert line["origin"] == "https://evil.com"
    assert line["reason"] == "Pages of this origin may not connect: see server.allowed_origins"


# ------------------------------------------------------------------------------------------------ compression


DEFLATING = plan(Server(compression=True))
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


async def test_a_client_that_offers_compression_gets_it(driver: str) -> None:
    sender, reader = zlib.compressobj(wbits=-12), zlib.decompressobj(wbits=-12)
    async with serving(driver, None, DEFLATING) as served:
        client = await served.client(OFFER)
        for text in (b"hello hello", b"hello again"):
            packed = (sender.compress(text) + sender.flush(zlib.Z_SYNC_FLUSH))[:-4]
            await client.send(frame(packed, 0xC1) + frame(b"p", 0x89))
            answer = await client.frame()
            assert answer is not None
            assert answer[0] == 0xC1
            assert reader.decompress(answer[1] + b"\x00\x00\xff\xff") == text
            assert await client.frame() == (0x8A, b"p")
        await client.send(close_frame(1000))
        assert await client.close_code() == 1000


async def test_a_bomb_is_too_large(driver: str) -> None:
    sender = zlib.compressobj(wbits=-12)
    bomb = (sender.compress(bytes(1_000_000)) + sender.flush(zlib.Z_SYNC_FLUSH))[:-4]
    async with serving(driver, None, DEFLATING) as served:
        client = await served.client(OFFER, glued=frame(bomb, 0xC1))
        answer = await client.frame()
        assert answer is not None
        assert answer[0] == 0xC1
        assert await client.close_code() == 1009
        await client.hang_up()
        await gone(served)
        assert served.engine.session.calls == ["open", "too_large"]


async def test_a_client_that_does_not_offer_it_is_served_plainly(driver: str) -> None:
    async with serving(driver, None, DEFLATING) as served:
        assert await echoes(await served.client())


# ------------------------------------------------------------------------------------------------ a room


async def test_a_room_reaches_members_of_every_kind_in_order(driver: str) -> None:
    def publish(session: RecordingSession, payload: bytes) -> None:
        room: dict[Recipient, None] = {one.peer: None for one in engine.sessions}
        fanout = served.admission.fanout
        fanout.publish(room, payload)
        session.echo(b"ack " + payload)
        fanout.publish(room, payload + b"!", skip=session.peer)

    engine = RecordingEngine(on_message=publish)
    async with serving(driver, engine) as served:
        one, other = await served.client(), await served.client()
        await served.until(lambda: len(engine.sessions) == 2)
        await one.send(frame(b"1") + frame(b"2"))
        assert [await one.text() for _ in range(4)] == [b"1", b"ack 1", b"2", b"ack 2"]
        assert [await other.text() for _ in range(4)] == [b"1", b"1!", b"2", b"2!"]


async def test_a_room_with_a_compressing_member(driver: str) -> None:
    def publish(session: RecordingSession, payload: bytes) -> None:
        room: dict[Recipient, None] = {one.peer: None for one in engine.sessions}
        served.admission.fanout.publish(room, payload)

    engine = RecordingEngine(on_message=publish)
    async with serving(driver, engine, DEFLATING) as served:
        plain, packed = await served.client(), await served.client(OFFER)
        await served.until(lambda: len(engine.sessions) == 2)
        await plain.send(frame(b"1"))
        assert await plain.text() == b"1"
        answer = await packed.frame()
        assert answer is not None
        reader = zlib.decompressobj(wbits=-12)
        assert reader.decompress(answer[1] + b"\x00\x00\xff\xff") == b"1"


async def test_members_that_vanish_or_close_in_a_publish_are_dropped(driver: str) -> None:
    def publish(session: RecordingSession, payload: bytes) -> None:
        room: dict[Recipient, None] = {one.peer: None for one in engine.sessions}
        served.admission.fanout.publish(room, payload)
        engine.sessions[1].peer.close(4410)

    engine = RecordingEngine(on_message=publish)
    async with serving(driver, engine) as served:
        clients = [await served.client() for _ in range(3)]
        await served.until(lambda: len(engine.sessions) == 3)
        await clients[2].hang_up(reset=True)
        await clients[0].send(frame(b"1"))
        assert await clients[0].text() == b"1"
        assert await clients[1].text() == b"1"
        assert await clients[1].close_code() == 4410
        await clients[0].send(frame(b"2"))
        assert await clients[0].text() == b"2"
