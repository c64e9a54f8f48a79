"""`type: tokens`: a list of opaque tokens, each with its user."""

import hashlib
from collections.abc import Iterator, Mapping

from channeld.auth.authenticator import (
    AuthChange,
    Authenticator,
    CompiledAuth,
    Denied,
    Grant,
    KeySet,
    Refuses,
    Verifier,
    accept_user,
)
from channeld.auth.token_places import compare_places, words_for
from channeld.config.model import TokenEntry, TokensAuth
from channeld.hooks import User
from channeld.protocol.frames import Json
from channeld.schema.words import choices


class TokensAuthenticator(Authenticator[TokensAuth]):
    """Looks a token up in the declared list."""

    type = "tokens"

    def token_from(self) -> tuple[str, ...]:
        """As declared."""
        return self.declared.token_from

    def verifier(
        self, compiled: CompiledAuth, keys: KeySet | None, is_revoked: Refuses
    ) -> Verifier:
        """A verifier that knows the tokens by their digests."""
        return _TokensVerifier(self.declared, compiled)

    def listed(self) -> dict[str, str]:
        """The tokens that are not given as digests; of several, a user's first."""
        entries = [entry for entry in self.declared.tokens if entry.token is not None]
        return {entry.user: entry.token.text for entry in reversed(entries) if entry.token}

    def words(self) -> str:
        """A token and where to send it."""
        return f"a token {words_for(self.declared.token_from)}"

    def compare(self, name: str, now: TokensAuth) -> Iterator[AuthChange]:
        """Compares places, and reports removed tokens."""
        yield from compare_places(name, self.declared.token_from, now.token_from)
        known = {(entry.token and entry.token.text, entry.sha256) for entry in now.tokens}
        was = self.declared.tokens
        gone = [e for e in was if (e.token and e.token.text, e.sha256) not in known]
        if gone:
            message = f"{len(gone)} of the tokens of `{name}` are no longer accepted"
            yield AuthChange(code="D413", level="dangerous", message=message, key="tokens")
        yield from _changed(name, self.declared, now)


def _changed(name: str, was: TokensAuth, now: TokensAuth) -> Iterator[AuthChange]:
    """New tokens, and tokens whose user or claims changed. Tokens are not shown."""
    before = {_entry_digest(entry): entry for entry in was.tokens}
    for entry in now.tokens:
        known = before.get(_entry_digest(entry))
        if known is None:
            message = f"`{name}` has a new token for `{entry.user}`"
            yield AuthChange(
                code="D404", level="safe", message=message, key="tokens", security=True
            )
            continue
        if (known.user, known.claims) == (entry.user, entry.claims):
            continue
        if known.user != entry.user:
            message = f"a token of `{name}` is now for `{entry.user}`"
            label = f"`{known.user}` before"
        else:
            message = f"the token of `{entry.user}` in `{name}` now has other claims"
            label = f"{choices([dict(known.claims)])} before"
        yield AuthChange(
            code="D412",
            level="dangerous",
            message=message,
            key="tokens",
            label=label,
            security=True,
        )


class _TokensVerifier:
    def __init__(self, declared: TokensAuth, compiled: CompiledAuth) -> None:
        self.token_from = declared.token_from
        self._claims = compiled.claims
        # By digest, so that the timing of a lookup does not help to guess a token.
        self._users = {
            digest: User(entry.user, entry.claims)
            for entry in declared.tokens
            if (digest := _entry_digest(entry)) is not None
        }

    async def verify(self, token: str, wall: float) -> Grant | Denied:
        user = self._users.get(_digest(token))
        return Denied("unknown token") if user is None else self._grant(user)

    def vouch(self, user: str, claims: Mapping[str, Json], wall: float) -> Grant | Denied:
        return self._grant(User(user, claims))

    def _grant(self, user: User) -> Grant | Denied:
        reason = accept_user(self._claims, user)
        return Grant(user) if reason is None else Denied(reason, of_claims=True)


def _entry_digest(entry: TokenEntry) -> str | None:
    if entry.sha256 is not None:
        return entry.sha256.lower()
    return _digest(entry.token.text) if entry.token is not None else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
