"""The shadow as the server uses it: sessions that consult it, counts, examples in the log, and a summary.

Only accepted frames count: a frame that is refused anyway is not reported. A frame is evaluated before it is handled (it
may be modified later), and the result is reported once it has been handled.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Final, TypeVar

from channeld.auth.authenticator import KeySet
from channeld.broker.broker import BrokerUnavailable
from channeld.config.rules.evidence import hooks
from channeld.engine.engine import Engine
from channeld.engine.ports import Peer, Surroundings
from channeld.engine.receive import Receiver
from channeld.engine.session import NO_FIELDS, State
from channeld.hooks import Request
from channeld.later import Continuation, Pending, launch
from channeld.plan.plan import Match, MessagePlan, Plan
from channeld.protocol.codes import CloseCode
from channeld.protocol.frames import BadFrame, Frame, Json, decode
from channeld.protocol.reserved import RESERVED_CLIENT
from channeld.shadow.judge import Crowd, Judge, ShadowSession, Turned
from channeld.shadow.tally import HANDSHAKE, Tally, TallyKey
from channeld.telemetry import Sample, log

_REPLACED: Final = Turned(str(int(CloseCode.REPLACED)), "limits.connections_per_user")


_P = TypeVar("_P", bound="Pending[None] | Continuation | None")


class Shadow:
    """One per process, attached to its engine's sessions; `plan` is the other configuration's.

    `crowd` says how many connections there are, for the limits of the plan.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        key_sets: Mapping[str, KeySet] | None = None,
        crowd: Crowd = lambda _address: (0, 0),
    ) -> None:
        self._engine = engine
        self.judge = Judge(plan, engine, key_sets or {}, crowd)
        clock = engine.runtime.clock
        self.tally = Tally(clock, clock.wall())
        self._of_users: dict[tuple[str, str], list[ShadowedReceiver]] = {}
        engine.make_session = partial(ShadowedReceiver, self)

    def begin(self) -> None:
        """Log which configurations are compared: at the start and after a reload."""
        log(
            "shadow_started",
            version=self._engine.plan.version,
            against=self.judge.plan.version,
            hooks_not_called=len([*hooks(self.judge.plan.config)]),
        )

    def samples(self) -> Iterator[Sample]:
        """The metrics."""
        return self.tally.samples()

    # ------------------------------------------------------------------------------------------ called by sessions

    def admit(self, session: "ShadowedReceiver", request: Request, token: str | None) -> None:
        """Evaluate a client that was accepted, and set its `shadow` if the other plan would accept it as well."""
        launch(self._admit(session, request, token), self._engine.runtime.spawn)

    async def _admit(
        self, session: "ShadowedReceiver", request: Request, token: str | None
    ) -> None:
        try:
            outcome = await self.judge.admit(request, session, token)
        except BrokerUnavailable:
            return
        except Exception as error:  # the other configuration must never affect serving
            log("shadow_failed", channel=session.channel.name, exception=error)
            return
        if outcome is None:
            return
        self.tally.handshakes += 1
        if isinstance(outcome, ShadowSession):
            session.shadow = outcome
            self._replace_oldest(session, outcome)
        else:
            self._turn(session, HANDSHAKE, outcome)

    def renew(self, session: "ShadowedReceiver", token: str) -> None:
        """The client has renewed its token: evaluate that, and drop its shadow if the other plan would refuse the token."""
        launch(self._renew(session, token), self._engine.runtime.spawn)

    async def _renew(self, session: "ShadowedReceiver", token: str) -> None:
        if session.shadow is None:
            return
        try:
            refusal = await self.judge.renew(session.shadow, session, token)
        except Exception as error:  # the other configuration must never affect serving
            self.give_up(session, error)
            return
        if refusal is not None:
            self._turn(session, "authenticate", refusal)

    def _replace_oldest(self, session: "ShadowedReceiver", shadow: ShadowSession) -> None:
        """Count a user's oldest connection over `connections_per_user`, which would have been closed."""
        most = shadow.channel.limits.connections_per_user
        if most is None or shadow.user_id is None:
            return
        others = self._of_users.setdefault((shadow.channel.name, shadow.user_id), [])
        others.append(session)
        for oldest in others[: max(0, len(others) - most)]:
            # One that the serving configuration has just closed is not reported.
            if oldest.is_in(State.OPEN):
                self._turn(oldest, HANDSHAKE, _REPLACED)

    def _turn(self, session: "ShadowedReceiver", kind: str, refusal: Turned) -> None:
        """Count a connection that would not exist, log an example, and stop evaluating it."""
        self.leave(session, self._engine.runtime.clock.monotonic())
        key = TallyKey(session.channel.name, kind, refusal.reason)
        if not self.tally.count(key):
            return
        log(
            "shadow_refused",
            channel=key.channel,
            **({"message": kind} if kind else {}),
            reason=key.reason,
            why=refusal.why,
            user=session.user_id,
            connection=session.connection_id,
        )

    def leave(self, session: "ShadowedReceiver", now: float) -> None:
        """Drop the shadow of a connection that has ended, or would have."""
        shadow, session.shadow = session.shadow, None
        if shadow is None:
            return
        self.judge.leave(shadow, now)
        user = (shadow.channel.name, shadow.user_id or "")
        others = self._of_users.get(user, [])
        if session in others:
            others.remove(session)
        if not others:
            self._of_users.pop(user, None)

    def tell(self, session: "ShadowedReceiver", kind: str, frame: Frame, reason: str) -> None:
        """Count a frame that the other plan would have refused, and log one of each kind a minute."""
        key, shadow = TallyKey(session.channel.name, kind, reason), session.shadow
        if not self.tally.count(key) or shadow is None:
            return
        shown = self._engine.plan.sensitive.masked({"type": kind, **frame})
        log(
            "shadow_refused",
            channel=key.channel,
            message=kind,
            reason=reason,
            why=self.judge.words(shadow, kind, frame, reason),
            example=self.judge.plan.sensitive.masked(shown),
            user=session.user_id,
            connection=session.connection_id,
        )

    def give_up(self, session: "ShadowedReceiver", error: Exception) -> None:
        """Stop evaluating a connection, because the judge has failed."""
        self.leave(session, self._engine.runtime.clock.monotonic())
        log("shadow_failed", channel=session.channel.name, exception=error)


