"""The lane's invariants, each by its number in `channeld/server/drivers/lane.py`, and its accepting."""

import errno
import gc
import os
import resource
import select
import socket
from collections.abc import Awaitable

import attrs
import pytest
import trio
import trio.testing

from channeld.config.model import Limits, Server
from channeld.server.admission import Admission
from channeld.server.connection import FRAMES_A_TURN, Connection
from channeld.server.drivers.lane import ACCEPTS_A_TURN, SHARE_S, SOCKETS_A_TURN, Lane, is_supported
from channeld.server.outbox import TURN_S, Fanout
from channeld.server.runtime import TrioRuntime
from tests.server.kit import (
    RecordingEngine,
    RecordingSession,
    close_frame,
    frame,
    plan,
    read_frames,
    request_bytes,
    serving,
    tls_contexts,
)


@attrs.define(eq=False)
class Turning:
    """A lane whose turns the test takes itself, and the near ends of socket pairs."""

    engine: RecordingEngine
    lane: Lane
    spent: float = 0.0
    peers: list[socket.socket] = attrs.field(factory=list)

    def connect(self, data: bytes = request_bytes(), address: str = "192.0.2.1") -> socket.socket:
        near, far = socket.socketpair()
        near.setblocking(False)
        self.lane.adopt(far, address)
        self.peers.append(near)
        near.send(data)
        return near

    def turn(self) -> None:
        self.lane._turn()


@pytest.fixture
async def turning() -> object:
    engine = RecordingEngine()
    runtime = TrioRuntime()
    the_plan = plan()
    admission = Admission(
        engine=engine,
        plan_source=lambda: the_plan,
        runtime=runtime,
        fanout=Fanout(tick=lambda: made.spent),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        made = Turning(engine, Lane(admission, 1000))
        yield made
        for connection in made.lane.connections:
            connection.abandon(1001)
        made.lane.epoll.close()
        made.lane.arrivals.close()
        for peer in made.peers:
            peer.close()
        nursery.cancel_scope.cancel()


def received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 20)
    except BlockingIOError:
        return b""


def texts(sock: socket.socket) -> list[bytes]:
    data = received(sock)
    data = data.partition(b"\r\n\r\n")[2] if data.startswith(b"HTTP") else data
    return [payload for first, payload in read_frames(data) if first == 0x81]


async def test_1_nothing_is_read_while_a_connection_is_paused(turning: Turning) -> None:
    async def wait(session: RecordingSession) -> None:
        await trio.sleep_forever()

    turning.engine.on_message = lambda session, _payload: wait(session)
    client = turning.connect(request_bytes() + frame(b"a"))
    turning.turn()
    client.send(frame(b"b"))
    for _ in range(3):
        turning.turn()
    assert turning.engine.session.messages == [b"a"]
    assert turning.lane.epoll.poll(0) == []


async def test_2_after_the_fallback_reader_no_other_reader_reads(turning: Turning) -> None:
    client = turning.connect(request_bytes() + frame(b"fr", 0x01))
    turning.turn()
    for piece in (frame(b"ag", 0x80), frame(b"whole"), frame(b"x", 0x01), frame(b"y", 0x80)):
        client.send(piece)
        turning.turn()
    (connection,) = turning.lane.connections
    assert type(connection._reader).__name__ == "FallbackReader"
    assert texts(client) == [b"frag", b"whole", b"xy"]


async def test_3_a_ping_is_answered_while_another_connections_message_waits(
    turning: Turning,
) -> None:
    async def wait(session: RecordingSession) -> None:
        await trio.sleep_forever()

    turning.engine.on_message = lambda session, _payload: wait(session)
    turning.connect(request_bytes() + frame(b"a"))
    other = turning.connect(request_bytes() + frame(b"p", 0x89) + close_frame(1000))
    turning.turn()
    frames = read_frames(received(other).partition(b"\r\n\r\n")[2])
    assert frames == [(0x8A, b"p"), (0x88, b"\x03\xe8")]


async def test_4_a_socket_is_unregistered_before_it_is_closed(turning: Turning) -> None:
    client = turning.connect()
    turning.turn()
    (driver,) = filter(None, turning.lane._sockets)
    fd = driver.fd
    client.close()
    turning.turn()
    assert turning.lane.connections == []
    assert driver.fd == -1
    with pytest.raises(OSError, match="descriptor") as raised:
        turning.lane.epoll.modify(fd, select.EPOLLIN)
    assert raised.value.errno in (errno.ENOENT, errno.EBADF)


