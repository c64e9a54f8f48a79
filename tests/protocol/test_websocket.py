"""The scanner, unmasking and the server's frames, with wsproto as the oracle for what a client's bytes mean."""

import struct
from collections.abc import Awaitable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import SERVER, Connection
from wsproto.events import CloseConnection, Ping, TextMessage

from channeld.protocol.codes import CloseCode
from channeld.protocol.reader import Closing, Stop
from channeld.protocol.websocket import (
    PING,
    PONG,
    TEXT,
    Scanner,
    encode_close,
    encode_text,
    read_close,
)
from tests.server.kit import close_frame, frame, read_frames

FEW, MANY = 2, 1000


class Heard:
    """A scanner, and what came of it."""

    def __init__(self, largest: int = 65536) -> None:
        self.messages: list[bytes] = []
        self.answers: list[bytes] = []
        self.pending: Awaitable[None] | None = None
        self.scanner = Scanner(self, self, largest)

    def receive(self, payload: bytes, now: float) -> Awaitable[None] | None:
        self.messages.append(payload)
        return self.pending

    def respond(self, data: bytes) -> None:
        self.answers.append(data)

    def feed(self, data: bytes, budget: int = MANY) -> Stop:
        return self.scanner.feed(data, 0.0, budget)


async def nothing() -> None:
    pass


# ---------------------------------------------------------------------------------------------- frames of the server


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70000])
def test_the_payload_of_an_encoded_text_is_the_text(size: int) -> None:
    payload = b"x" * size
    assert read_frames(encode_text(payload)) == [(0x81, payload)]


def test_lengths_take_the_fewest_bytes() -> None:
    assert encode_text(b"x" * 125)[:2] == b"\x81\x7d"
    assert encode_text(b"x" * 126)[:4] == b"\x81\x7e\x00\x7e"
    assert encode_text(b"x" * 65536)[:10] == b"\x81\x7f" + (65536).to_bytes(8, "big")


def test_a_close_frame_has_its_code_and_reason() -> None:
    assert encode_close(1001, "bye") == b"\x88\x05\x03\xe9bye"


@pytest.mark.parametrize("code", [1005, 1006])
def test_a_code_that_never_travels_is_left_out(code: int) -> None:
    assert encode_close(code, "bye") == b"\x88\x00"


def test_a_long_reason_is_cut_at_a_characters_end() -> None:
    encoded = encode_close(1000, "é" * 100)
    assert len(encoded) <= 127
    assert read_frames(encoded)[0][1][2:].decode() == "é" * 61


# ---------------------------------------------------------------------------------------------- what the scanner takes


def test_whole_texts_are_given_in_order() -> None:
    heard = Heard()
    assert heard.feed(frame(b"a") + frame(b"") + frame("é€𝄞".encode())) is Stop.MORE
    assert heard.messages == [b"a", b"", "é€𝄞".encode()]


def test_an_empty_text_alone_is_read() -> None:
    heard = Heard()
    assert heard.feed(frame(b"")) is Stop.MORE
    assert heard.messages == [b""]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 1399, 1400, 65535, 65536, 100_000])
def test_every_length_form_is_read(size: int) -> None:
    heard = Heard(largest=100_000)
    heard.feed(frame(b"x" * size) + frame(b"next"))
    assert heard.messages == [b"x" * size, b"next"]


def test_a_frame_cut_at_each_byte_is_read_the_same() -> None:
    wire = frame("é€".encode()) + frame(b"p", PING) + frame(b"y" * 300) + frame(b"end")
    for cut in range(1, len(wire)):
        heard = Heard()
        assert [heard.feed(wire[:cut]), heard.feed(wire[cut:])] == [Stop.MORE, Stop.MORE], cut
        assert heard.messages == ["é€".encode(), b"y" * 300, b"end"]
        assert heard.answers == [encode_text(b"p", PONG)]


