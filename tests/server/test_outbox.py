"""Outboxes and the fan-out: order, joining, partial writes, slow peers, turns."""

import itertools
from collections.abc import Callable
from functools import partial

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.hub.fanout import Recipient
from channeld.protocol.websocket import encode_text
from channeld.server.outbox import Fanout, Outbox
from channeld.server.transports.websocket import WebSocket
from tests.server.kit import read_frames


class Socket:
    """Sends as it is told."""

    def __init__(self, send: Callable[[bytes | memoryview], int]) -> None:
        self.send = send


class Peer(Outbox):
    """An outbox whose socket takes `room` bytes; keeps what it took and what it was told."""

    def __init__(self, fanout: Fanout, room: int = 1 << 30) -> None:
        super().__init__(fanout, Socket(self.take_some))
        self.direct = self.socket
        self.room = room
        self.taken: list[bytes] = []
        self.told: list[str] = []
        self.error: OSError | None = None

    def take_some(self, data: bytes | memoryview) -> int:
        if self.error is not None:
            raise self.error
        size = min(self.room, len(data))
        self.room -= size
        if not size:
            raise BlockingIOError
        self.taken.append(bytes(data[:size]))
        return size

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        return WebSocket().boundary(data, start, offset)

    def want_write(self) -> None:
        self.told.append("want_write")

    def overflowed(self) -> None:
        self.told.append("overflowed")

    def broken(self) -> None:
        self.told.append("broken")
        self.direct, self.out = None, None

    def drained(self) -> None:
        self.told.append("drained")

    @property
    def bytes(self) -> bytes:
        return b"".join(self.taken)


class Changing(Peer):
    """A peer that changes what it sends, as one that compresses does: nothing may be written past `send`."""

    def __init__(self, fanout: Fanout) -> None:
        super().__init__(fanout)
        self.direct = None

    def relay(self, frame: bytes, encoded: bytes) -> None:
        self.queue(b"<" + frame + b">")


def test_what_is_queued_leaves_at_the_turns_end_with_one_write() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout)
    fanout.begin()
    peer.send(b"a")
    peer.send(b"b")
    assert peer.taken == []
    fanout.end()
    assert (peer.taken, peer.out, fanout.bytes_out) == ([b"ab"], None, 2)


def test_what_the_peer_does_not_take_waits() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout, room=3)
    peer.send(b"abcdef")
    fanout.end()
    assert (peer.bytes, peer.queued, peer.blocked, peer.told) == (b"abc", 3, True, ["want_write"])
    peer.send(b"gh")
    fanout.end()
    assert (peer.bytes, peer.queued) == (b"abc", 5)
    peer.room = 100
    peer.flush()
    assert (peer.bytes, peer.out, peer.queued, peer.blocked) == (b"abcdefgh", None, 0, False)


def test_a_large_piece_is_not_copied_for_what_comes_behind_it() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout, room=0)
    large = bytes(100_000)
    peer.send(large)
    fanout.end()
    peer.send(b"b")
    peer.room = 1 << 30
    peer.flush()
    assert peer.taken == [large]
    peer.flush()
    assert (peer.taken, peer.out) == ([large, b"b"], None)


def test_what_comes_behind_a_large_piece_in_one_turn_is_not_lost() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout)
    fanout.begin()
    peer.send(bytes(100_000))
    peer.send(b"b")
    fanout.end()
    peer.flush()
    assert (len(peer.bytes), peer.bytes[-1:], peer.out) == (100_001, b"b", None)


def test_more_than_the_limit_overflows() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout, room=0)
    peer.limit = 10
    peer.send(b"x" * 10)
    fanout.end()
    assert "overflowed" not in peer.told
    peer.send(b"x")
    assert "overflowed" in peer.told


def test_a_burst_that_the_peer_takes_does_not_overflow() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout)
    peer.limit = 10
    fanout.begin()
    for _ in range(100):
        peer.send(b"x" * 10)
    fanout.end()
    assert (len(peer.bytes), peer.told) == (1000, [])


def test_a_burst_that_it_does_not_take_overflows_at_the_turns_end() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout, room=5)
    peer.limit = 10
    fanout.begin()
    for _ in range(10):
        peer.send(b"x" * 10)
    fanout.end()
    assert "overflowed" in peer.told


def test_more_than_the_limit_is_written_before_the_turns_end() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout)
    peer.limit = 10
    fanout.begin()
    peer.send(b"x" * 10)
    peer.send(b"y" * 11)
    assert (len(peer.bytes), peer.out, peer.queued) == (21, None, 0)
    fanout.end()
    assert (len(peer.bytes), peer.told) == (21, [])


