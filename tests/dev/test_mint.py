from typing import Any

import pytest

from channeld.auth.authenticator import CannotMint
from channeld.auth.authenticators import authenticator
from channeld.config.model import HookAuth, HookRef, JwtAuth, Secret
from channeld.dev.claims import claims_in
from channeld.dev.mint import Minter, choose, parse_claim

SECRET = "a secret of at least thirty-two bytes"
HMAC = JwtAuth(algorithms=("HS256",), secrets=(Secret(text=SECRET),))
PUBLIC = JwtAuth(algorithms=("RS256",), public_key="…")
HOOK = HookAuth(hook=HookRef(call="a:b"))


def test_given_claims_win() -> None:
    minter = Minter("session", authenticator(HMAC))
    token, payload = minter.mint("ann", {"sub": "bob", "exp": 1}, lifetime=60)
    assert claims_in(token) == payload
    assert (payload["sub"], payload["exp"]) == ("bob", 1)
    assert payload.keys() == {"sub", "iat", "exp"}


def test_the_first_that_signs_is_chosen() -> None:
    chosen = choose({"hook": HOOK, "public": PUBLIC, "session": HMAC})
    assert chosen.name == "session"


def test_one_is_chosen_by_name() -> None:
    assert choose({"one": HMAC, "two": HMAC}, "two").name == "two"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (None, "no authenticator of this configuration signs with a secret"),
        ("public", "'public' does not sign with a secret"),
        ("hook", "'hook' does not sign with a secret"),
        ("nobody", r"no authenticator is called 'nobody' \(declared: hook, public\)"),
    ],
)
def test_what_cannot_sign_is_said(name: str | None, words: str) -> None:
    with pytest.raises(CannotMint, match=words):
        choose({"hook": HOOK, "public": PUBLIC}, name)


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("name=Ann", ("name", "Ann")),
        ("age=5", ("age", 5)),
        ("admin=true", ("admin", True)),
        ('rooms=["a","b"]', ("rooms", ["a", "b"])),
        ('id="5"', ("id", "5")),
        ("empty=", ("empty", "")),
        ("sum=1=1", ("sum", "1=1")),
    ],
)
def test_a_claim_is_json_where_it_is_json(text: str, claim: tuple[str, Any]) -> None:
    assert parse_claim(text) == claim


@pytest.mark.parametrize("text", ["admin", "=5", ""])
def test_a_claim_needs_a_name_and_a_value(text: str) -> None:
    with pytest.raises(ValueError, match="write name=value"):
        parse_claim(text)