def test_a_long_text_in_single_bytes_is_read() -> None:
    heard = Heard()
    for byte in frame("aé€𝄞".encode() * 100):
        assert heard.feed(bytes((byte,))) is Stop.MORE
    assert heard.messages == ["aé€𝄞".encode() * 100]


@pytest.mark.parametrize("size", [100, 125, 126, 300, 65535, 65536])
def test_a_message_of_exactly_the_largest_size_may_come_in_two_reads(size: int) -> None:
    wire = frame(b"x" * size)
    for cut in (1, 2, 7, 14, len(wire) // 2, len(wire) - 1):
        heard = Heard(largest=size)
        assert [heard.feed(wire[:cut]), heard.feed(wire[cut:])] == [Stop.MORE, Stop.MORE]
        assert heard.messages == [b"x" * size]


@pytest.mark.parametrize("size", [100, 125, 126, 300, 65535, 65536])
def test_a_message_of_one_byte_more_is_too_large_as_soon_as_its_length_is_read(size: int) -> None:
    heard = Heard(largest=size - 1)
    assert heard.feed(frame(b"x" * size)[:14]) is Stop.TOO_LARGE


def test_a_ping_of_125_bytes_may_come_in_two_reads() -> None:
    wire = frame(b"p" * 125, PING)
    for cut in range(1, len(wire)):
        heard = Heard()
        assert [heard.feed(wire[:cut]), heard.feed(wire[cut:])] == [Stop.MORE, Stop.MORE]
        assert heard.answers == [encode_text(b"p" * 125, PONG)]


@pytest.mark.parametrize("cut", [2, 3, 4, 8, 60])
def test_a_ping_of_126_bytes_in_two_reads_is_unusual_from_its_length_on(cut: int) -> None:
    heard = Heard()
    assert heard.feed(frame(b"p" * 126, PING)[:cut]) is Stop.UNUSUAL
    assert heard.answers == []


def test_pings_are_answered_and_pongs_are_not() -> None:
    heard = Heard()
    heard.feed(frame(b"one", PING) + frame(b"", PONG) + frame(b"p" * 125, PING))
    assert heard.answers == [encode_text(b"one", PONG), encode_text(b"p" * 125, PONG)]


def test_a_close_frame_ends_the_reading() -> None:
    heard = Heard()
    assert heard.feed(frame(b"a") + close_frame(4001, b"bye") + frame(b"b")) is Stop.CLOSE
    assert heard.scanner.close == Closing(4001, "bye")
    assert heard.messages == [b"a"]


def test_a_close_frame_without_a_code_is_1005() -> None:
    heard = Heard()
    assert heard.feed(frame(b"", 0x88)) is Stop.CLOSE
    assert heard.scanner.close == Closing(1005, "")


# --------------------------------------------------------------------------------------------------- when it stops


def test_a_budget_leaves_the_rest_for_later() -> None:
    heard = Heard()
    wire = b"".join(frame(b"%d" % i) for i in range(5))
    stops = [heard.feed(wire, FEW), heard.feed(b"", FEW), heard.feed(b"", FEW)]
    assert stops == [Stop.BUDGET, Stop.BUDGET, Stop.MORE]
    assert heard.messages == [b"0", b"1", b"2", b"3", b"4"]


def test_a_budget_spent_at_the_end_leaves_nothing() -> None:
    heard = Heard()
    assert heard.feed(frame(b"0") + frame(b"1"), FEW) is Stop.MORE
    assert heard.scanner.take_rest() == b""


def test_new_bytes_come_after_those_that_a_budget_left() -> None:
    heard = Heard()
    heard.feed(b"".join(frame(b"%d" % i) for i in range(3)), FEW)
    heard.feed(frame(b"3"), FEW)
    assert heard.messages == [b"0", b"1", b"2", b"3"]


def test_what_is_pending_stops_the_reading_until_it_is_fed_again() -> None:
    heard = Heard()
    coroutine = nothing()
    heard.pending = coroutine
    assert heard.feed(frame(b"a") + frame(b"b")) is Stop.PENDING
    assert heard.scanner.pending is coroutine
    coroutine.close()
    heard.pending = None
    assert heard.feed(b"") is Stop.MORE
    assert heard.messages == [b"a", b"b"]


def test_closing_within_a_message_takes_effect_at_once() -> None:
    class Closing(Heard):
        def receive(self, payload: bytes, now: float) -> Awaitable[None] | None:
            self.scanner.open = False
            return super().receive(payload, now)

    heard = Closing()
    assert heard.feed(frame(b"a") + frame(b"b")) is Stop.CLOSED
    assert (heard.messages, heard.scanner.take_rest()) == ([b"a"], frame(b"b"))


def test_closing_within_a_pong_takes_effect_at_once() -> None:
    class Closing(Heard):
        def respond(self, data: bytes) -> None:
            self.scanner.open = False

    heard = Closing()
    assert heard.feed(frame(b"", PING) + frame(b"b")) is Stop.CLOSED
    assert heard.messages == []


UNUSUAL = {
    "unmasked": frame(b"hello", masked=False),
    "reserved bit": frame(b"hello", 0xC1),
    "reserved opcode": frame(b"hello", 0x83),
    "binary": frame(b"hello", 0x82),
    "fragment": frame(b"he", 0x01),
    "continuation": frame(b"hello", 0x80),
    "long ping": frame(b"p" * 126, PING),
    "fragmented ping": frame(b"p", 0x09),
    "not UTF-8": frame(b"ab\xff\xfe"),
    "half a character": frame("é".encode()[:1]),
    "surrogate": frame(b"\xed\xa0\x80"),
    "16-bit length not needed": b"\x81\xfe\x00\x05" + frame(b"hello")[2:],
    "64-bit length not needed": b"\x81\xff" + struct.pack("!Q", 300) + frame(b"h" * 300)[4:],
    "64-bit length with its first bit set": b"\x81\xff" + b"\x80" + bytes(7) + b"\x01\x02\x03\x04",
    "close code 1005": close_frame(1005),
    "close of one byte": frame(b"\x03", 0x88),
    "close reason not UTF-8": close_frame(1000, b"\xff"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_unusual_is_handed_over_from_its_first_byte(name: str) -> None:
    heard = Heard()
    assert heard.feed(frame(b"before") + UNUSUAL[name] + b"after") is Stop.UNUSUAL
    assert heard.messages == [b"before"]
    assert heard.scanner.take_rest() == UNUSUAL[name] + b"after"


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_unusual_in_single_bytes_is_handed_over_whole(name: str) -> None:
    heard = Heard()
    wire = UNUSUAL[name]
    fed = next(n for n in range(1, len(wire) + 1) if heard.feed(wire[n - 1 : n]) is Stop.UNUSUAL)
    assert heard.scanner.take_rest() == wire[:fed]
    assert heard.messages == []


@pytest.mark.parametrize("first", [0xC1, 0x83, 0x82, 0x01, 0x80, 0x09, 0x00])
def test_one_byte_is_enough_to_see_the_unusual(first: int) -> None:
    assert Heard().feed(bytes((first,))) is Stop.UNUSUAL


def test_two_bytes_are_enough_to_see_that_nothing_is_masked() -> None:
    assert Heard().feed(b"\x81\x05") is Stop.UNUSUAL


@pytest.mark.parametrize("header", [b"\x81\xfe\x00\x7d", b"\x81\xff" + (65535).to_bytes(8, "big")])
def test_a_length_of_the_wrong_form_is_unusual_once_the_header_is_whole(header: bytes) -> None:
    heard = Heard()
    assert heard.feed(header + b"key") is Stop.MORE
    assert heard.feed(b"k") is Stop.UNUSUAL


def test_text_is_judged_before_it_is_whole() -> None:
    heard = Heard()
    wire = frame("é".encode() * 10 + b"\xff" + b"x" * 5000)
    assert heard.feed(wire[:20]) is Stop.MORE
    assert heard.feed(wire[20:29]) is Stop.UNUSUAL


def test_each_byte_of_a_text_is_judged_once() -> None:
    heard = Heard()
    wire = frame("aé€".encode() * 100)
    for sent in (100, 101, 200, 300):
        heard.feed(wire[heard.scanner.need and len(heard.scanner.rest) : sent])
        assert sent - 8 - 2 <= heard.scanner.checked <= sent - 8


def test_the_largest_message_passes_and_one_byte_more_does_not() -> None:
    heard = Heard(largest=200)
    assert heard.feed(frame(b"x" * 200)) is Stop.MORE
    assert heard.feed(frame(b"x" * 201)) is Stop.TOO_LARGE
    assert heard.messages == [b"x" * 200]


def test_too_large_is_seen_in_the_header() -> None:
    assert Heard(largest=200).feed(b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"keyk") is (
        Stop.TOO_LARGE
    )


def test_the_size_is_counted_in_bytes() -> None:
    assert Heard(largest=10).feed(frame("é".encode() * 6)) is Stop.TOO_LARGE


# ------------------------------------------------------------------------------------------------- the Close frame


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]
)
def test_codes_that_may_travel(code: int) -> None:
    assert read_close(code.to_bytes(2, "big")) == Closing(code, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535])
