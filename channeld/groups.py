"""Takes exception groups apart, and finds the words for an exception that has none.

trio wraps what a nursery's tasks raise in groups, and a group may contain groups. To report a failure, one exception is
enough; to decide by kind, all of them are needed.
"""

from collections.abc import Iterator
from typing import Any, TypeGuard


def is_group(error: BaseException) -> TypeGuard[BaseExceptionGroup[Any]]:
    """Whether an exception is a group of others."""
    return isinstance(error, BaseExceptionGroup)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Every exception that is not a group, from left to right; for any other exception, itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def first(error: BaseException) -> BaseException:
    """The leftmost exception that is not a group."""
    return next(leaves(error))


def only(error: BaseException) -> BaseException:
    """The exception in a group of one, however deeply nested; a group of several is returned as it is."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def words_of(error: BaseException) -> str:
    """An error's message, or that of its cause: HTTP libraries often leave the outer one empty."""
    deeper: BaseException | None = error
    while deeper is not None:
        if str(deeper):
            return str(deeper)
        deeper = deeper.__cause__ or deeper.__context__
    return type(error).__name__


def summary_of(error: BaseException) -> str:
    """The class of an error and what it says, on one short line."""
    words = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
