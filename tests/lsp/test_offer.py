from pathlib import Path

import pytest

from channeld.lsp.cursor import cursor_at
from channeld.lsp.offer import Offer, is_quoted, quoted
from tests.lsp.parts import at_mark


@pytest.mark.parametrize(
    ("new", "word", "written"),
    [
        ("rooms: |", "lobby", "lobby"),
        ("rooms: |", "{params.x}", '"{params.x}"'),
        ("rooms: |", "a-{params.x}", '"a-{params.x}"'),
        ("rooms: |", "#/schemas/x", '"#/schemas/x"'),
        ("rooms: '|'", "{params.x}", "{params.x}"),
        ('rooms: "|', "{params.x}", "{params.x}"),
    ],
)
def test_words_are_quoted_where_they_would_be_something_else(
    new: str, word: str, written: str, chat: Path
) -> None:
    cursor = cursor_at(*at_mark(chat, "rooms: lobby", new))
    assert cursor is not None
    assert quoted(word, cursor) == written
    assert is_quoted(cursor) == (new[7] in "'\"")


def test_an_offer_is_its_label_unless_it_says_otherwise() -> None:
    assert Offer("x", "value") == Offer("x", "value", text="", rank=5)
