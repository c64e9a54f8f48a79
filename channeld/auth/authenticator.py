"""The interface of an authenticator type, and its values: grants, refusals, differences.

An `Authenticator` wraps one declaration of the configuration. Nothing outside this package checks its type: whatever
depends on the type is a method here, with a default that suits most types.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final, Generic, Literal, Protocol, TypeAlias, TypeGuard, TypeVar

import attrs
import orjson

from channeld.config.model import HookRef, Jwks
from channeld.hooks import User
from channeld.protocol.frames import CheckedJson, Frame, Json, integers_fit
from channeld.schema.violations import Validator

Declared = TypeVar("Declared")

# Integers up to here are exact as doubles (RFC 8259 section 6); later times are not usable.
_LATEST: Final = 2**53

RETRY_AFTER: Final = 5.0
"""Seconds after which a client may come again that nothing could be verified for."""

Refuses: TypeAlias = Callable[[str, Mapping[str, Json], float], bool]
"""Whether a token of a user with these claims is revoked, at a moment (Unix seconds)."""

PyJwtKey: TypeAlias = Any
"""What PyJWT takes to verify with. Each algorithm takes another class, and it looks at that itself."""

UserTemplate: TypeAlias = Callable[[CheckedJson, Frame], CheckedJson]


@attrs.frozen(slots=True)
class Grant:
    """Who the client is. `expires` is the token's `exp` (Unix seconds); the connection ends `leeway` seconds later, if that is not None.

    `payload`: the bytes that `read_claims` read the user's claims from, if it did.
    """

    user: User
    expires: float | None = None
    leeway: float | None = None
    payload: bytes | None = None


def _refuse(constant: str) -> None:
    # Python parses these, but they are not JSON (RFC 8259 section 6).
    raise ValueError(constant)


_JSON: Final = json.JSONDecoder(parse_constant=_refuse)


def read_claims(payload: bytes) -> Json:
    """The claims in a token's payload; whatever else it is, if it is not an object.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    with suppress(orjson.JSONDecodeError):
        claims: Json = orjson.loads(payload)
        if integers_fit(payload):
            return claims
    # What orjson refuses or changes is JSON even so: larger numbers, half a surrogate pair, any depth.
    slowly: Json = _JSON.decode(payload.decode())
    return slowly


@attrs.frozen(slots=True)
class Denied:
    """The client is refused; `reason` is for the log.

    `is_final` is False if the same client may be accepted a moment later; `of_claims`: refused for its user id or claims;
    `is_unknown`: the hook that was asked did not answer and may have acted.
    """

    reason: str
    is_final: bool = True
    of_claims: bool = False
    is_unknown: bool = False

    @property
    def fields(self) -> dict[str, object]:
        """What an answer that is not final says of coming again."""
        return {"retry_after": RETRY_AFTER, **({"outcome": "unknown"} if self.is_unknown else {})}


@attrs.frozen(slots=True, kw_only=True)
class AuthChange:
    """One difference between two declarations of a type; `key` is the one that it concerns.

    `gone`: only the old one has the key. `label` says what was before. `security`: something is accepted now that was
    refused.
    """

    code: str
    level: Literal["breaking", "dangerous", "safe"]
    message: str
    key: str
    label: str = ""
    security: bool = False
    gone: bool = False


@attrs.frozen(slots=True, kw_only=True)
class StandardClaim:
    """A claim that a type knows without a schema: its JSON types, and whether every user has it."""

    types: frozenset[str]
    guaranteed: bool


@attrs.frozen(slots=True, kw_only=True)
class AskedClaim:
    """What the server requires of the claim at `path`: a JSON Schema, the same in `words`, and whether it must be present."""

    path: tuple[str, ...]
    schema: Json
    words: str
    is_required: bool = True


@attrs.frozen(slots=True, kw_only=True)
class KeySource:
    """A key set's address, and the algorithms that its keys may be used with."""

    jwks: Jwks
    algorithms: tuple[str, ...]


class CannotMint(Exception):
    """Tokens can't be signed; the message says what is missing."""


class Key(Protocol):
    """One public key of a set: what PyJWT takes, and the algorithms it may be used with."""

    @property
    def key(self) -> PyJwtKey:
        """The key object."""

    @property
    def algorithms(self) -> Sequence[str]:
        """Names as in RFC 7518 section 3.1."""