@pytest.mark.parametrize("is_secure", [False, True])
async def test_4_an_ended_connection_is_freed_without_the_garbage_collector(
    turning: Turning, is_secure: bool
) -> None:
    near, far = socket.socketpair()
    gc.collect()
    gc.disable()
    try:
        turning.lane.adopt(far, "192.0.2.1", tls_contexts()[0] if is_secure else None)
        near.send(b"neither HTTP nor TLS\r\n\r\n")
        for _ in range(3):
            turning.turn()
            near.close()
        assert [one for one in gc.get_objects() if isinstance(one, Connection)] == []
    finally:
        gc.enable()


async def test_4_a_reused_descriptor_does_not_get_its_forerunners_events(
    turning: Turning,
) -> None:
    first, second = turning.connect(), turning.connect()
    turning.turn()
    engine, fds = turning.engine, [driver.fd for driver in filter(None, turning.lane._sockets)]
    near, far = socket.socketpair()
    turning.peers += [near, far]

    def replace(session: RecordingSession, payload: bytes) -> None:
        # Within the turn the second socket's descriptor goes to a new connection.
        for connection in turning.lane.connections[1:]:
            connection.abandon(1001)
        turning.lane.adopt(socket.socket(fileno=os.dup(far.fileno())), "")

    engine.on_message = replace
    first.send(frame(b"replace"))
    second.send(frame(b"unheard"))
    turning.turn()
    assert [driver.fd for driver in filter(None, turning.lane._sockets)] == fds
    assert engine.sessions[1].messages == []
    assert len(turning.lane.connections) == 2


async def test_4_a_reset_while_the_write_side_is_shut_is_the_end(turning: Turning) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    near, _ = listener.accept()
    turning.lane.adopt(near, "127.0.0.1")
    (driver,) = filter(None, turning.lane._sockets)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    listener.close()
    driver.half_close()
    assert turning.lane.connections == []


async def test_5_a_turn_writes_once_for_each_connection(turning: Turning) -> None:
    client = turning.connect()
    turning.turn()
    (connection,) = turning.lane.connections
    writes: list[int] = []
    sends = connection.socket

    class Counting:
        def send(self, data: bytes | memoryview) -> int:
            writes.append(len(data))
            return sends.send(data)

    connection.socket = Counting()
    client.send(b"".join(frame(b"%d" % i) for i in range(20)))
    turning.turn()
    assert len(writes) == 1
    assert len(texts(client)) == 20


async def test_6_a_turn_takes_so_many_frames_of_a_socket_and_loses_none(turning: Turning) -> None:
    many = FRAMES_A_TURN * 3 + 1
    flood = turning.connect(request_bytes() + b"".join(frame(b"%d" % i) for i in range(many)))
    other = turning.connect(request_bytes() + frame(b"other"))
    taken = []
    turning.turn()
    assert texts(other) == [b"other"]
    while turning.lane._resumed:
        taken.append(len(turning.engine.sessions[0].messages))
        turning.lane._turn_of_resumed()
    assert taken == [FRAMES_A_TURN, 2 * FRAMES_A_TURN, 3 * FRAMES_A_TURN]
    assert texts(flood) == [b"%d" % i for i in range(many)]


async def test_6_a_turn_serves_so_many_sockets_and_the_others_next(turning: Turning) -> None:
    clients = [
        turning.connect(address=f"192.0.2.{number}") for number in range(SOCKETS_A_TURN + 10)
    ]
    turning.turn()
    for client in clients:
        client.send(frame(b"x"))
    turning.turn()
    assert sum(session.messages == [b"x"] for session in turning.engine.sessions) == SOCKETS_A_TURN
    turning.turn()
    assert all(texts(client) == [b"x"] for client in clients)


async def test_6_a_turn_takes_no_more_sockets_when_its_time_is_over(turning: Turning) -> None:
    def spend(session: RecordingSession, payload: bytes) -> None:
        turning.spent += TURN_S / 2
        session.echo(payload)

    clients = [turning.connect() for _ in range(7)]
    turning.turn()
    turning.engine.on_message = spend
    for number, client in enumerate(clients):
        received(client)
        client.send(frame(b"%d" % number))
    served = []
    for _ in range(4):
        turning.turn()
        served.append([number for number, client in enumerate(clients) if texts(client)])
    assert [len(numbers) for numbers in served] == [2, 2, 2, 1]
    assert sorted(number for numbers in served for number in numbers) == list(range(7))


