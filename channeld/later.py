"""One way to write code that may or may not have to wait: `Later[T]` values, and coroutines that run at once as far as possible.

A broker in memory answers at once; a broker on the network returns an awaitable. Most messages do not have to wait. Code
that may have to wait is an `async def` that uses `resolved(later)` and `yield_to_task()`. Its caller calls
`start(coroutine)`, which runs it on the spot, without a task or a checkpoint, up to the first thing that must wait. If
there is none, the coroutine is done and `start` returns None. Otherwise `start` returns a `Pending`: await it in a task,
and the rest runs there.

The first thing such a coroutine waits for must be `yield_to_task` or `resolved`; anything else would act on the caller's
task as if it were the coroutine's own (decision 1). The same holds after each `resolved`: an `Answered` promise calls back,
and `Pending.go_on` then runs the rest in that callback, without a task.
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

T = TypeVar("T")
Later: TypeAlias = T | Awaitable[T]


class _YieldToTask:
    """What a started coroutine yields to its driver, and to nothing else, when it needs a task."""

    __slots__ = ()

    def __await__(self) -> Generator[object, object, None]:
        yield self


_YIELD_TO_TASK = _YieldToTask()


class _Until:
    """What a started coroutine yields to its driver to be resumed once the answer has arrived."""

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
        """Run the rest in the callbacks of the answers it waits for, or through `spawn` once it needs a task; then call `finish`."""

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
        """An awaitable for another started coroutine, whose driver then drives this one as well."""
        return Inside(self._coroutine, self._waits_for)

    def close(self) -> None:
        """Abandon it, and release what it holds (PEP 342)."""
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
    """An answer that is still to come; it takes a callback, so no task has to wait for it."""

    def then(self, call: Callable[[Exception | None], object]) -> None:
        """Call `call(error)` when the answer arrives, or at once if it has; `error` is None on success."""

    def __await__(self) -> Generator[object, object, object]:
        """Wait for it."""


class Answered(Promise, Protocol):
    """A promise that knows whether its answer has arrived; awaiting it then takes no time."""

    @property
    def done(self) -> bool:
        """Whether the answer has arrived."""


class Continuation:
    """A promise, and what to do once it is kept. Call `then` or await it, once. `finish(error)` must not raise.

    A caller may also use `promise` and `finish` directly.
    """

    __slots__ = ("finish", "promise")

    def __init__(self, promise: Promise, finish: Callable[[Exception | None], object]) -> None:
        self.promise = promise
        self.finish = finish

    def then(self, resume: Callable[[], object]) -> None:
        """Have the task that delivers the answer call `finish` and then `resume()`, without a task switch."""

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
    # As `yield from` does (PEP 380), except that our own markers are not passed on.
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


def launch(
    coroutine: Coroutine[object, object, object], spawn: Callable[[Awaitable[object]], object]
) -> None:
    """Start a coroutine for which nobody waits; `spawn` gets the rest of it if there is one."""
    rest = start(coroutine)
    if rest is not None:
        spawn(rest)


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