class ShadowedReceiver(Receiver):
    """A receiver with a shadow session, once that is known."""

    __slots__ = ("_asked", "_handshake", "_refusals", "_text", "_token", "shadow")

    def __init__(
        self,
        asked: Shadow,
        engine: Surroundings,
        match: Match,
        request: Request,
        peer: Peer,
    ) -> None:
        super().__init__(engine, match, request, peer)
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

    # -------------------------------------------------------------------------------------------------- comparing

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
        receive = partial(super()._receive_message, message, frame, id, now)
        return self._compared(message.type, frame, now, receive)

    def _take_steps(
        self, message: MessagePlan, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | None:
        take = partial(super()._take_steps, message, frame, id, now)
        return self._compared(message.type, frame, now, take)

    def _receive_control(
        self, kind: str, frame: Frame, id: str | int | None, now: float
    ) -> Pending[None] | None:
        receive = partial(super()._receive_control, kind, frame, id, now)
        if kind == "authenticate":
            token = frame.get("token")
            return _after(receive(), lambda: self._renewed(token))
        if kind not in RESERVED_CLIENT or kind == "ping":
            return receive()
        return self._compared(kind, frame, now, receive)

    def _compared(
        self, kind: str, frame: Frame, now: float, receive: Callable[[], _P]
    ) -> _P | Pending[None] | None:
        """Receive a frame, and report it once it has been handled if only the other plan would have refused it."""
        reason, before = self._ask(kind, frame, now), self._refusals
        pending = receive()
        if reason is None:
            return pending

        def handled() -> None:
            if self._refusals == before and self.shadow is not None:
                self._asked.tell(self, kind, frame, reason)

        return _after(pending, handled)

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
