"""Code that may have to wait, written once: `Later[T]` values, and coroutines that run at once as far as they can.

A broker in memory answers at once, one on the network with an awaitable; most messages wait for nothing. So what may
wait is an `async def` that uses `resolved(later)` and `yield_to_task()`, and its caller says `start(coroutine)`: it
runs on the spot, without a task or a checkpoint, up to the first thing that must wait. If there is none, it is done and
`start` returns None. Otherwise `start` returns a `Pending`: await it in a task, and the rest runs there.

Nothing but `yield_to_task` and `resolved` may be the first thing such a coroutine waits for: the library that really waits would
take the caller's task for its own. Decision 1 says why. That holds after each `resolved` as well: an `Answered` calls back, and
`Pending.go_on` then runs the rest where the answer came, without a task.
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

T = TypeVar("T")
Later: TypeAlias = T | Awaitable[T]


class _YieldToTask:
    """What a started coroutine yields to its driver, and to nobody else."""

    __slots__ = ()

    def __await__(self) -> Generator[object, object, None]:
        yield self


_YIELD_TO_TASK = _YieldToTask()


class _Until:
    """What a started coroutine yields to its driver to be resumed when an answer is here."""

    __slots__ = ("promise",)

    def __init__(self, promise: "Answered") -> None:
        self.promise = promise

    def __await__(self) -> Generator[object, object, None]:
        yield self


def yield_to_task() -> Awaitable[None]:
    """Move the rest of the coroutine into a task; after this it may wait for anything."""
    return _YIELD_TO_TASK


async def resolved(later: Later[T]) -> T:
    """The value itself, now or after waiting for it."""
    if hasattr(later, "__await__"):
        if not hasattr(later, "done"):
            await yield_to_task()
        elif not later.done:
            await _Until(cast("Answered", later))
        return await later
    return later


class Pending(Generic[T]):
    """The rest of a coroutine that had to wait. Await it once, in a task."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(
        self, coroutine: Coroutine[object, object, T], waits_for: object = _YIELD_TO_TASK
    ) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[object, object, T]:
        return _drive(self._coroutine, self._waits_for)

    def go_on(
        self,
        spawn: Callable[[Awaitable[object]], object],
        finish: Callable[[Exception | None], object],
    ) -> None:
        """Run the rest as answers come, where they come, and `finish(error)`; in a task by `spawn` once it needs one."""

        def go(_error: Exception | None) -> None:
            try:
                self._waits_for = self._coroutine.send(None)
            except StopIteration:
                finish(None)
            except Exception as error:  # it is how the coroutine ended
                finish(error)
            else:
                self.go_on(spawn, finish)

        if isinstance(self._waits_for, _Until):
            self._waits_for.promise.then(go)
        elif self._waits_for is _YIELD_TO_TASK:
            spawn(self._finish(finish))
        else:
            self.close()
            finish(RuntimeError(_NOT_IN_A_TASK.format(_name(self._coroutine))))

    async def _finish(self, finish: Callable[[Exception | None], object]) -> None:
        try:
            await self
        except Exception as error:  # it is how the coroutine ended
            finish(error)
        else:
            finish(None)

    def inside(self) -> "Inside[T]":
        """To await in another started coroutine, whose driver then drives this one as well."""
        return Inside(self._coroutine, self._waits_for)

    def close(self) -> None:
        """Give it up, and release what it holds (PEP 342)."""
        self._coroutine.close()


class Inside(Generic[T]):
    """See `Pending.inside`."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[object, object, T], waits_for: object) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[object, object, T]:
        yield self._waits_for
        return (yield from self._coroutine.__await__())


def in_task(pending: Awaitable[T]) -> Awaitable[T]:
    """Something to await in a task: a `Pending`, or a coroutine that was made for `start` and has not begun."""
    return Pending(pending) if isinstance(pending, Coroutine) else pending


class Promise(Protocol):
    """An answer that is on its way and takes a callback, so that no task has to wait for it."""

    def then(self, call: Callable[[Exception | None], object]) -> None:
        """Call `call(error)` once when the answer is here (None: there is no error), or at once if it is."""

    def __await__(self) -> Generator[object, object, object]:
        """Wait for it."""


class Answered(Promise, Protocol):
    """A promise that says whether it is kept; then awaiting it takes no time."""

    @property
    def done(self) -> bool:
        """Whether the answer is here."""


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


def _drive(
    coroutine: Coroutine[object, object, T], waits_for: object
) -> Generator[object, object, T]:
    # What `yield from` does (PEP 380), but our own markers stop here.
    sent: object = None
    thrown: BaseException | None = None
    yielded = waits_for
    while True:
        if isinstance(yielded, _Until):
            try:
                yield from yielded.promise.__await__()
            except Exception:  # noqa: S110 - the coroutine asks the promise itself
                pass
            except BaseException as error:  # goes into the coroutine
                thrown = error
        try:
            yielded = coroutine.send(sent) if thrown is None else coroutine.throw(thrown)
        except StopIteration as stop:
            result: T = stop.value
            return result
        sent = thrown = None
        if yielded is not _YIELD_TO_TASK and not isinstance(yielded, _Until):
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
    if yielded is not _YIELD_TO_TASK and not isinstance(yielded, _Until):
        coroutine.close()
        raise RuntimeError(_NOT_IN_A_TASK.format(_name(coroutine)))
    return Pending(coroutine, yielded)


_NOT_IN_A_TASK = (
    "{} waits without being in a task: "
    "the first thing that a started coroutine awaits must be `yield_to_task` or `resolved`"
)


def _name(coroutine: Coroutine[object, object, object]) -> str:
    return getattr(coroutine, "__qualname__", repr(coroutine))


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
