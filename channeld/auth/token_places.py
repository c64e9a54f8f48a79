"""Where tokens are sent: for each word of `token_from`, how a token is found there, put there and described.

`query` and `query:NAME`, `header`, `cookie:NAME`, `subprotocol`; `message` means an `authenticate` frame after the
handshake.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from channeld.auth.authenticator import AuthChange
from channeld.hooks import Request
from channeld.protocol.frames import Json


@attrs.frozen(slots=True, kw_only=True)
class Carried:
    """What a client adds to its handshake to send a token; `in_frame`: it sends an `authenticate` frame afterwards."""

    query: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    subprotocols: tuple[str, ...] = attrs.field(default=(), repr=False)
    in_frame: bool = False


@attrs.frozen(slots=True, kw_only=True)
class _Place:
    """One place: how a token is found and put there, its AsyncAPI security scheme if it has one, and its description."""

    find: Callable[[Request, str], str | None]
    carry: Callable[[str, str], Carried]
    scheme: Callable[[str], dict[str, Json] | None]
    brought: str
    searched: str


def _bearer(request: Request, _name: str) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None


def _subprotocol(request: Request, _name: str) -> str | None:
    return next((p[7:] for p in request.subprotocols if p.startswith("bearer.")), None)


_PLACES: Final[Mapping[str, _Place]] = {
    "query": _Place(
        find=lambda request, name: request.query.get(name),
        carry=lambda name, token: Carried(query={name: token}),
        scheme=lambda name: {"type": "httpApiKey", "in": "query", "name": name},
        brought="as `?{}=`",
        searched="the query (`?{}=`)",
    ),
    "header": _Place(
        find=_bearer,
        carry=lambda _name, token: Carried(headers={"authorization": f"Bearer {token}"}),
        scheme=lambda _name: {"type": "http", "scheme": "bearer"},
        brought="as `Authorization: Bearer`",
        searched="the `Authorization` header",
    ),
    "cookie": _Place(
        find=lambda request, name: request.cookies.get(name),
        carry=lambda name, token: Carried(headers={"cookie": f"{name}={token}"}),
        scheme=lambda name: {"type": "httpApiKey", "in": "cookie", "name": name},
        brought="in the cookie `{}`",
        searched="the cookie `{}`",
    ),
    "subprotocol": _Place(
        find=_subprotocol,
        carry=lambda _name, token: Carried(subprotocols=("channeld", f"bearer.{token}")),
        scheme=lambda _name: {
            "type": "httpApiKey",
            "in": "header",
            "name": "Sec-WebSocket-Protocol",
        },
        brought="as the subprotocol `bearer.TOKEN` next to `channeld`",
        searched="the subprotocol",
    ),
    "message": _Place(
        find=lambda _request, _name: None,
        carry=lambda _name, _token: Carried(in_frame=True),
        scheme=lambda _name: None,
        brought="in an `authenticate` frame",
        searched="an `authenticate` frame",
    ),
}


def placed(place: str) -> tuple[str, str]:
    """Split an entry of `token_from` into its kind and the parameter's or cookie's name (`token` by default)."""
    kind, _, name = place.partition(":")
    return kind, name or ("token" if kind == "query" else "")


def find_token(token_from: Iterable[str], request: Request) -> str | None:
    """The first token of a handshake, in this order of places; an empty one does not count."""
    for place in token_from:
        kind, name = placed(place)
        token = _PLACES[kind].find(request, name)
        if token:
            return token
    return None


def carry(token_from: Sequence[str], token: str) -> Carried:
    """How a client sends a token to the first place where an authenticator looks for one."""
    kind, name = placed(token_from[0] if token_from else "query")
    return _PLACES[kind].carry(name, token)


def security_scheme(place: str) -> dict[str, Json] | None:
    """A place as an AsyncAPI 3 security scheme; None if it has none for it."""
    kind, name = placed(place)
    return _PLACES[kind].scheme(name)


def words_for(token_from: Iterable[str]) -> str:
    """Describes how a client sends its token."""
    return " or ".join(_PLACES[kind].brought.format(name) for kind, name in map(placed, token_from))


def compare_places(name: str, was: Sequence[str], now: Sequence[str]) -> Iterator[AuthChange]:
    """The places that authenticator `name` no longer looks in, and those that are new."""
    for place in was:
        if place not in now:
            message = f"`{name}` no longer looks for the token in {_searched(place)}"
            yield AuthChange(code="D407", level="breaking", message=message, key="token_from")
    for place in now:
        if place not in was:
            message = f"`{name}` also looks for the token in {_searched(place)}"
            yield AuthChange(
                code="D407", level="safe", message=message, key="token_from", security=True
            )


def _searched(place: str) -> str:
    kind, name = placed(place)
    return _PLACES[kind].searched.format(name)