def test_a_lost_peer_is_told() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout)
    peer.error = ConnectionResetError()
    peer.send(b"a")
    fanout.end()
    assert peer.told == ["broken"]


def test_the_last_words_are_followed_by_drained() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout, room=1)
    peer.send(b"ab")
    peer.parting = True
    fanout.end()
    assert peer.told == ["want_write"]
    peer.room = 9
    peer.flush()
    assert peer.told == ["want_write", "drained"]


@pytest.mark.parametrize("sent", [0, 1, 3, 130, 131, 133, 140])
def test_cutting_keeps_the_frame_that_is_partly_sent(sent: int) -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout, room=sent)
    frames = [encode_text(b"a"), encode_text(b"b" * 126), encode_text(b"c"), encode_text(b"d" * 9)]
    fanout.begin()
    for one in frames:
        peer.send(one)
    fanout.end()
    peer.cut()
    peer.queue(encode_text(b"end"))
    peer.room = 1 << 30
    while peer.out is not None:
        peer.flush()
    got = [payload for _, payload in read_frames(peer.bytes)]
    assert got[-1] == b"end"
    assert got[:-1] == [b"a", b"b" * 126, b"c", b"d" * 9][: len(got) - 1]
    assert len(b"".join(frames[: len(got) - 1])) - sent < 130


def test_cutting_keeps_a_handshakes_answer() -> None:
    fanout = Fanout(bytes)
    answer = b"HTTP/1.1 101 Switching Protocols\r\nX: y\r\n\r\n"
    for room in range(len(answer)):
        peer = Peer(fanout, room=room)
        peer.queue(answer)
        peer.send(encode_text(b"a"))
        fanout.end()
        peer.cut()
        peer.room = 1 << 30
        peer.flush()
        assert peer.bytes == answer


def test_cutting_nothing_is_nothing() -> None:
    peer = Peer(Fanout(bytes))
    peer.cut()
    assert peer.out is None


# ---- a writer that waits itself


def test_a_waiting_writer_takes_all_and_then_the_rest() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout, room=0)
    peer.send(b"a")
    peer.send(b"b")
    fanout.end()
    assert (peer.take(), peer.queued) == (b"ab", 0)
    peer.send(b"c")
    peer.keep_unsent(b"ab", 2)
    assert peer.take() == b"c"
    peer.keep_unsent(b"c", 1)
    assert (peer.take(), peer.blocked) == (b"", False)


def test_what_a_writer_is_writing_is_not_cut() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout, room=0)
    peer.send(encode_text(b"a"))
    fanout.end()
    taken = peer.take()
    peer.send(encode_text(b"b"))
    peer.cut()
    peer.queue(encode_text(b"end"))
    peer.keep_unsent(taken, len(taken))
    assert peer.take() == encode_text(b"end")


# ---- fan-out


def test_a_rooms_frames_are_joined_once_for_all_members() -> None:
    fanout = Fanout(bytes)
    peers: dict[Recipient, None] = {Peer(fanout): None for _ in range(3)}
    fanout.begin()
    fanout.publish(peers, b"a")
    fanout.publish(peers, b"b")
    fanout.end()
    joined = [peer.taken for peer in peers if isinstance(peer, Peer)]
    assert joined == [[b"ab"]] * 3


def test_a_direct_frame_keeps_its_place_among_a_rooms() -> None:
    fanout = Fanout(bytes)
    one, other = Peer(fanout), Peer(fanout)
    room: dict[Recipient, None] = {one: None, other: None}
    fanout.begin()
    fanout.publish(room, b"1")
    one.send(b"-")
    fanout.publish(room, b"2")
    fanout.publish(room, b"3")
    fanout.end()
    assert (one.bytes, other.bytes) == (b"1-23", b"123")


def test_rooms_keep_the_order_of_publishing() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout)
    red: dict[Recipient, None] = {peer: None}
    blue: dict[Recipient, None] = {peer: None}
    fanout.begin()
    for digit in b"0123456789":
        fanout.publish(red if digit % 3 else blue, bytes((digit,)))
    fanout.end()
    assert peer.bytes == b"0123456789"