def test_codes_that_may_not(code: int) -> None:
    assert read_close(code.to_bytes(2, "big")) is CloseCode.PROTOCOL_ERROR


def test_a_reason_must_be_utf8() -> None:
    assert read_close(b"\x03\xe8\xff") is CloseCode.INVALID_DATA


# ----------------------------------------------------------------------------------------- against wsproto, any way

texts = st.text(max_size=8).map(str.encode) | st.sampled_from([b"x" * 126, b"y" * 1500])
plain = st.one_of(
    texts.map(frame),
    st.binary(max_size=4).map(lambda payload: frame(payload, PING)),
    st.binary(max_size=4).map(lambda payload: frame(payload, PONG)),
)
odd = st.sampled_from([*UNUSUAL.values(), close_frame(1000), frame(b"", 0x88)])


def by_wsproto(wire: bytes) -> tuple[list[bytes], list[bytes], bool]:
    oracle = Connection(SERVER)
    oracle.receive_data(wire)
    texts, pings, text, ended = [], [], "", False
    for event in oracle.events():
        if isinstance(event, TextMessage):
            text += event.data
            if event.message_finished:
                texts.append(text.encode())
                text = ""
        elif isinstance(event, Ping):
            pings.append(encode_text(bytes(event.payload), PONG))
        ended = ended or isinstance(event, CloseConnection)
    return texts, pings, ended


@given(st.lists(plain, max_size=6), odd, st.data())
@settings(max_examples=150)
def test_any_chunking_gives_what_wsproto_gives(
    frames: list[bytes], last: bytes, data: st.DataObject
) -> None:
    wire = b"".join(frames)
    whole = wire + last
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    heard, stop = Heard(), Stop.MORE
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        if start < end and stop in (Stop.MORE, Stop.BUDGET):
            stop = heard.feed(whole[start:end], budget=data.draw(st.integers(1, 4)))
    while stop is Stop.BUDGET:
        stop = heard.feed(b"")
    texts, pings, _ = by_wsproto(wire)
    assert (heard.messages, heard.answers) == (texts, pings)
    assert stop in (Stop.UNUSUAL, Stop.CLOSE)


@given(st.binary(max_size=40))
@settings(max_examples=150)
def test_random_bytes_never_raise_and_lose_nothing(wire: bytes) -> None:
    heard = Heard()
    stop = heard.feed(wire)
    assert stop is not Stop.BUDGET
    assert wire.endswith(heard.scanner.take_rest())
    assert TEXT == 0x81
