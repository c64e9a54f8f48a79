"""Exceptions taken apart: the one place that looks inside groups, and for what one says below another.

trio wraps what a nursery's tasks raise in groups, and a group may hold groups. Who reports a failure wants one exception;
who decides by its kind wants all of them.
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
    """What a group of one holds, however deeply; a group of several stays as it is."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def words_of(error: BaseException) -> str:
    """What an error says; libraries of HTTP often leave that to the one underneath."""
    deeper: BaseException | None = error
    while deeper is not None:
        if str(deeper):
            return str(deeper)
        deeper = deeper.__cause__ or deeper.__context__
    return type(error).__name__
