"""The client for async code, on asyncio or trio."""

from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import anyio
import httpx2

from channeld.client.answers import (
    ApiError,
    Batch,
    Channel,
    Event,
    History,
    Presence,
    Publish,
    Published,
    Revocations,
    Revoked,
    Room,
    Rooms,
    Unreachable,
    User,
)
from channeld.client.requests import (
    ClientRequest,
    options,
    pause_before,
    read,
    requests,
    revocation_of,
    target_of,
)

T = TypeVar("T")


class AsyncClient:
    """The same for async code; `async with`, or `await aclose()`. See `Client`."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        timeout: float = 10.0,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._http = httpx2.AsyncClient(transport=transport, **options(base_url, key, timeout))
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the HTTP connections. Idempotent."""
        await self._http.aclose()

    async def publish(
        self,
        channel: str,
        event: Event,
        *,
        room: str | None = None,
        user: str | None = None,
        idempotency_key: str | None = None,
        except_connection: str | None = None,
    ) -> Published:
        """Publish an event to a room, to a user, or (with neither) to everyone on the channel."""
        one = Publish(
            channel=channel,
            event=event,
            room=room,
            user=user,
            idempotency_key=idempotency_key,
            except_connection=except_connection,
        )
        return await self._send(requests.publish(one))

    async def batch(self, events: Iterable[Publish]) -> Batch:
        """Publish up to 1,000 events; returns the result of each, a `Problem` if it was refused."""
        return await self._send(requests.batch(events))

    async def channels(self) -> list[Channel]:
        """The declared channels."""
        return await self._send(requests.channels())

    async def channel(self, name: str) -> Channel:
        """One declared channel."""
        return await self._send(requests.channel(name))

    async def rooms(self, channel: str, *, limit: int = 100, after: str | None = None) -> Rooms:
        """A page of the rooms with members."""
        return await self._send(requests.rooms(channel, limit, after))

    async def room(
        self, channel: str, room: str, *, limit: int = 100, after: str | None = None
    ) -> Room:
        """A room, and a page of its connections."""
        return await self._send(requests.room(channel, room, limit, after))

    async def presence(
        self, channel: str, room: str, *, limit: int = 100, after: str | None = None
    ) -> Presence:
        """A page of the users in a room."""
        return await self._send(requests.presence(channel, room, limit, after))

    async def history(
        self, channel: str, room: str, *, limit: int = 50, before: str | None = None
    ) -> History:
        """The latest frames of a room, or those before a position."""
        return await self._send(requests.history(channel, room, limit, before))

    async def user(self, user: str, *, limit: int = 100, after: str | None = None) -> User:
        """Whether a user is online, and a page of the connections."""
        return await self._send(requests.user(user, limit, after))

    async def disconnect(
        self,
        *,
        user: str | None = None,
        connection: str | None = None,
        code: int = 4410,
        reason: str = "",
    ) -> int:
        """Close a user's connections, or one connection; returns how many there were."""
        return await self._send(requests.disconnect(target_of(user, connection), code, reason))

    async def revoke(
        self,
        *,
        user: str | None = None,
        token_id: str | None = None,
        before: str | float | None = None,
        lifetime: str | None = None,
        until: str | float | None = None,
    ) -> Revoked:
        """Refuse JWTs from now on, and close the connections that use one.

        Args:
            user: refuse this user's tokens that were issued at `before` (Unix seconds or RFC 3339; default: now) or earlier, for
                `lifetime` (such as `24h`).
            token_id: refuse the one token with this `jti`, which is valid until `until`.
        """
        return await self._send(
            requests.revoke(revocation_of(user, token_id, before, lifetime, until))
        )

    async def revocations(self, *, limit: int = 100, after: str | None = None) -> Revocations:
        """A page of the revocations in force."""
        return await self._send(requests.revocations(limit, after))

    async def clear(self, channel: str, room: str, *, key: str | None = None) -> int:
        """Remove the kept frames of a room, or those of one key; returns how many. Members are not told."""
        return await self._send(requests.clear(channel, room, key))

    async def restore(self, id: str) -> None:
        """Take a revocation back."""
        await self._send(requests.restore(id))

    async def subscribe(
        self,
        channel: str,
        room: str,
        *,
        user: str | None = None,
        connection: str | None = None,
    ) -> int:
        """Put a user's connections on a channel, or one connection, into a room; returns how many are in it now."""
        target = target_of(user, connection)
        return await self._send(requests.membership("subscribe", target, channel, room))

    async def unsubscribe(
        self,
        channel: str,
        room: str,
        *,
        user: str | None = None,
        connection: str | None = None,
    ) -> int:
        """Take them out of the room; returns how many were in it."""
        target = target_of(user, connection)
        return await self._send(requests.membership("unsubscribe", target, channel, room))

    async def _send(self, ask: ClientRequest[T]) -> T:
        attempt = 0
        while True:
            try:
                return read(ask, await self._request(ask))
            except (ApiError, Unreachable) as error:
                pause = pause_before(attempt, error, ask)
                if pause is None:
                    raise
            await self._sleep(pause)
            attempt += 1

    async def _request(self, ask: ClientRequest[T]) -> httpx2.Response:
        body = {} if ask.body is None else {"json": ask.body}
        try:
            return await self._http.request(ask.method, ask.path, params=ask.query, **body)  # type: ignore[arg-type]
        except httpx2.TransportError as error:
            raise Unreachable(f"{self._http.base_url}: {error}") from error
