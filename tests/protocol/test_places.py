"""A client's place in several rooms as one text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.protocol.places import LONGEST, LOST, Places, since_of

POSITION = "abcdefghijk-0000000001"
rooms = st.dictionaries(st.text(min_size=1, max_size=128), st.just(POSITION), max_size=40)


@given(rooms)
def test_what_is_written_is_read_again_as_far_as_it_fits(places: dict[str, str]) -> None:
    text = Places(places).text()
    assert len(text) <= LONGEST
    assert text.isascii()
    assert not set(text) & set("\r\n +/=&?#%")
    read = Places.parse(text)
    assert read is not None
    assert all(pos in (places[room], LOST) for room, pos in read.rooms.items())
    assert read.is_whole is (read.rooms.keys() == places.keys())


def test_positions_are_left_out_before_rooms() -> None:
    places = {f"room-{n}": POSITION for n in range(90)}
    read = Places.parse(Places(places).text())
    assert read is not None
    assert read.is_whole
    assert [*read.rooms] == [*places]
    kept = [*read.rooms.values()]
    assert 5 < kept.count(POSITION) < 90
    assert kept[kept.count(POSITION) :] == [LOST] * kept.count(LOST)


def test_a_name_that_does_not_fit_leaves_room_for_others() -> None:
    read = Places.parse(Places({"a": POSITION, "\x01" * 400: POSITION, "b": POSITION}).text())
    assert read == Places({"a": POSITION, "b": POSITION}, is_whole=False)


@pytest.mark.parametrize(
    "text",
    ["", "~", "~!", POSITION, "~" + "A" * LONGEST, "~WzFd", "~W3siYSI6MX0sdHJ1ZV0", "~W3t9LDFd"],
)
def test_anything_else_is_none(text: str) -> None:
    assert Places.parse(text) is None


@given(st.text(max_size=100))
def test_no_text_raises(text: str) -> None:
    Places.parse(text)
    Places.parse("~" + text)


def test_a_position_is_that_of_the_one_room() -> None:
    assert since_of(POSITION, ["den"]) == {"den": POSITION}
    assert since_of(None, ["den"]) == {}


def test_a_position_is_not_taken_for_that_of_several_rooms() -> None:
    assert since_of(POSITION, ["news", "den"]) == {"news": "", "den": ""}


def test_places_say_which_room_each_position_is_of() -> None:
    text = Places({"news": "a-1", "attic": "b-2"}).text()
    assert since_of(text, ["news", "den"]) == {"news": "a-1"}


def test_rooms_that_did_not_fit_are_told_as_lost() -> None:
    text = Places({"news": "a-1"}, is_whole=False).text()
    assert since_of(text, ["news", "den"]) == {"news": "a-1", "den": ""}


def test_what_fits_to_the_last_character_is_whole() -> None:
    fitting = next(
        p for n in range(LONGEST) if len((p := Places({"r" * n: "x"})).text()) == LONGEST
    )
    assert Places.parse(fitting.text()) == fitting


def test_a_text_with_another_mark_is_none() -> None:
    text = Places({"r": "x"}).text()
    assert Places.parse(text) is not None
    assert Places.parse("!" + text[1:]) is None


def test_a_room_or_position_that_fits_exactly_is_kept() -> None:
    most = (LONGEST - 1) * 3 // 4 - len("[{},false]")
    room = "r" * (most - len('"":"?",'))
    assert Places.parse(Places({room: POSITION}).text()) == Places({room: LOST})
    position = "p" * (most - len('"a":"","b":"?",'))
    text = Places({"a": position, "b": POSITION}).text()
    assert Places.parse(text) == Places({"a": position, "b": LOST})
