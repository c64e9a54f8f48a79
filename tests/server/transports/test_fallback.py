"""The fallback reader: fragments, violations and limits, and what its guard adds to wsproto."""

import struct
import zlib
from collections.abc import Awaitable

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.protocol.reader import Closing, Stop
from channeld.protocol.websocket import PING, PONG, Scanner, encode_text
from channeld.server.transports.deflate import PerMessageDeflate
from channeld.server.transports.extensions import Deflate
from channeld.server.transports.fallback import MOST_FRAGMENTS, FallbackReader
from tests.server.kit import close_frame, frame

MANY = 1 << 30


class Heard:
    def __init__(self, largest: int = 1000, deflate: PerMessageDeflate | None = None) -> None:
        self.messages: list[bytes] = []
        self.answers: list[bytes] = []
        self.pending: Awaitable[None] | None = None
        self.scanner = Scanner(self, self, largest)
        self.fallback = FallbackReader(self.scanner, deflate)

    def receive(self, payload: bytes, now: float) -> Awaitable[None] | None:
        self.messages.append(payload)
        return self.pending

    def respond(self, data: bytes) -> None:
        self.answers.append(data)

    def feed(self, data: bytes, budget: int = MANY) -> Stop:
        return self.fallback.feed(data, 0.0, budget)

    async def feed_all(self, data: bytes) -> float:
        """As a connection does it, waiting where it is told to; the seconds that this took."""
        began = trio.current_time()
        while self.fallback.feed(data, trio.current_time(), MANY) is Stop.PENDING:
            data = b""
            assert self.fallback.pending is not None
            await self.fallback.pending
        return trio.current_time() - began


def test_fragments_become_one_message() -> None:
    heard = Heard()
    wire = frame(b"he", 0x01) + frame(b"", 0x00) + frame(b"llo", 0x80) + frame(b"after")
    assert heard.feed(wire) is Stop.MORE
    assert heard.messages == [b"hello", b"after"]


def test_what_the_scanner_left_is_read_first() -> None:
    heard = Heard()
    heard.scanner.feed(frame(b"he", 0x01), 0.0, MANY)
    heard.feed(frame(b"llo", 0x80))
    assert heard.messages == [b"hello"]


def test_control_frames_between_fragments_are_answered_at_once() -> None:
    heard = Heard()
    heard.feed(frame(b"he", 0x01) + frame(b"p", PING) + frame(b"q", PONG))
    assert heard.answers == [encode_text(b"p", PONG)]
    heard.feed(frame(b"llo", 0x80))
    assert heard.messages == [b"hello"]


def test_a_character_may_be_cut_by_a_fragment() -> None:
    heard = Heard()
    heard.feed(frame("€".encode()[:1], 0x01) + frame("€".encode()[1:], 0x80))
    assert heard.messages == ["€".encode()]


def test_compression_that_is_broken_is_called_so() -> None:
    heard = Heard(deflate=PerMessageDeflate(Deflate(), 1000))
    assert heard.feed(frame(b"\xff\xff\xff\xff", 0xC1)) is Stop.VIOLATION
    assert heard.fallback.close == Closing(1007, "broken compression")


def test_a_compressed_text_that_is_not_utf8_is_called_so() -> None:
    heard = Heard(deflate=PerMessageDeflate(Deflate(), 1000))
    packer = zlib.compressobj(wbits=-12)
    packed = packer.compress(b"\xff") + packer.flush(zlib.Z_SYNC_FLUSH)
    assert heard.feed(frame(packed[:-4], 0xC1)) is Stop.VIOLATION
    assert heard.fallback.close == Closing(1007, "not UTF-8")


def test_a_message_in_single_bytes() -> None:
    heard = Heard()
    for byte in frame("é€".encode(), 0x01) + frame("𝄞".encode(), 0x80):
        assert heard.feed(bytes((byte,))) is Stop.MORE
    assert heard.messages == ["é€𝄞".encode()]


@pytest.mark.parametrize("code", [1000, 1014, 3000, 4999])
def test_close_codes_are_those_of_the_scanner(code: int) -> None:
    heard = Heard()
    assert heard.feed(close_frame(code, b"bye")) is Stop.CLOSE
    assert heard.fallback.close == Closing(code, "bye")


def test_a_close_frame_without_a_code() -> None:
    heard = Heard()
    assert heard.feed(frame(b"", 0x88)) is Stop.CLOSE
    assert heard.fallback.close == Closing(1005, "")


