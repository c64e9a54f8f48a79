"""Traces one handshake, or one message, step by step through the real engine: where it ends, and why.

The engine decides; the steps are derived from what it did (counters, answers, publications) and from its compiled plan.
Values marked as sensitive never appear.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode

import attrs
import orjson
import trio
import trio.testing

from channeld.auth.authenticator import Denied, Grant
from channeld.auth.token_places import Carried, carry
from channeld.broker.broker import Publication
from channeld.config.source import Sources
from channeld.dev.routes_table import requirement_words
from channeld.engine.ports import Surroundings
from channeld.engine.receive import Receiver
from channeld.engine.session import State
from channeld.hooks import Request
from channeld.plan.load import ValidConfig
from channeld.plan.plan import (
    ChannelPlan,
    Hook,
    MessagePlan,
    NotInRoom,
    Plan,
    Require,
)
from channeld.plan.requires import unmet
from channeld.pointer import at
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import CheckedJson, Frame, Json
from channeld.protocol.names import Topic
from channeld.scenarios.instrumentation import ORIGIN, FrameOrigin, HookWitness, instrument, rebuilt
from channeld.scenarios.mock import agreeing
from channeld.scenarios.secrets import scrub, value_texts
from channeld.scenarios.trace_words import (
    audience,
    error_words,
    target_words,
    unmatched,
    violations,
    written,
)
from channeld.suggest import did_you_mean
from channeld.testing import START, ClaimsRefused, Client, Refused, TestApp, running

Outcome: TypeAlias = Literal["ok", "refused", "skipped"]
_SLACK: Final = 1.0
"""How many virtual seconds after `hook_timeout` the engine has certainly given up a hook."""


@attrs.frozen(slots=True, kw_only=True)
class Visitor:
    """Who connects: `user` with unsigned `claims`, or the owner of `token`; without either, anonymous."""

    user: str | None = None
    claims: Mapping[str, Json] = attrs.field(factory=dict)
    token: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(slots=True, kw_only=True)
class Step:
    """One check; `place` is its `file:line`, empty if it has none."""

    name: str
    outcome: Outcome = "ok"
    words: str = ""
    place: str = ""
    details: tuple[str, ...] = ()


@attrs.frozen(slots=True, kw_only=True)
class TracedDelivery:
    """A frame, and who gets it; `topic` is empty for what goes to the sender alone. `by` names the hook that published it."""

    to: str
    frame: Frame
    topic: str = ""
    by: str = ""


@attrs.frozen(slots=True, kw_only=True)
class Trace:
    """The steps in order, and the resulting frames."""

    steps: tuple[Step, ...]
    deliveries: tuple[TracedDelivery, ...] = ()

    @property
    def refused(self) -> Step | None:
        """The step at which it was refused, or None."""
        return next((step for step in self.steps if step.outcome == "refused"), None)


def trace(
    valid: ValidConfig,
    path: str,
    frame: str | None,
    visitor: Visitor,
    *,
    wall: float,
    run_hooks: bool = True,
) -> Trace:
    """Trace a handshake and, if `frame` is given, a message of the accepted client.

    `frame` is text that need not be JSON, and `wall` the Unix time for the tokens' ends. Without `run_hooks`, no hook is called
    and all of them agree.
    """
    one = _TraceRun(valid.plan, valid.sources, visitor, run_hooks=run_hooks)
    trio.run(one.main, path, frame, wall, clock=trio.testing.MockClock())
    return one.result()


@attrs.frozen(slots=True)
class _Traced:
    topic: Topic
    frame: Frame
    skips: bool
    origin: FrameOrigin | None


class _TraceRun:
    def __init__(self, plan: Plan, sources: Sources, visitor: Visitor, *, run_hooks: bool) -> None:
        self._plan = plan
        self._sources = sources
        self._visitor = visitor
        self._run_hooks = run_hooks
        self._steps: list[Step] = []
        self._deliveries: list[TracedDelivery] = []
        self._published: list[_Traced] = []
        self._called: list[str] = []
        self._found: Grant | Denied | None = None
        self._accepted: Frame = {}
        self._was_valid = True
        self._secrets: set[str] = set()
        self._witness = HookWitness(lambda _channel, name: self._called.append(name))

    def result(self) -> Trace:
        """The trace, without sensitive values."""
        secrets = tuple(self._secrets)
        return Trace(
            steps=scrub(tuple(self._steps), secrets),
            deliveries=scrub(tuple(self._deliveries), secrets),
        )

    async def main(self, path: str, frame: str | None, wall: float) -> None:
        """The whole trace, on trio."""
        async with running(self._watched()) as app:
            app.runtime.clock.jump(max(0.0, wall - START))
            app.on_publication = self._note_publication
            self._watch_users(app)
            client = await self._connect(app, path)
            if client is not None and frame is not None:
                await self._send(app, client, frame)
            await app.rest()
            self._witness.is_over = True

    def _watched(self) -> Plan:
        plan = self._plan if self._run_hooks else agreeing(self._plan)
        return rebuilt(instrument(plan, self._witness, {}), message=self._noting)

    def _noting(self, message: MessagePlan, _origin: FrameOrigin) -> MessagePlan:
        accepts = message.accepts

        def noting(frame: Json) -> bool:
            is_accepted = self._was_valid = accepts(frame)
            if is_accepted and isinstance(frame, dict):
                self._accepted = frame
            return is_accepted

        return attrs.evolve(message, accepts=noting)

    def _note_publication(self, topic: Topic, publication: Publication) -> None:
        frame = orjson.loads(publication.payload)
        if publication.position is not None:
            frame["pos"] = str(publication.position)
        self._published.append(_Traced(topic, frame, publication.skip is not None, ORIGIN.get()))

    def _watch_users(self, app: TestApp) -> None:
        find = app.engine.find_user

        async def noting(
            engine: Surroundings, channel: ChannelPlan, request: Request, connection: str
        ) -> Grant | Denied | None:
            self._found = await find(engine, channel, request, connection)
            return self._found

        app.engine.find_user = noting

    # ------------------------------------------------------------------------------------------------- steps

    def _step(
        self,
        name: str,
        words: str = "",
        pointer: str = "",
        outcome: Outcome = "ok",
        details: Sequence[str] = (),
    ) -> None:
        place = ""
        if pointer:
            found = self._sources.place(pointer, key=True)
            place = f"{found.file}:{found.line}"
        step = Step(name=name, outcome=outcome, words=words, place=place, details=tuple(details))
        self._steps.append(step)

    def _refuse(
        self, name: str, words: str, pointer: str = "", details: Sequence[str] = ()
    ) -> None:
        self._step(name, words, pointer, "refused", details)

    def _hook(self, name: str, pointer: str) -> None:
        """The step of a hook that agreed or was not called."""
        if self._run_hooks:
            self._step("hook", f"`{name}` agrees", pointer)
        else:
            self._step("hook", f"`{name}` not run", pointer, "skipped")

    def _hook_failure(self, hook: Hook) -> str:
        if hook.asks is not None:
            return f"asks the backend `{hook.asks.name}`, which is not reached without a server"
        last = next(reversed(self._witness.failures), None)
        if last is None:
            return "returned something that cannot be routed instead of the message"
        return f"{last.words} ({last.at})" if last.at else last.words

    # --------------------------------------------------------------------------------------------- handshake

    async def _connect(self, app: TestApp, path: str) -> Client | None:
        match = app.plan.match(path.partition("?")[0])
        if match is None:
            self._refuse("path", *unmatched(app.plan, path.partition("?")[0]))
            return None
        channel = match.channel
        own = at("/channels", channel.name)
        params = ", ".join(f"{name}={value}" for name, value in match.params.items())
        words = f"channel `{channel.name}`" + (f" with {params}" if params else "")
        brought = _carried(channel, self._visitor.token)
        try:
            client = await app.connect(
                f"{path}{'&' if '?' in path else '?'}{urlencode(brought.query)}",
                user=self._visitor.user,
                claims=self._visitor.claims,
                headers=brought.headers,
                subprotocols=brought.subprotocols,
            )
        except Refused as error:
            self._refuse("path", f"{error.status}: the query is not as declared", f"{own}/query")
            return None
        except ClaimsRefused as error:
            self._step("path", words, f"{own}/path")
            self._refuse("who", str(error), at("/auth", channel.auth[0].name))
            return None
        self._step("path", words, f"{own}/path")
        session = client.session
        if session.is_in(State.AUTHENTICATING) and self._visitor.token is not None:
            await client.send({"type": "authenticate", "token": self._visitor.token})
            await app.rest()
        await app.advance(
            channel.limits.hook_timeout + _SLACK,
            until=lambda: not session.is_in(State.OPENING),
        )
        return client if self._judge_handshake(client, channel) else None

    def _judge_handshake(self, client: Client, channel: ChannelPlan) -> bool:
        session, own = client.session, at("/channels", channel.name)
        error = _error(client)
        if not self._is_known(session, channel):
            return False
        declared = self._plan.config.channels[channel.name].require
        if not self._is_required(session, channel.require, declared, f"{own}/require"):
            return False
        hook = channel.connect
        if hook is not None and (hook.name in self._called or hook.asks is not None):
            if client.closed is not None:
                is_fault = error is None or error["code"] == ErrorCode.INTERNAL_ERROR
                is_reject = hook.asks is None and not is_fault
                why = error_words(error) if is_reject else self._hook_failure(hook)
                self._refuse("hook", f"`{hook.name}`: {why}", f"{own}/hooks/connect")
                return False
            if self._witness.failures:
                why = f"`{hook.name}` {self._hook_failure(hook)}; accepts the client anyway"
                self._step("hook", why, f"{own}/hooks/connect")
            else:
                self._hook(hook.name, f"{own}/hooks/connect")
        if client.closed is not None:
            self._refuse("rooms", f"{error_words(error)}: {client.closed[0]}", f"{own}/rooms")
            return False
        if channel.join or session.rooms:
            inside = ", ".join(session.rooms) or "none"
            self._step("rooms", f"is in {inside}", f"{own}/rooms")
        client.inbox.clear()
        self._published.clear()
        self._called.clear()
        self._witness.failures.clear()
        return True

    def _is_known(self, session: Receiver, channel: ChannelPlan) -> bool:
        pointer = at("/channels", channel.name, "auth")
        if isinstance(self._found, Denied):
            self._refuse("who", self._found.reason, pointer)
            return False
        if session.user_id is None and channel.auth and not channel.auth_optional:
            brought = self._visitor.token is not None
            words = "the token is invalid" if brought else "no token, and one is required"
            self._refuse("who", words, pointer)
            return False
        if session.user_id is None:
            spare = self._visitor.user is not None and not channel.auth
            self._step("who", "anonymous" + (", whatever the user" if spare else ""), pointer)
        else:
            self._step("who", f"user `{session.user_id}`", pointer)
        return True

    def _is_required(
        self,
        session: Receiver,
        require: Require,
        declared: Sequence[Mapping[str, Json]],
        pointer: str,
        fields: Frame | None = None,
    ) -> bool:
        """The step of a channel's or a message's `require`."""
        if not require:
            return True
        wanted = " or ".join(requirement_words(declared))
        missing = unmet(require, session, fields)
        if missing is not None:
            words = f"claim `{missing}` is not as required: {wanted}"
            self._refuse("require", words, pointer)
            return False
        self._step("require", wanted, pointer)
        return True

    # ------------------------------------------------------------------------------------------------ message

    async def _send(self, app: TestApp, client: Client, text: str) -> None:
        session = client.session
        frame = _decoded(text)
        self._keep_secrets(app.plan, frame)
        kind = frame.get("type") if isinstance(frame, dict) else None
        message = session.channel.messages.get(kind) if isinstance(kind, str) else None
        await client.send_raw(text)
        await app.advance(
            session.limits.hook_timeout + _SLACK,
            until=lambda: message is None or client.closed is not None or _is_counted(message),
        )
        if message is not None and message.newest is not None:
            await app.advance(message.newest.conflate)
        error = _error(client)
        if message is None or not _is_counted(message):
            self._judge_frame(session, kind, error)
        elif self._judge_message(session, message, frame, error):
            self._route(session, message)
        self._deliver(app, client)

    def _judge_frame(self, session: Receiver, kind: object, error: Frame | None) -> None:
        """Trace a frame without a message type: invalid, unknown, or the protocol's own."""
        pointer = at("/channels", session.channel.name, "messages")
        if error is not None:
            details = violations(error)
            if error["code"] == ErrorCode.UNKNOWN_TYPE:
                names = session.channel.messages
                known = ", ".join(f"`{name}`" for name in names) or "none"
                details = [did_you_mean(str(kind), names, f"its messages: {known}")]
            self._refuse("frame", error_words(error), pointer, details)
        else:
            self._step("frame", f"`{kind}` is the protocol's own; the server answers it")

    def _judge_message(
        self, session: Receiver, message: MessagePlan, frame: Json, error: Frame | None
    ) -> bool:
        """Trace a message's checks in the engine's order; returns whether it reached its route."""
        counters = message.counters
        own = at("/channels", session.channel.name, "messages", message.type)
        self._step("type", f"message `{message.type}`", own)
        if message.rate is not None:
            rate = message.rate
            words = f"the first of {rate.burst} at once, {rate.limit} in {rate.period:g} s"
            is_over = counters.rate_limited or counters.dropped
            self._step("rate", words, f"{own}/rate", "refused" if is_over else "ok")
            if is_over:
                return False
        if counters.invalid:
            self._refuse("schema", error_words(error), f"{own}/schema", violations(error))
            return False
        self._step("schema", "valid", f"{own}/schema")
        sent = frame if isinstance(frame, dict) else {}
        return (
            self._may_send(session, message, sent, own)
            and self._passes_hook(message, error, own)
            and self._is_routed(session, message, error, own)
        )

    def _passes_hook(self, message: MessagePlan, error: Frame | None, own: str) -> bool:
        hook, counters = message.hook, message.counters
        if hook is None:
            return True
        if counters.rejected:
            self._refuse("hook", f"`{hook.name}` rejects: {error_words(error)}", f"{own}/hook")
            return False
        if self._has_failed(hook, message):
            self._refuse("hook", f"`{hook.name}` {self._hook_failure(hook)}", f"{own}/hook")
            return False
        self._hook(hook.name, f"{own}/hook")
        return True

    def _has_failed(self, hook: Hook, message: MessagePlan) -> bool:
        """Whether the hook failed, rather than the emitted frame."""
        counters = message.counters
        if hook.asks is not None:
            return bool(counters.failed or counters.unavailable)
        by_itself = self._witness.failures or not self._was_valid or message.out is None
        return bool(counters.failed and by_itself)

    def _is_routed(
        self, session: Receiver, message: MessagePlan, error: Frame | None, own: str
    ) -> bool:
        counters = message.counters
        is_outside = self._outside(session, message) is not None
        if counters.forbidden and not is_outside:
            self._refuse("route", error_words(error), f"{own}/route")
        elif counters.failed or counters.unavailable:
            self._refuse("emit", error_words(error), own)
        else:
            return True
        return False

    def _may_send(self, session: Receiver, message: MessagePlan, sent: Frame, own: str) -> bool:
        declared = self._plan.config.channels[session.channel.name].messages[message.type].require
        fields = {key: value for key, value in sent.items() if key not in ("type", "id")}
        return self._is_required(session, message.require, declared, f"{own}/require", fields)

    def _outside(self, session: Receiver, message: MessagePlan) -> NotInRoom | None:
        """Why the first refusing target refuses the message."""
        for target in message.targets:
            try:
                target.topic(session, self._accepted)
            except NotInRoom as error:
                return error
        return None

    def _route(self, session: Receiver, message: MessagePlan) -> None:
        own = at("/channels", session.channel.name, "messages", message.type, "route")
        if not message.targets:
            self._step("route", "nobody: only the hook sees it", own)
        for number, target in enumerate(message.targets):
            pointer = own if len(message.targets) == 1 else f"{own}/{number}"
            try:
                topic = target.topic(session, self._accepted)
            except NotInRoom as error:
                self._refuse("route", f"the sender is not in room `{error.room}`", pointer)
                return
            self._step("route", target_words(target, topic), pointer)

    def _keep_secrets(self, plan: Plan, frame: Json) -> None:
        found = plan.sensitive.secrets(frame)
        self._secrets.update(text for value in found for text in value_texts(value))

    def _deliver(self, app: TestApp, client: Client) -> None:
        masked: Callable[[Frame], Frame] = app.plan.sensitive.masked
        for one in self._published:
            self._keep_secrets(app.plan, one.frame)
            by_hook = one.origin is not None and one.origin.kind == "hook"
            self._deliveries.append(
                TracedDelivery(
                    to=audience(one.topic, skips=one.skips),
                    topic=written(one.topic),
                    frame=masked(one.frame),
                    by=one.origin.name if by_hook and one.origin is not None else "",
                )
            )
        for frame in client.inbox:
            self._keep_secrets(app.plan, frame)
            self._deliveries.append(TracedDelivery(to="the sender", frame=masked(frame)))


def _carried(channel: ChannelPlan, token: str | None) -> Carried:
    """A token, wherever one of the channel's authenticators looks for it."""
    places = [place for auth in channel.auth for place in auth.type.token_from()]
    found = [carry([place], token) for place in places] if token is not None else []
    return Carried(
        query={name: value for one in found for name, value in one.query.items()},
        headers={k.lower(): value for one in found for k, value in one.headers.items()},
        subprotocols=tuple(each for one in found for each in one.subprotocols),
    )


def _decoded(text: str) -> CheckedJson:
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def _is_counted(message: MessagePlan) -> bool:
    """Whether the engine has finished with a message of this type."""
    return any(attrs.astuple(message.counters))


def _error(client: Client) -> Frame | None:
    return next((frame for frame in client.inbox if frame["type"] == "error"), None)
