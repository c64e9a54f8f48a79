from typing import Any

import jwt
import pytest

from channeld.config.model import HookAuth, HookRef, JwtAuth, Secret
from channeld.dev.mint import CannotMint, Minter, choose, claims_for, mint, parse_claim

SECRET = "a secret of at least thirty-two bytes"
HMAC = JwtAuth(algorithms=("HS256",), secrets=(Secret(text=SECRET),))
PUBLIC = JwtAuth(algorithms=("RS256",), public_key="…")
HOOK = HookAuth(hook=HookRef(call="a:b"))


def minter(**changes: Any) -> Minter:
    given: dict[str, Any] = {"algorithms": ("HS256",), "secrets": (Secret(text=SECRET),)}
    return Minter("session", JwtAuth(**given | changes))


def claims(minter: Minter, **more: Any) -> dict[str, Any]:
    return claims_for(minter, "ann", more, now=1000.9, lifetime=60)


def test_a_token_says_who_and_how_long() -> None:
    assert claims(minter()) == {"sub": "ann", "iat": 1000, "exp": 1060}


def test_issuer_and_audience_are_the_authenticators() -> None:
    made = claims(minter(issuer="me", audience=("chat", "other")))
    assert (made["iss"], made["aud"]) == ("me", "chat")


def test_given_claims_win() -> None:
    assert claims(minter(issuer="me"), iss="you", exp=1)["iss"] == "you"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{claims.uid}", {"uid": "ann"}),
        ("{claims.user.id}", {"user": {"id": "ann"}}),
        ("{claims.iat.x}", {}),
        ("u-{claims.uid}", {}),
    ],
)
def test_the_claim_that_names_the_user_is_filled(template: str, expected: dict[str, Any]) -> None:
    made = claims(minter(user=template))
    assert made == {"sub": "ann", "iat": 1000, "exp": 1060, **expected}


def test_the_first_secret_and_the_first_algorithm_sign() -> None:
    signs = minter(
        algorithms=("HS512", "HS256"), secrets=(Secret(text=SECRET * 2), Secret(text="old" * 22))
    )
    token = mint(signs, {"sub": "ann"})
    assert jwt.get_unverified_header(token)["alg"] == "HS512"
    assert jwt.decode(token, SECRET * 2, algorithms=["HS512"]) == {"sub": "ann"}


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ((), "is empty"),
        ((Secret(text=""),), "is empty"),
        ((Secret(text="short"),), "shorter than 32 bytes"),
    ],
)
def test_without_a_good_secret_nothing_is_minted(secrets: tuple[Secret, ...], words: str) -> None:
    with pytest.raises(CannotMint, match=words):
        mint(minter(secrets=secrets), {"sub": "ann"})


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
