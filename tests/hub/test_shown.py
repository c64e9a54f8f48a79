"""Info and state as one value for the broker."""

import pytest

from channeld.hub.shown import Shown


@pytest.mark.parametrize(
    "shown", [Shown({}), Shown({"name": "Ann"}), Shown({"name": "Ann"}, {"away": True}, "c1")]
)
def test_what_was_packed_is_unpacked(shown: Shown) -> None:
    assert Shown.unpack(shown.packed()) == shown
    assert Shown.fields_of(shown.packed()) == shown.fields()


def test_without_a_state_the_broker_keeps_the_info_as_it_is() -> None:
    assert Shown({"name": "Ann"}).packed() == {"name": "Ann"}


def test_a_state_is_shown_beside_the_info_and_whose_it_is_is_not() -> None:
    assert Shown({}).fields() == {"info": {}}
    assert Shown({}, {"away": True}, "c1").fields() == {"info": {}, "state": {"away": True}}
