"""Matchmaking: one task per process pairs waiting players, on whichever nodes they are; `server` acts on all nodes.

Who waits is the presence of the room `waiting`. Taking a player out of it is what claims them: only one process is told
that it did, so no player gets into two games.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import trio

from channeld import Context, Reject, Server

CHANNEL = "play"
MUTED_FOR = 600.0


@asynccontextmanager
async def lifespan(server: Server) -> AsyncIterator[None]:
    server.start_soon(make_matches, server)
    yield


async def make_matches(server: Server) -> None:
    while True:
        await trio.sleep(1)
        waiting = sorted(entry["user"] for entry in await server.presence(CHANNEL, "waiting"))
        for first, second in zip(waiting[::2], waiting[1::2], strict=False):
            await match(server, first, second)


async def match(server: Server, first: str, second: str) -> None:
    if not await server.unsubscribe(first, CHANNEL, "waiting"):
        return  # another node was faster
    if not await server.unsubscribe(second, CHANNEL, "waiting"):
        await server.subscribe(first, CHANNEL, "waiting")
        return
    game = f"game-{uuid4().hex[:8]}"
    for player in (first, second):
        await server.subscribe(player, CHANNEL, game)
    server.start_soon(count_down, server, game)


async def count_down(server: Server, game: str) -> None:
    for seconds in (3, 2, 1, 0):
        await server.publish(CHANNEL, {"type": "starts", "game": game, "in": seconds}, room=game)
        await trio.sleep(1)


async def say(ctx: Context, message: dict[str, Any]) -> None:
    mutes = await ctx.history("mutes", 1000)
    user = ctx.user.id if ctx.user is not None else ""
    newest = next((one for one in reversed(mutes) if one["user"] == user), None)
    if newest is not None and newest["is_muted"]:
        raise Reject("you may say nothing for a while", code="MUTED")


async def kick(ctx: Context, message: dict[str, Any]) -> None:
    ended = await ctx.server.disconnect(user=message["user"], code=4403, reason="kicked")
    await ctx.reply({"ended": ended})


async def mute(ctx: Context, message: dict[str, Any]) -> None:
    await keep_mute(ctx.server, message["user"], is_muted=True)
    ctx.server.start_soon(unmute_later, ctx.server, message["user"])


async def unmute_later(server: Server, user: str) -> None:
    await trio.sleep(MUTED_FOR)
    await keep_mute(server, user, is_muted=False)


async def keep_mute(server: Server, user: str, *, is_muted: bool) -> None:
    """Stored in a room's history, so that it holds on every node, and after the player has reconnected."""
    event = {"type": "muted", "user": user, "is_muted": is_muted}
    await server.publish(CHANNEL, event, room="mutes")
