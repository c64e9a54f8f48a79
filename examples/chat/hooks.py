"""Hooks of the chat: a greeting, and no shouting. Most channels don't need any."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channeld import Context, Reject, SyncContext


class Visits:
    """What the hooks of one process share: it is `ctx.state`."""

    def __init__(self) -> None:
        self.count = 0


@asynccontextmanager
async def lifespan(server: object) -> AsyncIterator[Visits]:
    """Open what the hooks need (a database pool, say), and close it when the server stops."""
    yield Visits()


async def welcome(ctx: Context) -> None:
    """Greet each connection."""
    ctx.state.count += 1
    await ctx.send({"type": "welcome", "visits": ctx.state.count})


def no_shouting(ctx: SyncContext, message: dict[str, str]) -> None:
    """Refuse a message in capitals."""
    text = message["text"]
    if len(text) > 3 and text.isupper():
        raise Reject("please don't shout", code="NO_SHOUTING")
