"""Verifies signed tokens (RFC 7519): signatures by PyJWT, claims by checks of our own.

PyJWT checks the format and the signature. Issuer, audience and times are checked here, against the clock that is passed in
(PyJWT uses its own). Only the log says why a token was refused.

Tokens with a valid signature are remembered by their SHA-256, up to `REMEMBERED` of them, so that a reconnect storm does
not verify signatures again. Only the signature is cached: the key, the times and the claims are checked each time.
"""

import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import jwt
from jwt.algorithms import HMACAlgorithm, get_default_algorithms

from channeld.auth.authenticator import (
    CompiledAuth,
    Denied,
    Grant,
    Key,
    KeySet,
    PyJwtKey,
    Refuses,
    accept_user,
    is_time,
    read_claims,
)
from channeld.config.model import JwtAuth
from channeld.hooks import User
from channeld.later import yield_to_task
from channeld.protocol.frames import Json, encode

_MOST_HEADERS, _LONGEST_HEADER = 64, 512
# RFC 4648 section 5, and back.
_URL_SAFE, _STANDARD = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
REMEMBERED: Final = 10_000
"""Tokens whose signature is remembered, for one authenticator: about 1.5 MiB."""


class _ClaimsScope:
    """A template scope with only claims, for `user: "{claims.sub}"`."""

    params: Mapping[str, Json] = MappingProxyType({})
    user_id: str | None = None
    connection_id: str = ""
    room: str | None = None

    def __init__(self, claims: Mapping[str, Json]) -> None:
        self.claims = claims

    def now_ms(self) -> int:
        return 0

    def uuid(self) -> str:
        return ""


def _decoded(segment: bytes) -> bytes:
    """The bytes that a segment without padding stands for (RFC 7515 section 2)."""
    return binascii.a2b_base64(segment.translate(_STANDARD) + b"=" * (-len(segment) % 4))


class _Secret(bytes):
    """An HMAC secret that PyJWT has accepted (it is not a public key)."""

    @classmethod
    def of(cls, text: str) -> "_Secret | str":
        """Prepare the secret; one that PyJWT refuses is kept as text, so that each token is refused for that reason."""
        try:
            return cls(HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text))
        except jwt.InvalidKeyError:
            return text


class _Hmac(HMACAlgorithm):
    """PyJWT's own, except that the secret is checked once: the check costs as much as the rest of a token."""

    def prepare_key(self, key: str | bytes) -> bytes:
        """The secret's bytes."""
        return key if isinstance(key, _Secret) else super().prepare_key(key)


class _Signatures(jwt.PyJWS):
    """PyJWT's signature check without its look at each character of a token, a third of the cost.

    A service's tokens have the same few headers, so parsed headers are cached.
    """

    def __init__(self) -> None:
        super().__init__()
        self._headers: dict[bytes, dict[str, object]] = {}

    def _load(self, jwt: str | bytes) -> tuple[bytes, bytes, dict[str, object], bytes]:
        """Split a token into payload, signed bytes, header and signature."""
        data = jwt.encode() if isinstance(jwt, str) else jwt
        start, _, end = data.partition(b".")
        header = self._headers.get(start)
        if header is not None and end.count(b".") == 1:
            payload, _, signature = end.partition(b".")
            return (
                self._decode_base64url_segment(payload, "payload"),
                data[: -len(signature) - 1],
                header,
                self._decode_base64url_segment(signature, "crypto"),
            )
        loaded = super()._load(data)
        if "b64" not in loaded[2] and len(start) <= _LONGEST_HEADER:
            if len(self._headers) >= _MOST_HEADERS:
                self._headers.clear()
            self._headers[start] = loaded[2]
        return loaded

    @staticmethod
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        """Decode a segment in canonical encoding; PyJWT judges every other one."""
        try:
            decoded = _decoded(segment)
        except binascii.Error:
            decoded = b""
        written = binascii.b2a_base64(decoded, newline=False).translate(_URL_SAFE, b"=")
        if written == segment:
            return decoded
        return jwt.PyJWS._decode_base64url_segment(segment, name)  # noqa: SLF001 - its subclass