def test_a_skipped_member_misses_that_frame_only() -> None:
    fanout = Fanout(bytes)
    one, other = Peer(fanout), Peer(fanout)
    room: dict[Recipient, None] = {one: None, other: None}
    fanout.begin()
    fanout.publish(room, b"1")
    fanout.publish(room, b"2", skip=one)
    fanout.publish(room, b"3", skip=Peer(fanout))
    fanout.publish(room, b"4", skip=one)
    fanout.end()
    assert (one.bytes, other.bytes) == (b"13", b"1234")


def test_settling_lets_members_change() -> None:
    fanout = Fanout(bytes)
    early, late = Peer(fanout), Peer(fanout)
    room: dict[Recipient, None] = {early: None}
    fanout.begin()
    fanout.publish(room, b"1")
    fanout.settle()
    room[late] = None
    fanout.publish(room, b"2")
    fanout.settle()
    del room[early]
    fanout.publish(room, b"3")
    fanout.end()
    assert (early.bytes, late.bytes) == (b"12", b"23")


def test_settling_nothing_is_nothing() -> None:
    fanout = Fanout(bytes)
    fanout.settle()
    fanout.publish({}, b"1")
    fanout.end()
    assert fanout.recipients is None


def test_a_member_that_changes_its_frames_gets_each_by_itself() -> None:
    fanout = Fanout(bytes)
    plain, changing = Peer(fanout), Changing(fanout)
    room: dict[Recipient, None] = {plain: None, changing: None}
    fanout.begin()
    fanout.publish(room, b"1")
    fanout.publish(room, b"2")
    fanout.end()
    assert (plain.bytes, changing.bytes) == (b"12", b"<1><2>")


def test_a_frame_is_encoded_once_for_all_of_a_room() -> None:
    def encode(frame: bytes) -> bytes:
        calls.append(frame)
        return b"[%b]" % frame

    calls: list[bytes] = []
    fanout = Fanout(encode)
    peers: list[Peer] = [Peer(fanout), Peer(fanout), Peer(fanout), Changing(fanout)]
    # Written to by a task of its own, as over TLS.
    peers[1].direct = None
    room: dict[Recipient, None] = dict.fromkeys(peers)
    fanout.begin()
    fanout.publish(room, b"1")
    fanout.catch_up(peers[0])
    peers[0].queue(b"-")
    fanout.publish(room, b"2", skip=peers[2])
    fanout.end()
    assert calls == [b"1", b"2"]
    assert [peer.bytes for peer in peers] == [b"[1]-[2]", b"[1][2]", b"[1]", b"<1><2>"]


def test_a_full_member_delays_nobody_and_loses_nothing() -> None:
    fanout = Fanout(bytes)
    slow, quick = Peer(fanout, room=3), Peer(fanout)
    room: dict[Recipient, None] = {slow: None, quick: None}
    for frame in (b"ab", b"cd", b"ef"):
        fanout.publish(room, frame)
        fanout.end()
    assert (slow.bytes, quick.bytes) == (b"abc", b"abcdef")
    slow.room = 100
    slow.flush()
    assert slow.bytes == b"abcdef"


def test_a_member_that_takes_nothing_at_all_waits() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout, room=0)
    fanout.publish({peer: None}, b"ab")
    fanout.end()
    assert (peer.queued, peer.blocked) == (2, True)


def test_a_lost_member_is_told_and_the_others_are_served() -> None:
    fanout = Fanout(bytes)
    lost, other = Peer(fanout), Peer(fanout)
    lost.error = BrokenPipeError()
    fanout.publish({lost: None, other: None}, b"1")
    fanout.end()
    assert (lost.told, other.bytes) == (["broken"], b"1")


def test_members_share_the_joined_buffer() -> None:
    fanout = Fanout(bytes)
    peers = [Peer(fanout, room=0) for _ in range(2)]
    room: dict[Recipient, None] = dict.fromkeys(peers)
    fanout.publish(room, b"x" * 1000)
    fanout.publish(room, b"y" * 1000)
    fanout.end()
    assert peers[0].out is not None
    assert peers[1].out is not None
    assert peers[0].out[0] is peers[1].out[0]


# ---- turns


def test_what_waits_for_the_turns_end_comes_after_the_frames_and_may_add_more() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout)

    def last() -> None:
        seen.append(peer.bytes)
        peer.send(b"b")

    seen: list[bytes] = []
    fanout.begin()
    fanout.when_turn_ends(last)
    peer.send(b"a")
    fanout.end()
    assert (seen, peer.bytes) == ([b"a"], b"ab")


