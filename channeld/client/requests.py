"""Each verb of the API as a request, and how to read its answer; the two clients only send them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import attrs
import httpx2

from channeld.client.answers import (
    ApiError,
    Batch,
    Channel,
    Connection,
    History,
    Member,
    Presence,
    PresentUser,
    Problem,
    Publish,
    Published,
    Revocation,
    Revocations,
    Revoked,
    Room,
    RoomCount,
    Rooms,
    Unreachable,
    User,
    Violation,
)

__all__ = ["TRIES", "ClientRequest", "options", "pause_before", "read", "requests", "target_of"]

T = TypeVar("T")

TRIES: Final = 4
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0
_UNAVAILABLE: Final = 503


@attrs.frozen
class ClientRequest(Generic[T]):
    """A request, and how to read its answer. Only one that `is_repeatable` is ever sent twice."""

    method: str
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, str | int]
    body: object = None
    is_repeatable: bool = False


def _known(of: type[T], fields: Mapping[str, Any]) -> T:
    """An answer's value, without the fields that a newer server adds."""
    names = {field.name for field in attrs.fields(of)}  # type: ignore[arg-type]
    given = {name: value for name, value in fields.items() if name in names}
    return of(**{n: tuple(v) if isinstance(v, list) else v for n, v in given.items()})


def _with(of: type[T], field: str, inner: type[Any]) -> Callable[[Any], T]:
    def read(value: Any) -> T:
        return _known(of, {**value, field: [_known(inner, row) for row in value[field]]})

    return read


_read_problem = _with(Problem, "errors", Violation)


def _problem(value: object, status: int) -> Problem:
    if not isinstance(value, dict):
        return Problem(status=status, detail="the answer is not a problem document")
    return _read_problem({"errors": [], **value, "status": status})


def _get(
    read: Callable[[Any], T], *path: str, query: Mapping[str, str | int | None] | None = None
) -> ClientRequest[T]:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return ClientRequest("GET", _path(*path), read, given)


def _post(
    path: str, body: object, read: Callable[[Any], T], *, again: bool = False
) -> ClientRequest[T]:
    return ClientRequest("POST", f"/v1/{path}", read, {}, body, again)


def _path(*segments: str) -> str:
    # A room may be called `..`, which libraries take for the parent folder unless its dots are escaped.
    quoted = (
        quote(one, safe="") if one.strip(".") else one.replace(".", "%2E") for one in segments
    )
    return "/v1/" + "/".join(quoted)


