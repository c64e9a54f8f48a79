"""What is written as YAML reads as the same value, here and by PyYAML."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from channeld.config.writing import block, comment, flow
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.protocol.frames import Json

KEYS = st.text(max_size=8) | st.sampled_from(
    ["yes", "on", "null", "1", "$ref", "a b", "/x", "~", "-"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=60) | KEYS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_a_block_reads_as_it_was(value: dict[str, Json]) -> None:
    text = "\n".join(block(value)) + "\n"
    report = Report()
    tree = parse(text, "it.yaml", report)
    assert tree is not None, [one.message for one in report]
    assert tree.value == value
    assert yaml.safe_load(text) == value


@given(VALUES)
def test_a_value_on_one_line_reads_as_it_was(value: Json) -> None:
    text = flow(value)
    assert "\n" not in text
    assert yaml.safe_load(f"v: {text}") == {"v": value}


def test_what_fits_is_on_one_line_without_quotes() -> None:
    lines = list(block({"a": {"b": [1, "two", "#3", "no"]}, "long": {"text": "x" * 99}}))
    assert lines == ['a: {b: [1, two, "#3", "no"]}', "long:", f"  text: {'x' * 99}"]


@given(st.text())
def test_a_comment_is_one_line_that_says_nothing_to_yaml(text: str) -> None:
    report = Report()
    tree = parse(f"a: 1\n{comment(text)}\nb: 2\n", "it.yaml", report)
    assert tree is not None, [one.message for one in report]
    assert tree.value == {"a": 1, "b": 2}
