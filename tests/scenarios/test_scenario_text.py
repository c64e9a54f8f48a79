"""Scenario files written by channeld read as what was meant."""

from hypothesis import given
from hypothesis import strategies as st

from channeld.config.writing import flow
from channeld.protocol.frames import Json
from channeld.scenarios.scenario_text import scenario_text
from channeld.scenarios.suite import read_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(VALUES)
def test_a_value_is_read_as_it_was(value: Json) -> None:
    text = scenario_text("it", {"a": {"path": "/a"}}, [f"a: {{send: {flow({'v': value})}}}"])
    parsed = read_text(text, "it.test.yaml")
    assert parsed.content is not None, [one.message for one in parsed.report]
    assert parsed.content.scenarios[0].steps[0].frame == {"v": value}  # type: ignore[union-attr]


def test_a_whole_file() -> None:
    text = scenario_text(
        "it", {"ann": {"path": "/a"}}, ["advance: 1s"], config="c.yaml", ignore=({"type": "ack"},)
    )
    assert text == (
        'config: "c.yaml"\nscenarios:\n  - name: "it"\n    ignore: [{"type": "ack"}]\n    clients:\n'
        '      ann: {"path": "/a"}\n    steps:\n      - advance: 1s\n'
    )


def test_no_steps_are_an_empty_list() -> None:
    assert scenario_text("it", {}, ()).endswith("    steps: []\n")
