"""One session with Redis: two connections, from connecting to the first fault, after which it is thrown away.

One connection carries script calls, one what was subscribed to (coredis parses both). Whatever goes wrong on either
ends the session: a call that gets no answer in time, a lost connection, a node that does not hear its own echo. The
push buffer of coredis has no bound, so the reader lends its processing limiter: while messages wait, nothing more is
read, and Redis keeps them for us until its own output limit.
"""

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, cast

import anyio
import attrs
import trio
from coredis.connection import BaseConnection, Location
from coredis.exceptions import (
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
)
from coredis.exceptions import ConnectionError as LostConnection

from channeld.broker.broker import BrokerUnavailable
from channeld.broker.redis.discovery import NotFound, read_url
from channeld.broker.redis.queue import Argument, Command, Reply, Script
from channeld.broker.redis.scripts import SCRIPTS
from channeld.broker.redis.subscriptions import Inbox
from channeld.groups import first

__all__ = ["Dialler", "Link", "Lost"]

TIMEOUT = 3.0
# Messages are taken one a turn of the loop while coredis reads 64 KiB in one, so at most about 1 MiB waits.
_LOOK_EVERY = 16
_SUBSCRIBE_AT_ONCE = 500
_NO_LONGER_PRIMARY = (ReadOnlyError, MovedError, ClusterDownError)


class Lost(Exception):
    """The session is over; the message says why."""


class Dialler:
    """Makes connections to the primary that a URL leads to (`discovery.py`), with its credentials and TLS files."""

    def __init__(self, url: str, prefix: str, name: str) -> None:
        """Read the URL.

        Raises:
            ValueError: it is none that is known.
        """
        self._target = target = read_url(url, prefix)
        self.names = target.names
        self._make: Callable[..., BaseConnection] = target.pool.connection_class
        context = target.pool.connection_kwargs.get("ssl_context")
        if context is not None and context.verify_mode is not ssl.CERT_NONE:
            # coredis leaves this off unless the URL asks for it.
            context.check_hostname = (
                "ssl_check_hostname=" not in target.url or context.check_hostname
            )
        self._options: dict[str, Any] = {
            **target.pool.connection_kwargs,
            "stream_timeout": TIMEOUT,
            "connect_timeout": TIMEOUT,
            "client_name": name,
            "noreply": False,
            "decode_responses": False,
        }

    async def dial(self, nursery: trio.Nursery, limiter: anyio.CapacityLimiter) -> BaseConnection:
        """A connection to the primary, which lives in the nursery.

        Raises:
            Lost: it cannot be made.
        """
        options = self._options | {"processing_budget": limiter}
        with trio.move_on_after(2 * TIMEOUT):
            try:
                location = await self._target.find(self._ask)
                connection = await self._connect(nursery, location, options)
                await _demand_primary(connection, location)
            except (RedisError, OSError, NotFound) as error:
                raise Lost(_reason(error)) from error
            return connection
        raise Lost("no answer while connecting")

    async def _connect(
        self, nursery: trio.Nursery, location: Location, options: dict[str, Any]
    ) -> BaseConnection:
        # A connection that coredis could not make leaves unclosed streams behind, so look first.
        if not await location.check():
            raise NotFound(f"nobody answers at {location!r}")
        connection = self._make(location, **options)
        await nursery.start(connection.run)
        return connection

    async def _ask(self, location: Location, of_sentinel: bool, words: tuple[bytes, ...]) -> Any:
        options = self._options
        if of_sentinel:
            options = options | {"username": None, "password": None, "db": 0}
            options |= self._target.sentinel_options
        reply: Any = None
        try:
            async with trio.open_nursery() as nursery:
                connection = await self._connect(nursery, location, options)
                command, *arguments = words
                reply = await connection.create_request(command, *arguments)
                nursery.cancel_scope.cancel()
        except* (RedisError, OSError, NotFound) as group:
            raise NotFound(f"{location!r} does not say: {first(group)}") from group
        return reply


async def _demand_primary(connection: BaseConnection, location: Location) -> None:
    """A replica takes no frames; where a name or a Sentinel still leads to one, there will be a primary soon."""
    try:
        role: Any = await connection.create_request(b"ROLE")
    except LostConnection:
        raise
    except RedisError:
        # Not allowed to this user; then the scripts' refusal says it.
        return
    if role[0] != b"master":
        raise NotFound(f"{location!r} is a replica")


