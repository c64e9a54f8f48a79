"""Places by JSON pointer."""

import pytest

from channeld.config.tree import ScalarNode, Tree
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Place, Report
from channeld.pointer import at, tokens

TEXT = """\
server:
  bind: 127.0.0.1:4000
  quoted: "a b"
  escaped: "a\\tb"
  list:
    - one
    - {k: two}
  text: |
    first
    second

last: 😀x
"""


def tree(text: str = TEXT) -> Tree:
    found = parse(text, "c.yaml", Report())
    assert found is not None
    return found


def ends(place: Place) -> tuple[int, int, int, int]:
    return place.line, place.column, place.end_line, place.end_column


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", (1, 1, 12, 9)),
        ("/server", (2, 3, 10, 11)),
        ("/server/bind", (2, 9, 2, 23)),
        ("/server/list", (6, 5, 7, 15)),
        ("/server/list/1", (7, 7, 7, 15)),
        ("/server/list/1/k", (7, 11, 7, 14)),
        ("/server/text", (8, 9, 10, 11)),
        ("/last", (12, 7, 12, 9)),
    ],
)
def test_a_value_has_its_place(pointer: str, expected: tuple[int, int, int, int]) -> None:
    place = tree().place(pointer)

    assert ends(place) == expected
    assert (place.file, place.path) == ("c.yaml", pointer)


def test_a_key_has_its_place_and_a_list_item_the_place_of_its_value() -> None:
    found = tree()

    assert ends(found.key_place("/server/bind")) == (2, 3, 2, 7)
    assert found.key_place("/server/list/0") == found.place("/server/list/0")
    assert found.key_place("") == found.place("")


@pytest.mark.parametrize("missing", ["/server/nope", "/server/nope/deeper", "/server/bind/x"])
def test_what_is_missing_has_the_place_of_its_nearest_ancestor(missing: str) -> None:
    found = tree()
    ancestor = "/server" if "nope" in missing else "/server/bind"

    assert found.place(missing) == found.place(ancestor)
    assert found.key_place(missing) == found.key_place(ancestor)


def test_list_indexes_are_written_one_way() -> None:
    found = tree()

    assert found.place("/server/list/00") == found.place("/server/list")
    assert found.place("/server/list/2") == found.place("/server/list")


def test_a_scalar_tells_how_it_was_written() -> None:
    found = tree()

    nodes = [found.node(pointer) for pointer in ("/server/quoted", "/server/text")]
    written = [(node.style, node.raw) for node in nodes if isinstance(node, ScalarNode)]
    assert written == [("double", "a b"), ("literal", "first\nsecond\n")]


def test_a_part_of_a_one_line_text_has_its_own_place() -> None:
    found = tree()

    assert ends(found.span("/server/bind", 10, 4)) == (2, 19, 2, 23)
    assert ends(found.span("/server/quoted", 2, 1)) == (3, 14, 3, 15)


@pytest.mark.parametrize("pointer", ["/server/escaped", "/server/text", "/server/list"])
def test_a_part_of_a_text_that_is_written_otherwise_has_the_whole_place(pointer: str) -> None:
    found = tree()

    assert found.span(pointer, 0, 1) == found.place(pointer)


def test_a_part_outside_the_text_has_the_whole_place() -> None:
    found = tree()

    assert found.span("/server/quoted", 2, 5) == found.place("/server/quoted")


def test_an_anchored_scalar_is_placed_without_its_anchor() -> None:
    found = tree("a: &x hello\nb: *x\n")

    assert ends(found.place("/a")) == (1, 7, 1, 12)
    assert ends(found.place("/b")) == (2, 4, 2, 6)


def test_what_is_under_an_alias_has_the_place_where_it_is_written() -> None:
    found = tree("a: &x {k: v}\nb: *x\n")

    assert ends(found.place("/b")) == (2, 4, 2, 6)
    assert ends(found.place("/b/k")) == (1, 11, 1, 12)


def test_a_paragraph_separator_is_no_line_break() -> None:
    found = tree("a: 'x\u2029y'\nb: 1\n")

    assert ends(found.place("/b")) == (2, 4, 2, 5)


def test_pointers_are_escaped() -> None:
    pointer = at(at("", "a/b~c"), 0)

    assert pointer == "/a~1b~0c/0"
    assert tokens(pointer) == ["a/b~c", "0"]
    assert tree("a/b~c: [7]").at(pointer) == 7
