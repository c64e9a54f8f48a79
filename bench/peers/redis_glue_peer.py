"""Peer: what one writes by hand for several nodes: Starlette, uvicorn, and Redis pub/sub between the processes."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

import uvicorn
from redis.asyncio import BlockingConnectionPool, Redis, UnixDomainSocketConnection
from redis.asyncio.client import PubSub
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

ROOMS: dict[str, set[WebSocket]] = {}
# More messages at a time than connections wait for one; without that the client refuses them.
POOL = BlockingConnectionPool(
    max_connections=100,
    timeout=None,
    connection_class=UnixDomainSocketConnection,
    path=sys.argv[2],
    protocol=2,
)
REDIS = Redis(connection_pool=POOL)


async def listen(pubsub: PubSub) -> None:
    async for message in pubsub.listen():
        room = message["channel"].decode().removeprefix("room:")
        text = message["data"].decode()
        for member in list(ROOMS.get(room, ())):
            await member.send_text(text)


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with REDIS.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.psubscribe("room:*")
        task = asyncio.create_task(listen(pubsub))
        yield
        task.cancel()


async def fan(ws: WebSocket) -> None:
    await ws.accept()
    room = ws.path_params["room"]
    ROOMS.setdefault(room, set()).add(ws)
    try:
        async for text in ws.iter_text():
            if json.loads(text)["type"] == "chat":
                await REDIS.publish(f"room:{room}", text)
    finally:
        ROOMS[room].discard(ws)


app = Starlette(routes=[WebSocketRoute("/fan/{room}", fan)], lifespan=lifespan)
uvicorn.run(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    log_level="warning",
    backlog=4096,
    ws_per_message_deflate=False,
)
