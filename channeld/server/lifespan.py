"""Contains a lifespan hook: what it raises stops the server with a message, and its end takes a bounded time."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import trio

from channeld.groups import summary_of
from channeld.telemetry import log

LIFESPAN_END_S: Final = 2.0
"""The least time, in seconds, that a lifespan hook has to end; if more is left of `drain`, it has that."""


class LifespanFailed(Exception):
    """The lifespan hook raised, at the start or at the end; the log has its traceback."""


@asynccontextmanager
async def contained(
    hook: str, lifespan: AbstractAsyncContextManager[None], drained_at: Callable[[], float]
) -> AsyncIterator[None]:
    """Run the block within the lifespan of the hook of this name. `drained_at`: when the drain is over, on trio's clock.

    Raises:
        LifespanFailed: the lifespan raised. What the block raises is passed on as it is.
    """
    ours: BaseException | None = None
    scope = trio.CancelScope()
    try:
        with scope:
            async with lifespan:
                try:
                    yield
                except BaseException as error:
                    ours = error
                    raise
                finally:
                    # A task or pool of the hook that waits for ever must not hold up the end.
                    began = trio.current_time()
                    scope.deadline = max(drained_at(), began + LIFESPAN_END_S)
    except Exception as error:
        if error is ours:
            raise
        log("hook_failed", hook=hook, exception=error)
        raise LifespanFailed(f"the lifespan hook {hook} raised {summary_of(error)}") from error
    if scope.cancelled_caught:
        seconds = round(trio.current_time() - began, 3)
        log("hook_timeout", hook=hook, reason="the lifespan did not end", seconds=seconds)
