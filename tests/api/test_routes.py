import pytest

from channeld.api.problems import Problem
from channeld.api.routes import ROUTES, find


def matched(raw: bytes) -> list[str]:
    return [route.path for route in find(raw, ROUTES)[0]]


@pytest.mark.parametrize(
    ("raw", "room"),
    [
        (b"general", "general"),
        (b"a%2Fb", "a/b"),
        (b"%252F", "%2F"),
        (b"..", ".."),
        (b"%2e%2e", ".."),
        (b"*", "*"),
        (b"a%0Ab", "a\nb"),
        (b"%C3%BC", "ü"),
        (b"a+b", "a+b"),
        (b"a;b=c", "a;b=c"),
        (b"x" * 10_240, "x" * 10_240),
        (b"", ""),
    ],
)
def test_a_segment_is_decoded_once_and_after_the_cut(raw: bytes, room: str) -> None:
    found, params = find(b"/v1/channels/lobby/rooms/" + raw, ROUTES)
    assert [route.path for route in found] == ["/v1/channels/{channel}/rooms/{room}"]
    assert params == {"channel": "lobby", "room": room}


@pytest.mark.parametrize(
    "raw",
    [
        b"/v1/channels/lobby/rooms/a/b",
        b"/v1/../metrics",
        b"/V1/channels",
        b"v1",
        b"/health",
    ],
)
def test_no_route(raw: bytes) -> None:
    assert matched(raw) == []


@pytest.mark.parametrize("room", [b"%ff", b"%zz", b"%", b"a%2", b"\xc3\xa4", b"%00%ED%A0%80"])
def test_a_path_that_is_not_percent_encoded_utf8(room: bytes) -> None:
    with pytest.raises(Problem) as refused:
        find(b"/v1/channels/lobby/rooms/" + room, ROUTES)
    assert refused.value.status == 400


def test_a_literal_may_be_encoded() -> None:
    assert matched(b"/%76%31/channels") == ["/v1/channels"]
    assert matched(b"/") == ["/"]


def test_what_needs_no_key_is_listed_here() -> None:
    assert {route.path for route in ROUTES if route.is_open} == {
        "/",
        "/chat.html",
        "/console/files/{file}",
        "/go/{code}",
        "/health/live",
        "/health/ready",
        "/metrics",
    }


def test_no_path_is_twice_in_the_table() -> None:
    rows = [(route.method, route.path) for route in ROUTES]
    assert sorted(rows) == sorted(set(rows))
