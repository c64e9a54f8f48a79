"""Calling hooks: sync ones inline, async ones with a time limit on their loop, threaded ones in a worker.

What they raise is contained. A `Reject` goes on to the caller, and so does a `BrokerUnavailable` of one of the context's verbs, which is not
the hook's fault. Anything else is logged with its traceback and a `ref`, and becomes `HookFailed`.
"""

import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

import attrs

from channeld.broker.broker import BrokerUnavailable
from channeld.engine.context import AnswerOnce, AsyncContext, AsyncioContext, InlineContext
from channeld.engine.errors import HookFailed
from channeld.engine.ports import Surroundings
from channeld.engine.publishing import encoded
from channeld.engine.remote_hooks import ask_about_request, ask_about_session
from channeld.engine.session import Session
from channeld.groups import is_group
from channeld.hooks import Reject, Request
from channeld.later import yield_to_task
from channeld.plan.plan import Hook
from channeld.telemetry import log
from channeld.telemetry.tracing import Span, Tracing, attached

SLOW: Final = 0.05

MOST_THREADS: Final = 4
"""Of one connection's hooks, at a time."""


class HooksBusy(BrokerUnavailable):
    """The connection's maximum number of threaded hooks is running: as with an unreachable broker, trying again helps."""


async def call_hook(
    session: Session,
    hook: Hook,
    *args: object,
    answer: AnswerOnce | None = None,
    afterwards: list[Callable[[], Awaitable[None]]] | None = None,
    problem_of: Callable[[object], str | None] | None = None,
) -> Any:
    """Call a connection's hook, and return what it returned. It may take the message's `answer`.

    What a backend wants published is published at once, or added to `afterwards`. `problem_of` says what is wrong with the message
    in a backend's answer; such an answer counts as a failure, and nothing of it is done.

    Raises:
        Reject: the hook's own.
        BrokerUnavailable: what the hook asked its context for could not be done.
        HookFailed: anything else went wrong; it is logged.
    """
    engine = session.engine
    with _spanned(engine.tracing, hook) as (called, span):
        if called.asks is None:
            return await _call_here(session, called, answer, *args)
        await yield_to_task()
        with _timed(engine, called), attached(span):
            asked = ask_about_session(session, called, called.asks, answer, args, problem_of)
            result, publish = await asked
        if afterwards is None:
            await publish()
        else:
            afterwards.append(publish)
        return result


def _spanned(
    tracing: Tracing | None, hook: Hook
) -> AbstractContextManager[tuple[Hook, Span | None]]:
    """The hook as it is called within a span of its own, and that span; None unless the request is sampled."""
    return nullcontext((hook, None)) if tracing is None else _in_span(tracing, hook)


@contextmanager
def _in_span(tracing: Tracing, hook: Hook) -> Iterator[tuple[Hook, Span | None]]:
    span = tracing.child(f"hook {hook.name}", {"code.function.name": hook.name})
    if span is None:
        yield hook, None
        return
    try:
        yield attrs.evolve(hook, call=_within(tracing, span, hook)), span
    except BaseException as error:
        tracing.end(span, type(error).__name__)
        raise
    tracing.end(span)


def _within(tracing: Tracing, span: Span, hook: Hook) -> Callable[..., object]:
    """The hook's function, run within the span, on the hook's own loop or thread."""
    call = hook.call

    async def call_async(*args: object) -> object:
        undo = tracing.enter(span)
        try:
            return await call(*args)
        finally:
            undo()

    def call_sync(*args: object) -> object:
        undo = tracing.enter(span)
        try:
            return call(*args)
        finally:
            undo()

    return call_async if hook.is_async else call_sync


async def _call_here(
    session: Session, hook: Hook, answer: AnswerOnce | None, *args: object
) -> object:
    """Call a hook that is a function of this process's."""
    engine, seconds = session.engine, session.channel.limits.hook_timeout
    if hook.is_async:
        make = AsyncContext if hook.loop == "trio" else AsyncioContext
        return await _call(engine, hook, seconds, session, make(session, answer), *args)
    context = InlineContext(session, answer, [] if hook.thread else None, hook.loop)
    if not hook.thread:
        return await _call(engine, hook, seconds, session, context, *args)
    result = await _call_in_thread(session, hook, seconds, context, *args)
    context.settle()
    return result