async def test_6_who_never_stops_sending_keeps_nobody_from_a_turn(turning: Turning) -> None:
    def spend(session: RecordingSession, payload: bytes) -> None:
        turning.spent += TURN_S
        session.echo(payload)

    clients = [turning.connect() for _ in range(5)]
    turning.turn()
    turning.engine.on_message = spend
    for _ in range(5):
        for client in clients:
            client.send(frame(b"again"))
        turning.turn()
    # Each had one turn, with all that it had sent by then.
    taken = sorted(len(session.messages) for session in turning.engine.sessions)
    assert taken == [1, 2, 3, 4, 5]


async def test_6_a_turn_takes_no_more_frames_of_a_socket_when_its_time_is_over(
    turning: Turning,
) -> None:
    def spend(session: RecordingSession, payload: bytes) -> None:
        turning.spent += TURN_S
        session.echo(payload)

    flood = turning.connect()
    turning.turn()
    received(flood)
    turning.engine.on_message = spend
    flood.send(b"".join(frame(b"%d" % number) for number in range(FRAMES_A_TURN)))
    turning.turn()
    assert 0 < len(turning.engine.session.messages) < FRAMES_A_TURN
    while turning.lane._resumed:
        turning.lane._turn_of_resumed()
    assert texts(flood) == [b"%d" % number for number in range(FRAMES_A_TURN)]


async def test_6_other_tasks_run_while_a_client_floods() -> None:
    async with serving("lane") as served:
        client = await served.client()
        quick = await served.client()
        flood = b"".join(frame(b"%d" % i) for i in range(5000))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, flood)
            await served.until(lambda: len(served.engine.sessions[0].messages) > 0)
            await quick.send(frame(b"quick"))
            assert await quick.text() == b"quick"
            assert len(served.engine.sessions[0].messages) < 5000
            for i in range(5000):
                assert await client.text() == b"%d" % i


async def test_7_handshakes_have_a_share_of_a_turn_and_keep_no_message_waiting(
    turning: Turning,
) -> None:
    def spend(_session: RecordingSession) -> None:
        turning.spent += SHARE_S

    inside = turning.connect()
    turning.turn()
    received(inside)
    turning.engine.on_open = spend
    comers = [turning.connect() for _ in range(5)]
    inside.send(frame(b"first"))
    turning.turn()
    assert texts(inside) == [b"first"]
    assert len(turning.engine.sessions) == 2
    for _ in range(4):
        turning.turn()
    assert all(received(comer).startswith(b"HTTP/1.1 101") for comer in comers)


async def test_7_ends_have_a_share_of_a_turn_and_are_seen_to_in_order(turning: Turning) -> None:
    def spend(_session: RecordingSession) -> None:
        turning.spent += SHARE_S

    inside, *leavers = [turning.connect() for _ in range(6)]
    turning.turn()
    received(inside)
    turning.engine.on_closed = spend
    for leaver in leavers:
        leaver.close()
    inside.send(frame(b"still"))
    turning.turn()
    assert texts(inside) == [b"still"]
    assert any(not session.ends for session in turning.engine.sessions[1:])
    while turning.lane._departures or turning.lane.admission.fanout.ended:
        turning.lane._turn_of_resumed()
    assert [session.ends for session in turning.engine.sessions[1:]] == [[(1006, "")]] * 5
    assert [connection.state.name for connection in turning.lane.connections] == ["OPEN"]


async def test_7_who_is_sent_away_before_its_end_is_seen_to_ends_once(turning: Turning) -> None:
    client = turning.connect()
    turning.turn()
    (connection,) = turning.lane.connections
    client.close()
    turning.lane._serve(*turning.lane.epoll.poll(0)[0], now=0.0)
    connection.abandon(1001)
    turning.turn()
    assert turning.engine.session.ends == [(1001, "")]


async def test_7_an_accepting_takes_so_many_and_the_others_next(turning: Turning) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)
    turning.peers.append(listener)
    turning.lane.listen(listener)
    address = listener.getsockname()
    turning.peers += [socket.create_connection(address) for _ in range(ACCEPTS_A_TURN + 5)]
    turning.lane._serve_arrival(listener.fileno(), select.EPOLLIN, 0.0)
    assert len(turning.lane.connections) == ACCEPTS_A_TURN
    turning.turn()
    assert len(turning.lane.connections) == ACCEPTS_A_TURN + 5
    for driver in filter(None, turning.lane._sockets):
        assert driver.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    turning.lane.ignore(listener)
    turning.lane.ignore(listener)


