"""The shadow as the server uses it: creates sessions, counts, logs examples and a summary."""

from collections.abc import Iterator, Mapping
from typing import Final

from channeld.auth.authenticator import KeySet
from channeld.broker.broker import BrokerUnavailable
from channeld.engine.engine import Engine
from channeld.engine.ports import Peer, Surroundings
from channeld.engine.session import State
from channeld.hooks import Request
from channeld.later import start
from channeld.plan.plan import ChannelPlan, Plan
from channeld.protocol.codes import CloseCode
from channeld.protocol.frames import Frame, Json
from channeld.shadow.judge import Crowd, Judge, ShadowSession, Turned
from channeld.shadow.receiver import ShadowedReceiver
from channeld.shadow.tally import HANDSHAKE, Tally, TallyKey
from channeld.telemetry import Sample, log

_REPLACED: Final = Turned(str(int(CloseCode.REPLACED)), "limits.connections_per_user")


class Shadow:
    """One per process, attached to its engine's sessions.

    Args:
        plan: of the other configuration.
        engine: the serving engine.
        key_sets: for the authenticators of the plan.
        crowd: how many connections there are, for the limits of the plan.
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
        engine.make_session = self._make_session

    def begin(self) -> None:
        """Log which configurations are compared: at the start and after a reload."""
        hooks = sum(len(_hooks(channel)) for channel in self.judge.plan.channels.values())
        log(
            "shadow_started",
            version=self._engine.plan.version,
            against=self.judge.plan.version,
            hooks_not_called=hooks,
        )

    def samples(self) -> Iterator[Sample]:
        """The metrics."""
        return self.tally.samples()

    def _make_session(
        self,
        engine: Surroundings,
        channel: ChannelPlan,
        params: Mapping[str, Json],
        request: Request,
        peer: Peer,
    ) -> ShadowedReceiver:
        return ShadowedReceiver(engine, channel, params, request, peer, self)

    # ------------------------------------------------------------------------------------------ asked by sessions

    def admit(self, session: ShadowedReceiver, request: Request, token: str | None) -> None:
        """The client was let in: find out whether it would be there, and set `shadow` where it would."""
        rest = start(self._admit(session, request, token))
        if rest is not None:
            self._engine.runtime.spawn(rest)

    async def _admit(self, session: ShadowedReceiver, request: Request, token: str | None) -> None:
        try:
            outcome = await self.judge.admit(request, session, token)
        except BrokerUnavailable:
            return
        except Exception as error:  # whatever the other configuration brings, this one serves on
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

    def renew(self, session: ShadowedReceiver, token: str) -> None:
        """A new token was taken: ask whether it would have been, and take `shadow` away where not."""
        rest = start(self._renew(session, token))
        if rest is not None:
            self._engine.runtime.spawn(rest)

    async def _renew(self, session: ShadowedReceiver, token: str) -> None:
        if session.shadow is None:
            return
        try:
            refusal = await self.judge.renew(session.shadow, session, token)
        except Exception as error:  # whatever the other configuration brings, this one serves on
            self.give_up(session, error)
            return
        if refusal is not None:
            self._turn(session, "authenticate", refusal)

    def _replace_oldest(self, session: ShadowedReceiver, shadow: ShadowSession) -> None:
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

    def _turn(self, session: ShadowedReceiver, kind: str, refusal: Turned) -> None:
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

    def leave(self, session: ShadowedReceiver, now: float) -> None:
        """The connection has ended, or would have: its shadow goes."""
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

    def tell(self, session: ShadowedReceiver, kind: str, frame: Frame, reason: str) -> None:
        """A frame was taken that would have been refused: count it, and show one a minute of each kind."""
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

    def give_up(self, session: ShadowedReceiver, error: Exception) -> None:
        """The judge has failed: the connection is not asked about any more."""
        self.leave(session, self._engine.runtime.clock.monotonic())
        log("shadow_failed", channel=session.channel.name, exception=error)


def _hooks(channel: ChannelPlan) -> list[object]:
    named = (auth.hook for auth in channel.auth)
    own = (channel.connect, channel.close, channel.on_subscribe, channel.on_unsubscribe)
    of_types = (message.hook for message in channel.messages.values())
    subscribe = () if channel.subscribe is None else (channel.subscribe.hook,)
    return [hook for hook in (*named, *own, *of_types, *subscribe) if hook is not None]
