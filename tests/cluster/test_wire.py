"""Messages between nodes: what is packed can be read again, and nothing else can."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.cluster import wire
from channeld.protocol.frames import Json
from channeld.telemetry import METRICS, Histogram, Sample

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=128)
ASK = wire.Ask("n1", 3, "online", {"channel": "c", "user": "u"})
MESSAGES = (
    wire.Here("n1", greeting=True, ready=False, plan="0" * 16),
    wire.Bye("n1"),
    ASK,
    wire.Answer("n1", 3, "online", [True, False], last=True),
)


@pytest.mark.parametrize("message", MESSAGES)
def test_what_is_packed_can_be_read(message: wire.Message) -> None:
    assert wire.unpack(wire.pack(message)) == message


@given(channel=names, user=names)
def test_names_are_data(channel: str, user: str) -> None:
    ask = wire.Ask("n1", 1, "online", {"channel": channel, "user": user})
    assert wire.unpack(wire.pack(ask)) == ask


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_no_message(payload: bytes) -> None:
    assert wire.unpack(payload) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(message=st.sampled_from(MESSAGES), data=st.data())
def test_a_message_with_one_thing_changed_is_none_or_of_the_same_form(
    message: wire.Message, data: st.DataObject
) -> None:
    changed: dict[str, Json] = json.loads(wire.pack(message))
    key = data.draw(st.sampled_from([*changed, "more"]))
    changed[key] = data.draw(values)
    read = wire.unpack(json.dumps(changed).encode())
    assert read is None or (type(read) is type(message) and json.loads(wire.pack(read)) == changed)


@pytest.mark.parametrize("count", [0, 1, wire.ROWS_IN_A_PART, wire.ROWS_IN_A_PART + 1])
def test_parts_hold_all_rows_and_only_the_last_says_so(count: int) -> None:
    rows: list[Json] = list(range(count))
    parts = list(wire.parts("n2", ASK, rows))
    assert [row for part in parts for row in part.rows] == rows
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize(
    "row",
    [
        ["channeld_rooms", 1, ["a label too much"]],
        ["channeld_rooms", [1.0, [1]], []],
        ["channeld_handling_seconds", 1, []],
        ["channeld_handling_seconds", [1.0, [1, 2]], []],
        ["channeld_handling_seconds", [1.0, ["1"] * 17], []],
    ],
)
def test_samples_that_do_not_fit_are_left_out(row: list[Json]) -> None:
    good = Sample("channeld_rooms", 1)
    assert list(wire.unpack_samples([row, *wire.pack_samples([good])])) == [good]


def test_samples_come_back_as_they_were() -> None:
    assert METRICS["channeld_handling_seconds"].kind == "histogram"
    histogram = Histogram()
    histogram.observe(2.5)
    samples = [
        Sample("channeld_handling_seconds", histogram),
        Sample("channeld_connections", 3, ("a", "sse")),
    ]
    [first, second] = wire.unpack_samples(json.loads(json.dumps(wire.pack_samples(samples))))
    assert second == samples[1]
    assert isinstance(first.value, Histogram)
    assert first.value.counts == histogram.counts
