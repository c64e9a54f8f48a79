"""Tokens to users: finding a token in a handshake, verifying it, and what `require` asks of claims.

PyJWT checks signatures, issuer and audience; times are checked here, against the wall clock that is handed in (PyJWT
has one of its own). Why a token was refused is told to the log and to nobody else.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs
import jwt
from jwt.algorithms import HMACAlgorithm, get_default_algorithms

from channeld.config.model import HookAuth, JwtAuth, TokenEntry, TokensAuth
from channeld.hooks import Request, User
from channeld.later import yield_to_task
from channeld.plan.plan import MISSING, AuthPlan, Requirement, Scope
from channeld.protocol.frames import Frame, Json, encode

__all__ = [
    "Denied",
    "Grant",
    "JwtVerifier",
    "Key",
    "KeySet",
    "Verifier",
    "accept_user",
    "find_token",
    "make_verifier",
    "meets",
]

# Whole numbers up to here are exact as doubles (RFC 8259 section 6): a later `exp` can't be computed with.
_LATEST = 2**53


class Key(Protocol):
    """One public key of a set: what PyJWT takes, and the algorithms it may be used with."""

    @property
    def key(self) -> Any:
        """The key object."""

    @property
    def algorithms(self) -> Sequence[str]:
        """Names as in RFC 7518 section 3.1."""


class KeySet(Protocol):
    """A JSON Web Key Set that somebody else fetches (RFC 7517)."""

    def find(self, kid: str | None) -> Key | None:
        """The key of that id; without an id the only key there is."""

    def may_refresh(self) -> bool:
        """Whether asking again is allowed by now."""

    async def refresh(self) -> None:
        """Fetch the set again; keeps the old one when that fails. Never raises."""


@attrs.frozen(slots=True)
class Grant:
    """Who the client is. `expires` is the token's `exp` (Unix seconds); `ends` when the connection ends for it."""

    user: User
    expires: float | None = None
    ends: float | None = None


@attrs.frozen(slots=True)
class Denied:
    """Not let in; `reason` is for the log."""

    reason: str


class Verifier(Protocol):
    """One authenticator that takes tokens."""

    @property
    def token_from(self) -> Sequence[str]:
        """Where it looks for tokens, in order."""

    async def verify(self, token: str, wall: float) -> Grant | Denied:
        """Whose token it is. Waits only for a key set."""


def find_token(token_from: Iterable[str], request: Request) -> str | None:
    """The first token that a handshake carries, looked for in order; an empty one is none."""
    for where in token_from:
        kind, _, name = where.partition(":")
        token: str | None = None
        if kind == "query":
            token = request.query.get(name or "token")
        elif kind == "header":
            scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
            token = credentials.strip() if scheme.lower() == "bearer" else None
        elif kind == "cookie":
            token = request.cookies.get(name)
        elif kind == "subprotocol":
            bearers = (p[7:] for p in request.subprotocols if p.startswith("bearer."))
            token = next(bearers, None)
        if token:
            return token
    return None


def make_verifier(plan: AuthPlan, keys: KeySet | None) -> Verifier | None:
    """The verifier of an authenticator; None for one of `type: hook`, which takes no token."""
    declared = plan.declared
    if isinstance(declared, JwtAuth):
        return JwtVerifier(plan, declared, keys)
    if isinstance(declared, TokensAuth):
        return _TokensVerifier(plan, declared)
    assert isinstance(declared, HookAuth)  # noqa: S101 - narrows the union
    return None


def accept_user(plan: AuthPlan, user: User) -> str | None:
    """Why a verified user is still refused: a bad id, or claims that the authenticator's schema refuses."""
    if type(user.id) is not str or not 1 <= len(user.id) <= 128:
        return "user id is not a string of 1 to 128 characters"
    if plan.claims is not None:
        violations = plan.claims.explain(dict(user.claims))
        if violations:
            return f"claims refused at {violations[0].path or '/'}: {violations[0].keyword}"
    return None


@attrs.define(slots=True)
class _ClaimsScope:
    """A template scope that has nothing but claims: for `user: "{claims.sub}"`."""

    claims: Mapping[str, Any]
    params: Mapping[str, Json] = attrs.field(factory=dict)
    user_id: str | None = None
    connection_id: str = ""
    room: str | None = None

    def now_ms(self) -> int:
        return 0

    def uuid(self) -> str:
        return ""


class _Secret(bytes):
    """An HMAC secret that PyJWT has looked at and found to be no public key in disguise."""

    @classmethod
    def of(cls, text: str) -> "_Secret | str":
        """The secret; its text as it is where PyJWT refuses it, so that each token is refused for that reason."""
        try:
            return cls(HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text))
        except jwt.InvalidKeyError:
            return text


class _Hmac(HMACAlgorithm):
    """PyJWT's own, but for the look at the secret, which costs as much as the rest of a token and is done once."""

    def prepare_key(self, key: str | bytes) -> bytes:
        """The secret's bytes."""
        return key if isinstance(key, _Secret) else super().prepare_key(key)


def _register(name: str, digest: Any) -> None:
    jwt.unregister_algorithm(name)
    jwt.register_algorithm(name, _Hmac(digest))


_register("HS256", HMACAlgorithm.SHA256)
_register("HS384", HMACAlgorithm.SHA384)
_register("HS512", HMACAlgorithm.SHA512)


