import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing
from coredis.connection import UnixDomainSocketLocation
from coredis.exceptions import NoScriptError, RedisError

from channeld.broker.redis.connection import Connection, Lost, NoLongerPrimary, RedisWire, connect


class Pair:
    """A connection and the other end of its socket."""

    def __init__(self, timeout: float = 5.0) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.theirs.setblocking(False)
        self.turns: list[str] = []
        turn = (lambda: self.turns.append("begin"), lambda: self.turns.append("end"))
        self.connection = Connection(RedisWire(ours, None, None), timeout, turn)
        self.replies: list[Any] = []
        self.lost: list[Lost] = []

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self.connection.run(task_status=task_status)
        except Lost as error:
            self.lost.append(error)

    def ask(self, *words: str) -> None:
        self.connection.call(words, self.replies.append)
        self.connection.flush()

    async def say(self, data: bytes) -> None:
        self.theirs.send(data)
        await trio.testing.wait_all_tasks_blocked(0.01)


@pytest.fixture
async def pair(nursery: trio.Nursery) -> AsyncIterator[Pair]:
    pair = Pair()
    await nursery.start(pair.run)
    yield pair
    pair.connection.fail("the test is over")
    pair.theirs.close()


async def test_words_leave_at_once_and_answers_come_in_order(pair: Pair) -> None:
    pair.ask("GET", "é")
    pair.connection.call((b"SET", "a", 1), pair.replies.append)
    assert pair.theirs.recv(99) == b"*2\r\n$3\r\nGET\r\n$2\r\n\xc3\xa9\r\n"
    pair.connection.flush()
    assert pair.theirs.recv(99) == b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
    await pair.say(b"_\r\n:7")
    assert pair.replies == [None]
    await pair.say(b"\r\n")
    assert pair.replies == [None, 7]
    assert pair.turns == ["begin", "end"] * 2


async def test_pushes_are_told_apart_from_answers(pair: Pair) -> None:
    pushes: list[Any] = []
    pair.connection.on_push = pushes.append
    pair.ask("PING")
    await pair.say(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nd\r\n+PONG\r\n")
    assert (pushes, pair.replies) == ([[b"message", b"c", b"d"]], [b"PONG"])
    await pair.say(b"+nobody asked\r\n")
    assert pair.replies == [b"PONG"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("NOSCRIPT No matching", NoScriptError),
        ("READONLY You can't", NoLongerPrimary),
        ("MOVED 3999 127.0.0.1:6381", NoLongerPrimary),
        ("CLUSTERDOWN The", NoLongerPrimary),
        ("OOM command", RedisError),
    ],
)
async def test_errors_are_answers_with_a_kind(
    pair: Pair, text: str, kind: type[RedisError]
) -> None:
    pair.ask("PING")
    await pair.say(f"-{text}\r\n".encode())
    assert [(type(reply), str(reply)) for reply in pair.replies] == [(kind, text)]


async def test_what_one_read_causes_to_be_asked_leaves_together(pair: Pair) -> None:
    pair.connection.call(("A",), lambda _: pair.connection.call(("C",), pair.replies.append))
    pair.connection.call(("B",), lambda _: pair.connection.call(("D",), pair.replies.append))
    pair.connection.flush()
    pair.theirs.recv(99)
    await pair.say(b":1\r\n:2\r\n")
    assert pair.theirs.recv(99) == b"*1\r\n$1\r\nC\r\n*1\r\n$1\r\nD\r\n"


async def test_what_the_socket_does_not_take_follows(pair: Pair) -> None:
    size = 4_000_000
    pair.ask("A" * size)
    pair.ask("B" * size)
    got = bytearray()
    with trio.fail_after(60):
        while len(got) < 2 * size + 26:
            await trio.lowlevel.wait_readable(pair.theirs)
            got += pair.theirs.recv(1 << 20)
    head = b"*1\r\n$%d\r\n" % size
    assert got == head + b"A" * size + b"\r\n" + head + b"B" * size + b"\r\n"


@pytest.mark.parametrize("data", [None, b"?what\r\n"])
async def test_its_end_is_the_answer_to_all_that_wait(pair: Pair, data: bytes | None) -> None:
    pair.ask("A")
    pair.ask("B")
    if data is None:
        pair.theirs.close()
    else:
        pair.theirs.send(data)
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert len(pair.lost) == 1
    assert pair.replies == [pair.lost[0]] * 2
    pair.ask("C")
    assert pair.replies == [pair.lost[0]] * 3


async def test_no_answer_in_time_is_its_end(nursery: trio.Nursery) -> None:
    pair = Pair(timeout=0.1)
    await nursery.start(pair.run)
    pair.ask("A")
    with trio.fail_after(60):
        while not pair.lost:
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert "no answer in time" in str(pair.lost[0])
    pair.theirs.close()


async def test_who_asks_alone_gets_the_answer_or_the_error(pair: Pair) -> None:
    got: list[Any] = []

    async def ask() -> None:
        try:
            got.append(await pair.connection.ask("A"))
        except (RedisError, Lost) as error:
            got.append(error)

    for answer in (b":1\r\n", b"-ERR no\r\n", None):
        async with trio.open_nursery() as asking:
            asking.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            if answer is None:
                pair.connection.fail("over")
            else:
                pair.theirs.send(answer)
    assert got[0] == 1
    assert (str(got[1]), str(got[2])) == ("ERR no", "over")


async def test_nobody_there() -> None:
    with pytest.raises(OSError, match="No such file"):
        await connect(UnixDomainSocketLocation("/nowhere/s"), None)
