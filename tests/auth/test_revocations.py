"""Revocations on one node: whom they refuse, how long they are kept, and that they are bounded."""

from typing import Any

import pytest

from channeld.auth import revocations as module
from channeld.auth.revocations import Revocation, Revocations, RevocationsFull

NOW = 1_000_000.0


def of_user(user: str = "ann", before: float = NOW, until: float = NOW + 100) -> Revocation:
    return Revocation(user=user, before=before, until=until)


@pytest.mark.parametrize(
    ("claims", "refused"),
    [
        ({"iat": NOW - 1}, True),
        ({"iat": NOW}, True),
        ({"iat": NOW + 0.9}, True),
        ({"iat": NOW + 1}, False),
        ({}, True),
        ({"iat": "soon"}, True),
        ({"iat": True}, True),
    ],
)
def test_tokens_of_a_user_that_were_not_issued_later_are_refused(
    claims: dict[str, Any], refused: bool
) -> None:
    known = Revocations()
    known.add(of_user(), NOW)
    assert known.refuse("ann", claims, NOW) is refused
    assert not known.refuse("bob", claims, NOW)


def test_one_token_is_refused_by_its_id() -> None:
    known = Revocations()
    known.add(Revocation(token_id="t1", until=NOW + 100), NOW)
    assert known.refuse("ann", {"jti": "t1", "iat": NOW + 50}, NOW)
    assert not known.refuse("ann", {"jti": "t2"}, NOW)
    assert not known.refuse("ann", {"jti": ["t1"]}, NOW)
    assert not known.refuse("t1", {}, NOW)


def test_a_revocation_is_forgotten_when_it_has_ended() -> None:
    known = Revocations()
    known.add(of_user(until=NOW + 100), NOW)
    assert known.refuse("ann", {}, NOW + 99)
    assert not known.refuse("ann", {}, NOW + 100)
    assert len(known) == 0
    known.add(of_user(until=NOW), NOW)
    assert len(known) == 0


def test_the_stricter_of_two_holds() -> None:
    known = Revocations()
    known.add(of_user(before=NOW, until=NOW + 100), NOW)
    known.add(of_user(before=NOW - 50, until=NOW + 200), NOW)
    (one,) = known
    assert (one.before, one.until) == (NOW, NOW + 200)
    assert known.refuse("ann", {"iat": NOW}, NOW + 150)


def test_one_can_be_taken_back() -> None:
    known = Revocations()
    id = known.add(of_user(), NOW).id
    assert known.get(id) is not None
    assert known.remove(id)
    assert not known.remove(id)
    assert not known.refuse("ann", {}, NOW)


def test_there_are_at_most_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    known = Revocations()
    known.add(of_user("a"), NOW)
    known.add(of_user("b"), NOW)
    for _ in range(10):
        known.add(of_user("b"), NOW)
    with pytest.raises(RevocationsFull):
        known.add(of_user("c"), NOW)
    known.add(of_user("c", until=NOW + 300), NOW + 150)
    assert [one.user for one in known] == ["c"]
