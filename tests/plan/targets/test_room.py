import pytest

from channeld.plan.plan import MISSING, NotInRoom
from channeld.plan.targets.room import RoomPlan
from channeld.protocol.names import Topic
from tests.plan.targets.kit import sender


def test_without_a_name_it_is_the_joined_room() -> None:
    who = sender("home", home="home")
    assert RoomPlan().topic(who, {}) is who.rooms["home"]
    assert RoomPlan().topic(sender(), {}) is None
    assert RoomPlan().take_room(who, {}) is False


def test_the_sender_has_to_be_in_it() -> None:
    plan = RoomPlan(room=lambda _, frame: frame["room"])
    who = sender("a")
    assert plan.topic(who, {"room": "a"}) == Topic("room", "c", "a")
    assert who.room == "a"
    with pytest.raises(NotInRoom) as refused:
        plan.topic(who, {"room": "b"})
    assert refused.value.room == "b"


@pytest.mark.parametrize(("name", "admitted"), [("b", True), ("", False), ("x\n", False)])
def test_from_outside_any_room_name_will_do(name: str, admitted: bool) -> None:
    plan = RoomPlan(room=lambda *_: name, members_only=False)
    if admitted:
        assert plan.topic(sender(), {}) == Topic("room", "c", name)
    else:
        with pytest.raises(NotInRoom):
            plan.topic(sender(), {})


@pytest.mark.parametrize("members_only", [True, False])
def test_marks_without_end_are_not_brought_into_order(members_only: bool) -> None:
    marks = "a" + "\u0301\u0323" * 500
    plan = RoomPlan(room=lambda *_: marks, members_only=members_only)
    with pytest.raises(NotInRoom) as refused:
        plan.topic(sender(), {})
    assert refused.value.room == marks


def test_a_room_of_the_same_name_elsewhere_is_another() -> None:
    plan = RoomPlan(room=lambda *_: "a", channel="d", members_only=False)
    assert plan.topic(sender("a"), {}) == Topic("room", "d", "a")


def test_a_missing_part_of_the_name_is_nobody() -> None:
    plan = RoomPlan(room=lambda *_: MISSING)
    who = sender("a", home="a")
    assert plan.topic(who, {}) is None
    assert plan.take_room(who, {}) is True
    assert who.room is None