async def test_7_without_descriptors_it_stops_for_a_second_and_goes_on(
    mock_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving("lane", patience=1000) as served:
        first = await served.client()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        client = socket.socket()
        try:
            lowest = os.open("/dev/null", os.O_RDONLY)
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.connect(("127.0.0.1", served.port))
            for _ in range(200):
                await trio.lowlevel.checkpoint()
            assert served.admission.sockets == 1
            await first.send(frame(b"still"))
            assert await first.text() == b"still"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        mock_clock.jump(1.1)
        await served.until(lambda: served.admission.sockets == 2)
        client.close()
        assert capsys.readouterr().err.count("accept_failed") == 1


async def test_7_a_client_that_is_gone_before_it_is_accepted_hurts_nobody(
    turning: Turning,
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    turning.peers.append(listener)
    turning.lane.listen(listener)
    for data in (b"", request_bytes(), request_bytes() + frame(b"a")):
        client = socket.create_connection(listener.getsockname())
        client.sendall(data)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    turning.turn()
    turning.turn()
    assert turning.lane.connections == []
    assert all(session.ends == [(1006, "")] for session in turning.engine.sessions)
    turning.lane.ignore(listener)


async def test_a_peer_that_takes_nothing_is_reset_in_the_end() -> None:
    # A usual close would leave what the kernel holds for it until the kernel gives up.
    async with serving("lane", None, plan(outbox=100_000)) as served:
        client = await served.client()
        while not served.engine.session.ends:
            served.engine.session.echo(bytes(50_000))
            await trio.lowlevel.checkpoint()
        await served.until(lambda: served.admission.sockets == 0)
        with pytest.raises(trio.BrokenResourceError):
            await read_to_the_end(client.stream)


async def read_to_the_end(stream: trio.abc.Stream) -> None:
    while await stream.receive_some(65536):
        pass


async def test_7_half_sent_handshakes_keep_nobody_out() -> None:
    few = plan(Server(limits=Limits(connections=1)))
    async with serving("lane", None, few) as served:
        most = served.server._most
        clients = []
        for _ in range(most + 1):
            clients.append(await served.raw())
            await clients[-1].send(b"GET /")
        await served.until(lambda: served.admission.sockets == most)
        assert await clients[0].rest() == b""
        await (await served.raw()).open()
        assert served.admission.open == 1


async def test_7_more_sockets_than_may_be_open_are_closed_unheard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("channeld.server.listener._SPARE", 0)
    async with serving("lane", None, plan(Server(limits=Limits(connections=2)))) as served:
        for _ in range(2):
            await served.client()
        assert await (await served.raw()).rest() == b""
        assert served.admission.sockets == 2


def crowd(turning: Turning, count: int, address: str) -> list[socket.socket]:
    """Connections of one address, each of whose messages takes half of a turn's time from now on."""

    def spend(session: RecordingSession, payload: bytes) -> None:
        turning.spent += TURN_S / 2
        session.echo(payload)

    turning.engine.on_message = RecordingSession.echo
    many = [turning.connect(address=address) for _ in range(count)]
    turning.turn()
    for client in many:
        received(client)
    turning.engine.on_message = spend
    return many


async def test_8_a_crowd_keeps_nobody_else_waiting(turning: Turning) -> None:
    many = crowd(turning, SOCKETS_A_TURN * 2, "192.0.2.1")
    others = crowd(turning, 1, "192.0.2.2") + crowd(turning, 1, "192.0.2.3")
    for client in many + others:
        client.send(frame(b"x"))
    # The first turn sees that they are too many, the second one serves everybody else first.
    turning.turn()
    turning.turn()
    assert [texts(client) for client in others] == [[b"x"], [b"x"]]
    turns = 2
    while not all(session.messages for session in turning.engine.sessions):
        turning.turn()
        turns += 1
    assert turns <= SOCKETS_A_TURN + 2
    assert [texts(client) for client in many] == [[b"x"]] * len(many)


async def test_8_crowds_take_turns(turning: Turning) -> None:
    crowds = [crowd(turning, 12, f"192.0.2.{number}") for number in (1, 2)]
    for client in crowds[0] + crowds[1]:
        client.send(frame(b"x"))
    turning.turn()
    for client in crowds[0] + crowds[1]:
        received(client)
    for _ in range(3):
        turning.turn()
        assert [sum(bool(texts(client)) for client in clients) for clients in crowds] == [1, 1]


async def test_8_a_crowd_has_its_turn_while_others_never_stop_sending(turning: Turning) -> None:
    many = crowd(turning, 12, "192.0.2.1")
    others = [crowd(turning, 1, f"192.0.2.{number}")[0] for number in range(2, 6)]
    for client in many:
        client.send(frame(b"crowd"))
    turning.turn()
    before = sum(len(texts(client)) for client in many)
    for _ in range(5):
        for client in others:
            client.send(frame(b"other"))
        turning.turn()
    assert sum(len(texts(client)) for client in many) > before
    assert all(texts(client) for client in others)


async def test_8_floods_of_a_crowd_go_on_after_everybody_else(turning: Turning) -> None:
    many = crowd(turning, 12, "192.0.2.1")
    other = crowd(turning, 1, "192.0.2.2")[0]
    number = FRAMES_A_TURN
    for client in many:
        client.send(b"".join(frame(b"%d" % i) for i in range(number)))
    while not turning.lane._crowds.asked:
        turning.turn()
        turning.lane._turn_of_resumed()
    other.send(frame(b"other") * number)
    turning.turn()
    turning.lane._turn_of_resumed()
    assert other in [client for client in (*many, other) if texts(client)]
    while not all(len(session.messages) == number for session in turning.engine.sessions):
        turning.turn()
        turning.lane._turn_of_resumed()
    assert turning.engine.sessions[0].messages == [b"%d" % i for i in range(number)]


async def test_8_a_crowd_that_is_calm_or_gone_leaves_nothing(turning: Turning) -> None:
    many = crowd(turning, 20, "192.0.2.1")
    for client in many:
        client.send(frame(b"x"))
    turning.turn()
    assert len(turning.lane._crowds) == 1
    for connection in turning.lane.connections[3:]:
        connection.abandon(1001)
    for _ in range(4):
        turning.turn()
    assert len(turning.lane._crowds) == 0
    for client in many[:3]:
        client.send(frame(b"late"))
    for _ in range(2):
        turning.turn()
    assert [texts(client)[-1] for client in many[:3]] == [b"late"] * 3


async def test_9_a_bug_above_ends_one_connection(turning: Turning) -> None:
    def fail(session: RecordingSession, payload: bytes) -> Awaitable[None] | None:
        if payload == b"boom":
            raise RuntimeError("a bug above")
        session.echo(payload)
        return None

    turning.engine.on_message = fail
    one = turning.connect(request_bytes() + frame(b"boom"))
    other = turning.connect(request_bytes() + frame(b"fine"))
    turning.turn()
    assert read_frames(received(one).partition(b"\r\n\r\n")[2])[-1][1][:2] == b"\x03\xf3"
    assert texts(other) == [b"fine"]


async def test_an_idle_lane_costs_nothing() -> None:
    async with serving("lane") as served:
        await served.client()
        await trio.testing.wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        for _ in range(50):
            await served.client()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before


async def test_a_thousand_connections_come_and_go() -> None:
    async with serving("lane") as served:
        clients = [await served.client() for _ in range(300)]
        for client in clients:
            await client.send(frame(b"x") + close_frame(1000))
        for client in clients:
            assert await client.text() == b"x"
            assert await client.close_code() == 1000
        await served.until(lambda: served.admission.sockets == 0)
        assert len(served.admission.runtime.timers) == 0
        assert [session.ends for session in served.engine.sessions] == [[(1000, "")]] * 300


async def test_a_socket_that_cannot_be_watched_is_dropped(turning: Turning) -> None:
    near, far = socket.socketpair()
    duplicate = socket.socket(fileno=os.dup(far.fileno()))
    turning.lane.arrivals.register(far.fileno(), select.EPOLLIN)
    connection = turning.lane.adopt(far, "")
    assert connection.state.name == "GONE"
    assert turning.lane.connections == []
    near.close()
    duplicate.close()


def test_where_there_is_no_epoll_there_is_no_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_supported()
    monkeypatch.delattr(select, "epoll")
    assert not is_supported()
