import pytest

from channeld.protocol.frames import Json
from channeld.schema.compare.difference import SchemaPosition
from channeld.schema.compare.words import choices, shown, subject, types_in_words, unit
from tests.diff.kit import node_of

NODE = node_of(True)
ROOT = SchemaPosition(None, None, NODE, NODE)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "nothing"),
        ([1], "1"),
        (["a", None], '"a" or null'),
        ([1, 2, 3], "1, 2 or 3"),
        ([1, 2, 3, 4, 5, 6, 7], "1, 2, 3, 4, 5 and 2 more"),
    ],
)
def test_choices(values: list[Json], expected: str) -> None:
    assert choices(values) == expected


def test_types() -> None:
    assert types_in_words(frozenset({"integer", "number", "null", "string"})) == (
        "a number or a string or null"
    )
    assert types_in_words(frozenset()) == "nothing"


def test_values_and_units() -> None:
    assert (shown(2.0), shown("ä"), len(shown("x" * 99))) == ("2", '"ä"', 60)
    assert (unit("string", 1), unit("array", 2)) == ("1 character", "2 items")


def test_what_a_sentence_is_about() -> None:
    assert subject(ROOT) == "the frame"
    assert subject(SchemaPosition(ROOT, "a", NODE, NODE), "b") == "`a.b`"
