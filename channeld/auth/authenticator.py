"""What every type of authenticator answers, and the values in which it does: grants, refusals, differences.

An `Authenticator` wraps one declaration of the configuration. Nothing outside this package asks of which type that is:
whatever depends on the type is a method here, with the answer that most types give.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, Literal, Protocol, TypeAlias, TypeGuard, TypeVar

import attrs

from channeld.config.model import HookRef, Jwks
from channeld.hooks import User
from channeld.protocol.frames import Frame, Json
from channeld.schema.violations import Validator

Declared = TypeVar("Declared")

# Whole numbers up to here are exact as doubles (RFC 8259 section 6): a later end can't be computed with.
_LATEST: Final = 2**53

Refuses: TypeAlias = Callable[[str, Mapping[str, Any], float], bool]
"""Whether a token of a user with these claims is revoked, at a moment (Unix seconds)."""

UserTemplate: TypeAlias = Callable[[Any, Frame], Any]


@attrs.frozen(slots=True)
class Grant:
    """Who the client is. `expires` is the token's `exp` (Unix seconds); `ends` when the connection ends for it."""

    user: User
    expires: float | None = None
    ends: float | None = None


@attrs.frozen(slots=True)
class Denied:
    """Not let in; `reason` is for the log.

    `is_final` is False where the same client may be let in a moment later; `of_claims`: the user id or the claims' schema.
    """

    reason: str
    is_final: bool = True
    of_claims: bool = False


@attrs.frozen(slots=True, kw_only=True)
class AuthChange:
    """One difference between two declarations of a type; `key` is the one that it concerns.

    `gone`: the key stood in the old one only. `label` says what was before. `security`: something is open now that was
    shut.
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
class KeySource:
    """Where a key set is, and the algorithms that its keys may be used with."""

    jwks: Jwks
    algorithms: tuple[str, ...]


class CannotMint(Exception):
    """No token can be signed; the message says what is missing."""


class Key(Protocol):
    """One public key of a set: what PyJWT takes, and the algorithms it may be used with."""

    @property
    def key(self) -> Any:
        """The key object."""

    @property
    def algorithms(self) -> Sequence[str]:
        """Names as in RFC 7518 section 3.1."""


class KeySet(Protocol):
    """A JSON Web Key Set (RFC 7517) that somebody else fetches."""

    def find(self, kid: str | None) -> Key | None:
        """The key of that id; without an id the only key there is."""

    @property
    def is_known(self) -> bool:
        """Whether a set has been read, so that a key that it lacks does not exist."""

    def may_refresh(self) -> bool:
        """Whether asking again is allowed by now."""

    async def refresh(self) -> None:
        """Fetch the set again, if that is allowed; keeps the old one when that fails. Never raises."""


class Verifier(Protocol):
    """One authenticator that takes tokens."""

    @property
    def token_from(self) -> Sequence[str]:
        """Where it looks for tokens, in order."""

    async def verify(self, token: str, wall: float) -> Grant | Denied:
        """Whose token it is at `wall` (Unix seconds). Waits only for a key set."""

    def vouch(self, user: str, claims: Mapping[str, Any], wall: float) -> Grant | Denied:
        """What a good token of that user would be worth, for tests that have none."""


@attrs.frozen(slots=True, kw_only=True)
class CompiledAuth:
    """What the compiler made of a declaration: the template of the user id, and the schema of the claims."""

    user: UserTemplate | None = None
    claims: Validator | None = None


class Authenticator(Generic[Declared]):
    """One declared authenticator. The defaults are those of a type that takes no token."""

    type: ClassVar[str]

    def __init__(self, declared: Declared) -> None:
        self.declared = declared

    # ------------------------------------------------------------------------------------ for the compiler

    def user_template(self) -> str | None:
        """The template of the user id, whose scope is the claims."""
        return None

    def hook(self) -> HookRef | None:
        """The hook that says who the client is."""
        return None

    def standard_claims(self) -> Mapping[str, StandardClaim]:
        """The claims that are known whatever the `claims` schema says, by name."""
        return {}

    # ----------------------------------------------------------------------------------------- for the engine

    def token_from(self) -> tuple[str, ...]:
        """Where a token is looked for, in order."""
        return ()

    def key_source(self) -> KeySource | None:
        """The key set that is to be fetched for it."""
        return None

    def verifier(
        self, compiled: CompiledAuth, keys: KeySet | None, is_revoked: Refuses
    ) -> Verifier | None:
        """What verifies its tokens; None where it takes none."""
        return None

    def ends_connections(self) -> bool:
        """Whether a connection may end with its token, or its user."""
        return False

    # ----------------------------------------------------------------------------------- for people and tools

    def words(self) -> str:
        """What a client brings, for the documentation of a channel."""
        raise NotImplementedError

    def bearer_format(self) -> str:
        """AsyncAPI's hint at the token's form; empty for an opaque one."""
        return ""

    def compare(self, name: str, now: Any) -> Iterator[AuthChange]:
        """What a newer declaration of the same type and name changes; its `claims` are compared elsewhere."""
        return iter(())

    def claims_until(self, end: float) -> dict[str, Json]:
        """The claims with which a connection ends at `end` (Unix seconds)."""
        return {}

    # ------------------------------------------------------------------------------------------------- minting

    def can_mint(self) -> bool:
        """Whether tokens for it can be signed with what its declaration holds."""
        return False

    def claims_for(self, user: str, *, now: float, lifetime: float) -> dict[str, Json]:
        """What a token for `user` says, valid from `now` (Unix seconds) for `lifetime` seconds."""
        return {"sub": user, "iat": int(now), "exp": int(now + lifetime)}

    def mint(self, name: str, payload: Mapping[str, Json]) -> str:
        """A token with that payload.

        Raises:
            CannotMint: its declaration holds nothing to sign with.
        """
        raise CannotMint(f"'{name}' takes no tokens that can be signed")


def accept_user(claims: Validator | None, user: User) -> str | None:
    """Why a verified user is still refused: a bad id, or claims that the authenticator's schema refuses."""
    if type(user.id) is not str or not 1 <= len(user.id) <= 128:
        return "user id is not a string of 1 to 128 characters"
    if claims is not None:
        violations = claims.explain(dict(user.claims))
        if violations:
            first = violations[0]
            # The words of a missing property hold its name; those of other keywords may hold a value.
            words = f" ({first.message})" if first.keyword == "required" else ""
            return f"claims refused at {first.path or '/'}: {first.keyword}{words}"
    return None


def is_time(value: object) -> TypeGuard[float]:
    """Whether a value is Unix seconds that can be computed with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LATEST