class KeySet(Protocol):
    """A JSON Web Key Set (RFC 7517), fetched elsewhere."""

    def find(self, kid: str | None) -> Key | None:
        """The key with that id; without an id, the only key."""

    @property
    def is_known(self) -> bool:
        """Whether a set has been fetched, so that a key that it lacks does not exist."""

    def may_refresh(self) -> bool:
        """Whether fetching again is allowed by now."""

    async def refresh(self) -> None:
        """Fetch the set again if allowed; keep the old one on failure. Never raises."""


class Verifier(Protocol):
    """One authenticator that takes tokens."""

    @property
    def token_from(self) -> Sequence[str]:
        """Where it looks for tokens, in order."""

    async def verify(self, token: str, wall: float) -> Grant | Denied:
        """Verify a token at time `wall` (Unix seconds). Waits only for a key set."""

    def vouch(self, user: str, claims: Mapping[str, Json], wall: float) -> Grant | Denied:
        """The result of a valid token of that user, for tests that have none."""


def _nobody(_scope: object, _frame: Frame) -> object:
    raise LookupError("there is no template of the user id")


@attrs.frozen(slots=True, kw_only=True)
class CompiledAuth:
    """The compiled parts of a declaration: the user id template and the claims schema."""

    user: UserTemplate = _nobody
    claims: Validator | None = None


class Authenticator(Generic[Declared]):
    """One declared authenticator. The defaults suit a type without tokens."""

    type: ClassVar[str]

    def __init__(self, declared: Declared) -> None:
        self.declared = declared

    # ------------------------------------------------------------------------------------ for the compiler

    def user_template(self) -> str | None:
        """The template of the user id; its scope is the claims."""
        return None

    def hook(self) -> HookRef | None:
        """The hook that identifies the client."""
        return None

    def standard_claims(self) -> Mapping[str, StandardClaim]:
        """The claims that exist whatever the `claims` schema says, by name."""
        return {}

    def asked_claims(self) -> Sequence[AskedClaim]:
        """Requirements for claims besides their schema. A token must satisfy both."""
        return ()

    # ----------------------------------------------------------------------------------------- for the engine

    def token_from(self) -> tuple[str, ...]:
        """The places where a token is looked for, in order."""
        return ()

    def key_source(self) -> KeySource | None:
        """The key set to fetch for it, if any."""
        return None

    def verifier(
        self, compiled: CompiledAuth, keys: KeySet | None, is_revoked: Refuses
    ) -> Verifier | None:
        """The verifier of its tokens; None if it has none."""
        return None

    def ends_connections(self) -> bool:
        """Whether a connection may end because its token expires or its user does."""
        return False

    # ----------------------------------------------------------------------------------- for people and tools

    def words(self) -> str:
        """What a client has to send, for a channel's documentation."""
        raise NotImplementedError

    def bearer_format(self) -> str:
        """AsyncAPI's hint at the token's format; empty for an opaque one."""
        return ""

    def compare(self, name: str, now: Declared) -> Iterator[AuthChange]:
        """What a newer declaration of the same type and name changes; `claims` are compared elsewhere."""
        return iter(())

    def claims_until(self, end: float) -> dict[str, Json]:
        """The claims with which a connection ends at `end` (Unix seconds)."""
        return {}

    # ------------------------------------------------------------------------------------------------- minting

    def listed(self) -> Mapping[str, str]:
        """Tokens that its declaration contains as text, by user."""
        return {}

    def can_mint(self) -> bool:
        """Whether its declaration has what is needed to sign tokens."""
        return False

    def claims_for(self, user: str, *, now: float, lifetime: float) -> dict[str, Json]:
        """The payload of a token for `user`, valid from `now` (Unix seconds) for `lifetime` seconds."""
        return {"sub": user, "iat": int(now), "exp": int(now + lifetime)}

    def mint(self, name: str, payload: Mapping[str, Json]) -> str:
        """Sign a token with that payload.

        Raises:
            CannotMint: its declaration has nothing to sign with.
        """
        raise CannotMint(f"'{name}' takes no tokens that can be signed")


def accept_user(claims: Validator | None, user: User) -> str | None:
    """Refuse a verified user whose id is invalid or whose claims do not satisfy the authenticator's schema."""
    if type(user.id) is not str or not 1 <= len(user.id) <= 128:
        return "user id is not a string of 1 to 128 characters"
    if claims is not None:
        violations = claims.explain(dict(user.claims))
        if violations:
            first = violations[0]
            # The message for a missing property contains its name; those of other keywords may contain a value.
            words = f" ({first.message})" if first.keyword == "required" else ""
            return f"claims refused at {first.path or '/'}: {first.keyword}{words}"
    return None


def is_time(value: object) -> TypeGuard[float]:
    """Whether a value is usable as Unix seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LATEST
