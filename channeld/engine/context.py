"""The contexts that hooks get: a session's verbs, checked, for sync and for async hooks.

A hook's frame is checked like one from the control API (`publishing.check_event`); a refused frame raises `FrameRefused` in the hook. In
a worker thread, a sync hook's verbs are collected and carried out when it returns.
"""

from collections.abc import Callable, Coroutine, Mapping, MutableMapping
from functools import partial
from typing import Any

import orjson

from channeld.broker.broker import Position
from channeld.engine import publishing
from channeld.engine.publishing import Audience
from channeld.engine.session import Session
from channeld.hooks import Server, User
from channeld.later import Later, Pending, resolved
from channeld.protocol.codes import may_close_with
from channeld.protocol.frames import CheckedJson, Frame, Json
from channeld.telemetry import bound


class AnswerOnce:
    """The one answer to a message with an `id`: from its hook or from the server, whichever comes first."""

    __slots__ = ("id",)

    def __init__(self, id: str | int | None = None) -> None:
        self.id = id

    def take(self) -> str | int | None:
        """The `id` for the first caller, which answers; None for all later ones."""
        id, self.id = self.id, None
        return id


class _BaseContext:
    _loop = "trio"
    __slots__ = ("_answer", "_room", "_session")

    def __init__(self, session: Session, answer: AnswerOnce | None = None) -> None:
        self._session = session
        self._answer = answer or AnswerOnce()
        self._room = session.room

    @property
    def connection(self) -> str:
        return self._session.connection_id

    @property
    def channel(self) -> str:
        return self._session.channel.name

    @property
    def params(self) -> Mapping[str, Json]:
        return self._session.params

    @property
    def user(self) -> User | None:
        session = self._session
        return None if session.user_id is None else User(session.user_id, session.claims)

    @property
    def claims(self) -> Mapping[str, Json]:
        return self._session.claims

    @property
    def rooms(self) -> frozenset[str]:
        return frozenset(self._session.rooms)

    @property
    def room(self) -> str | None:
        return self._room

    @property
    def state(self) -> Any:
        return self._session.engine.state_of(self._loop)

    @property
    def store(self) -> MutableMapping[str, Any]:
        aside = self._session.own_aside()
        if aside.store is None:
            aside.store = {}
        return aside.store

    @property
    def server(self) -> Server:
        return self._session.engine.server_of(self._loop)

    @property
    def log(self) -> Any:
        session = self._session
        return bound(
            connection=session.connection_id, channel=session.channel.name, user=session.user_id
        )

    @staticmethod
    def _named(name: object) -> str:
        # Without a name, `publish` would reach everybody.
        if type(name) is not str:
            raise TypeError(f"the name of a room or a user is a string, not {type(name).__name__}")
        return name

    def _here(self) -> Session:
        """The session, for verbs that only the server's own thread may call."""
        session = self._session
        if not session.engine.runtime.is_own_thread():
            raise RuntimeError(
                "a hook's context works on the server's thread and in the hook itself; "
                "from a thread of your own use `ctx.server.from_thread`"
            )
        return session

    def _send(self, frame: Mapping[str, CheckedJson]) -> None:
        session = self._here()
        session.peer.send(publishing.encoded(publishing.check_event(session.channel, frame)))

    def _reply(self, frame: Mapping[str, CheckedJson]) -> None:
        if self._answer.id is not None:
            fields = {key: value for key, value in frame.items() if key not in ("type", "id")}
            reply = publishing.encoded({"type": "reply", "id": self._answer.id, **fields})
            self._here().give(reply)
            self._answer.take()

    def _published(
        self, channel: str | None, frame: Mapping[str, CheckedJson], **to: str
    ) -> Later[Position | None]:
        engine, name = self._here().engine, channel or self.channel
        return publishing.publish(
            engine.plan,
            engine.hub,
            name,
            frame,
            Audience(to.get("room"), to.get("user"), to.get("skip")),
        )

    def _join(self, room: str) -> Coroutine[object, object, None]:
        return self._here().engine.join(self.connection, room)

    def _leave(self, room: str) -> Coroutine[object, object, None]:
        return self._here().engine.leave(self.connection, room)

    async def _show(self, room: str | None, state: Mapping[str, object] | None) -> None:
        session = self._here()
        if not await session.engine.show(self.connection, room, state):
            raise ValueError("this connection's user is not in that presence")

    def _close(self, code: int, reason: str) -> None:
        if not may_close_with(code):
            raise ValueError(f"{code} is not a close code that a hook may use (1000, 4900-4999, …)")
        self._here().end(code, reason)


