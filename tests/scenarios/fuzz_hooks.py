"""Message hooks for the tests of fuzzing: right ones, and each wrong in its own way."""

from typing import Any

import trio

from channeld import Reject


def right(ctx: Any, message: dict[str, Any]) -> None:
    """Takes everything."""


def picky(ctx: Any, message: dict[str, Any]) -> None:
    """Refuses everything, which is its right."""
    raise Reject("no")


def first_letter(ctx: Any, message: dict[str, Any]) -> None:
    """Forgets that text can be empty."""
    if len(message.get("tags", ())) > 1:
        message["text"] = message["tags"][0][0]


async def slow(ctx: Any, message: dict[str, Any]) -> None:
    """Takes its time over some."""
    await trio.sleep(100 if message["n"] > 5 else 1)


SEEN: list[int] = []


def forgetful(ctx: Any, message: dict[str, Any]) -> None:
    """Fails once, and never again."""
    SEEN.append(1)
    if len(SEEN) == 3:
        raise KeyError("third")


def leaving(ctx: Any, message: dict[str, Any]) -> None:
    """Closes some connections, and fails for none."""
    if message["n"] > 0:
        ctx.close(4900, "away")
