"""The table of authenticator types, by the class of the declaration."""

from collections.abc import Mapping
from typing import Any, Final

from channeld.auth.authenticator import Authenticator
from channeld.auth.hook import HookAuthenticator
from channeld.auth.jwt import JwtAuthenticator
from channeld.auth.tokens import TokensAuthenticator
from channeld.config.model import Auth, HookAuth, JwtAuth, TokensAuth

AUTH_TYPES: Final[Mapping[type, type[Authenticator[Any]]]] = {
    JwtAuth: JwtAuthenticator,
    TokensAuth: TokensAuthenticator,
    HookAuth: HookAuthenticator,
}


def authenticator(declared: Auth) -> Authenticator[Any]:
    """The authenticator of a declaration, whatever its type."""
    return AUTH_TYPES[type(declared)](declared)
