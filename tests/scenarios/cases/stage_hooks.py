"""Hooks that misbehave when a message says so."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import trio

from channeld import Context, Reject, SyncContext, User


@asynccontextmanager
async def lifespan(server: object) -> AsyncIterator[SimpleNamespace]:
    yield SimpleNamespace(said=0)


async def listen(ctx: Context, message: dict[str, str]) -> dict[str, object] | None:
    ctx.state.said += 1
    verb = VERBS.get(message["text"])
    if verb is not None:
        await verb(ctx)
    return {"text": "changed"} if message["text"] == "change" else None


async def no(ctx: Context) -> None:
    raise Reject("no", code="NO")


async def boom(ctx: Context) -> None:
    raise KeyError("tex")


async def sleep(ctx: Context) -> None:
    await trio.sleep(60)


async def soon(ctx: Context) -> None:
    await trio.sleep(2)


async def note(ctx: Context) -> None:
    await ctx.send({"type": "note", "text": "noted"})


async def leave(ctx: Context) -> None:
    await ctx.close(4901, "come back")


async def spin(ctx: Context) -> None:
    while True:
        pass


async def block(ctx: Context) -> None:
    here, there = socket.socketpair()
    with here, there:
        here.recv(1)


VERBS = {f.__name__: f for f in (no, boom, sleep, soon, note, leave, spin, block)}


def answer(ctx: SyncContext, message: dict[str, object]) -> None:
    ctx.reply({"answer": 42})


def here(ctx: SyncContext) -> None:
    if ctx.claims.get("role") == "outcast":
        raise Reject("not you", close=4950)


def gone(ctx: SyncContext, code: int, reason: str) -> None:
    if reason == "boom":
        raise ValueError("gone with a boom")


def bot(request: object) -> User | None:
    return None
