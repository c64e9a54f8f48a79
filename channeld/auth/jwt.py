"""`type: jwt`: signed tokens (RFC 7519), except for their verification.

Secrets are never shown. PyJWT is imported only when a token is verified or minted: with `cryptography` it takes 120 ms,
which validation does not need.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from channeld.auth.authenticator import (
    AskedClaim,
    AuthChange,
    Authenticator,
    CannotMint,
    CompiledAuth,
    KeySet,
    KeySource,
    Refuses,
    StandardClaim,
)
from channeld.auth.token_places import compare_places, words_for
from channeld.config.model import JwtAuth, Secret
from channeld.config.scalars import format_duration
from channeld.protocol.frames import Json

if TYPE_CHECKING:
    from channeld.auth.jwt_verifier import JwtVerifier

SHORTEST_SECRET: Final = 32
"""Bytes that an HMAC secret has at least (RFC 7518 section 3.2)."""

_ONE_CLAIM = re.compile(r'\{claims((?:\.[A-Za-z_]\w*|\["[^"{}]+"\])+)\}')
_STEP = re.compile(r'\.(\w+)|\["([^"]+)"\]')


class JwtAuthenticator(Authenticator[JwtAuth]):
    """Verifies signatures, times, issuer and audience."""

    type = "jwt"

    def user_template(self) -> str:
        """`{claims.sub}`, or the declared one."""
        return self.declared.user

    def standard_claims(self) -> Mapping[str, StandardClaim]:
        """`sub` and `exp` (RFC 7519 section 4.1)."""
        return {
            # A token without `sub` is fine if the user id comes from another claim.
            "sub": StandardClaim(
                types=frozenset({"string"}), guaranteed="{claims.sub}" in self.declared.user
            ),
            "exp": StandardClaim(
                types=frozenset({"integer", "number"}),
                guaranteed=self.declared.expiry == "required",
            ),
        }

    def asked_claims(self) -> Sequence[AskedClaim]:
        """The user id, the times, and what names issuer and audience (RFC 7519 section 4.1)."""
        declared, asked = self.declared, []
        user = self._user_claim()
        if user:
            words = "is the user id: text of 1 to 128 characters"
            schema: Json = {"type": "string", "minLength": 1, "maxLength": 128}
            asked.append(AskedClaim(path=user, schema=schema, words=words))
        is_required = declared.expiry == "required"
        words = "is the end of the token, in Unix seconds"
        asked.append(_asked("exp", {"type": "number"}, words, is_required=is_required))
        words = "is when the token begins to be valid, in Unix seconds"
        asked.append(_asked("nbf", {"type": "number"}, words))
        asked += (_asked(name, {"type": "string"}, "is text") for name in ("sub", "jti"))
        if declared.issuer is not None:
            words = f"is `{declared.issuer}`, the `issuer`"
            asked.append(_asked("iss", {"const": declared.issuer}, words, is_required=True))
        if declared.audience:
            one: Json = {"enum": [*declared.audience]}
            either: Json = {"anyOf": [one, {"type": "array", "contains": one}]}
            asked.append(_asked("aud", either, "names the `audience`", is_required=True))
        return asked

    def token_from(self) -> tuple[str, ...]:
        """As declared."""
        return self.declared.token_from

    def key_source(self) -> KeySource | None:
        """Its `jwks`."""
        if self.declared.jwks is None:
            return None
        return KeySource(jwks=self.declared.jwks, algorithms=self.declared.algorithms)

    def verifier(
        self, compiled: CompiledAuth, keys: KeySet | None, is_revoked: Refuses
    ) -> "JwtVerifier":
        """Its verifier; `compiled` has the user template."""
        from channeld.auth.jwt_verifier import JwtVerifier  # noqa: PLC0415 - with PyJWT, 120 ms

        return JwtVerifier(self.declared, compiled, keys, is_revoked)

    def ends_connections(self) -> bool:
        """True unless expiry is ignored."""
        return self.declared.on_expiry == "close"

    def words(self) -> str:
        """A JWT and where to send it."""
        return f"a JWT {words_for(self.declared.token_from)}"

    def bearer_format(self) -> str:
        """Its name in OpenAPI and AsyncAPI."""
        return "JWT"

    def claims_until(self, end: float) -> dict[str, Json]:
        """Sets `exp`; the connection ends `leeway` later."""
        return {"exp": end - self.declared.leeway}

    def compare(self, name: str, now: JwtAuth) -> Iterator[AuthChange]:
        """Compares places, algorithms, issuer, audience, times, keys and the user id."""
        was = self.declared
        yield from compare_places(name, was.token_from, now.token_from)
        yield from _algorithms(name, was, now)
        yield from _issuer(name, was, now)
        yield from _audience(name, was, now)
        yield from _end(name, was, now)
        yield from _keys(name, was, now)
        if was.user != now.user:
            yield AuthChange(
                code="D412",
                level="dangerous",
                message=f"the user ids of `{name}` are now made of `{now.user}`",
                key="user",
                label=f"{was.user} before",
                security=True,
            )

    # ------------------------------------------------------------------------------------------------- minting

    def can_mint(self) -> bool:
        """Whether it has an HMAC algorithm, whose secret can also sign."""
        return bool(self._hmac())

    def claims_for(self, user: str, *, now: float, lifetime: float) -> dict[str, Json]:
        """Adds the declared issuer and audience, and the claim that the `user` template reads."""
        payload = super().claims_for(user, now=now, lifetime=lifetime)
        if self.declared.issuer is not None:
            payload["iss"] = self.declared.issuer
        if self.declared.audience:
            payload["aud"] = self.declared.audience[0]
        named = self._user_claim()
        if named:
            _set(payload, named, user)
        return payload

    def _user_claim(self) -> tuple[str, ...]:
        """The path of the claim that is the user id; empty if it is made of more than that."""
        named = _ONE_CLAIM.fullmatch(self.declared.user)
        return tuple(one or other for one, other in _STEP.findall(named[1])) if named else ()

    def mint(self, name: str, payload: Mapping[str, Json]) -> str:
        """Sign with the first secret and the first algorithm.

        Raises:
            CannotMint: no HMAC algorithm, or the secret is too short or missing (its variable is not set).
        """
        if not self.can_mint():
            return super().mint(name, payload)
        import jwt  # noqa: PLC0415 - with cryptography, 120 ms

        secret = self.declared.secrets[0].text if self.declared.secrets else ""
        if not secret:
            raise CannotMint(
                f"the secret of '{name}' is empty; set its environment variable, or start `channeld run --dev`, which generates one"
            )
        if len(secret.encode()) < SHORTEST_SECRET:
            raise CannotMint(
                f"the secret of '{name}' is shorter than {SHORTEST_SECRET} bytes; the server refuses it"
            )
        return jwt.encode(dict(payload), secret, algorithm=self._hmac()[0])

    def _hmac(self) -> list[str]:
        return [name for name in self.declared.algorithms if name.startswith("HS")]


def _asked(name: str, schema: Json, words: str, *, is_required: bool = False) -> AskedClaim:
    return AskedClaim(path=(name,), schema=schema, words=words, is_required=is_required)


def _set(payload: dict[str, Json], path: Sequence[str], value: str) -> None:
    *above, last = path
    for step in above:
        below = payload.setdefault(step, {})
        if not isinstance(below, dict):
            return
        payload = below
    payload[last] = value


# ------------------------------------------------------------------------------------------------------ comparing


def _stricter(message: str, key: str) -> AuthChange:
    return AuthChange(code="D403", level="breaking", message=message, key=key)


def _wider(message: str, key: str, label: str = "", *, gone: bool = False) -> AuthChange:
    return AuthChange(
        code="D404", level="safe", message=message, key=key, label=label, security=True, gone=gone
    )


def _judged(strict: bool, message: str, key: str) -> AuthChange:
    return _stricter(message, key) if strict else _wider(message, key)


def _algorithms(name: str, was: JwtAuth, now: JwtAuth) -> Iterator[AuthChange]:
    for algorithm in was.algorithms:
        if algorithm not in now.algorithms:
            message = f"`{name}` no longer takes tokens signed with {algorithm}"
            yield _stricter(message, "algorithms")
    for algorithm in now.algorithms:
        if algorithm not in was.algorithms:
            yield _wider(f"`{name}` now takes tokens signed with {algorithm}", "algorithms")


def _issuer(name: str, was: JwtAuth, now: JwtAuth) -> Iterator[AuthChange]:
    if was.issuer == now.issuer:
        return
    if now.issuer is None:
        message = f"the issuer of tokens of `{name}` is no longer checked"
        yield _wider(message, "issuer", gone=True)
        return
    which = "another" if was.issuer else "the right"
    yield _stricter(f"tokens of `{name}` now need {which} issuer", "issuer")


def _audience(name: str, was: JwtAuth, now: JwtAuth) -> Iterator[AuthChange]:
    before, after = {*was.audience}, {*now.audience}
    if before and not after:
        message = f"the audience of tokens of `{name}` is no longer checked"
        yield _wider(message, "audience", gone=True)
    elif after and not before:
        yield _stricter(f"tokens of `{name}` now need the right audience", "audience")
    else:
        if before - after:
            yield _stricter(f"`{name}` no longer takes tokens for some audience", "audience")
        if after - before:
            yield _wider(f"`{name}` also takes tokens for another audience", "audience")


def _end(name: str, was: JwtAuth, now: JwtAuth) -> Iterator[AuthChange]:
    if was.expiry != now.expiry:
        strict = now.expiry == "required"
        need = "now need `exp`" if strict else "no longer need `exp`"
        yield _judged(strict, f"tokens of `{name}` {need}", "expiry")
    if was.on_expiry != now.on_expiry:
        strict = now.on_expiry == "close"
        ends = "end with" if strict else "outlive"
        yield _judged(strict, f"connections now {ends} their token of `{name}`", "on_expiry")
    if was.leeway != now.leeway:
        message = f"the leeway for tokens of `{name}` is now {format_duration(now.leeway)}"
        label = f"{format_duration(was.leeway)} before"
        if now.leeway > was.leeway:
            yield _wider(message, "leeway", label)
        else:
            yield AuthChange(
                code="D403", level="dangerous", message=message, key="leeway", label=label
            )


def _keys(name: str, was: JwtAuth, now: JwtAuth) -> Iterator[AuthChange]:
    """Removed keys, whose tokens are now refused. Only keys in the files are compared."""
    if was.jwks != now.jwks:
        yield _other_key(f"the keys of `{name}` now come from elsewhere", "jwks")
    if was.public_key != now.public_key:
        yield _other_key(f"`{name}` now has another public key", "public_key")
    inline = all(secret.inline for secret in (*was.secrets, *now.secrets))
    before, after = _texts(was.secrets), _texts(now.secrets)
    if inline and after - before:
        yield _wider(f"`{name}` now takes tokens signed with another secret", "secret")
    if inline and before - after:
        message = f"a secret of `{name}` no longer verifies tokens"
        yield AuthChange(code="D413", level="dangerous", message=message, key="secret")


def _other_key(message: str, key: str) -> AuthChange:
    return AuthChange(code="D413", level="dangerous", message=message, key=key, security=True)


def _texts(secrets: tuple[Secret, ...]) -> set[str]:
    return {secret.text for secret in secrets}
