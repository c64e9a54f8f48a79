import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.export.names import Names, identifier


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("room Send message", "RoomSendMessage"),
        ("invoice_paid", "InvoicePaid"),
        ("größe", "Groe"),
        ("a.b-c/d:e", "ABCDE"),
        ("1up", "T1up"),
        ("日本", "Schema"),
        ("", "Schema"),
    ],
)
def test_identifiers(text: str, name: str) -> None:
    assert identifier(text) == name


@given(st.text(max_size=20))
def test_any_text_becomes_an_identifier(text: str) -> None:
    name = identifier(text)
    assert name.isidentifier()
    assert name.isascii()


def test_a_taken_name_gets_a_number() -> None:
    names = Names()
    assert [names.give("a b"), names.give("aB"), names.give("a-b")] == ["AB", "AB2", "AB3"]


def test_words_of_the_targets_are_taken() -> None:
    names = Names()
    given = [names.give(word) for word in ("error", "none", "channel map", "typed dict", "paths")]
    assert given == ["Error2", "None2", "ChannelMap2", "TypedDict2", "Paths"]
    assert not any(keyword.iskeyword(name) for name in given)


def test_a_name_can_be_taken_as_it_is() -> None:
    names = Names()
    names.take("Room")
    assert names.has("Room")
    assert names.give("room") == "Room2"
