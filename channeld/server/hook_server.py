"""The `Server` that hooks and lifespans get: what the control API can do, in code (`channeld.hooks.Server`).

There is one object for trio code, one for asyncio code and one for threads. The first does the work; the others forward
each call to it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import orjson
import trio

from channeld.auth.authenticator import is_time
from channeld.auth.revocations import Revocation
from channeld.cluster.cluster import Cluster
from channeld.engine.engine import Engine
from channeld.engine.showing import check_state
from channeld.groups import only
from channeld.hooks import Server
from channeld.later import Pending, resolved
from channeld.plan.plan import ChannelPlan, Hook
from channeld.protocol.codes import CloseCode
from channeld.protocol.frames import Frame
from channeld.server.asyncio_loop import AsyncioLoop
from channeld.telemetry import log


class HookServer:
    """Implements `channeld.hooks.Server` for trio code.

    Args:
        engine: what is acted on.
        cluster: the other nodes.
        loop: where asyncio hooks run.
        on_failure: called with the exception of a started task.
    """

    def __init__(
        self,
        engine: Engine,
        cluster: Cluster,
        loop: AsyncioLoop,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        self._engine = engine
        self._cluster = cluster
        self._on_failure = on_failure or _log_failure
        self._nursery: trio.Nursery | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self.from_thread = HookThreadServer(self)
        self.for_asyncio = AsyncioServer(self, loop)
        self.by_loop: Mapping[str, Server] = {"trio": self, "asyncio": self.for_asyncio}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Allow tasks and calls from threads until the end of the block; then cancel the tasks."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery, self._token = nursery, trio.lowlevel.current_trio_token()
                try:
                    yield
                finally:
                    self._nursery = None
                    nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # The block's own exception must not be wrapped by this nursery.
            raise only(group) from None

    # ---------------------------------------------------------------------------------------------------- verbs

    async def publish(
        self,
        channel: str,
        event: Mapping[str, object],
        *,
        room: str | None = None,
        user: str | None = None,
        everyone: bool = False,
    ) -> str | None:
        """Publish an event; returns its position if the room keeps a history."""
        if (room is not None) + (user is not None) + everyone != 1:
            raise TypeError("publish() takes one of room=, user= and everyone=True")
        for name in (room, user):
            if name is not None and type(name) is not str:
                raise TypeError(f"the name of a room or a user is a string, not {name!r}")
        later = self._engine.publish(channel, event, room=room, user=user)
        position = await Pending(resolved(later))
        return None if position is None else str(position)

    async def disconnect(
        self,
        *,
        user: str | None = None,
        connection: str | None = None,
        code: int = CloseCode.KICKED,
        reason: str = "",
    ) -> int:
        """Close a user's connections, or one, on every node; returns how many."""
        _one_of(user, connection)
        reached = await self._cluster.disconnect(
            user=user, connection=connection, code=code, reason=reason
        )
        return reached.connections

    async def revoke(
        self,
        *,
        user: str | None = None,
        token_id: str | None = None,
        before: float | None = None,
        lifetime: float = 86400.0,
        until: float | None = None,
    ) -> int:
        """Revoke a user's JWTs, or the one with that `jti`, on every node; returns how many connections were closed."""
        if (user is None) == (token_id is None) or (token_id is not None) != (until is not None):
            raise TypeError("give a user, or a token_id and until")
        for name in (user, token_id):
            if name is not None and (type(name) is not str or not 1 <= len(name) <= 512):
                raise TypeError(
                    f"a user or a token's id is a string of 1 to 512 characters, not {name!r}"
                )
        for moment_ in (before, lifetime, until):
            if moment_ is not None and not is_time(moment_):
                raise TypeError(f"times are numbers of seconds, not {moment_!r}")
        wall = self._engine.runtime.clock.wall()
        moment = wall if before is None else before
        end = max(moment, wall) + lifetime if until is None else until
        reached = await self._cluster.revoke(
            Revocation(user=user, token_id=token_id, before=moment, until=end)
        )
        return reached.connections

    async def subscribe(
        self, user: str | None, channel: str, room: str, *, connection: str | None = None
    ) -> int:
        """Put a user's connections on a channel, or one, into a room; returns how many."""
        _one_of(user, connection)
        name = self._channel(channel).name
        reached = await self._cluster.subscribe(
            user=user, connection=connection, channel=name, room=room
        )
        return reached.connections

    async def unsubscribe(
        self, user: str | None, channel: str, room: str, *, connection: str | None = None
    ) -> int:
        """Take them out of a room; returns how many."""
        _one_of(user, connection)
        name = self._channel(channel).name
        reached = await self._cluster.unsubscribe(
            user=user, connection=connection, channel=name, room=room
        )
        return reached.connections

    async def online(self, user: str, channel: str) -> bool:
        """Whether a user has a connection on a channel, on any node."""
        return await Pending(resolved(self._engine.online(self._channel(channel).name, user)))

    async def presence(self, channel: str, room: str) -> list[Frame]:
        """Who is in a room."""
        topic = self._channel(channel).presence_topic(room)
        return await Pending(self._engine.hub.presence.users(topic))

    async def set_presence(
        self, user: str, channel: str, room: str | None, state: Mapping[str, object] | None
    ) -> bool:
        """Set a presence state of a user; returns whether the user is present, on any node."""
        topic = check_state(self._channel(channel), room, state)
        return await self._cluster.show(topic, user, state)

    async def history(self, channel: str, room: str, limit: int = 50) -> list[Frame]:
        """The latest frames of a room, oldest first."""
        page = await Pending(self._engine.history(self._channel(channel), room, limit))
        return [orjson.loads(payload) for payload in page.payloads]

    async def clear(self, channel: str, room: str, *, key: str | None = None) -> int:
        """Delete a room's history, or the frame of one key; returns how many frames were deleted."""
        for name in (room, "" if key is None else key):
            if type(name) is not str:
                raise TypeError(f"a room and a key are strings, not {name!r}")
        plan = self._channel(channel)
        if plan.history is None:
            raise ValueError(f"channel `{channel}` keeps no history")
        return await Pending(resolved(self._engine.clear(plan, room, key)))

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run `await function(*args)` in a task that is cancelled when the lifespan ends. Callable from any thread."""
        if self._nursery is None:
            raise RuntimeError("tasks are started from a lifespan or a hook, while the server runs")
        self.soon(self._begin, function, args)

    # --------------------------------------------------------------------------------------------------- within

    @property
    def token(self) -> trio.lowlevel.TrioToken:
        """The token for calling trio from another thread."""
        if self._token is None:
            raise RuntimeError("the server is not running")
        return self._token

    def soon(self, function: Callable[..., object], *args: object) -> None:
        """Call a function on the server's thread: at once if this is it, else soon."""
        if self._engine.runtime.is_own_thread():
            function(*args)
        else:
            self.token.run_sync_soon(function, *args)

    def _channel(self, name: str) -> ChannelPlan:
        channel = self._engine.plan.channels.get(name)
        if channel is None:
            raise ValueError(f"there is no channel `{name}`")
        return channel

    def _begin(self, function: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._contained, function, args)

    async def _contained(
        self, function: Callable[..., Awaitable[object]], args: tuple[object, ...]
    ) -> None:
        try:
            await function(*args)
        except Exception as error:  # a user's task must not end the server
            self._on_failure(error)


