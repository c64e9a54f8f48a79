import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.broker.broker import HistoryEntry, Position, Publication, Topic
from channeld.broker.redis import encoding
from channeld.broker.redis.encoding import STAMP, Epochs, Names, topic_key, unpack


def pack(publications: list[Publication]) -> bytes:
    """What the `publish` script writes, in Python."""
    first = publications[0].position
    epoch, offset = (first.epoch.encode(), first.offset) if first else (b"", 0)
    head = struct.pack(">BIIH", len(epoch), offset >> 32, offset & 0xFFFFFFFF, len(publications))
    body = b""
    for publication in publications:
        skip = (publication.skip or "").encode()
        body += struct.pack(">HI", len(skip), len(publication.payload)) + skip + publication.payload
    return b"C1" + head + epoch + body


def test_keys_hold_no_names() -> None:
    names = Names("channeld")
    topic = Topic("room", "lobby", "x\r\nFLUSHALL\r\n{y}:*")
    for key in (names.channel(topic).decode(), *names.history(topic)):
        prefix, kind, digest = key.split(":")
        assert (prefix, len(kind), len(digest)) == ("channeld", 1, 32)


texts = st.text(alphabet="ab:1", max_size=4)


@given(st.tuples(texts, texts, texts), st.tuples(texts, texts, texts))
def test_no_two_topics_share_a_key(one: tuple[str, str, str], two: tuple[str, str, str]) -> None:
    assert (topic_key(Topic(*one)) == topic_key(Topic(*two))) == (one == two)


def test_a_lone_surrogate_is_a_name_too() -> None:
    assert topic_key(Topic("room", "", "\ud800")) != topic_key(Topic("room", "", "\ud801"))


parts = st.lists(
    st.tuples(st.binary(max_size=50), st.none() | st.text(min_size=1)), min_size=1, max_size=4
)


@given(parts, st.none() | st.integers(0, 2**50))
def test_an_envelope_is_read_back(
    contents: list[tuple[bytes, str | None]], top: int | None
) -> None:
    sent = [
        Publication(payload, None if top is None else Position("e1", top + number), skip)
        for number, (payload, skip) in enumerate(contents)
    ]
    assert unpack(pack(sent)) == sent
    if top is None:
        assert encoding.pack([(skip, payload) for payload, skip in contents]) == pack(sent)


@given(parts, st.data())
def test_a_cut_or_longer_envelope_is_garbage(
    contents: list[tuple[bytes, str | None]], data: st.DataObject
) -> None:
    whole = pack([Publication(payload, None, skip) for payload, skip in contents])
    assert unpack(whole + b"x") is None
    assert unpack(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


@pytest.mark.parametrize("bad", [b"", b"C1", b"C2" + pack([Publication(b"x")])[2:], b"{}" * 20])
def test_anything_else_is_garbage(bad: bytes) -> None:
    assert unpack(bad) is None


@given(st.binary(max_size=80))
def test_no_bytes_raise(data: bytes) -> None:
    assert unpack(b"C1" + data) is None or pack(unpack(b"C1" + data) or []) == b"C1" + data


def test_each_offset_has_the_epoch_that_gave_it() -> None:
    epochs = Epochs(b"c", b"b=9;a=5;")
    found = [epochs.at(offset).epoch for offset in (1, 5, 6, 9, 10, 99)]
    assert found == ["a", "a", "b", "b", "c", "c"]
    assert Epochs(b"c", b"").at(3) == Position("c", 3)
    frames = [b"0" * STAMP + payload for payload in (b"x", b"y")]
    assert epochs.entries(frames, 9) == (
        HistoryEntry(Position("b", 9), b"x"),
        HistoryEntry(Position("c", 10), b"y"),
    )
