"""Instruments a plan: who caused a frame, which hooks were called or raised; and replaces hooks by stubs.

Nothing is patched: the plan's own seams (`accepts` of a message, `call` of a hook) get functions that record and then do
the same. The origin of an action is in a context variable, which tasks started by a message or hook inherit.
"""

import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import attrs
import trio

from channeld.hooks import Reject, User
from channeld.plan.plan import (
    AuthPlan,
    ChannelPlan,
    Hook,
    Match,
    MessageCounters,
    MessagePlan,
    Plan,
)
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.scenarios.model import Stub


@attrs.frozen(slots=True, kw_only=True)
class FrameOrigin:
    """The origin of a frame: a message's route, a hook, or a `publish` step; `pointer` locates it in its file."""

    kind: str
    channel: str
    name: str
    pointer: str


ORIGIN: Final[ContextVar[FrameOrigin | None]] = ContextVar("ORIGIN", default=None)
"""What caused the current action; None: the server itself."""


@contextmanager
def caused_by(origin: FrameOrigin) -> Iterator[None]:
    """Attribute what happens in the block, and in tasks started there, to an origin."""
    before = ORIGIN.get()
    ORIGIN.set(origin)
    try:
        yield
    finally:
        ORIGIN.set(before)


@attrs.frozen(slots=True, kw_only=True)
class HookFailure:
    """A hook that raised something other than `Reject`, or timed out; `at` is its last line, or empty."""

    hook: str
    words: str
    at: str = ""
    step: int = -1


@attrs.define(eq=False)
class HookWitness:
    """What one scenario's hooks did. `on_hook(channel, name)` is called for each call; `step` is set by the runner."""

    on_hook: Callable[[str, str], None]
    failures: list[HookFailure] = attrs.field(factory=list)
    step: int = -1
    is_over: bool = False

    def failed(self, hook: str, error: BaseException) -> None:
        """Record what a hook raised."""
        if isinstance(error, trio.Cancelled):
            if not self.is_over:
                words = "took longer than its `hook_timeout`"
                self.failures.append(HookFailure(hook=hook, words=words, step=self.step))
            return
        words = " ".join(traceback.format_exception_only(error)[-1].split())
        frames = traceback.extract_tb(error.__traceback__)
        # The first frames are ours; the last is where it happened, possibly in a library.
        where = f"{_as_named(frames[-1].filename)}:{frames[-1].lineno}" if len(frames) > 1 else ""
        self.failures.append(
            HookFailure(hook=hook, words=f"raised {words}", at=where, step=self.step)
        )


