"""Tokens: where they are looked for, who may have issued them, how they are signed, when they end. No value of a secret is shown."""

from collections.abc import Iterator
from typing import Final

from channeld.config.model import Auth, JwtAuth, Secret, TokensAuth
from channeld.diff.change import Change, Level
from channeld.diff.comparison import Comparison
from channeld.pointer import at
from channeld.schema.compare.words import duration

__all__ = ["tokens"]

_B, _D, _S = Level.BREAKING, Level.DANGEROUS, Level.SAFE
_PLACES: Final = {
    "query": "the query (`?token=`)",
    "header": "the `Authorization` header",
    "subprotocol": "the subprotocol",
    "message": "an `authenticate` frame",
}


def tokens(comparison: Comparison, name: str, was: Auth, now: Auth) -> Iterator[Change]:
    """What changed for the tokens of one authenticator, which is of the same type on both sides."""
    pointer = at("/auth", name)
    if isinstance(was, JwtAuth | TokensAuth) and isinstance(now, JwtAuth | TokensAuth):
        yield from _places(comparison, name, (was.token_from, now.token_from), pointer)
    if isinstance(was, JwtAuth) and isinstance(now, JwtAuth):
        yield from _algorithms(comparison, name, was, now)
        yield from _issuer(comparison, name, was, now)
        yield from _audience(comparison, name, was, now)
        yield from _end(comparison, name, was, now)
        yield from _keys(comparison, name, was, now)
        if was.user != now.user:
            message = f"the user ids of `{name}` are made of `{now.user}` now"
            label = f"{was.user} before"
            yield comparison.change(
                "D412", _D, message, at(pointer, "user"), label=label, security=True
            )
    if isinstance(was, TokensAuth) and isinstance(now, TokensAuth):
        known = {(entry.token and entry.token.text, entry.sha256) for entry in now.tokens}
        gone = [e for e in was.tokens if (e.token and e.token.text, e.sha256) not in known]
        if gone and comparison.old.is_known(pointer) and comparison.new.is_known(pointer):
            message = f"{len(gone)} of the tokens of `{name}` no longer open anything"
            yield comparison.change("D413", _D, message, at(pointer, "tokens"))


def _places(
    comparison: Comparison, name: str, pair: tuple[tuple[str, ...], tuple[str, ...]], pointer: str
) -> Iterator[Change]:
    was, now = pair
    for place in was:
        if place not in now:
            message = f"`{name}` no longer looks for the token in {_PLACES.get(place, place)}"
            yield comparison.change("D407", _B, message, at(pointer, "token_from"))
    for place in now:
        if place not in was:
            message = f"`{name}` looks for the token in {_PLACES.get(place, place)}, too"
            yield comparison.change("D407", _S, message, at(pointer, "token_from"))


def _algorithms(comparison: Comparison, name: str, was: JwtAuth, now: JwtAuth) -> Iterator[Change]:
    pointer = at("/auth", name, "algorithms")
    for algorithm in was.algorithms:
        if algorithm not in now.algorithms:
            message = f"`{name}` no longer takes tokens signed with {algorithm}"
            yield comparison.change("D403", _B, message, pointer)
    for algorithm in now.algorithms:
        if algorithm not in was.algorithms:
            message = f"`{name}` takes tokens signed with {algorithm} now"
            yield comparison.change("D404", _S, message, pointer, security=True)


def _issuer(comparison: Comparison, name: str, was: JwtAuth, now: JwtAuth) -> Iterator[Change]:
    pointer = at("/auth", name, "issuer")
    if was.issuer == now.issuer or not _is_known(comparison, pointer):
        return
    if now.issuer is None:
        message = f"the issuer of tokens of `{name}` is no longer checked"
        yield comparison.gone("D404", _S, message, pointer, security=True)
        return
    message = f"tokens of `{name}` need {'another' if was.issuer else 'the right'} issuer now"
    yield comparison.change("D403", _B, message, pointer)


def _audience(comparison: Comparison, name: str, was: JwtAuth, now: JwtAuth) -> Iterator[Change]:
    pointer = at("/auth", name, "audience")
    if {*was.audience} == {*now.audience} or not _is_known(comparison, pointer):
        return
    if not now.audience:
        message = f"the audience of tokens of `{name}` is no longer checked"
        yield comparison.gone("D404", _S, message, pointer, security=True)
    elif not was.audience:
        message = f"tokens of `{name}` need the right audience now"
        yield comparison.change("D403", _B, message, pointer)
    else:
        if {*was.audience} - {*now.audience}:
            message = f"`{name}` no longer takes tokens for some audience"
            yield comparison.change("D403", _B, message, pointer)
        if {*now.audience} - {*was.audience}:
            message = f"`{name}` takes tokens for another audience, too"
            yield comparison.change("D404", _S, message, pointer, security=True)


def _end(comparison: Comparison, name: str, was: JwtAuth, now: JwtAuth) -> Iterator[Change]:
    pointer = at("/auth", name)
    if was.expiry != now.expiry:
        strict = now.expiry == "required"
        message = f"tokens of `{name}` {'need' if strict else 'need no'} `exp`{' now' * strict}"
        yield _judged(comparison, strict, message, at(pointer, "expiry"))
    if was.on_expiry != now.on_expiry:
        strict = now.on_expiry == "close"
        ends = "end with" if strict else "outlive"
        message = f"connections {ends} their token of `{name}` now"
        yield _judged(comparison, strict, message, at(pointer, "on_expiry"))
    if was.leeway != now.leeway:
        message = f"the leeway for tokens of `{name}` is {duration(now.leeway)} now"
        label = f"{duration(was.leeway)} before"
        if now.leeway < was.leeway:
            yield comparison.change("D403", _D, message, at(pointer, "leeway"), label=label)
        else:
            place = at(pointer, "leeway")
            yield comparison.change("D404", _S, message, place, label=label, security=True)


def _judged(comparison: Comparison, strict: bool, message: str, pointer: str) -> Change:
    if strict:
        return comparison.change("D403", _B, message, pointer)
    return comparison.change("D404", _S, message, pointer, security=True)


def _keys(comparison: Comparison, name: str, was: JwtAuth, now: JwtAuth) -> Iterator[Change]:
    """Keys that went: tokens that they signed are refused. Only what stands in the files is compared."""
    pointer = at("/auth", name)
    if was.jwks != now.jwks:
        message = f"the keys of `{name}` come from elsewhere now"
        yield comparison.change("D413", _D, message, at(pointer, "jwks"))
    if was.public_key != now.public_key and _is_known(comparison, at(pointer, "public_key")):
        message = f"`{name}` has another public key now"
        yield comparison.change("D413", _D, message, at(pointer, "public_key"))
    inline = all(secret.inline for secret in (*was.secrets, *now.secrets))
    if inline and _texts(was.secrets) - _texts(now.secrets):
        message = f"a secret of `{name}` no longer verifies tokens"
        yield comparison.change("D413", _D, message, at(pointer, "secret"))


def _texts(secrets: tuple[Secret, ...]) -> set[str]:
    return {secret.text for secret in secrets}


def _is_known(comparison: Comparison, pointer: str) -> bool:
    return comparison.old.is_known(pointer) and comparison.new.is_known(pointer)
