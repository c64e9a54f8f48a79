"""A client that only reads a room, over plain HTTP: admitted like any other, including hooks, but not a member of the room.

It is not in presence, nobody is told about it, and it cannot send frames.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress

import orjson

from channeld.auth.authenticator import Denied
from channeld.engine import rooms
from channeld.engine.authenticate import deny, turn_away
from channeld.engine.errors import HookFailed
from channeld.engine.hook_calls import call_hook
from channeld.engine.lifecycle import call_connect, contained, meets_require, take_grant
from channeld.engine.ports import Surroundings
from channeld.engine.receive import Receiver
from channeld.engine.session import State
from channeld.hooks import Reject, Request
from channeld.later import Pending
from channeld.plan.plan import Match


class _Refusals:
    """The peer of a reader: remembers why it was refused."""

    def __init__(self) -> None:
        self.error: Mapping[str, object] | None = None
        self.ending: tuple[int, str] | None = None
        self.then: Callable[[], object] = lambda: None

    def send(self, frame: bytes) -> None:
        """Remember an error frame; ignore all others."""
        if frame.startswith(b'{"type":"error"'):
            self.error = orjson.loads(frame)

    def ready(self) -> None:
        """Nothing ever waits."""

    def close(self, code: int, reason: str = "") -> None:
        """Remember the first close, and notify the reader."""
        self.ending = self.ending or (code, reason)
        self.then()


class RoomReader:
    """One read.

    Attributes:
        room: the room that is read, once `open` has accepted the client.
        refusal: otherwise the close code and reason that a connection would get, and its last `error` frame.
    """

    def __init__(self, engine: Surroundings, match: Match, request: Request) -> None:
        self._peer = _Refusals()
        # It ends with its token, as a connection's does.
        self._session = Receiver(engine, match, request, self._peer)
        self.room: str | None = None

    @property
    def refusal(self) -> tuple[int, str, Mapping[str, object] | None] | None:
        """Why it may not read; None if it may."""
        ending = self._peer.ending
        return None if ending is None else (*ending, self._peer.error)

    def when_refused(self, call: Callable[[], object]) -> None:
        """Call `call()` when an accepted client must stop reading, because its token has expired or was revoked."""
        self._peer.then = call

    async def open(self) -> None:
        """Admit or refuse the client: authentication, the channel's requirements, its room, the connect hook."""
        session = self._session
        session.opened_at = session.engine.runtime.clock.monotonic()
        session.state = State.OPENING
        await Pending(contained(session, self._admit(), None))

    async def close(self) -> None:
        """End the read and call the close hook. Call it once, whatever the result of `open`."""
        session = self._session
        session.state = State.CLOSED
        session.engine.over_http.discard(session)
        if session.timer is not None:
            session.timer.cancel()
        close = session.channel.close
        if session.connect_called and close is not None:
            code, reason = self._peer.ending or (1000, "")
            # A failure was logged where it happened; there is nobody left to tell.
            with suppress(Reject, HookFailed):
                await Pending(call_hook(session, close, int(code), reason))

    async def _admit(self) -> None:
        session = self._session
        channel, request = session.channel, session.request
        if channel.auth and request is not None:
            found = await session.engine.find_user(
                session.engine, channel, request, session.connection_id
            )
            if isinstance(found, Denied):
                return turn_away(session, found)
            if found is None and not channel.auth_optional:
                return deny(session, "no token")
            if found is not None:
                take_grant(session, found)
        if not meets_require(session, None, "You may not use this channel"):
            return None
        if rooms.wanted(session) is None:
            return None
        session.connect_called = True
        if channel.connect is None or await call_connect(session, channel.connect):
            self.room = session.home
            session.engine.over_http.add(session)
        return None
