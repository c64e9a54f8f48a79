"""Opaque tokens: known by their text or by their digest."""

import hashlib

from channeld.auth.authenticator import CompiledAuth, Denied, Grant
from channeld.auth.tokens import TokensAuthenticator
from channeld.config.model import Secret, TokenEntry, TokensAuth
from channeld.later import run_sync


def verify(declared: TokensAuth, token: str) -> Grant | Denied:
    verifier = TokensAuthenticator(declared).verifier(CompiledAuth(), None, lambda *_: True)
    return run_sync(verifier.verify(token, 0.0))


def test_tokens_are_known_by_text_or_by_digest() -> None:
    digest = hashlib.sha256(b"second").hexdigest()
    declared = TokensAuth(
        tokens=(
            TokenEntry(user="ann", token=Secret(text="first"), claims={"role": "x"}),
            TokenEntry(user="bob", sha256=digest.upper()),
        )
    )
    first, second = verify(declared, "first"), verify(declared, "second")
    assert isinstance(first, Grant)
    assert isinstance(second, Grant)
    assert (first.user.id, first.user.claims, second.user.id) == ("ann", {"role": "x"}, "bob")
    for bad in ("third", digest, "sha256:" + digest, "\ud800"):
        assert isinstance(verify(declared, bad), Denied)


def test_what_is_said_of_it() -> None:
    auth = TokensAuthenticator(TokensAuth(tokens=(), token_from=("header",)))
    assert auth.words() == "a token as `Authorization: Bearer`"
    assert (auth.bearer_format(), auth.can_mint(), auth.ends_connections()) == ("", False, False)


def test_tokens_that_go_are_counted() -> None:
    was = TokensAuth(
        tokens=(TokenEntry(user="a", sha256="0" * 64), TokenEntry(user="b", sha256="1" * 64))
    )
    now = TokensAuth(tokens=(TokenEntry(user="b", sha256="1" * 64),))
    (found,) = TokensAuthenticator(was).compare("s", now)
    assert (found.code, found.message) == ("D413", "1 of the tokens of `s` are no longer accepted")


def test_a_token_that_lets_in_another_user_is_told() -> None:
    was = TokensAuth(tokens=(TokenEntry(user="a", token=Secret(text="t" * 16)),))
    now = TokensAuth(tokens=(TokenEntry(user="b", token=Secret(text="t" * 16)),))
    (found,) = TokensAuthenticator(was).compare("s", now)
    assert (found.code, found.level) == ("D412", "dangerous")
    assert found.message == "a token of `s` is now for `b`"
    assert found.label == "`a` before"


def test_other_claims_of_a_token_are_told() -> None:
    was = TokensAuth(tokens=(TokenEntry(user="a", sha256="0" * 64, claims={"role": "x"}),))
    now = TokensAuth(tokens=(TokenEntry(user="a", sha256="0" * 64, claims={"role": "y"}),))
    (found,) = TokensAuthenticator(was).compare("s", now)
    assert found.message == "the token of `a` in `s` now has other claims"
    assert "x" in found.label
    assert list(TokensAuthenticator(was).compare("s", was)) == []


def test_a_new_token_is_told_and_not_shown() -> None:
    was = TokensAuth(tokens=(TokenEntry(user="a", token=Secret(text="t" * 16)),))
    now = TokensAuth(tokens=(*was.tokens, TokenEntry(user="b", token=Secret(text="u" * 16))))
    (found,) = TokensAuthenticator(was).compare("s", now)
    assert (found.code, found.level, found.security) == ("D404", "safe", True)
    assert (found.message, found.label) == ("`s` has a new token for `b`", "")