class JwtVerifier:
    """Verifies signed tokens (RFC 7519)."""

    def __init__(self, plan: AuthPlan, declared: JwtAuth, keys: KeySet | None) -> None:
        self.token_from = declared.token_from
        self._plan = plan
        self._declared = declared
        self._key_set = keys
        self._algorithms = list(declared.algorithms)
        self._static: list[Any] = [_Secret.of(secret.text) for secret in declared.secrets]
        if declared.public_key is not None:
            algorithm = get_default_algorithms()[declared.algorithms[0]]
            self._static.append(algorithm.prepare_key(declared.public_key))
        self._options: Any = {
            "verify_signature": True,
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": bool(declared.audience),
            "verify_iss": declared.issuer is not None,
        }

    async def verify(self, token: str, wall: float) -> Grant | Denied:
        """Try the static keys, then the key set."""
        keys: list[tuple[Any, Sequence[str]]] = [(key, self._algorithms) for key in self._static]
        if self._key_set is not None:
            found = await self._find_key(self._key_set, token)
            if isinstance(found, Denied):
                return found
            usable = [name for name in found.algorithms if name in self._algorithms]
            keys.append((found.key, usable))
        denied = Denied("no key")
        for key, algorithms in keys:
            try:
                claims = jwt.decode(
                    token,
                    key,
                    algorithms=algorithms,
                    options=self._options,
                    audience=self._declared.audience or None,
                    issuer=self._declared.issuer,
                )
            except (
                Exception
            ) as error:  # whatever a forged token provokes in the library, it is refused
                denied = Denied(f"token refused: {type(error).__name__}")
            else:
                return self.grant(claims, wall)
        return denied

    async def _find_key(self, key_set: KeySet, token: str) -> Key | Denied:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except Exception as error:  # as above: this is a stranger's text
            return Denied(f"token refused: {type(error).__name__}")
        key = key_set.find(kid)
        if key is None and key_set.may_refresh():
            await yield_to_task()
            await key_set.refresh()
            key = key_set.find(kid)
        return key if key is not None else Denied("unknown key id")

    def grant(self, claims: dict[str, Any], wall: float) -> Grant | Denied:
        """What verified claims are worth: their times, the user id, the claims' schema."""
        declared = self._declared
        reason = _time_reason(declared, claims, wall)
        if reason is not None:
            return Denied(reason)
        assert self._plan.user is not None  # noqa: S101 - compiled for every jwt authenticator
        # Every token's claims have the same few names: one copy of each for all connections.
        claims = {sys.intern(name): value for name, value in claims.items()}
        try:
            user = User(self._plan.user(_ClaimsScope(claims), {}), claims)
            # PyJWT reads more than can be written: lone surrogates, huge integers, any depth.
            encode({"info": [[[user.id, claims]]]})
        except LookupError:
            return Denied("the claims have nothing for the user id")
        except TypeError:
            return Denied("the claims cannot be written as JSON")
        reason = accept_user(self._plan, user)
        if reason is not None:
            return Denied(reason)
        expires = claims.get("exp")
        if expires is None or declared.on_expiry == "ignore":
            return Grant(user, expires)
        return Grant(user, expires, expires + declared.leeway)


class _TokensVerifier:
    def __init__(self, plan: AuthPlan, declared: TokensAuth) -> None:
        self.token_from = declared.token_from
        self._plan = plan
        # By digest: looking one up tells nothing by its timing that would help to guess a token.
        self._users = {
            digest: User(entry.user, entry.claims)
            for entry in declared.tokens
            if (digest := _entry_digest(entry)) is not None
        }

    async def verify(self, token: str, wall: float) -> Grant | Denied:
        user = self._users.get(_digest(token))
        if user is None:
            return Denied("unknown token")
        reason = accept_user(self._plan, user)
        return Grant(user) if reason is None else Denied(reason)


def _entry_digest(entry: TokenEntry) -> str | None:
    if entry.sha256 is not None:
        return entry.sha256.lower()
    return _digest(entry.token.text) if entry.token is not None else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _time_reason(declared: JwtAuth, claims: Mapping[str, Any], wall: float) -> str | None:
    expires, starts = claims.get("exp"), claims.get("nbf", 0)
    if expires is None and declared.expiry == "required":
        return "token has no exp"
    if not _is_time(starts) or not (expires is None or _is_time(expires)):
        return "exp or nbf is not a number"
    if starts > wall + declared.leeway:
        return "token is not valid yet"
    if expires is not None and expires + declared.leeway <= wall:
        return "token has expired"
    return None


def _is_time(value: object) -> bool:
    # Beyond 2^53, as for NaN, nothing can be computed with it.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LATEST


def meets(requirements: Iterable[Requirement], scope: Scope, frame: Frame | None = None) -> bool:
    """Whether claims satisfy every entry of a `require`; a message's templates also see the message."""
    message = {} if frame is None else frame
    return all(_met(requirement, scope, message) for requirement in requirements)


def _met(requirement: Requirement, scope: Scope, frame: Frame) -> bool:
    if requirement.claim not in scope.claims:
        return False
    claim = scope.claims[requirement.claim]
    wanted = [template(scope, frame) for template in requirement.any_of]
    if isinstance(claim, list):
        held = [_comparable(entry) for entry in claim]
    elif isinstance(claim, str):
        held = [_comparable(claim), *(_comparable(word) for word in claim.split())]
    else:
        held = [_comparable(claim)]
    return any(value is not MISSING and _comparable(value) in held for value in wanted)


def _comparable(value: object) -> str:
    # JSON equality: 1 is 1.0, but neither true nor "1".
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)