async def test_what_is_queued_outside_of_a_turn_leaves_at_once() -> None:
    fanout = Fanout(bytes)
    peer = Peer(fanout)
    called: list[bool] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fanout.run)
        peer.send(b"a")
        await trio.testing.wait_all_tasks_blocked()
        assert peer.bytes == b"a"
        fanout.publish({peer: None}, b"b")
        await trio.testing.wait_all_tasks_blocked()
        assert peer.bytes == b"ab"
        fanout.when_turn_ends(lambda: called.append(True))
        await trio.testing.wait_all_tasks_blocked()
        assert called == [True]
        nursery.cancel_scope.cancel()


def test_a_failure_ends_the_turn() -> None:
    fanout = Fanout(bytes)

    def fail() -> None:
        raise RuntimeError

    fanout.begin()
    fanout.when_turn_ends(fail)
    with pytest.raises(RuntimeError):
        fanout.end()
    assert not fanout.in_turn


# ---- rooms that are too large for one turn

LOOK = 64


def slow_fanout() -> Fanout:
    """Of which each look at the clock says that the turn is over."""
    return Fanout(bytes, itertools.count().__next__)


def crowd(fanout: Fanout, size: int = 3 * LOOK) -> tuple[list[Peer], dict[Recipient, None]]:
    peers = [Peer(fanout) for _ in range(size)]
    return peers, dict.fromkeys(peers)


def test_a_large_room_is_written_to_in_several_turns() -> None:
    fanout = slow_fanout()
    peers, room = crowd(fanout)
    fanout.publish(room, b"a", skip=peers[-1])
    seen = []
    for _ in range(3):
        fanout.end()
        seen.append(sum(peer.bytes == b"a" for peer in peers))
    assert seen == [LOOK, 2 * LOOK, 3 * LOOK - 1]
    assert (peers[-1].bytes, fanout.recipients, fanout.dirty) == (b"", None, [])


async def test_the_rest_of_a_large_room_comes_by_itself() -> None:
    fanout = slow_fanout()
    peers, room = crowd(fanout)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fanout.run)
        fanout.begin()
        fanout.publish(room, b"a")
        fanout.end()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert {peer.bytes for peer in peers} == {b"a"}


def test_who_is_still_to_come_gets_everything_in_order_and_once() -> None:
    fanout = slow_fanout()
    peers, room = crowd(fanout)
    fanout.publish(room, b"a")
    fanout.end()
    first, last = peers[0], peers[-1]
    last.send(b"b")
    first.send(b"b")
    fanout.publish(room, b"c", skip=first)
    while fanout.recipients is not None or fanout.dirty:
        fanout.end()
    assert (first.bytes, peers[LOOK].bytes, last.bytes) == (b"ab", b"ac", b"abc")


def test_a_large_room_may_change_meanwhile() -> None:
    fanout = slow_fanout()
    peers, room = crowd(fanout)
    fanout.publish(room, b"a")
    fanout.end()
    fanout.settle()
    del room[peers[-1]]
    late = Peer(fanout)
    room[late] = None
    while fanout.recipients is not None or fanout.dirty:
        fanout.end()
    assert {peer.bytes for peer in peers} == {b"a"}
    assert late.bytes == b""


def test_answers_and_ends_do_not_wait_for_a_large_room() -> None:
    fanout = slow_fanout()
    _, room = crowd(fanout)
    other = Peer(fanout)
    ended: list[bool] = []
    fanout.begin()
    fanout.publish(room, b"a")
    fanout.when_turn_ends(lambda: ended.append(True))
    other.send(b"answer")
    fanout.end()
    assert (other.bytes, ended, fanout.recipients is None) == (b"answer", [True], False)


def test_answers_leave_before_the_rest_of_a_large_room() -> None:
    fanout = slow_fanout()
    peers, room = crowd(fanout)
    other = Peer(fanout)
    served: list[int] = []

    def write(data: bytes | memoryview) -> int:
        served.append(sum(peer.bytes == b"a" for peer in peers))
        return len(data)

    other.socket = Socket(write)
    fanout.publish(room, b"a")
    fanout.end()
    other.send(b"answer")
    fanout.end()
    assert (served, sum(peer.bytes == b"a" for peer in peers)) == ([LOOK], 2 * LOOK)


def test_a_turn_looks_at_the_clock_after_so_many_bytes() -> None:
    fanout = slow_fanout()
    peers, room = crowd(fanout)
    large = b"x" * 65536
    fanout.publish(room, large)
    for turn in range(1, 4):
        fanout.end()
        assert sum(peer.bytes == large for peer in peers) == turn


