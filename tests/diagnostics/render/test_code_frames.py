"""Code frames: carets under what they point at."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.diagnostics.diagnostic import Place
from channeld.diagnostics.render.code_frames import WIDEST, frame, len_on_screen


@pytest.mark.parametrize(
    ("line", "columns", "indent", "width"),
    [
        ("a: yes", (4, 7), 3, 3),
        ("\ta: 1", (2, 3), 4, 1),
        ("日本: x", (5, 6), 6, 1),
        ("a: 日本", (4, 6), 3, 4),
        ("e\u0301: x", (5, 6), 3, 1),
        ("a: x", (4, 4), 3, 1),
        ("a: x", (9, 12), 4, 1),
    ],
)
def test_marks_are_counted_in_screen_cells(
    line: str, columns: tuple[int, int], indent: int, width: int
) -> None:
    found = frame([line], Place("a", 1, columns[0], 1, columns[1]))

    assert found is not None
    assert (found.indent, found.width) == (indent, width)


def test_a_span_of_several_lines_is_marked_to_the_end_of_its_first() -> None:
    found = frame(["a: [1, ", "  2]"], Place("a", 1, 4, 2, 5))

    assert found is not None
    assert (found.indent, found.width) == (3, 3)
    assert found.lines == ((1, "a: [1,"),)


def test_two_lines_before_without_leading_blank_ones() -> None:
    lines = ["a: 1", "", "b: 2", "c: 3"]

    after_blank = frame(lines, Place("a", 4, 1, 4, 2))
    alone = frame(lines, Place("a", 3, 1, 3, 2), context=1)

    assert after_blank is not None
    assert alone is not None
    assert [number for number, _ in after_blank.lines] == [3, 4]
    assert [number for number, _ in alone.lines] == [3]


def test_a_place_outside_the_text_has_no_frame() -> None:
    assert frame(["a"], Place("a", 2, 1, 2, 1)) is None
    assert frame([], Place("a", 1, 1, 1, 1)) is None


def test_a_long_line_is_cut_around_its_mark() -> None:
    line = "x" * 500 + "here" + "y" * 500

    found = frame([line, line], Place("a", 2, 501, 2, 505))

    assert found is not None
    before, (_, shown) = found.lines
    assert before[1] == "x" * WIDEST + "…"
    assert shown.startswith("…x")
    assert shown.endswith("y…")
    assert shown[found.indent : found.indent + found.width] == "here"


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab \t日e\u0301\x1b:x"), max_size=300), st.data())
def test_the_mark_is_always_under_a_shown_part(line: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(1, len(line) + 1))
    end = data.draw(st.integers(start, len(line) + 1))

    found = frame([line], Place("a", 1, start, 1, end))

    assert found is not None
    assert found.width >= 1
    assert 0 <= found.indent < WIDEST
    assert found.indent + found.width <= WIDEST + 1
    assert len_on_screen(found.lines[-1][1]) <= WIDEST + 1
