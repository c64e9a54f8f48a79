"""Whose turn it is to change a connection's rooms: a frame of its own, or a reload; messages wait until they are settled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channeld.engine.session import Session
from channeld.later import yield_to_task


@asynccontextmanager
async def turn(session: Session) -> AsyncIterator[None]:
    """Wait for those who came before; those who come later wait until the block ends."""
    mine = session.engine.runtime.make_event()
    queue = session.turns = session.turns or []
    queue.append(mine)
    try:
        if queue[0] is not mine:
            await yield_to_task()
            await mine.wait()
        yield
    finally:
        queue.remove(mine)
        if queue:
            queue[0].set()
        else:
            session.turns = None


async def settled(session: Session) -> None:
    """Wait until nobody changes the rooms any more."""
    async with turn(session):
        pass