def _signatures() -> jwt.PyJWS:
    """Make an instance of our own, so that PyJWT's global registry stays unchanged."""
    signatures = _Signatures()
    for name, digest in (
        ("HS256", HMACAlgorithm.SHA256),
        ("HS384", HMACAlgorithm.SHA384),
        ("HS512", HMACAlgorithm.SHA512),
    ):
        signatures.unregister_algorithm(name)
        signatures.register_algorithm(name, _Hmac(digest))
    return signatures


def _refusal(error: Exception) -> str:
    """Why PyJWT refused a token, in words for the log that contain nothing of the token."""
    found = (words for kind, words in _REFUSALS if isinstance(error, kind))
    return next(found, "the token cannot be read")


# The first that fits: a bad signature is PyJWT's DecodeError as well.
_REFUSALS: Final = (
    (jwt.InvalidSignatureError, "the signature does not match the key"),
    (
        jwt.InvalidAlgorithmError,
        "the token is signed with an algorithm that is not in `algorithms`",
    ),
    (jwt.InvalidKeyError, "the key cannot be used with the algorithm of the token"),
    (jwt.DecodeError, "the token is not a JWT"),
)
_SIGNATURES: Final = _signatures()


class JwtVerifier:
    """Verifies the tokens of one authenticator.

    Args:
        declared: algorithms, keys, issuer, audience and times.
        compiled: its user template and claims schema.
        keys: its key set, if it has one.
        is_revoked: whether a valid token has been revoked.
    """

    def __init__(
        self,
        declared: JwtAuth,
        compiled: CompiledAuth,
        keys: KeySet | None,
        is_revoked: Refuses,
    ) -> None:
        self.token_from = declared.token_from
        self._user = compiled.user
        self._claims = compiled.claims
        self._declared = declared
        self._key_set = keys
        self._is_revoked = is_revoked
        self._algorithms = list(declared.algorithms)
        self._static: list[PyJwtKey] = [_Secret.of(secret.text) for secret in declared.secrets]
        if declared.public_key is not None:
            algorithm = get_default_algorithms()[declared.algorithms[0]]
            self._static.append(algorithm.prepare_key(declared.public_key))
        # SHA-256 of a token → the key of the set that verified it (None: a static key). In order of last use.
        self._remembered: OrderedDict[bytes, tuple[str | None, Key] | None] = OrderedDict()

    async def verify(self, token: str, wall: float) -> Grant | Denied:
        """Try the static keys, then the key set. Waits only if the key set has to be fetched."""
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        if self._is_remembered(digest):
            return self._worth(_decoded(token.split(".")[1].encode()), wall)
        keys: list[tuple[PyJwtKey, Sequence[str]]] = [
            (key, self._algorithms) for key in self._static
        ]
        found: tuple[str | None, Key] | None = None
        if self._key_set is not None:
            of_set = await self._find_key(self._key_set, token)
            if isinstance(of_set, Denied):
                return of_set
            found = of_set
            usable = [name for name in found[1].algorithms if name in self._algorithms]
            keys.append((found[1].key, usable))
        denied: Denied | None = None
        for index, (key, algorithms) in enumerate(keys):
            try:
                payload = _SIGNATURES.decode(token, key, algorithms=algorithms)
            except Exception as error:  # whatever a forged token causes, it is refused
                denied = Denied(_refusal(error))
            else:
                self._remember(digest, None if index < len(self._static) else found)
                return self._worth(payload, wall)
        return denied or Denied("no key")

    async def _find_key(self, key_set: KeySet, token: str) -> tuple[str | None, Key] | Denied:
        try:
            kid = _SIGNATURES.get_unverified_header(token).get("kid")
        except Exception as error:  # as above: the text is untrusted
            return Denied(_refusal(error))
        key = key_set.find(kid)
        if key is None and key_set.may_refresh():
            await yield_to_task()
            await key_set.refresh()
            key = key_set.find(kid)
        if key is not None:
            return (kid, key)
        if not key_set.is_known:
            return Denied("no key set could be read yet", is_final=False)
        return Denied("unknown key id")

    # ------------------------------------------------------------------------------------------- known signatures

    def _is_remembered(self, digest: bytes) -> bool:
        if digest not in self._remembered:
            return False
        found = self._remembered[digest]
        if found is not None:
            kid, key = found
            if self._key_set is None or self._key_set.find(kid) is not key:
                del self._remembered[digest]
                return False
        self._remembered.move_to_end(digest)
        return True

    def _remember(self, digest: bytes, found: tuple[str | None, Key] | None) -> None:
        self._remembered[digest] = found
        if len(self._remembered) > REMEMBERED:
            # An OrderedDict, because a dict searches for its first key behind all deleted ones.
            self._remembered.popitem(last=False)

    # --------------------------------------------------------------------------------------------------- claims

    def _worth(self, payload: bytes, wall: float) -> Grant | Denied:
        """Check the payload of a token whose signature is valid."""
        try:
            claims = read_claims(payload)
        except (ValueError, RecursionError):
            return Denied("the payload is not JSON")
        if not isinstance(claims, dict):
            return Denied("the payload is not a JSON object")
        reason = _meant_for_us(self._declared, claims)
        return self._grant(claims, wall, payload) if reason is None else Denied(reason)

    def vouch(self, user: str, claims: Mapping[str, Json], wall: float) -> Grant | Denied:
        """The result of a token with these claims and `user` as its `sub`."""
        return self._grant({"sub": user, **claims}, wall)

    def _grant(
        self, claims: Mapping[str, Json], wall: float, payload: bytes | None = None
    ) -> Grant | Denied:
        declared = self._declared
        reason = _time_reason(declared, claims, wall)
        if reason is not None:
            return Denied(reason)
        try:
            user = User(self._user(_ClaimsScope(claims), {}), claims)
            # Python parses more than can be encoded again: lone surrogates, huge integers, any depth.
            encode({"info": [[[user.id, claims]]]})
        except LookupError:
            return Denied("the claims have nothing for the user id", of_claims=True)
        except TypeError:
            return Denied("the claims cannot be written as JSON")
        reason = accept_user(self._claims, user)
        is_revoked = reason is None and self._is_revoked(user.id, claims, wall)
        if reason is not None or is_revoked:
            return Denied(reason or "token is revoked", of_claims=not is_revoked)
        exp = claims.get("exp")
        expires = exp if is_time(exp) else None
        if expires is None or declared.on_expiry == "ignore":
            return Grant(user, expires, payload=payload)
        return Grant(user, expires, declared.leeway, payload)


def _meant_for_us(declared: JwtAuth, claims: Mapping[str, Json]) -> str | None:
    """Why a token is not for this service, or is malformed (RFC 7519 section 4.1)."""
    for name in ("sub", "jti"):
        if not isinstance(claims.get(name, ""), str):
            return f"{name} is not a string"
    if declared.issuer is not None and claims.get("iss") != declared.issuer:
        return "iss is missing" if "iss" not in claims else "iss is not the declared issuer"
    if not declared.audience:
        return None
    audience = claims.get("aud")
    if audience is None:
        return "aud is missing"
    audiences = audience if isinstance(audience, list) else [audience]
    if not any(one in declared.audience for one in audiences if isinstance(one, str)):
        return "aud is not the declared audience"
    return None


def _time_reason(declared: JwtAuth, claims: Mapping[str, Json], wall: float) -> str | None:
    expires, starts = claims.get("exp"), claims.get("nbf", 0)
    if expires is None and declared.expiry == "required":
        return "token has no exp"
    if not is_time(starts) or not (expires is None or is_time(expires)):
        return "exp or nbf is not a number"
    if starts > wall + declared.leeway:
        return "token is not valid yet"
    if expires is not None and expires + declared.leeway <= wall:
        return "token has expired"
    return None
