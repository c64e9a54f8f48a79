"""Development tokens: what an authenticator with an HMAC secret would accept, minted from its own declaration."""

import re
from collections.abc import Iterable, Mapping

import attrs
import orjson

from channeld.config.model import Auth, JwtAuth
from channeld.protocol.frames import Json

__all__ = ["CannotMint", "Minter", "choose", "claims_for", "mint", "parse_claim", "parse_claims"]

SHORTEST_SECRET = 32

_ONE_CLAIM = re.compile(r"\{claims\.([A-Za-z_][\w.]*)\}")


class CannotMint(Exception):
    """The configuration has nothing that a token could be signed with; the message says what is missing."""


@attrs.frozen(slots=True)
class Minter:
    """An authenticator that tokens can be minted for: its name, and its declaration."""

    name: str
    auth: JwtAuth


def choose(authenticators: Mapping[str, Auth], name: str | None = None) -> Minter:
    """The authenticator of that name, or the first that has an HMAC secret.

    Raises:
        CannotMint: there is no such authenticator, or none that signs with a secret.
    """
    if name is not None:
        if name not in authenticators:
            known = ", ".join(authenticators) or "none"
            raise CannotMint(f"no authenticator is called '{name}' (declared: {known})")
        auth = authenticators[name]
        if not isinstance(auth, JwtAuth) or not _hmac(auth):
            raise CannotMint(
                f"'{name}' does not sign with a secret: only HS256, HS384 and HS512 do"
            )
        return Minter(name, auth)
    for each, auth in authenticators.items():
        if isinstance(auth, JwtAuth) and _hmac(auth):
            return Minter(each, auth)
    raise CannotMint(
        "no authenticator of this configuration signs with a secret; tokens can be minted only for one "
        "with `type: jwt`, `algorithms: [HS256]` and a `secret`"
    )


def _hmac(auth: JwtAuth) -> list[str]:
    return [name for name in auth.algorithms if name.startswith("HS")]


def claims_for(
    minter: Minter, user: str, claims: Mapping[str, Json], *, now: float, lifetime: float
) -> dict[str, Json]:
    """What a token for `user` says, valid from `now` (Unix seconds) for `lifetime` seconds.

    It has `sub`, `iat`, `exp`, the authenticator's issuer and audience, and the claim that its `user` template reads;
    `claims` win over all of them.
    """
    auth = minter.auth
    payload: dict[str, Json] = {"sub": user, "iat": int(now), "exp": int(now + lifetime)}
    if auth.issuer is not None:
        payload["iss"] = auth.issuer
    if auth.audience:
        payload["aud"] = auth.audience[0]
    named = _ONE_CLAIM.fullmatch(auth.user)
    if named is not None:
        _set(payload, named[1].split("."), user)
    return payload | dict(claims)


def mint(minter: Minter, payload: Mapping[str, Json]) -> str:
    """A token (RFC 7519) with that payload, signed with the authenticator's first secret.

    Raises:
        CannotMint: the secret is missing (its environment variable is not set) or too short.
    """
    import jwt  # noqa: PLC0415 - with cryptography, 120 ms

    auth = minter.auth
    secret = auth.secrets[0].text if auth.secrets else ""
    if not secret:
        raise CannotMint(
            f"the secret of '{minter.name}' is empty; set the environment variable that it is read from"
        )
    if len(secret.encode()) < SHORTEST_SECRET:
        raise CannotMint(
            f"the secret of '{minter.name}' is shorter than {SHORTEST_SECRET} bytes; the server refuses it"
        )
    return jwt.encode(dict(payload), secret, algorithm=_hmac(auth)[0])


def _set(payload: dict[str, Json], path: list[str], value: str) -> None:
    *above, last = path
    for step in above:
        below = payload.setdefault(step, {})
        if not isinstance(below, dict):
            return
        payload = below
    payload[last] = value


def parse_claim(text: str) -> tuple[str, Json]:
    """`name=value` to a claim: the value is JSON where it is JSON (`5`, `true`, `["a"]`), else the text itself.

    Raises:
        ValueError: there is no `=`, or nothing before it.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"'{text}' is no claim: write name=value, such as role=admin")
    try:
        parsed: Json = orjson.loads(value)
    except orjson.JSONDecodeError:
        parsed = value
    return name, parsed


def parse_claims(texts: Iterable[str]) -> dict[str, Json]:
    """Several; the last of a repeated name counts.

    Raises:
        ValueError: as `parse_claim`.
    """
    return dict(parse_claim(text) for text in texts)
