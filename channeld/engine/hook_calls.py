"""Calling hooks: sync ones inline, async ones with a time limit, threaded ones in a worker; what they raise is contained.

A `Reject` goes on to the caller, and so does a `BrokerUnavailable` of one of the context's verbs: that is no fault of the
hook's. Anything else is logged with its traceback and a `ref`, and becomes `HookFailed`.
"""

from collections.abc import Callable
from typing import Any

from channeld.broker.broker import BrokerUnavailable
from channeld.engine.context import AsyncContext, InlineContext
from channeld.engine.errors import HookFailed
from channeld.engine.ports import Surroundings
from channeld.engine.session import Session
from channeld.groups import leaves
from channeld.hooks import Reject
from channeld.later import yield_to_task
from channeld.plan.plan import Hook
from channeld.telemetry import log

__all__ = ["call_authenticator", "call_hook"]

SLOW = 0.05


async def call_hook(
    session: Session, hook: Hook, *args: object, id: str | int | None = None
) -> tuple[Any, bool]:
    """Call a connection's hook.

    Returns:
        What it returned, and whether it replied to the message itself.

    Raises:
        Reject: the hook's own.
        BrokerUnavailable: what the hook asked its context for could not be done.
        HookFailed: anything else went wrong; it is logged.
    """
    seconds = session.channel.limits.hook_timeout
    context: AsyncContext | InlineContext
    if hook.is_async:
        context = AsyncContext(session, id)
        result = await _call(session.engine, hook, seconds, session, context, *args)
    elif hook.thread:
        verbs: list[Callable[[], None]] = []
        context = InlineContext(session, id, verbs)
        result = await _call(session.engine, hook, seconds, session, context, *args)
        for verb in verbs:
            verb()
    else:
        context = InlineContext(session, id)
        result = await _call(session.engine, hook, seconds, session, context, *args)
    return result, context.replied


async def call_authenticator(
    engine: Surroundings, hook: Hook, seconds: float, request: object
) -> Any:
    """Call an authenticator's hook; raises as `call_hook` does."""
    return await _call(engine, hook, seconds, None, request)


async def _call(
    engine: Surroundings, hook: Hook, seconds: float, session: Session | None, *args: object
) -> Any:
    runtime = engine.runtime
    started = runtime.clock.monotonic()
    try:
        if hook.is_async or hook.thread:
            await yield_to_task()
            if hook.is_async:
                return await runtime.within(seconds, _contained, hook.call, *args)
            return await runtime.in_thread(seconds, _contained_sync, hook.call, *args)
        result = _contained_sync(hook.call, *args)
    except (Reject, BrokerUnavailable):
        raise
    except TimeoutError as error:
        raise _failed(engine, "hook_timeout", hook, session) from error
    except Exception as error:  # a hook is somebody else's code: whatever it raises stays here
        raise _failed(engine, "hook_failed", hook, session) from error
    finally:
        engine.timing.hook(hook.name).observe(runtime.clock.monotonic() - started)
    took = runtime.clock.monotonic() - started
    if took > SLOW:
        log("hook_slow", hook=hook.name, seconds=round(took, 3))
    return result


class _Escaped(Exception):
    """A hook raised what would end the server."""


async def _contained(call: Callable[..., Any], *args: object) -> Any:
    try:
        return await call(*args)
    except BaseException as error:
        if isinstance(error, Exception) or _ends_the_task(error):
            raise
        raise _Escaped(f"the hook raised {type(error).__name__}") from error


def _contained_sync(call: Callable[..., Any], *args: object) -> Any:
    try:
        return call(*args)
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _Escaped(f"the hook raised {type(error).__name__}") from error


def _ends_the_task(error: BaseException) -> bool:
    """Whether it is not the hook's own, but says that the task around it is to end."""
    return any(
        type(leaf).__module__.partition(".")[0] == "trio"
        or isinstance(leaf, KeyboardInterrupt | GeneratorExit)
        for leaf in leaves(error)
    )


def _failed(engine: Surroundings, event: str, hook: Hook, session: Session | None) -> HookFailed:
    ref = engine.runtime.random_id()
    where = {"connection": session.connection_id} if session is not None else {}
    log(event, hook=hook.name, ref=ref, exc_info=True, **where)
    return HookFailed(ref)