async def _call_in_thread(
    session: Session, hook: Hook, seconds: float, context: InlineContext, *args: object
) -> Any:
    # The thread of a hook that timed out goes on running. A connection must not use up everybody's threads with those.
    aside = session.own_aside()
    running = aside.threads = aside.threads if aside.threads is not None else []
    if len(running) >= MOST_THREADS:
        raise HooksBusy

    # Appending and popping are one step each, on whichever thread.
    def call(*all_args: object) -> Any:
        running.append(None)
        try:
            return hook.call(*all_args)
        finally:
            running.pop()

    counted = attrs.evolve(hook, call=call)
    return await _call(session.engine, counted, seconds, session, context, *args)


async def call_authenticator(
    engine: Surroundings, hook: Hook, seconds: float, request: Request
) -> Any:
    """Call an authenticator's hook; raises as `call_hook` does."""
    with _spanned(engine.tracing, hook) as (called, span):
        if called.asks is None:
            return await _call(engine, called, seconds, None, request)
        await yield_to_task()
        with _timed(engine, called), attached(span):
            return await ask_about_request(engine, called, called.asks, seconds, request)


@contextmanager
def _timed(engine: Surroundings, hook: Hook) -> Iterator[None]:
    started = engine.runtime.clock.monotonic()
    try:
        yield
    finally:
        engine.timing.hook(hook.name).observe(engine.runtime.clock.monotonic() - started)


async def _call(
    engine: Surroundings, hook: Hook, seconds: float, session: Session | None, *args: object
) -> Any:
    runtime = engine.runtime
    started = runtime.clock.monotonic()
    try:
        if hook.is_async or hook.thread:
            await yield_to_task()
            if hook.is_async and hook.loop == "asyncio":
                return await runtime.in_asyncio(seconds, hook.call, *args)
            if hook.is_async:
                return await runtime.within(seconds, _contained, hook.call, *args)
            return await runtime.in_thread(seconds, _contained_sync, hook.call, *args)
        result = _contained_sync(hook.call, *args)
    except BrokerUnavailable:
        raise
    except Reject as error:
        _check_sayable(engine, hook, session, error)
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


def _check_sayable(
    engine: Surroundings, hook: Hook, session: Session | None, error: Reject
) -> None:
    # A subclass may have left out or changed anything.
    try:
        encoded({**error.fields, "code": error.code + "", "message": error.message + ""})
    except Exception as wrong:
        raise _failed(engine, "hook_failed", hook, session) from wrong


class _Escaped(Exception):
    """A hook raised what would have ended the server."""


async def _contained(call: Callable[..., Any], *args: object) -> Any:
    try:
        return await call(*args)
    except Exception:
        raise
    except BaseException as error:
        _contain(error)
        raise


def _contained_sync(call: Callable[..., Any], *args: object) -> Any:
    try:
        return call(*args)
    except Exception:
        raise
    except BaseException as error:
        _contain(error)
        raise


def _contain(error: BaseException) -> None:
    """Raise a hook's own exception as one that can be contained; return if it is not the hook's own.

    An exception that ends the task around the hook goes on, also out of a group that holds others.
    """
    escaped = _Escaped(f"the hook raised {type(error).__name__}")
    if not is_group(error):
        if not _ends_the_task(error):
            raise escaped from error
        return
    ending, own = error.split(_ends_the_task)
    if ending is None:
        raise escaped from error
    if own is not None:
        escaped.__cause__ = own
        raise BaseExceptionGroup("a hook was ended", [ending, escaped]) from None


def _ends_the_task(error: BaseException) -> bool:
    """Whether an exception (not a group) was raised around the hook, not within it."""
    if isinstance(error, GeneratorExit):
        # Raised by closing the coroutine: there is no frame of the hook below. There is one if the hook raised it itself.
        return error.__traceback__ is not None and error.__traceback__.tb_next is None
    if isinstance(error, KeyboardInterrupt):
        return _raised_in_trio(error)
    return _is_trio(type(error).__module__)


def _raised_in_trio(error: BaseException) -> bool:
    """Whether it comes from trio's handler of SIGINT."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and _is_trio(str(frames[-1][0].f_globals.get("__name__")))


def _is_trio(module: str) -> bool:
    return module.partition(".")[0] == "trio"


def _failed(engine: Surroundings, event: str, hook: Hook, session: Session | None) -> HookFailed:
    ref = engine.runtime.random_id()
    where = {"connection": session.connection_id} if session is not None else {}
    log(event, hook=hook.name, ref=ref, exc_info=True, **where)
    return HookFailed(ref)