@attrs.define(eq=False)
class Link:
    """The two connections of a session, and the verbs on them."""

    _calls: BaseConnection
    _pushes: BaseConnection
    _limiter: anyio.CapacityLimiter
    _digests: dict[str, bytes] = attrs.field(factory=dict, init=False)
    _held: bool = attrs.field(default=False, init=False)

    async def load(self) -> None:
        """Make the scripts known to the server."""
        requests = [
            (name, self._calls.create_request(b"SCRIPT LOAD", text))
            for name, text in SCRIPTS.items()
        ]
        for name, request in requests:
            self._digests[name] = await self._answered(request)

    async def run_id(self) -> str:
        """What names this run of the server; empty where INFO is not allowed."""
        try:
            text = await self._answered(self._calls.create_request(b"INFO", b"server"))
        except RedisError:
            return ""
        for line in bytes(text).splitlines():
            if line.startswith(b"run_id:"):
                return line[7:].decode("ascii", "replace")
        return ""

    async def call(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
        """One script call by itself.

        Raises:
            Lost: no answer.
            RedisError: Redis refused it.
        """
        return await self._answered(self._request(script, keys, arguments))

    async def call_all(self, scripts: Sequence[Script]) -> list[Reply]:
        """Several script calls at once; their replies.

        Raises:
            Lost: no answer.
            RedisError: Redis refused one.
        """
        requests = [self._request(s.name, s.keys, s.arguments) for s in scripts]
        return [await self._answered(request) for request in requests]

    async def perform(self, commands: Sequence[Command]) -> None:
        """Send all, then give each its reply or its error.

        Raises:
            Lost: the session is over; what was not answered has failed.
        """
        waiting = list(commands)
        missing = False
        try:
            requests = [self._request(c.script, c.keys, c.arguments) for c in commands]
            for command, request in zip(commands, requests, strict=True):
                try:
                    reply = await self._answered(request)
                except _NO_LONGER_PRIMARY as error:
                    command.fail(BrokerUnavailable())
                    waiting.pop(0)
                    raise Lost(_reason(error)) from error
                except RedisError as error:
                    missing = missing or isinstance(error, NoScriptError)
                    command.fail(BrokerUnavailable())
                else:
                    command.resolve(reply)
                waiting.pop(0)
            if missing:
                await self.load()
        finally:
            # Whether Redis did these is not known.
            for command in waiting:
                command.fail(BrokerUnavailable(is_unknown=True))

    def subscribe(self, channels: Sequence[bytes]) -> None:
        """Ask for channels; each is acknowledged in `receive`. Does nothing when the session is about to end."""
        for start in range(0, len(channels), _SUBSCRIBE_AT_ONCE):
            self._send(b"SUBSCRIBE", channels[start : start + _SUBSCRIBE_AT_ONCE])

    def unsubscribe(self, channel: bytes) -> None:
        """Ask for a channel no more. Does nothing when the session is about to end."""
        self._send(b"UNSUBSCRIBE", (channel,))

    async def receive(
        self, inbox: Inbox, echo: bytes, opened: trio.Event, heard: Callable[[], None]
    ) -> NoReturn:
        """Pass what comes to the inbox; say when the echo channel is open, and when something came on it.

        Raises:
            Lost: the connection ended.
        """
        number = 0
        look = False
        try:
            async for push in self._pushes.push_messages:
                # RESP3 pub/sub pushes are three long; the third of an acknowledgement is a number, and not asked for.
                kind, channel, data = cast("list[bytes]", push)
                if kind == b"message" and channel != echo:
                    inbox.message(channel, data)
                elif kind == b"message":
                    heard()
                elif kind == b"subscribe" and channel == echo:
                    opened.set()
                elif kind == b"subscribe":
                    inbox.acknowledged(channel)
                number += 1
                if look or number % _LOOK_EVERY == 0:
                    look = self._hold()
        except LostConnection as error:
            raise Lost(_reason(error)) from error
        raise Lost("nothing more to receive")

    def _hold(self) -> bool:
        """Let coredis read on only when it has nothing unread for us; whether to look again after the next message."""
        unread = not self._pushes.reusable
        if unread and not self._held:
            # coredis may be about to take in what it has just read; then the next message tries again.
            with suppress(anyio.WouldBlock):
                self._limiter.acquire_on_behalf_of_nowait(self)
                self._held = True
        elif self._held and not unread:
            self._limiter.release_on_behalf_of(self)
            self._held = False
        return unread

    def _send(self, command: bytes, channels: Sequence[bytes]) -> None:
        try:
            self._pushes.send_command(command, *channels)
        except LostConnection:
            return

    def _request(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
        digest = self._digests[script]
        try:
            return self._calls.create_request(b"EVALSHA", digest, len(keys), *keys, *arguments)
        except LostConnection as error:
            raise Lost(_reason(error)) from error

    async def _answered(self, request: Reply) -> Reply:
        try:
            return await request
        except (LostConnection, TimeoutError) as error:
            raise Lost(_reason(error)) from error


def _reason(error: BaseException) -> str:
    cause = error.__cause__
    return f"{error}: {cause}" if cause is not None else str(error)