def _as_named(file: str) -> str:
    """The name as a user would write it."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


# ------------------------------------------------------------------------------------------------------- the plan


def hook_names(plan: Plan) -> list[str]:
    """Every hook of a plan, as `module:function`."""
    names: list[str] = []

    def note(hook: Hook, _origin: FrameOrigin) -> Hook:
        names.append(hook.name)
        return hook

    rebuilt(plan, note)
    return list(dict.fromkeys(names))


def instrument(plan: Plan, witness: HookWitness, stubs: Mapping[str, Stub]) -> Plan:
    """A copy of the plan with recording, stubs, and its own message counters."""

    def hook(declared: Hook, origin: FrameOrigin) -> Hook:
        stub = stubs.get(declared.name)
        if origin.kind == "lifespan":
            return declared if stub is None else attrs.evolve(declared, call=_lifespan(stub))
        if stub is not None:
            call = _stub(stub, is_authenticator=origin.kind == "authenticator")
            stand_in = Hook(declared.name, call, is_async=stub.delay > 0)
            return _watched(stand_in, origin, witness, is_stub=True)
        if declared.asks is not None:
            return declared  # without a stub the backend is unreachable, which the client is told
        return _watched(declared, origin, witness, is_stub=False)

    return rebuilt(plan, hook, _noting)


_HookChange = Callable[[Hook, FrameOrigin], Hook]
_MessageChange = Callable[[MessagePlan, FrameOrigin], MessagePlan]


def rebuilt(
    plan: Plan,
    hook: _HookChange = lambda hook, _: hook,
    message: _MessageChange = lambda message, _: message,
    channel: Callable[[ChannelPlan], ChannelPlan] = lambda channel: channel,
) -> Plan:
    """A copy of the plan with each hook, message and channel replaced by these functions."""
    changed = channel
    channels = {
        name: changed(_channel(channel, at("/channels", name), hook, message))
        for name, channel in plan.channels.items()
    }
    find = plan.match

    def match(path: str) -> Match | None:
        found = find(path)
        return None if found is None else Match(channels[found.channel.name], found.params)

    lifespans = tuple(
        hook(
            one, FrameOrigin(kind="lifespan", channel="", name=one.name, pointer="/hooks/lifespan")
        )
        for one in plan.lifespans
    )
    return attrs.evolve(plan, channels=channels, match=match, lifespans=lifespans)


def _channel(
    channel: ChannelPlan, pointer: str, hook: _HookChange, message: _MessageChange
) -> ChannelPlan:
    def changed(declared: Hook | None, role: str) -> Hook | None:
        if declared is None:
            return None
        origin = FrameOrigin(
            kind="hook", channel=channel.name, name=declared.name, pointer=f"{pointer}/{role}"
        )
        return hook(declared, origin)

    messages = {}
    for type_, plan in channel.messages.items():
        below = at(f"{pointer}/messages", type_)
        origin = FrameOrigin(
            kind="message", channel=channel.name, name=type_, pointer=f"{below}/route"
        )
        changed_hook = changed(plan.hook, below.removeprefix(f"{pointer}/") + "/hook")
        messages[type_] = message(attrs.evolve(plan, hook=changed_hook), origin)
    subscribe = channel.subscribe
    if subscribe is not None:
        subscribe = attrs.evolve(subscribe, hook=changed(subscribe.hook, "rooms/subscribe/hook"))
    return attrs.evolve(
        channel,
        messages=messages,
        auth=tuple(_auth(auth, channel.name, hook) for auth in channel.auth),
        subscribe=subscribe,
        connect=changed(channel.connect, "hooks/connect"),
        close=changed(channel.close, "hooks/close"),
        on_subscribe=changed(channel.on_subscribe, "hooks/subscribe"),
        on_unsubscribe=changed(channel.on_unsubscribe, "hooks/unsubscribe"),
    )


def _auth(auth: AuthPlan, channel: str, hook: _HookChange) -> AuthPlan:
    if auth.hook is None:
        return auth
    pointer = at("/auth", auth.name) + "/hook"
    origin = FrameOrigin(
        kind="authenticator", channel=channel, name=auth.hook.name, pointer=pointer
    )
    return attrs.evolve(auth, hook=hook(auth.hook, origin))


def _noting(message: MessagePlan, origin: FrameOrigin) -> MessagePlan:
    accepts = message.accepts

    def noting(value: Json) -> bool:
        ORIGIN.set(origin)
        return accepts(value)

    return attrs.evolve(
        message, accepts=noting, counters=MessageCounters(), posted=MessageCounters()
    )


# ---------------------------------------------------------------------------------------------------------- hooks


def _watched(hook: Hook, origin: FrameOrigin, witness: HookWitness, *, is_stub: bool) -> Hook:
    call = hook.call

    @contextmanager
    def watching() -> Iterator[None]:
        witness.on_hook(origin.channel, hook.name)
        with caused_by(origin):
            try:
                yield
            except Reject:
                raise
            except BaseException as error:
                if not is_stub:  # a stub raises on purpose
                    witness.failed(hook.name, error)
                raise

    async def watched(*args: object) -> Any:
        with watching():
            return await call(*args)

    def watched_inline(*args: object) -> Any:
        with watching():
            return call(*args)

    return attrs.evolve(hook, call=watched if hook.is_async else watched_inline)


def _stub(stub: Stub, *, is_authenticator: bool) -> Callable[..., Any]:
    def answer() -> Any:
        if stub.reject is not None:
            said = stub.reject
            raise Reject(said.message, said.code, said.close, **said.fields)
        if stub.raises is not None:
            raise RuntimeError(stub.raises)
        if is_authenticator and isinstance(stub.returns, dict):
            claims = stub.returns.get("claims", {})
            user = str(stub.returns.get("user", ""))
            return User(user, claims if isinstance(claims, dict) else {})
        return stub.returns

    def call(*_args: object) -> Any:
        return answer()

    async def call_later(*_args: object) -> Any:
        await trio.sleep(stub.delay)
        return answer()

    return call_later if stub.delay > 0 else call


def _lifespan(stub: Stub) -> Callable[..., Any]:
    """A lifespan whose `ctx.state` is the stub's `returns`; the keys of a mapping are attributes."""

    @asynccontextmanager
    async def lifespan(_server: object) -> AsyncIterator[Any]:
        if stub.raises is not None:
            raise RuntimeError(stub.raises)
        state = stub.returns
        yield SimpleNamespace(**state) if isinstance(state, dict) else state

    return lifespan
