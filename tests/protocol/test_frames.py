import json
import sys
import tracemalloc
from datetime import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.protocol import frames
from channeld.protocol.frames import DEEPEST, BadFrame, decode, encode, id_of, is_finite, with_id


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    inner = depth - 2
    return f'{{"type":"t","a":{opening * inner}{{}}{closing * inner}}}'.encode()


def test_a_frame_is_an_object_with_a_type() -> None:
    assert decode(b'{"type":"t","n":1}', 64) == {"type": "t", "n": 1}


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"[]", b'"t"', b"1", b"null", b"{}", b'{"type":1}', b'{"type":null}',
        b'{"type":["t"]}', b'{"Type":"t"}', b'{"type":"t"', b'{"type":"t",}', b"{'type':'t'}",
        b'{"type":"t"}{}', b'{"type":"t"} x', b'\xef\xbb\xbf{"type":"t"}', b'{"type":"\xff"}',
        b'{"type":"\\ud800"}', b'{"type":"t","n":NaN}', b'{"type":"t","n":Infinity}',
        b'{"type":"t","n":1e400}', b'{"type":"t","n":01}', b'{"type":"t","n":+1}',
        b'{"type":"t","n":.5}', b'{"type":"t\n"}', b'{"type":"t","n":0x10}', b'{"type":"t"}\x00',
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: bytes) -> None:
    assert isinstance(decode(text, 64), BadFrame)


def test_the_sender_is_told_where() -> None:
    refused = decode(b'{"type":"secret",}', 64)
    assert isinstance(refused, BadFrame)
    assert refused.message.startswith("Not valid JSON: ")
    assert refused.message.endswith(" at character 16")
    assert "secret" not in refused.message


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]"), ('[{"a":', "}]")])
def test_depth_is_exact(opening: str, closing: str) -> None:
    for depth in (3, 4, 5, 6, 7):
        text = nested(depth, opening, closing)
        true_depth = json_depth(json.loads(text))
        assert isinstance(decode(text, true_depth), dict)
        assert isinstance(decode(text, true_depth - 1), BadFrame)


def test_brackets_in_text_are_not_depth() -> None:
    assert isinstance(decode(b'{"type":"t","a":"[[[[{{{{"}', 2), dict)


def test_what_is_accepted_can_be_sent_inside_another_frame() -> None:
    deepest = decode(nested(DEEPEST), 1000)
    assert isinstance(deepest, dict)
    assert encode({"type": "history", "frames": [{"emit": {"a": [deepest]}}]})
    assert isinstance(decode(nested(DEEPEST + 1), 1000), BadFrame)
    assert isinstance(decode(nested(100_000), 1000), BadFrame)


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
def test_integers_of_64_bits_are_exact(number: int) -> None:
    assert decode(f'{{"type":"t","n":{number}}}'.encode(), 64) == {"type": "t", "n": number}


@pytest.mark.parametrize(
    "digits", [str(2**64), str(-(2**63) - 1), "1" + "0" * 30, "1" + "0" * 5000, "-1" + "0" * 5000]
)
def test_larger_integers_are_refused(digits: str) -> None:
    assert isinstance(decode(f'{{"type":"t","n":[{digits}]}}'.encode(), 64), BadFrame)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e30", 1e30),
        ("0.12345678901234567890123", 0.12345678901234567890123),
        ('"99999999999999999999999"', "99999999999999999999999"),
        ("12345678901234567890e3", 12345678901234567890e3),
        ("1e-0000000000000000000000000005", 1e-5),
    ],
)
def test_digits_elsewhere_are_no_integers(text: str, value: object) -> None:
    assert decode(f'{{"type":"t","n":{text}}}'.encode(), 64) == {"type": "t", "n": value}


def test_the_last_of_two_keys_is_what_goes_out() -> None:
    frame = decode(b'{"type":"a","n":1,"n":2,"type":"b"}', 64)
    assert isinstance(frame, dict)
    assert encode(frame) == b'{"type":"b","n":2}'


@pytest.mark.parametrize("value", [2**64, object(), "\ud800", {1: 2}, b"x", {1, 2}])
def test_what_json_cannot_say_raises(value: object) -> None:
    with pytest.raises(TypeError):
        encode({"type": "t", "value": value})


