import pytest

from channeld.protocol.frames import Json
from channeld.schema.words import choices, shown, types_in_words


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


def test_values() -> None:
    assert (shown(2.0), shown("ä"), len(shown("x" * 99))) == ("2", '"ä"', 60)