VIOLATIONS = {
    "unmasked": (frame(b"hello", masked=False), 1002),
    "reserved bit": (frame(b"hello", 0xC1), 1002),
    "reserved opcode": (frame(b"hello", 0x83), 1002),
    "reserved control opcode": (frame(b"hello", 0x8B), 1002),
    "continuation of nothing": (frame(b"hello", 0x80), 1002),
    "message within a message": (frame(b"a", 0x01) + frame(b"b", 0x81), 1002),
    "binary within a message": (frame(b"a", 0x01) + frame(b"b", 0x82), 1002),
    "long ping": (frame(b"p" * 126, PING), 1002),
    "fragmented ping": (frame(b"p", 0x09), 1002),
    "16-bit length not needed": (b"\x81\xfe\x00\x05" + frame(b"hello")[2:], 1002),
    "64-bit length not needed": (b"\x81\xff" + struct.pack("!Q", 300) + bytes(304), 1002),
    "64-bit length, first bit set": (b"\x81\xff\x80" + bytes(11), 1002),
    "binary": (frame(b"x", 0x82), 1003),
    "binary fragment": (frame(b"x", 0x02), 1003),
    "not UTF-8": (frame(b"ab\xff\xfe"), 1007),
    "half a character": (frame("é".encode()[:1]), 1007),
    "surrogate": (frame(b"\xed\xa0\x80"), 1007),
    "fragment not UTF-8": (frame(b"\xff", 0x01), 1007),
    "close of one byte": (frame(b"\x03", 0x88), 1002),
    "close code 1005": (close_frame(1005), 1002),
    "close code 999": (close_frame(999), 1002),
    "close reason not UTF-8": (close_frame(1000, b"\xff"), 1007),
}


@pytest.mark.parametrize("name", VIOLATIONS)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_a_violation_says_which(name: str, step: int) -> None:
    wire, code = VIOLATIONS[name]
    heard = Heard()
    stops = [heard.feed(wire[at : at + step]) for at in range(0, len(wire), step)]
    assert Stop.VIOLATION in stops
    assert heard.fallback.close is not None
    assert heard.fallback.close.code == code
    assert heard.messages == []


def test_binary_is_refused_by_its_header() -> None:
    heard = Heard()
    assert heard.feed(b"\x82\x85") is Stop.VIOLATION


def test_after_a_violation_nothing_is_read() -> None:
    heard = Heard()
    heard.feed(frame(b"x", 0x83))
    assert heard.feed(frame(b"a")) is Stop.MORE
    assert heard.messages == []


def test_as_large_as_allowed_and_one_byte_more() -> None:
    heard = Heard()
    assert heard.feed(frame(b"x" * 600, 0x01) + frame(b"x" * 400, 0x80)) is Stop.MORE
    assert heard.feed(frame(b"x" * 600, 0x01) + frame(b"x" * 401, 0x80)) is Stop.TOO_LARGE
    assert heard.messages == [b"x" * 1000]


def test_the_size_is_judged_by_headers_and_in_bytes() -> None:
    heard = Heard()
    heard.feed(frame("é".encode() * 400, 0x01))
    assert heard.feed(b"\x80\xfe" + (201).to_bytes(2, "big")) is Stop.TOO_LARGE


def test_a_header_in_single_bytes_counts_once() -> None:
    heard = Heard()
    for _ in range(2):
        for byte in frame(b"x" * 500, 0x01) + frame(b"x" * 500, 0x80):
            assert heard.feed(bytes((byte,))) is Stop.MORE
    assert [len(message) for message in heard.messages] == [1000, 1000]


def test_fragments_are_counted_even_when_they_are_empty() -> None:
    heard = Heard()
    wire = frame(b"a", 0x01) + frame(b"", 0x00) * (MOST_FRAGMENTS - 1)
    assert heard.feed(wire) is Stop.MORE
    assert heard.feed(frame(b"", 0x80)) is Stop.VIOLATION
    assert heard.fallback.close == Closing(1008, "too many fragments")


def test_a_message_may_have_as_many_fragments_as_allowed() -> None:
    heard = Heard()
    last = frame(b"z", 0x80)
    heard.feed(frame(b"a", 0x01) + frame(b"", 0x00) * (MOST_FRAGMENTS - 2) + last)
    assert heard.messages == [b"az"]


def test_large_messages_may_have_more_fragments() -> None:
    # No more than the burst of tiny frames, so that none of them has to wait.
    heard = Heard(largest=64 * 1500)
    heard.feed(frame(b"a", 0x01) + frame(b"", 0x00) * 1498)
    assert heard.feed(frame(b"z", 0x80) + frame(b"a", 0x01)) is Stop.MORE
    assert heard.feed(frame(b"", 0x00) * 1500) is Stop.VIOLATION
    assert heard.messages == [b"az"]


def test_a_budget_leaves_the_rest_for_later() -> None:
    heard = Heard()
    wire = b"".join(frame(b"%d" % i) for i in range(5))
    assert [heard.feed(wire, 2), heard.feed(b"", 2)] == [Stop.BUDGET, Stop.BUDGET]
    assert heard.feed(b"", 2) is Stop.MORE
    assert heard.messages == [b"0", b"1", b"2", b"3", b"4"]


def test_what_is_pending_stops_the_reading_until_it_is_fed_again() -> None:
    async def nothing() -> None:
        pass

    heard = Heard()
    heard.pending = coroutine = nothing()
    assert heard.feed(frame(b"a") + frame(b"b")) is Stop.PENDING
    assert heard.fallback.pending is coroutine
    coroutine.close()
    heard.pending = None
    heard.feed(b"")
    assert heard.messages == [b"a", b"b"]


