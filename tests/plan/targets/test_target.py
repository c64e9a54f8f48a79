import pytest

from channeld.config.model import Route
from channeld.plan.targets.kinds import KINDS, kind_of
from channeld.plan.targets.target import of_channel


@pytest.mark.parametrize(
    ("route", "there", "expected"),
    [
        (Route(to="room", room="r"), "own", True),
        (Route(to="room", room="r"), "other", False),
        (Route(to="user", user="u", channel="other"), "other", True),
        (Route(to="user", user="u", channel="other"), "own", False),
        (Route(to="global", channel="*"), "other", True),
        (Route(to="sender"), "own", True),
        (Route(to="sender", channel="other"), "other", False),
        (Route(to="none"), "own", False),
    ],
)
def test_where_frames_arrive(route: Route, there: str, expected: bool) -> None:
    assert kind_of(route).arrives(route, "own", there) is expected


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (Route(to="global"), False),
        (Route(to="global", except_sender=True), True),
        (Route(to="room", room="r"), False),
        (Route(to="room", room="r", members_only=False), True),
        (Route(to="user", user="{user.id}"), False),
        (Route(to="user", user="{message.to}"), True),
    ],
)
def test_the_sender_may_not_be_among_them(route: Route, expected: bool) -> None:
    assert kind_of(route).may_miss_sender(route) is expected


def test_two_routes_of_a_kind_are_the_same_for_the_same_templates() -> None:
    room = KINDS["room"]
    assert room.is_same(Route(to="room", room="a"), Route(to="room", room="a"))
    assert not room.is_same(Route(to="room", room="a"), Route(to="room", room="b"))
    assert KINDS["global"].is_same(Route(to="global"), Route(to="global", except_sender=True))


def test_another_channel_is_named() -> None:
    assert of_channel(Route(to="user", channel="other")) == " of other"
    assert of_channel(Route(to="global", channel="*")) == of_channel(Route(to="global")) == ""