@asynccontextmanager
async def enter_lifespan(engine: Engine, server: HookServer, hook: Hook) -> AsyncIterator[None]:
    """Run a lifespan on its loop; its value is the state of that loop's hooks until the block ends."""
    own = server.by_loop[hook.loop]
    context = (
        hook.call(own) if hook.loop == "trio" else server.for_asyncio.loop.context(hook.call, own)
    )
    async with context as engine.states[hook.loop]:
        yield


def _one_of(user: str | None, connection: str | None) -> None:
    if (user is None) == (connection is None):
        raise TypeError("give a user or a connection, not both")


def _log_failure(error: Exception) -> None:
    log("task_failed", task="lifespan", exception=error)


def _on_the_loop(verb: str) -> Any:
    async def call(self: "AsyncioServer", *args: object, **named: object) -> Any:
        return await self.loop.trio(partial(getattr(self.server, verb), *args, **named))

    call.__name__ = verb
    call.__doc__ = getattr(HookServer, verb).__doc__
    return call


class AsyncioServer:
    """Implements `channeld.hooks.Server` for asyncio code."""

    def __init__(self, server: HookServer, loop: AsyncioLoop) -> None:
        self.server = server
        self.loop = loop
        self.from_thread = server.from_thread

    publish = _on_the_loop("publish")
    disconnect = _on_the_loop("disconnect")
    revoke = _on_the_loop("revoke")
    subscribe = _on_the_loop("subscribe")
    unsubscribe = _on_the_loop("unsubscribe")
    online = _on_the_loop("online")
    presence = _on_the_loop("presence")
    set_presence = _on_the_loop("set_presence")
    history = _on_the_loop("history")
    clear = _on_the_loop("clear")

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run `await function(*args)` in a task that ends with the lifespan. Callable from any thread."""
        if self.loop.is_running:
            self.loop.start_soon(function, *args)
        else:
            self.server.soon(self.loop.start_soon, function, *args)


def _in_a_thread(verb: str) -> Any:
    def call(self: "HookThreadServer", *args: object, **named: object) -> Any:
        bound = partial(getattr(self.server, verb), *args, **named)
        return trio.from_thread.run(bound, trio_token=self.server.token)

    call.__name__ = verb
    call.__doc__ = getattr(HookServer, verb).__doc__
    return call


class HookThreadServer:
    """Implements `channeld.hooks.ThreadServer`: blocking verbs for any thread other than the server's own."""

    def __init__(self, server: HookServer) -> None:
        self.server = server

    publish = _in_a_thread("publish")
    disconnect = _in_a_thread("disconnect")
    revoke = _in_a_thread("revoke")
    subscribe = _in_a_thread("subscribe")
    unsubscribe = _in_a_thread("unsubscribe")
    online = _in_a_thread("online")
    presence = _in_a_thread("presence")
    set_presence = _in_a_thread("set_presence")
    history = _in_a_thread("history")
    clear = _in_a_thread("clear")
