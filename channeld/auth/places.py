"""Where a token travels in a handshake: one row for each word of `token_from`.

`query` and `query:NAME`, `header`, `cookie:NAME`, `subprotocol`; `message` is none of the handshake's: an `authenticate`
frame brings the token afterwards.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from channeld.auth.authenticator import AuthChange
from channeld.hooks import Request

__all__ = ["compare_places", "find_token", "placed", "words_for"]


@attrs.frozen(slots=True, kw_only=True)
class _Place:
    """One word: how a token is found, the words for it, where a name stands for `{}`."""

    find: Callable[[Request, str], str | None]
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
        brought="as `?{}=`",
        searched="the query (`?{}=`)",
    ),
    "header": _Place(
        find=_bearer,
        brought="as `Authorization: Bearer`",
        searched="the `Authorization` header",
    ),
    "cookie": _Place(
        find=lambda request, name: request.cookies.get(name),
        brought="in the cookie `{}`",
        searched="the cookie `{}`",
    ),
    "subprotocol": _Place(
        find=_subprotocol,
        brought="as the subprotocol `bearer.TOKEN` next to `channeld`",
        searched="the subprotocol",
    ),
    "message": _Place(
        find=lambda _request, _name: None,
        brought="in an `authenticate` frame",
        searched="an `authenticate` frame",
    ),
}


def placed(place: str) -> tuple[str, str]:
    """A word of `token_from` as its kind and the name of the parameter or cookie; `token` is the parameter's default."""
    kind, _, name = place.partition(":")
    return kind, name or ("token" if kind == "query" else "")


def find_token(token_from: Iterable[str], request: Request) -> str | None:
    """The first token that a handshake carries, looked for in order; an empty one is none."""
    for place in token_from:
        kind, name = placed(place)
        token = _PLACES[kind].find(request, name)
        if token:
            return token
    return None


def words_for(token_from: Iterable[str]) -> str:
    """How a client brings its token, in words."""
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
            yield AuthChange(code="D407", level="safe", message=message, key="token_from")


def _searched(place: str) -> str:
    kind, name = placed(place)
    return _PLACES[kind].searched.format(name)