def test_closed_it_awaits_only_the_clients_close() -> None:
    heard = Heard()
    heard.fallback.open = False
    assert heard.feed(frame(b"late") + frame(b"p", PING)) is Stop.MORE
    assert heard.feed(close_frame(1000)) is Stop.CLOSE
    assert (heard.messages, heard.answers) == ([], [])


def test_compressed_text_has_room_for_what_deflate_adds() -> None:
    heard = Heard(largest=100, deflate=PerMessageDeflate(Deflate(), 100))
    stored = b"\x00\x05\x00\xfa\xffhello" * 20 + b"\x00"
    assert heard.feed(frame(stored, 0xC1)) is Stop.MORE
    assert heard.messages == [b"hello" * 20]


def test_compressed_bytes_are_bounded_too() -> None:
    heard = Heard(largest=100, deflate=PerMessageDeflate(Deflate(), 100))
    assert heard.feed(b"\xc1\xfe" + (1225).to_bytes(2, "big")) is Stop.TOO_LARGE


async def test_a_subclass_may_take_binary() -> None:
    class Taking(FallbackReader):
        takes_binary = True

        def take_binary(self, message: bytes, now: float) -> Awaitable[None] | None:
            taken.append(message)
            return None

    taken: list[bytes] = []
    heard = Heard()
    heard.fallback = Taking(heard.scanner)
    heard.feed(frame(b"\xff", 0x02) + frame(b"\xfe", 0x80) + frame(b"text"))
    assert (taken, heard.messages) == ([b"\xff\xfe"], [b"text"])


def test_binary_is_nobodys_otherwise() -> None:
    with pytest.raises(NotImplementedError):
        Heard().fallback.take_binary(b"", 0.0)


pieces = st.sampled_from(
    [
        frame(b"t"),
        frame("é€".encode()),
        frame(b"p", PING),
        frame(b"", PONG),
        frame(b"fr", 0x01),
        frame(b"", 0x00),
        frame(b"ag", 0x80),
        frame(b"x" * 130),
        frame(b"\xff"),
        frame(b"b", 0x82),
        frame(b"u", masked=False),
        close_frame(1000),
        close_frame(1005),
        frame(b"", 0x88),
    ]
)


@given(st.lists(pieces, max_size=8), st.data())
@settings(max_examples=150)
def test_any_chunking_with_or_without_the_scanner_gives_the_same(
    frames: list[bytes], data: st.DataObject
) -> None:
    wire = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=5)))
    chunks = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True) if a < b]
    assert outcome(chunks, fast=True) == outcome([wire] if wire else [], fast=False)


def outcome(chunks: list[bytes], *, fast: bool) -> object:
    """What a session and a client see, by the scanner as long as it takes, or by the fallback reader alone."""
    heard = Heard(largest=200)
    reader: Scanner | FallbackReader = heard.scanner if fast else heard.fallback
    stop = Stop.MORE
    for chunk in chunks:
        stop = reader.feed(chunk, 0.0, MANY)
        if stop is Stop.UNUSUAL:
            reader = FallbackReader(heard.scanner)
            stop = reader.feed(b"", 0.0, MANY)
        if stop is not Stop.MORE:
            break
    return stop, heard.messages, heard.answers, reader.close


def deflated(payload: bytes, count: int) -> bytes:
    """A client's compressed message, over and over, without a context."""
    deflater = zlib.compressobj(wbits=-9)
    data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return frame(data[:-4], 0xC1) * count


async def test_a_flood_of_tiny_pieces_is_slowed_and_loses_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    heard = Heard()
    cut = frame(b"a", 0x01) + frame(b"p", PING) + frame(b"b", 0x00) + frame(b"c", 0x80)
    seconds = await heard.feed_all(cut * 10_000)
    assert heard.messages == [b"abc"] * 10_000
    assert len(heard.answers) == 10_000
    # Three of each four frames bring next to nothing: a tenth of a core is enough for 7,700 a second.
    assert 3 < seconds < 4


async def test_what_is_inflated_is_charged_by_its_size(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bomb = deflated(b"x" * 60_000, 1000)
    assert len(bomb) < 200_000
    heard = Heard(65536, PerMessageDeflate(Deflate(client_no_context_takeover=True), 65536))
    seconds = await heard.feed_all(bomb)
    assert len(heard.messages) == 1000
    assert 0.6 < seconds < 1.0


@pytest.mark.parametrize(
    "wire", [frame(b"whole") * 20_000, (frame(b"x" * 64, 0x01) + frame(b"y", 0x80)) * 10_000]
)
async def test_whole_messages_and_fragments_of_a_size_are_not_charged(
    wire: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    heard = Heard()
    assert await heard.feed_all(wire) == 0


def test_a_large_inflated_message_counts_as_several_frames() -> None:
    heard = Heard(65536, PerMessageDeflate(Deflate(client_no_context_takeover=True), 65536))
    assert heard.feed(deflated(b"x" * 60_000, 3), budget=8) is Stop.BUDGET
    assert len(heard.messages) == 1
    assert heard.feed(b"", budget=8) is Stop.BUDGET
    assert heard.feed(frame(b"p", PING) * 7, budget=MANY) is Stop.MORE
    assert len(heard.messages) == 3
