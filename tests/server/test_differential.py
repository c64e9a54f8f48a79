"""Random byte streams in random pieces: a connection does what a plain echo loop around wsproto would do."""

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import SERVER, ConnectionState
from wsproto.connection import Connection as Oracle
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from channeld.protocol.websocket import CLOSE, PING, PONG, TEXT
from channeld.server.admission import Admission
from channeld.server.connection import Connection
from channeld.server.flow import UNKNOWN, Flow
from channeld.server.outbox import Fanout
from channeld.server.state import State
from channeld.timers import Timers
from tests.server.kit import (
    RecordingEngine,
    close_frame,
    frame,
    plan,
    read_frames,
    request_bytes,
)

Seen = tuple[list[bytes], list[tuple[int, bytes]]]
"""The messages that a session got, and the WebSocket frames that the client got, each reason left out."""


class StillClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 0.0


class StillRuntime:
    """A runtime in which no time passes and nothing waits."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.timers = Timers()


@attrs.define(eq=False)
class Hand:
    """Carries a connection by hand; writes what it is given at once."""

    written: bytearray = attrs.field(factory=bytearray)
    resumed: bool = False

    def send(self, data: bytes | memoryview) -> int:
        self.written += data
        return len(data)

    def want_write(self) -> None:
        raise AssertionError("everything is taken")

    def resume(self) -> None:
        self.resumed = True

    def flow(self) -> Flow:
        return UNKNOWN

    hears = False

    def half_close(self) -> None:
        pass

    def release(self, *, abort: bool) -> None:
        pass


def by_connection(chunks: list[bytes]) -> Seen:
    engine, hand, the_plan = RecordingEngine(), Hand(), plan(message_size=1 << 63)
    admission = Admission(
        engine=engine,
        plan_source=lambda: the_plan,
        runtime=StillRuntime(),  # type: ignore[arg-type]
        fanout=Fanout(),
    )
    connection = Connection(admission, hand, hand, "192.0.2.1", secure=False)
    for chunk in chunks:
        admission.fanout.begin()
        if not connection.paused and connection.state is not State.GONE:
            connection.feed(chunk, 0.0)
        admission.fanout.end()
        while hand.resumed and connection.state is not State.GONE:
            hand.resumed = False
            connection.proceed(0.0)
            admission.fanout.end()
    answered = bytes(hand.written).partition(b"\r\n\r\n")[2]
    frames = [
        (first, body[:2] if first == CLOSE else body) for first, body in read_frames(answered)
    ]
    return engine.session.messages, frames


def by_wsproto(wire: bytes) -> Seen:
    oracle = Oracle(SERVER)
    oracle.receive_data(wire)
    messages: list[bytes] = []
    frames: list[tuple[int, bytes]] = []
    text = ""
    for event in oracle.events():
        if isinstance(event, TextMessage):
            text += event.data
            if event.message_finished:
                messages.append(text.encode())
                frames.append((TEXT, text.encode()))
                text = ""
        elif isinstance(event, BytesMessage):
            frames.append((CLOSE, (1003).to_bytes(2, "big")))
            break
        elif isinstance(event, Ping):
            frames.append((PONG, bytes(event.payload)))
        elif isinstance(event, CloseConnection):
            is_answer = oracle.state is ConnectionState.REMOTE_CLOSING
            bare = is_answer and event.code == 1005
            frames.append((CLOSE, b"" if bare else int(event.code).to_bytes(2, "big")))
            break
    return messages, frames


payloads = st.sampled_from([b"", b"t", "é€𝄞".encode(), b"x" * 125, b"y" * 126, b"z" * 1500])
broken = st.sampled_from([b"\xff", "é".encode()[:1], b"\xed\xa0\x80", b"ok\xc3\x28"])
firsts = st.sampled_from([0x81, 0x81, 0x81, 0x01, 0x00, 0x80, 0x82, 0x83, 0xC1, 0x0A])
pieces = st.one_of(
    payloads.map(frame),
    st.builds(frame, payloads, firsts),
    broken.map(frame),
    st.sampled_from([b"", b"p", b"p" * 125]).map(lambda payload: frame(payload, PING)),
    st.just(frame(b"", PONG)),
    st.sampled_from([1000, 1001, 4000, 1005, 999, 2999, 5000]).map(close_frame),
    st.just(frame(b"", CLOSE)),
    st.just(frame(b"unmasked", masked=False)),
    st.binary(min_size=1, max_size=4),
)


@given(st.lists(pieces, max_size=8), st.booleans(), st.data())
@settings(max_examples=250, deadline=None)
def test_a_connection_does_what_a_loop_around_wsproto_does(
    sent: list[bytes], glued: bool, data: st.DataObject
) -> None:
    wire = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    chunks = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True) if a < b]
    first = [request_bytes() + b"".join(chunks[:1]), *chunks[1:]] if glued else None
    seen = by_connection(first or [request_bytes(), *chunks])
    expected = by_wsproto(wire)
    assert seen == expected or is_earlier_refusal(seen, expected)


def is_earlier_refusal(seen: Seen, expected: Seen) -> bool:
    """Binary is refused by its header: before its payload, and before anything else that may be wrong with it."""
    messages, frames = expected
    before = frames[:-1] if frames and frames[-1][0] == CLOSE else frames
    return seen == (messages, [*before, (CLOSE, (1003).to_bytes(2, "big"))])


def test_many_frames_at_once_need_several_turns_and_are_the_same() -> None:
    wire = b"".join(frame(b"%d" % i) for i in range(300)) + close_frame(1000)
    assert by_connection([request_bytes() + wire]) == by_wsproto(wire)
