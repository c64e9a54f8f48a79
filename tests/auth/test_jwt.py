"""JWT authenticators but for their verification: what changes mean for clients, minting, words."""

from typing import Any

import jwt as pyjwt
import pytest

from channeld.auth.authenticator import CannotMint, StandardClaim
from channeld.auth.jwt import JwtAuthenticator
from channeld.config.model import Jwks, JwtAuth, Secret
from tests.diff.kit import codes, compared

SECRET = "a secret of at least thirty-two bytes"


def minter(**changes: Any) -> JwtAuthenticator:
    given: dict[str, Any] = {"algorithms": ("HS256",), "secrets": (Secret(text=SECRET),)}
    return JwtAuthenticator(JwtAuth(**given | changes))


def claims(minter: JwtAuthenticator) -> dict[str, Any]:
    return minter.claims_for("ann", now=1000.9, lifetime=60)


def test_a_token_says_who_and_how_long() -> None:
    assert claims(minter()) == {"sub": "ann", "iat": 1000, "exp": 1060}


def test_issuer_and_audience_are_the_authenticators() -> None:
    made = claims(minter(issuer="me", audience=("chat", "other")))
    assert (made["iss"], made["aud"]) == ("me", "chat")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{claims.uid}", {"uid": "ann"}),
        ("{claims.user.id}", {"user": {"id": "ann"}}),
        ('{claims["https://e.com/id"]}', {"https://e.com/id": "ann"}),
        ('{claims.a["b.c"].d}', {"a": {"b.c": {"d": "ann"}}}),
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
    token = signs.mint("session", {"sub": "ann"})
    assert pyjwt.get_unverified_header(token)["alg"] == "HS512"
    assert pyjwt.decode(token, SECRET * 2, algorithms=["HS512"]) == {"sub": "ann"}


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
        minter(secrets=secrets).mint("session", {"sub": "ann"})


def test_a_public_key_mints_nothing() -> None:
    signs = minter(algorithms=("RS256",), secrets=())
    assert not signs.can_mint()
    with pytest.raises(CannotMint, match="takes no tokens that can be signed"):
        signs.mint("session", {})


def test_what_is_said_of_it() -> None:
    auth = minter(token_from=("header", "message"))
    assert auth.words() == "a JWT as `Authorization: Bearer` or in an `authenticate` frame"
    assert auth.bearer_format() == "JWT"
    assert auth.claims_until(1000.0) == {"exp": 970.0}
    assert (auth.ends_connections(), minter(on_expiry="ignore").ends_connections()) == (True, False)


def test_it_names_its_key_set() -> None:
    assert minter().key_source() is None
    source = minter(jwks=Jwks(url="https://id.example.com/keys")).key_source()
    assert source is not None
    assert (source.jwks.url, source.algorithms) == ("https://id.example.com/keys", ("HS256",))


def test_sub_is_guaranteed_where_the_user_is_made_of_it() -> None:
    number = frozenset({"integer", "number"})
    assert minter().standard_claims() == {
        "sub": StandardClaim(types=frozenset({"string"}), guaranteed=True),
        "exp": StandardClaim(types=number, guaranteed=True),
    }
    loose = minter(user="{claims.uid}", expiry="optional").standard_claims()
    assert [claim.guaranteed for claim in loose.values()] == [False, False]


JWT = """\
channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ${SECRET}
    audience: chat
channels:
  room: {path: /room, auth: session, events: {news: {}}}
"""


def jwt(*lines: str, without: str = "") -> str:
    more = "".join(f"    {line}\n" for line in lines)
    return JWT.replace(f"    {without}\n" if without else "\0", "").replace(
        "channels:", more + "channels:"
    )


B, D, S = ("D403", "breaking"), ("D403", "dangerous"), ("D404", "safe")


@pytest.mark.parametrize(
    ("line", "there", "back"),
    [
        ("issuer: https://id.example.com", [B], [S]),
        ("expiry: optional", [S], [B]),
        ("on_expiry: ignore", [S], [B]),
        ("leeway: 10s", [D], [S]),
        ("user: 'u-{claims.sub}'", [("D412", "dangerous")], [("D412", "dangerous")]),
        ("claims: {type: object, required: [name]}", [B], [S]),
        ("token_from: [query, header, subprotocol]", [("D407", "breaking")], [("D407", "safe")]),
    ],
)
def test_one_line_more_and_one_less(
    line: str, there: list[tuple[str, str]], back: list[tuple[str, str]]
) -> None:
    assert codes(JWT, jwt(line)) == there
    assert codes(jwt(line), JWT) == back


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("audience: chat", "audience: [chat, app]", [S]),
        ("audience: [chat, app]", "audience: chat", [B]),
        ("audience: chat", "audience: app", [B, S]),
        ("algorithms: [HS256]", "algorithms: [HS256, HS384]", [S]),
        ("issuer: https://a.example", "issuer: https://b.example", [B]),
    ],
)
def test_one_line_for_another(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    key = old.partition(":")[0]
    base = next((line for line in JWT.splitlines() if line.strip().startswith(key)), "").strip()
    assert codes(jwt(old, without=base), jwt(new, without=base)) == expected


SECRETS = ["the-first-secret-that-is-long-enough", "another-secret-that-is-long-enough-too"]


def test_secrets_are_compared_and_never_shown() -> None:
    old, new = (JWT.replace("${SECRET}", secret) for secret in SECRETS)
    text = compared(old, new)
    assert "D413" in text
    assert not any(secret in text for secret in SECRETS)
    rotated = JWT.replace("${SECRET}", f"[{', '.join(reversed(SECRETS))}]")
    assert codes(old, rotated) == [("D404", "safe")]


def test_tokens_that_are_gone_or_new_are_told() -> None:
    def text(*tokens: str) -> str:
        entries = ", ".join(f"{{token: {token}, user: ann}}" for token in tokens)
        return (
            f"channeld: 1\nauth: {{session: {{type: tokens, tokens: [{entries}]}}}}\n"
            "channels: {room: {path: /room, auth: session, events: {news: {}}}}\n"
        )

    assert codes(text(*SECRETS), text(SECRETS[0])) == [("D413", "dangerous")]
    assert codes(text(SECRETS[0]), text(*SECRETS)) == [("D404", "safe")]