def test_what_waits_for_the_turns_end_has_its_time_too() -> None:
    fanout = slow_fanout()
    ended: list[int] = []
    for number in range(3):
        fanout.when_turn_ends(partial(ended.append, number))
    fanout.end()
    assert ended == [0]
    while fanout.ended:
        fanout.end()
    assert ended == [0, 1, 2]


def test_many_answers_leave_in_several_turns() -> None:
    fanout = slow_fanout()
    peers, _ = crowd(fanout)
    fanout.begin()
    for peer in peers:
        peer.send(b"a")
    seen = []
    for _ in range(3):
        fanout.end()
        seen.append(sum(peer.bytes == b"a" for peer in peers))
    assert seen == [LOOK, 2 * LOOK, 3 * LOOK]


actions = st.lists(
    st.tuples(
        st.sampled_from(["red", "blue", "send", "skip", "join", "leave", "end"]), st.integers(0, 2)
    ),
    max_size=25,
)


@given(actions, st.lists(st.integers(0, 30), min_size=3, max_size=3), st.booleans())
@settings(max_examples=150)
def test_everybody_gets_what_a_plain_loop_would_have_sent(
    steps: list[tuple[str, int]], rooms_left: list[int], is_crowded: bool
) -> None:
    fanout = slow_fanout() if is_crowded else Fanout(bytes)
    others = [Peer(fanout) for _ in range(LOOK if is_crowded else 0)]
    peers = [Peer(fanout, room) for room in rooms_left]
    expected = [b""] * 3
    rooms: dict[str, dict[Recipient, None]] = {
        "red": dict.fromkeys([peers[0], *others, *peers[1:]]),
        "blue": {},
    }
    fanout.begin()
    for number, (verb, who) in enumerate(steps):
        text = b"%d," % number
        if verb == "send":
            peers[who].send(text)
            expected[who] += text
        elif verb in ("red", "blue", "skip"):
            room = rooms["red" if verb == "skip" else verb]
            skip = peers[who] if verb == "skip" else None
            fanout.publish(room, text, skip)
            for i, peer in enumerate(peers):
                expected[i] += text if peer in room and peer is not skip else b""
        elif verb == "end":
            fanout.end()
            fanout.begin()
        else:
            fanout.settle()
            rooms["blue"].pop(peers[who], None)
            if verb == "join":
                rooms["blue"][peers[who]] = None
    fanout.end()
    while fanout.recipients is not None or fanout.dirty:
        fanout.end()
    for peer in peers:
        peer.room = 1 << 30
        while peer.out is not None:
            peer.flush()
    assert [peer.bytes for peer in peers] == expected


def test_a_peer_for_which_little_waits_is_ready() -> None:
    fanout = Fanout()
    peer = Peer(fanout, room=0)
    peer.limit = 400
    fanout.begin()
    peer.queue(b"x" * 100)
    fanout.end()
    assert peer.blocked
    assert peer.ready() is None


async def test_one_for_which_much_waits_is_ready_when_it_has_taken_most() -> None:
    fanout = Fanout()
    peer = Peer(fanout, room=100)
    peer.limit = 400
    fanout.begin()
    peer.queue(b"x" * 300)
    peer.queue(b"x" * 150)
    waiting = peer.ready()
    assert waiting is not None
    fanout.end()
    async with trio.open_nursery() as nursery:
        done = trio.Event()

        async def wait() -> None:
            await waiting
            done.set()

        nursery.start_soon(wait)
        for room in (150, 100):
            await trio.testing.wait_all_tasks_blocked()
            assert not done.is_set()
            peer.room = room
            peer.flush()
        await trio.testing.wait_all_tasks_blocked()
        assert done.is_set()
    assert peer.told == ["want_write"] * 3


async def test_nobody_waits_for_a_peer_that_is_gone() -> None:
    fanout = Fanout()
    peer = Peer(fanout, room=0)
    peer.limit = 10
    peer.queue(b"x" * 5)
    peer.queue(b"x" * 5)
    waiting = peer.ready()
    assert waiting is not None
    peer.let_go()
    await waiting


def test_one_piece_over_the_limit_is_waited_for_but_what_comes_behind_it_counts() -> None:
    fanout = Fanout()
    peer = Peer(fanout, room=10)
    peer.limit = 100
    fanout.begin()
    peer.queue(b"x" * 1000)
    fanout.end()
    assert "overflowed" not in peer.told
    fanout.begin()
    peer.queue(b"y" * 100)
    assert "overflowed" not in peer.told
    peer.queue(b"y")
    assert "overflowed" in peer.told
