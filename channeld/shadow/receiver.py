"""A session that also evaluates what its client sends under the shadow configuration, without any effect.

Only accepted frames count: a frame that is refused anyway is not reported. A frame is evaluated before it is handled (it
may be modified later), and the result is reported once it has been handled.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from channeld.engine.ports import Peer, Surroundings
from channeld.engine.receive import Receiver
from channeld.engine.session import NO_FIELDS, State
from channeld.hooks import Request
from channeld.later import Continuation, Pending
from channeld.plan.plan import ChannelPlan, MessagePlan
from channeld.protocol.frames import BadFrame, Frame, Json, decode
from channeld.protocol.reserved import RESERVED_CLIENT
from channeld.shadow.judge import Judge, ShadowSession
from channeld.shadow.tally import Tally


class Asked(Protocol):
    """The interface to the shadow. Except for the `judge`, nothing in it raises."""

    tally: Tally
    judge: Judge

    def admit(self, session: "ShadowedReceiver", request: Request, token: str | None) -> None:
        """The client was accepted: evaluate its handshake, and set `shadow` if it would be accepted."""

    def tell(self, session: "ShadowedReceiver", kind: str, frame: Frame, reason: str) -> None:
        """A frame was taken that would have been refused."""

    def renew(self, session: "ShadowedReceiver", token: str) -> None:
        """A new token was taken: ask whether it would have been, and take `shadow` away where not."""

    def leave(self, session: "ShadowedReceiver", now: float) -> None:
        """The connection has ended, and its shadow with it."""

    def give_up(self, session: "ShadowedReceiver", error: Exception) -> None:
        """The judge has failed: this connection is not asked about any more."""


class ShadowedReceiver(Receiver):
    """A receiver with a shadow session, once that is known."""

    __slots__ = ("_asked", "_handshake", "_refusals", "_text", "_token", "shadow")

    def __init__(
        self,
        engine: Surroundings,
        channel: ChannelPlan,
        params: Mapping[str, Json],
        request: Request,
        peer: Peer,
        asked: Asked,
    ) -> None:
        super().__init__(engine, channel, params, request, peer)
        self.shadow: ShadowSession | None = None
        self._asked = asked
        self._handshake: Request | None = request
        self._refusals = 0
        self._text = b""
        self._token: str | None = None

    def open(self, now: float) -> Pending[None] | None:
        """Opens as usual; then evaluates the handshake."""
        return _after(super().open(now), self._opened)

    def receive(self, text: bytes, now: float) -> Pending[None] | Continuation | None:
        """Receives as usual, keeping the text for its size. A queued message is not measured."""
        self._text = text
        pending = super().receive(text, now)
        self._text = b""
        return pending

    def closed(self, code: int, reason: str, now: float) -> Pending[None] | None:
        """Closes as usual, and drops the shadow."""
        pending = super().closed(code, reason, now)
        self._handshake = None
        self._asked.leave(self, now)
        return pending

    def refuse(
        self,
        code: str,
        message: str,
        id: str | int | None = None,
        fields: Mapping[str, object] = NO_FIELDS,
    ) -> None:
        """Refuses as usual, and records that."""
        self._refusals += 1
        super().refuse(code, message, id, fields)

    # -------------------------------------------------------------------------------------------------- asking

    def _receive_early(self, text: bytes, now: float) -> Pending[None] | None:
        if self.state is State.AUTHENTICATING:
            self._token = _token_of(text, self.channel.limits.json_depth)
        return _after(super()._receive_early(text, now), self._opened)

    def _opened(self) -> None:
        request = self._handshake
        if request is not None and self.state is State.OPEN:
            token, self._token, self._handshake = self._token, None, None
            self._asked.admit(self, request, token)

    def _receive_message(
        self, message: MessagePlan, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | Continuation | None:
        reason, before = self._ask(message.type, frame, now), self._refusals
        pending = super()._receive_message(message, frame, id, now)
        return (
            pending if reason is None else self._tell(pending, message.type, reason, before, frame)
        )

    def _take_steps(
        self, message: MessagePlan, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | None:
        reason, before = self._ask(message.type, frame, now), self._refusals
        pending = super()._take_steps(message, frame, id, now)
        return (
            pending if reason is None else self._tell(pending, message.type, reason, before, frame)
        )

    def _receive_control(
        self, kind: str, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | None:
        if kind == "authenticate":
            token = frame.get("token")
            return _after(
                super()._receive_control(kind, frame, id, now), lambda: self._renewed(token)
            )
        asks = kind in RESERVED_CLIENT and kind != "ping"
        reason, before = self._ask(kind, frame, now) if asks else None, self._refusals
        pending = super()._receive_control(kind, frame, id, now)
        return pending if reason is None else self._tell(pending, kind, reason, before, frame)

    def _ask(self, kind: str, frame: Frame, now: float) -> str | None:
        shadow, asked = self.shadow, self._asked
        if shadow is None:
            return None
        asked.tally.messages += 1
        try:
            if kind in RESERVED_CLIENT:
                return asked.judge.refuses_verb(shadow, self, kind, frame)
            return asked.judge.refuses(shadow, self, kind, frame, self._text, now)
        except Exception as error:  # the shadow must never affect serving
            asked.give_up(self, error)
            return None

    def _renewed(self, token: Json) -> None:
        if self.shadow is not None and self.state is State.OPEN and isinstance(token, str):
            self._asked.renew(self, token)

    def _tell(
        self,
        pending: Pending[None] | Continuation | None,
        kind: str,
        reason: str,
        refusals: int,
        frame: Frame,
    ) -> Pending[None] | None:
        """Report the frame once it has been handled, unless it was refused."""

        def handled() -> None:
            if self._refusals == refusals and self.shadow is not None:
                self._asked.tell(self, kind, frame, reason)

        return _after(pending, handled)


def _token_of(text: bytes, depth: int) -> str | None:
    frame = decode(text, depth)
    token = None if isinstance(frame, BadFrame) else frame.get("token")
    return token if isinstance(token, str) else None


def _after(
    pending: Pending[None] | Continuation | None, call: Callable[[], None]
) -> Pending[None] | None:
    """Call something when what is pending has ended; at once if nothing is."""
    if pending is None:
        call()
        return None
    return Pending(_await_then(pending, call))


async def _await_then(pending: Awaitable[None], call: Callable[[], None]) -> None:
    await pending
    call()