@pytest.mark.parametrize("size", [10, 1_000, 50_000])
def test_what_is_encoded_holds_no_more_memory_than_its_bytes(size: int) -> None:
    frame = {"type": "t", "text": "x" * size}
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [encode(frame) for _ in range(100)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1.1 * sum(map(sys.getsizeof, kept)) + 10_000


def test_a_time_goes_out_as_text() -> None:
    assert encode({"at": datetime(2025, 1, 2, 3, 4, 5)}) == b'{"at":"2025-01-02T03:04:05"}'  # noqa: DTZ001 - a value


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def json_depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(json_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(json_depth, value), default=0)
    return 0


@given(st.dictionaries(st.text(), json_values, max_size=5), st.integers(1, 8))
def test_depth_and_meaning_agree_with_the_standard_library(
    frame: dict[str, Any], limit: int
) -> None:
    frame["type"] = "t"
    decoded = decode(json.dumps(frame).encode(), limit)
    assert decoded == frame if json_depth(frame) <= limit else isinstance(decoded, BadFrame)


@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:0123typeabc\\ue+-. ').map(str.encode))
def test_no_bytes_raise(text: bytes) -> None:
    frame = decode(text, 3)
    assert isinstance(frame, BadFrame) or frame == json.loads(text)


PIECES = st.sampled_from(
    ['{"a":', "[", "]", "}", '"[{"', '"\\\\"', '"\\""', ",", "1", "-", "9" * 18, "18446744073709551615",
     "18446744073709551616", "-9223372036854775809", ".5", "e3", "1" + "0" * 25, ":", '"b"', "null"]
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.integers(-(2**66), 2**66) | st.floats(allow_nan=False) | st.text('[{"\\9', max_size=25),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a[}9", max_size=3), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


def judged_slowly(text: bytes, depth: int) -> bool:
    """The same verdict out of the value: every integer within 64 bits, nesting counted on what was read."""
    try:
        value = json.loads(text)
        orjson.loads(text)
    except ValueError:
        return False
    return (
        isinstance(value, dict)
        and isinstance(value.get("type"), str)
        and json_depth(value) <= depth
        and all(-(2**63) <= number < 2**64 for number in integers(value))
    )


def integers(value: Any) -> list[int]:
    if isinstance(value, dict | list):
        below = value.values() if isinstance(value, dict) else value
        return [number for each in below for number in integers(each)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


@settings(max_examples=400, deadline=None)
@given(JSON_VALUES | st.lists(PIECES, max_size=12).map("".join), st.integers(1, 6))
def test_the_cheap_look_and_the_slow_one_agree(inside: Any, depth: int) -> None:
    if not isinstance(inside, str):
        inside = json.dumps(inside)
    text = f'{{"type":"t","v":{inside}}}'.encode()
    assert isinstance(decode(text, depth), dict) is judged_slowly(text, depth)


def test_one_long_number_costs_no_second_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    loads = orjson.loads

    def counted(text: bytes) -> Any:
        read.append(text)
        return loads(text)

    monkeypatch.setattr(orjson, "loads", counted)
    text = b'{"type":"t","n":1234567890123456789,"a":[' + b"[1]," * 16_000 + b"1]}"
    assert isinstance(decode(text, 64), dict)
    assert read == [text]
    assert not hasattr(frames, "json")


@pytest.mark.parametrize(
    ("text", "id"),
    [(b'{"id":7}', 7), (b'{"id":[1]}', [1]), (b"{}", None), (b"[1]", None), (b"nonsense", None)],
)
def test_an_id_is_read_out_of_any_object(text: bytes, id: object) -> None:
    assert id_of(text) == id


@pytest.mark.parametrize(
    ("text", "id"),
    [
        (b'{"type":"t","id":7,"n":1e400}', 7),
        (b'{"type":"t","n":[-1e400],"id":"a"}', "a"),
        (b'{"type":"t","id":"a","s":"\\ud800"}', "a"),
        (b'{"type":"t","id":"\\ud800"}', None),
        (b'{"type":"t","id":7,}', None),
        (b'[{"id":7},1e400]', None),
        (b'{"id":7,"a":' + b"[" * 100_000, None),
    ],
)
def test_what_the_grammar_allows_keeps_its_id_when_it_is_refused(text: bytes, id: object) -> None:
    refused = decode(text, 64)
    assert isinstance(refused, BadFrame)
    assert refused.id == id


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_found_wherever_it_stands(number: float) -> None:
    assert not is_finite({"a": [1, ({"b": number},)]})
    assert is_finite({"a": [1, ({"b": 1.5},)], "c": None, "d": "NaN"})


@pytest.mark.parametrize("id", ["a", 'quote "', 7])
def test_an_id_is_added_to_what_is_encoded(id: str | int) -> None:
    assert json.loads(with_id(b'{"type":"presence"}', id)) == {"type": "presence", "id": id}


def test_without_an_id_a_frame_stays_as_it_is() -> None:
    assert with_id(b'{"type":"presence"}', None) == b'{"type":"presence"}'


CONTAINERS = st.recursive(
    st.sampled_from([1, "][", '\\"[', -(2**63), 2**64]),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text("]}", max_size=2), inner, max_size=4),
    max_leaves=60,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(CONTAINERS, st.integers(2, 7), st.integers(1, 40))
def test_wide_values_are_measured_as_deep_ones_are(inside: Any, depth: int, copies: int) -> None:
    text = json.dumps({"type": "t", "v": [inside] * copies}).encode()
    assert isinstance(decode(text, depth), dict) is judged_slowly(text, depth)
