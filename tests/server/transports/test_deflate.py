"""permessage-deflate: what is compressed, what is inflated, and where inflating stops."""

import zlib

import pytest
from wsproto.connection import SERVER, Connection
from wsproto.events import CloseConnection, Event, TextMessage

from channeld.server.transports.deflate import PerMessageDeflate
from channeld.server.transports.extensions import Deflate
from tests.server.kit import frame, read_frames

TAIL = b"\x00\x00\xff\xff"
COMPRESSED = 0xC1
USUAL = Deflate(client_max_window_bits=12)


def deflated(text: bytes, deflater: "zlib._Compress | None" = None) -> bytes:
    deflater = deflater or zlib.compressobj(wbits=-12)
    return (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def events(data: bytes, largest: int = 1000, accepted: Deflate = USUAL) -> list[Event]:
    connection = Connection(SERVER, [PerMessageDeflate(accepted, largest)])
    connection.receive_data(data)
    return list(connection.events())


def text_of(found: list[Event]) -> str:
    assert all(isinstance(event, TextMessage) for event in found), found
    return "".join(event.data for event in found if isinstance(event, TextMessage))


def code_of(found: list[Event]) -> int:
    assert isinstance(found[-1], CloseConnection), found
    return int(found[-1].code)


def test_a_compressed_text_is_inflated() -> None:
    assert text_of(events(frame(deflated(b"hello hello"), COMPRESSED))) == "hello hello"


def test_an_uncompressed_text_is_left_alone() -> None:
    assert text_of(events(frame(b"plain"))) == "plain"


def test_fragments_are_inflated_as_one() -> None:
    whole = deflated(b"hello hello")
    assert text_of(events(frame(whole[:3], 0x41) + frame(whole[3:], 0x80))) == "hello hello"


def test_a_control_frame_between_fragments_is_left_alone() -> None:
    whole = deflated(b"hello hello")
    found = events(frame(whole[:3], 0x41) + frame(b"p", 0x89) + frame(whole[3:], 0x80))
    assert [type(event).__name__ for event in found] == ["TextMessage", "Ping", "TextMessage"]


def test_the_window_is_kept_over_messages() -> None:
    deflater = zlib.compressobj(wbits=-12)
    first, second = deflated(b"hello hello", deflater), deflated(b"hello hello", deflater)
    assert len(second) < len(first)
    found = events(frame(first, COMPRESSED) + frame(second, COMPRESSED))
    assert text_of(found) == "hello hellohello hello"


def test_the_window_is_dropped_where_that_was_agreed() -> None:
    deflater = zlib.compressobj(wbits=-12)
    wire = b"".join(frame(deflated(b"hello hello", deflater), COMPRESSED) for _ in range(2))
    accepted = Deflate(client_no_context_takeover=True, client_max_window_bits=12)
    assert code_of(events(wire, accepted=accepted)) == 1007


def test_as_large_as_allowed_and_one_byte_more() -> None:
    assert text_of(events(frame(deflated(b"x" * 1000), COMPRESSED))) == "x" * 1000
    assert code_of(events(frame(deflated(b"x" * 1001), COMPRESSED))) == 1009


def test_a_bomb_is_not_inflated() -> None:
    bomb = deflated(bytes(50_000_000))
    connection = Connection(SERVER, [extension := PerMessageDeflate(Deflate(), 1000)])
    connection.receive_data(frame(bomb, COMPRESSED))
    assert code_of(list(connection.events())) == 1009
    assert extension._inflated == 1001


def test_a_bomb_in_fragments_is_not_inflated() -> None:
    deflater = zlib.compressobj(wbits=-12)
    pieces = [deflated(b"x" * 400, deflater) + TAIL for _ in range(3)]
    wire = frame(pieces[0], 0x41) + frame(pieces[1], 0x00) + frame(pieces[2][:-4], 0x80)
    assert code_of(events(wire)) == 1009


def test_what_is_not_deflate_is_1007() -> None:
    assert code_of(events(frame(b"\xff\xff\xff\xff", COMPRESSED))) == 1007


def test_a_final_block_may_end_a_message() -> None:
    # RFC 7692 section 7.2.3.4.
    hello = bytes.fromhex("f348cdc9c90700") + b"\x00"
    assert text_of(events(frame(hello, COMPRESSED))) == "Hello"


def test_many_final_blocks_are_refused() -> None:
    assert code_of(events(frame(b"\x03\x00" * 5000, COMPRESSED))) == 1007


@pytest.mark.parametrize("first", [0xC9, 0xC0])
def test_only_a_messages_first_frame_may_be_marked(first: int) -> None:
    assert code_of(events(frame(b"", 0x01) + frame(b"", first))) == 1002


@pytest.mark.parametrize("takeover", [True, False])
def test_what_is_sent_is_compressed_for_this_client(takeover: bool) -> None:
    sender = PerMessageDeflate(Deflate(server_no_context_takeover=not takeover), 1000)
    inflater = zlib.decompressobj(wbits=-12)
    sizes = []
    for _ in range(2):
        sent = sender.compress(b"hello hello")
        sizes.append(len(sent))
        assert sent[0] == COMPRESSED
        assert inflater.decompress(read_frames(sent)[0][1] + TAIL) == b"hello hello"
        inflater = inflater if takeover else zlib.decompressobj(wbits=-12)
    assert (sizes[1] < sizes[0]) is takeover


def test_where_each_message_stands_alone_a_rooms_frame_is_compressed_once() -> None:
    alone, bits = Deflate(server_no_context_takeover=True), Deflate(server_max_window_bits=9)
    one, other = PerMessageDeflate(alone, 1000), PerMessageDeflate(alone, 1000)
    payload = bytes(bytearray(b"hello hello"))
    sent = one.compress(payload)
    between = one.compress(bytes(bytearray(b"another one of the turn")))
    assert other.compress(payload) is sent
    assert between != sent
    # Equal is not enough for what is kept, and other parameters are other frames.
    assert other.compress(bytes(bytearray(b"hello hello"))) == sent
    keeps = PerMessageDeflate(bits, 1000)
    assert keeps.compress(payload) is not keeps.compress(payload)


def test_what_is_kept_of_compressed_frames_is_bounded() -> None:
    sender = PerMessageDeflate(Deflate(server_no_context_takeover=True), 1000)
    payload = bytes(bytearray(b"first"))
    sent = sender.compress(payload)
    for size in range(200_000, 200_003):
        sender.compress(bytes(size))
    again = sender.compress(payload)
    assert again == sent
    assert again is not sent


def test_a_server_offers_nothing() -> None:
    assert PerMessageDeflate(Deflate(), 1000).offer() is False
