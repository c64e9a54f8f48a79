import pytest

from channeld.client import ApiError, Problem, Publish


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ({"room": "a"}, {"to": "room", "room": "a"}),
        ({"user": "ann"}, {"to": "user", "user": "ann"}),
        ({}, {"to": "global"}),
        ({"idempotency_key": "k"}, {"to": "global", "idempotency_key": "k"}),
        ({"except_connection": "c"}, {"to": "global", "except": "c"}),
    ],
)
def test_an_event_as_the_api_takes_it(target: dict[str, str], body: dict[str, str]) -> None:
    one = Publish(channel="x", event={"type": "y"}, **target)
    assert one.body() == {"channel": "x", "event": {"type": "y"}, **body}


def test_to_a_room_and_a_user_is_neither() -> None:
    with pytest.raises(ValueError, match="not to both"):
        Publish(channel="x", event={}, room="a", user="b").body()


def test_an_error_says_what_it_is() -> None:
    error = ApiError(Problem(status=404, title="Not Found", detail="there is no such channel"))
    assert str(error) == "404 Not Found: there is no such channel"
    assert error.status == 404