class Requests:
    """Each verb as a request; the two clients only send them."""

    def publish(self, one: Publish) -> ClientRequest[Published]:
        again = one.idempotency_key is not None
        return _post("publish", one.body(), lambda value: _known(Published, value), again=again)

    def batch(self, events: Iterable[Publish]) -> ClientRequest[Batch]:
        body = [{"publish": one.body()} for one in events]
        again = all("idempotency_key" in row["publish"] for row in body)

        def read(value: Any) -> Batch:
            return [
                _problem(row["problem"], row["problem"]["status"])
                if "problem" in row
                else _known(Published, row)
                for row in value["results"]
            ]

        return _post("batch", body, read, again=again)

    def channels(self) -> ClientRequest[list[Channel]]:
        return _get(lambda value: [_known(Channel, row) for row in value["channels"]], "channels")

    def channel(self, name: str) -> ClientRequest[Channel]:
        return _get(lambda value: _known(Channel, value), "channels", name)

    def rooms(self, channel: str, limit: int, after: str | None) -> ClientRequest[Rooms]:
        query = {"limit": limit, "after": after}
        return _get(_with(Rooms, "rooms", RoomCount), "channels", channel, "rooms", query=query)

    def room(self, channel: str, room: str, limit: int, after: str | None) -> ClientRequest[Room]:
        query = {"limit": limit, "after": after}
        path = ("channels", channel, "rooms", room)
        return _get(_with(Room, "members", Member), *path, query=query)

    def presence(
        self, channel: str, room: str, limit: int, after: str | None
    ) -> ClientRequest[Presence]:
        query = {"limit": limit, "after": after}
        path = ("channels", channel, "rooms", room, "presence")
        return _get(_with(Presence, "users", PresentUser), *path, query=query)

    def history(
        self, channel: str, room: str, limit: int, before: str | None
    ) -> ClientRequest[History]:
        query = {"limit": limit, "before": before}
        path = ("channels", channel, "rooms", room, "history")
        return _get(lambda value: _known(History, value), *path, query=query)

    def clear(self, channel: str, room: str, key: str | None) -> ClientRequest[int]:
        path = _path("channels", channel, "rooms", room, "history")
        return ClientRequest(
            "DELETE", path, lambda value: int(value["frames"]), {} if key is None else {"key": key}
        )

    def user(self, user: str, limit: int, after: str | None) -> ClientRequest[User]:
        query = {"limit": limit, "after": after}
        return _get(_with(User, "connections", Connection), "users", user, query=query)

    def disconnect(self, target: Mapping[str, str], code: int, reason: str) -> ClientRequest[int]:
        return _post("disconnect", {**target, "code": code, "reason": reason}, _count)

    def revoke(self, body: Mapping[str, str | float]) -> ClientRequest[Revoked]:
        return _post("revoke", dict(body), lambda value: _known(Revoked, value), again=True)

    def revocations(self, limit: int, after: str | None) -> ClientRequest[Revocations]:
        query = {"limit": limit, "after": after}
        return _get(_with(Revocations, "revocations", Revocation), "revocations", query=query)

    def restore(self, id: str) -> ClientRequest[None]:
        return ClientRequest("DELETE", _path("revocations", id), lambda _value: None, {})

    def membership(
        self, verb: str, target: Mapping[str, str], channel: str, room: str
    ) -> ClientRequest[int]:
        return _post(verb, {**target, "channel": channel, "room": room}, _count)


def _count(value: Any) -> int:
    return int(value["connections"])


def target_of(user: str | None, connection: str | None) -> dict[str, str]:
    """Whom a verb is for.

    Raises:
        ValueError: neither or both are given.
    """
    if user is not None and connection is None:
        return {"user": user}
    if connection is not None and user is None:
        return {"connection": connection}
    raise ValueError("name a user or a connection")


def read(ask: ClientRequest[T], response: httpx2.Response) -> T:
    """The answer's value.

    Raises:
        ApiError: the request was refused.
    """
    if response.is_success:
        return ask.read(response.json())
    try:
        value = response.json()
    except ValueError:
        value = None
    after = response.headers.get("retry-after", "")
    raise ApiError(_problem(value, response.status_code), float(after) if after.isdigit() else None)


def pause_before(
    attempt: int, error: ApiError | Unreachable, ask: ClientRequest[T]
) -> float | None:
    """In how many seconds to repeat the request; None: not at all."""
    is_over = attempt + 1 >= TRIES or not ask.is_repeatable
    if is_over or (isinstance(error, ApiError) and error.status != _UNAVAILABLE):
        return None
    asked = error.retry_after if isinstance(error, ApiError) else None
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt if asked is None else asked)


def options(base_url: str, key: str, timeout: float) -> dict[str, Any]:
    """The options of httpx2 for both clients."""
    # The key is for its own server: no proxy from the environment, no redirect.
    headers = {b"authorization": b"Bearer " + key.encode(), b"accept": b"application/json"}
    return {"base_url": base_url, "headers": headers, "timeout": timeout, "trust_env": False}


requests: Final = Requests()
"""All there are."""


def revocation_of(
    user: str | None,
    token_id: str | None,
    before: str | float | None,
    lifetime: str | None,
    until: str | float | None,
) -> dict[str, str | float]:
    """The body of a revocation, from the arguments that are given.

    Raises:
        ValueError: neither or both of a user and a token are given.
    """
    if (user is None) == (token_id is None):
        raise ValueError("name a user or a token, not both")
    given = {"user": user, "token_id": token_id, "before": before, "for": lifetime, "until": until}
    return {name: value for name, value in given.items() if value is not None}
