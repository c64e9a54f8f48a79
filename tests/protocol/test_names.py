import sys
import unicodedata

import pytest

from channeld.protocol.names import Topic, is_plain, is_room_name, nfc, room_name


@pytest.mark.parametrize("name", ["a", "a" * 128, "a b", "é", "日本", "*", "../x", "😀"])
def test_names(name: str) -> None:
    assert is_room_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 129,
        "a\n",
        "\x7f",
        "e\u0301",
        "\x85",
        "\ud800",
        "a\u202eb",
        "a\u200bb",
        "\ufeff",
        "\u2066a",
    ],
)
def test_what_is_none(name: str) -> None:
    assert not is_room_name(name)


def test_what_looks_the_same_is_the_same_name() -> None:
    assert nfc("e\u0301") == "\u00e9" == nfc("\u00e9")
    assert nfc("abc") == "abc"


def test_what_is_too_long_to_be_a_room_is_not_brought_into_form() -> None:
    longest = "\u03b1\u0313\u0300\u0345" * 128
    assert is_room_name(room_name(longest))
    assert room_name(longest + "\u0323") == longest + "\u0323"


@pytest.mark.parametrize("text", ["", "a b", "\u00e9", "\u65e5\u672c", "e\u0301"])
def test_plain_text_can_be_seen(text: str) -> None:
    assert is_plain(text)


@pytest.mark.parametrize("text", ["a\x00", "\x1b[2J", "a\u202eb", "\u200b"])
def test_what_cannot_be_seen_is_not_plain(text: str) -> None:
    assert not is_plain(text)


def test_every_character_that_is_hidden_is_known() -> None:
    # Those without width or that turn the direction of text, and all of Unicode's categories Cc and Cs.
    listed = "\u200b\u200c\u200d\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    for character in map(chr, range(sys.maxunicode + 1)):
        is_hidden = character in listed or unicodedata.category(character) in ("Cc", "Cs")
        assert is_plain(character) is not is_hidden


def test_a_topic_knows_whether_it_is_a_room() -> None:
    kinds = ("room", "user", "channel", "all", "node")
    assert [Topic(kind, "c", "n").is_room for kind in kinds] == [True, False, False, False, False]