class AsyncContext(_BaseContext):
    """The context of async hooks (`channeld.Context`)."""

    __slots__ = ()

    async def send(self, frame: Mapping[str, CheckedJson]) -> None:
        self._send(frame)

    async def reply(self, frame: Mapping[str, CheckedJson]) -> None:
        self._reply(frame)

    async def to_room(
        self, room: str, frame: Mapping[str, CheckedJson], *, channel: str | None = None
    ) -> None:
        await self._publish(channel, frame, room=self._named(room))

    async def to_user(
        self, user: str, frame: Mapping[str, CheckedJson], *, channel: str | None = None
    ) -> None:
        await self._publish(channel, frame, user=self._named(user))

    async def to_all(self, frame: Mapping[str, CheckedJson], *, channel: str | None = None) -> None:
        await self._publish(channel, frame)

    async def join(self, room: str) -> None:
        await Pending(self._join(room))

    async def leave(self, room: str) -> None:
        await Pending(self._leave(room))

    async def set_presence(self, room: str | None, state: Mapping[str, object] | None) -> None:
        await Pending(self._show(room, state))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._close(code, reason)

    async def presence(self, room: str) -> list[Frame]:
        topic = self._session.channel.presence_topic(room)
        return await Pending(self._session.engine.hub.presence.users(topic))

    async def online(self, user: str) -> bool:
        return await Pending(resolved(self._session.engine.online(self.channel, user)))

    async def history(self, room: str, limit: int = 50) -> list[Frame]:
        session = self._session
        hub = session.engine.hub
        page = await Pending(publishing.history(hub, session.channel, room, limit))
        return [orjson.loads(payload) for payload in page.payloads]

    async def _publish(
        self, channel: str | None, frame: Mapping[str, CheckedJson], **to: str
    ) -> None:
        # `Pending`, so that verbs also work in a task that the hook started.
        await Pending(resolved(self._published(channel, frame, **to)))


def _crossing(verb: str) -> Any:
    async def call(self: "AsyncioContext", *args: object, **named: object) -> Any:
        bound = partial(getattr(self.context, verb), *args, **named)
        return await self._session.engine.runtime.from_asyncio(bound)

    call.__name__ = verb
    return call


class AsyncioContext(_BaseContext):
    """The context of hooks on the asyncio loop (`channeld.Context`): each verb crosses to the engine's loop and back."""

    _loop = "asyncio"
    __slots__ = ("context",)

    def __init__(self, session: Session, answer: AnswerOnce | None = None) -> None:
        super().__init__(session, answer)
        self.context = AsyncContext(session, answer)

    send = _crossing("send")
    reply = _crossing("reply")
    to_room = _crossing("to_room")
    to_user = _crossing("to_user")
    to_all = _crossing("to_all")
    join = _crossing("join")
    leave = _crossing("leave")
    set_presence = _crossing("set_presence")
    close = _crossing("close")
    presence = _crossing("presence")
    online = _crossing("online")
    history = _crossing("history")


class InlineContext(_BaseContext):
    """The context of sync hooks (`channeld.SyncContext`). With `later`, its verbs are collected there instead of being carried out.

    `loop` is the loop of the file's async hooks, whose state and server this hook shares.
    """

    __slots__ = ("_later", "_loop")

    def __init__(
        self,
        session: Session,
        answer: AnswerOnce | None = None,
        later: list[Callable[[], None]] | None = None,
        loop: str = "trio",
    ) -> None:
        super().__init__(session, answer)
        self._later = later
        self._loop = loop

    def send(self, frame: Mapping[str, CheckedJson]) -> None:
        self._do(lambda: self._send(frame))

    def reply(self, frame: Mapping[str, CheckedJson]) -> None:
        self._do(lambda: self._reply(frame))

    def to_room(
        self, room: str, frame: Mapping[str, CheckedJson], *, channel: str | None = None
    ) -> None:
        self._publish(channel, frame, room=self._named(room))

    def to_user(
        self, user: str, frame: Mapping[str, CheckedJson], *, channel: str | None = None
    ) -> None:
        self._publish(channel, frame, user=self._named(user))

    def to_all(self, frame: Mapping[str, CheckedJson], *, channel: str | None = None) -> None:
        self._publish(channel, frame)

    def join(self, room: str) -> None:
        self._do(lambda: self._session.perform(self._join(room)))

    def leave(self, room: str) -> None:
        self._do(lambda: self._session.perform(self._leave(room)))

    def set_presence(self, room: str | None, state: Mapping[str, object] | None) -> None:
        self._do(lambda: self._session.perform(self._show(room, state)))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._do(lambda: self._close(code, reason))

    def _publish(self, channel: str | None, frame: Mapping[str, CheckedJson], **to: str) -> None:
        async def publish() -> None:
            await resolved(self._published(channel, frame, **to))

        self._do(lambda: self._session.perform(publish()))

    def settle(self) -> None:
        """The hook has returned from its thread: carry out its verbs; later ones are carried out at once."""
        verbs, self._later = self._later or [], None
        for verb in verbs:
            verb()

    def _do(self, verb: Callable[[], None]) -> None:
        if self._later is None:
            verb()
        else:
            self._later.append(verb)
