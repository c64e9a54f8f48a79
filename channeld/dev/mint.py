"""Mints development tokens for an authenticator with an HMAC secret, from its own declaration."""

import time
from collections.abc import Mapping
from typing import Any

import attrs
import orjson

from channeld.auth.authenticator import Authenticator, CannotMint
from channeld.auth.authenticators import authenticator
from channeld.config.model import Auth
from channeld.protocol.frames import Json


@attrs.frozen(slots=True)
class Minter:
    """An authenticator that tokens can be minted for, and its name."""

    name: str
    auth: Authenticator[Any]

    def mint(
        self, user: str, claims: Mapping[str, Json], *, lifetime: float
    ) -> tuple[str, dict[str, Json]]:
        """A token for `user`, valid for `lifetime` seconds from now, and its payload; `claims` win.

        Raises:
            CannotMint: the secret is missing (its environment variable is not set) or too short.
        """
        payload = self.auth.claims_for(user, now=time.time(), lifetime=lifetime) | dict(claims)
        return self.auth.mint(self.name, payload), payload


def choose(authenticators: Mapping[str, Auth], name: str | None = None) -> Minter:
    """The authenticator of that name, or the first that has an HMAC secret.

    Raises:
        CannotMint: there is no such authenticator, or none that signs with a secret.
    """
    if name is not None:
        if name not in authenticators:
            known = ", ".join(authenticators) or "none"
            raise CannotMint(f"no authenticator is called '{name}' (declared: {known})")
        chosen = Minter(name, authenticator(authenticators[name]))
        if not chosen.auth.can_mint():
            raise CannotMint(
                f"'{name}' does not sign with a secret: only HS256, HS384 and HS512 do"
            )
        return chosen
    for each, auth in authenticators.items():
        if authenticator(auth).can_mint():
            return Minter(each, authenticator(auth))
    raise CannotMint(
        "no authenticator of this configuration signs with a secret; tokens can be minted only for one "
        "with `type: jwt`, `algorithms: [HS256]` and a `secret`"
    )


def parse_claim(text: str) -> tuple[str, Json]:
    """Parse `name=value`: the value as JSON if possible (`5`, `true`, `["a"]`), else as text.

    Raises:
        ValueError: there is no `=`, or nothing before it.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"'{text}' is not a claim: write name=value, such as role=admin")
    try:
        parsed: Json = orjson.loads(value)
    except orjson.JSONDecodeError:
        parsed = value
    return name, parsed
