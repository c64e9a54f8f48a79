"""Code that may have to wait, written once: `Later[T]` values, and coroutines that run at once as far as they can.

A broker in memory answers at once, one on the network with an awaitable; most messages wait for nothing. So what may
wait is an `async def` that uses `resolved(later)` and `yield_to_task()`, and its caller says `start(coroutine)`: it
runs on the spot, without a task or a checkpoint, up to the first thing that must wait. If there is none, it is done and
`start` returns None. Otherwise `start` returns a `Pending`: await it in a task, and the rest runs there.

Nothing but `yield_to_task` (which `resolved` calls for an awaitable) may be the first thing such a coroutine waits for:
the library that really waits would take the caller's task for its own. Decision 1 says why.
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Generic, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
Later: TypeAlias = T | Awaitable[T]


class _YieldToTask:
    """What a started coroutine yields to its driver, and to nobody else."""

    __slots__ = ()

    def __await__(self) -> Generator[object, object, None]:
        yield self


_YIELD_TO_TASK = _YieldToTask()


def yield_to_task() -> Awaitable[None]:
    """Move the rest of the coroutine into a task; after this it may wait for anything."""
    return _YIELD_TO_TASK


async def resolved(later: Later[T]) -> T:
    """The value itself, now or after waiting for it."""
    if hasattr(later, "__await__"):
        await yield_to_task()
        return await later
    return later


class Pending(Generic[T]):
    """The rest of a coroutine that had to wait. Await it once, in a task."""

    __slots__ = ("_coroutine",)

    def __init__(self, coroutine: Coroutine[object, object, T]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[object, object, T]:
        return _drive(self._coroutine)

    def close(self) -> None:
        """Give it up, and release what it holds (PEP 342)."""
        self._coroutine.close()


def in_task(pending: Awaitable[T]) -> Awaitable[T]:
    """Something to await in a task: a `Pending`, or a coroutine that was made for `start` and has not begun."""
    return Pending(pending) if isinstance(pending, Coroutine) else pending


class Promise(Protocol):
    """An answer that is on its way and takes a callback, so that no task has to wait for it."""

    def then(self, call: Callable[[Exception | None], object]) -> None:
        """Call `call(error)` once when the answer is here (None: there is no error), or at once if it is."""

    def __await__(self) -> Generator[object, object, object]:
        """Wait for it."""


class Continuation:
    """What to do when a promise is kept: call `then`, or await it, once. `finish(error)` must not raise.

    Or take `promise` and `finish`, and handle both yourself.
    """

    __slots__ = ("finish", "promise")

    def __init__(self, promise: Promise, finish: Callable[[Exception | None], object]) -> None:
        self.promise = promise
        self.finish = finish

    def then(self, resume: Callable[[], object]) -> None:
        """Let the task that brings the answer finish this and call `resume()`, without a task switch."""

        def answered(error: Exception | None) -> None:
            self.finish(error)
            resume()

        self.promise.then(answered)

    def __await__(self) -> Generator[object, object, None]:
        try:
            yield from self.promise.__await__()
        except Exception as error:  # it is the answer
            self.finish(error)
        else:
            self.finish(None)


def _drive(coroutine: Coroutine[object, object, T]) -> Generator[object, object, T]:
    # What `yield from` does (PEP 380), but our own marker stops here.
    sent: object = None
    thrown: BaseException | None = None
    while True:
        try:
            yielded = coroutine.send(sent) if thrown is None else coroutine.throw(thrown)
        except StopIteration as stop:
            result: T = stop.value
            return result
        sent = thrown = None
        if yielded is not _YIELD_TO_TASK:
            try:
                sent = yield yielded
            except BaseException as error:  # goes into the coroutine
                thrown = error


def start(coroutine: Coroutine[object, object, T]) -> Pending[T] | None:
    """Run a coroutine up to the first thing that must wait.

    Returns:
        None when it is done (its result is dropped), else the rest of it.

    Raises:
        RuntimeError: it awaited something else before `yield_to_task`.
        Exception: what it raised before that.
    """
    try:
        yielded = coroutine.send(None)
    except StopIteration:
        return None
    if yielded is not _YIELD_TO_TASK:
        coroutine.close()
        name = getattr(coroutine, "__qualname__", repr(coroutine))
        raise RuntimeError(
            f"{name} waits without being in a task: "
            "the first thing that a started coroutine awaits must be `yield_to_task` or `resolved`"
        )
    return Pending(coroutine)


def run_sync(coroutine: Coroutine[object, object, T]) -> T:
    """The result of a coroutine that must not wait.

    Raises:
        RuntimeError: it would have waited.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("this cannot wait here")
