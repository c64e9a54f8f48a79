"""Parses a JSON Web Key Set document (RFC 7517) into the public keys that an authenticator can use.

Fetching and refreshing sets is done elsewhere.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs
import orjson

from channeld.auth.authenticator import PyJwtKey

SMALLEST_RSA: Final = 2048

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ALGORITHMS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("RSA", ""): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("EC", "secp256k1"): ("ES256K",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}
"""(kty, crv) → the algorithms that such a key verifies (RFC 7518 section 3.1, RFC 8037, RFC 8812)."""
# RFC 9864 names an algorithm per curve; existing tokens and PyJWT use EdDSA.
_ALIASES: Final = {"Ed25519": "EdDSA", "Ed448": "EdDSA"}
# Only these reach the library, so a private key that was published by mistake is not kept.
_PUBLIC_MEMBERS: Final = ("kty", "crv", "n", "e", "x", "y")


@attrs.frozen(slots=True, eq=False)
class Jwk:
    """One public key: what PyJWT takes, and the algorithms it may be used with."""

    kid: str | None
    key: PyJwtKey = attrs.field(repr=False)
    algorithms: tuple[str, ...]


@attrs.frozen(slots=True)
class KeysFound:
    """A set's keys for an authenticator: the usable ones in order, and the number of others."""

    keys: tuple[Jwk, ...]
    skipped: int


def read_keys(content: bytes, allowed: Iterable[str]) -> KeysFound:
    """Parse a set (RFC 7517 section 5).

    A key is skipped (RFC 7517 section 5 asks for that) when its type or curve is unknown, when it is symmetric, is not
    for signatures, verifies no allowed algorithm, is malformed, or is RSA of less than 2048 bits.

    Raises:
        ValueError: the content is not a key set.
    """
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the key set is not JSON: {error.msg}") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("the set has no list of `keys` (RFC 7517 section 5)")  # noqa: TRY004 - it is a text's fault
    found = [_read_key(entry, frozenset(allowed)) for entry in entries]
    keys = tuple(key for key in found if key is not None)
    return KeysFound(keys, len(entries) - len(keys))


def _read_key(entry: object, allowed: frozenset[str]) -> Jwk | None:
    if not isinstance(entry, dict) or not _is_for_signatures(entry):
        return None
    kid, kty, crv = entry.get("kid"), entry.get("kty"), entry.get("crv", "")
    if not isinstance(kid, str | None) or not isinstance(kty, str) or not isinstance(crv, str):
        return None
    algorithms = _ALGORITHMS.get((kty, "" if kty == "RSA" else crv), ())
    stated = entry.get("alg")
    if stated is not None:
        known = _ALIASES.get(stated, stated) if isinstance(stated, str) else None
        algorithms = tuple(name for name in algorithms if name == known)
    usable = tuple(name for name in algorithms if name in allowed)
    key = _public_key(entry, usable[0]) if usable else None
    return Jwk(kid, key, usable) if key is not None else None


def _is_for_signatures(entry: Mapping[str, object]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and (
        isinstance(operations, list) and "verify" in operations
    )


def _public_key(entry: Mapping[str, object], algorithm: str) -> object | None:
    from jwt import PyJWK, PyJWTError  # noqa: PLC0415 - with cryptography, 120 ms

    members = {name: entry[name] for name in _PUBLIC_MEMBERS if name in entry}
    try:
        key: object = PyJWK.from_dict(members, algorithm).key
    except (PyJWTError, ValueError, TypeError, OverflowError):
        return None
    size = getattr(key, "key_size", SMALLEST_RSA) if entry["kty"] == "RSA" else SMALLEST_RSA
    return key if size >= SMALLEST_RSA else None
