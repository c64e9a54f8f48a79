"""What hook authors import."""

import attrs
import pytest

import channeld
from channeld import Reject, Request, User


def test_reject_carries_what_the_error_frame_says() -> None:
    reject = Reject("no", code="OWN", close=4900, hint="later")
    assert (str(reject), reject.code, reject.close) == ("no", "OWN", 4900)
    assert reject.fields == {"hint": "later"}


def test_reject_has_a_code_of_its_own_without_one() -> None:
    assert (Reject("no").code, Reject("no").close) == ("REJECTED", None)


def test_users_and_requests_are_values_that_do_not_change() -> None:
    user = User("ann")
    assert user == User("ann", {})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        user.id = "bob"  # type: ignore[misc]


def test_request_does_not_show_what_may_hold_a_token() -> None:
    request = Request(
        path="/a",
        query={"token": "canary"},
        headers={"authorization": "canary"},
        cookies={"sid": "canary"},
        subprotocols=("bearer.canary",),
    )
    assert "canary" not in repr(request)


def test_everything_that_hooks_need_is_imported_from_the_top() -> None:
    assert set(channeld.__all__) >= {"Context", "Reject", "Request", "SyncContext", "User"}
