"""Letters and plain scalars of YAML 1.2."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.config.letters import MAX_BYTES, Rewritten, readable, resolve, yaml11_reading
from channeld.diagnostics.diagnostic import Report
from channeld.protocol.frames import Json


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-12", -12),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("-0o7", "-0o7"),
        ("tRue", "tRue"),
    ],
)
def test_the_core_schema_resolves_plain_scalars(raw: str, value: Json) -> None:
    found = resolve(raw)

    assert found == value
    assert type(found) is type(value)


def test_infinities_come_as_floats() -> None:
    found = resolve("-.Inf"), resolve(".NaN")

    assert found[0] == -math.inf
    assert isinstance(found[1], float)
    assert math.isnan(found[1])


def test_a_number_of_thousands_of_digits_stays_a_text() -> None:
    assert resolve("9" * 5000) == "9" * 5000


@pytest.mark.parametrize(
    ("raw", "meaning"),
    [
        ("yes", "`true`"),
        ("No", "`false`"),
        ("010", "a number in another base"),
        ("1_000", "a number"),
        ("12:30", "a number in base 60"),
        ("2026-01-01", "a date"),
    ],
)
def test_what_older_readers_see_otherwise(raw: str, meaning: str) -> None:
    assert yaml11_reading(raw) == meaning


@pytest.mark.parametrize(
    "raw", ["true", "y", "N", "10", "0o10", "10s", "127.0.0.1:4000", "nope", "0", "1.5"]
)
def test_what_all_readers_see_alike(raw: str) -> None:
    assert yaml11_reading(raw) is None


def test_a_byte_order_mark_is_dropped() -> None:
    lines = readable(b"\xef\xbb\xbfa: 1", "c.yaml", Report())

    assert lines is not None
    assert lines.text == "a: 1"


def test_a_byte_that_is_not_utf8_is_named_with_its_place() -> None:
    report = Report()

    assert readable(b"a: 1\nb: \xc3\xa9\xff", "c.yaml", report) is None

    [found] = report
    assert found.code == "CH011"
    assert found.message == "byte 0xff at offset 10 is not UTF-8"
    assert (found.place.line, found.place.column) == (2, 5)


def test_a_control_character_is_named_with_its_place() -> None:
    report = Report()

    assert readable("a: 1\nb: \x1b[31m", "c.yaml", report) is None

    [found] = report
    assert found.message == "control character U+001B is not allowed in YAML"
    assert (found.place.line, found.place.column, found.place.end_column) == (2, 4, 5)


def test_a_file_over_the_limit_is_refused_at_the_line_that_passes_it() -> None:
    report = Report()

    assert readable(b"# 34567\n" * (MAX_BYTES // 8 + 1), "c.yaml", report) is None

    assert [(d.code, d.place.line) for d in report] == [("CH009", MAX_BYTES // 8 + 1)]


@pytest.mark.parametrize("text", ["a: '\\ud83d\\ude00'", "{a: '\\ud83d\\ude00'}"])
def test_other_texts_than_json_are_not_rewritten(text: str) -> None:
    assert Rewritten(text).text == text


def test_a_surrogate_pair_in_json_becomes_one_escape_and_offsets_lead_back() -> None:
    text = '["\\ud83d\\ude00", 1]'

    rewritten = Rewritten(text)

    assert rewritten.text == '["\\U0001f600", 1]'
    assert rewritten.offset(rewritten.text.index("1]")) == text.index("1]")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["\\", "\u2028", "\x85", "\U0001f600", "a", '"']), max_size=8))
def test_offsets_of_a_rewritten_json_text_lead_back_to_the_same_character(parts: list[str]) -> None:
    text = json.dumps(["".join(parts), "!"]).replace("\\u2028", "\u2028")

    rewritten = Rewritten(text)

    assert text[rewritten.offset(rewritten.text.index("!"))] == "!"
    assert rewritten.offset(len(rewritten.text)) == len(text)
