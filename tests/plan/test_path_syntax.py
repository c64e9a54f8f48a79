import pytest

from channeld.plan.path_syntax import (
    PathParam,
    PathPattern,
    PathSlip,
    Rest,
    compare,
    decode,
    parse_path,
)


def pattern(text: str) -> PathPattern:
    mistakes: list[PathSlip] = []
    found = parse_path(text, mistakes)
    assert found is not None
    assert mistakes == []
    return found


def test_a_path_is_its_segments() -> None:
    found = pattern("/a/{b}/caf%C3%A9/{c...}")
    assert found.segments == ("a", PathParam("b"), "café", Rest("c"))
    assert found.params == ("b", "c")
    assert found.offset("b") == 3


def test_the_root_is_a_path() -> None:
    assert pattern("/").segments == ("",)


@pytest.mark.parametrize(
    ("text", "code", "offset", "length"),
    [
        ("rooms", "CH301", 0, 5),
        ("/rooms?x=1", "CH301", 6, 4),
        ("/rooms#top", "CH301", 6, 4),
        ("/rooms/:id", "CH301", 7, 3),
        ("/rooms/<id>", "CH301", 7, 4),
        ("/rooms/*", "CH301", 7, 1),
        ("/rooms/{}", "CH301", 7, 2),
        ("/rooms/{user.id}", "CH301", 7, 9),
        ("/rooms-{id}", "CH301", 1, 10),
        ("/{rest...}/x", "CH301", 1, 9),
        ("//x", "CH301", 1, 1),
        ("/a b", "CH301", 1, 3),
        ("/%zz", "CH301", 1, 3),
        ("/%ff", "CH301", 1, 3),
        ("/a/../b", "CH307", 3, 2),
        ("/{a}/{a}", "CH304", 5, 3),
        ("/" + "a/" * 65, "CH301", 0, 131),
    ],
)
def test_a_bad_path_has_one_slip_with_its_place(
    text: str, code: str, offset: int, length: int
) -> None:
    mistakes: list[PathSlip] = []
    assert parse_path(text, mistakes) is None
    assert [(s.code, s.offset, s.length) for s in mistakes] == [(code, offset, length)]
    assert mistakes[0].help


def test_a_colon_param_is_told_how_to_be_one() -> None:
    mistakes: list[PathSlip] = []
    parse_path("/rooms/:room_id", mistakes)
    assert "write `{room_id}`" in mistakes[0].help


def test_a_trailing_slash_is_only_a_warning() -> None:
    mistakes: list[PathSlip] = []
    found = parse_path("/rooms/", mistakes)
    assert found is not None
    assert found.segments == ("rooms", "")
    assert [(s.code, s.fatal) for s in mistakes] == [("CH331", False)]


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        ("/a/{x}", "/a/{y}", "equal"),
        ("/a/b", "/a/{y}", "narrower"),
        ("/a/{y}", "/a/b", "wider"),
        ("/a/{x}/c", "/a/b/{y}", "crossed"),
        ("/a/{x}", "/a/{r...}", "narrower"),
        ("/{r...}", "/a/{r...}", "wider"),
        ("/{a}/b", "/a/{r...}", "crossed"),
        ("/{a...}", "/{b...}", "equal"),
    ],
)
def test_which_of_two_is_more_specific(one: str, other: str, relation: str) -> None:
    assert compare(pattern(one), pattern(other)) == relation


def test_a_segment_is_decoded_once() -> None:
    assert decode("a%252Fb%2Fc") == "a%2Fb/c"
    assert decode("%C3%A9") == "é"
    assert decode("%C3") is None
    assert decode("%4") is None
    assert decode("\udc80") is None
