"""Peer: what one writes by hand for several nodes: Starlette, uvicorn, and Redis pub/sub between the processes."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

ROOM: set[WebSocket] = set()
REDIS = Redis(unix_socket_path=sys.argv[2], protocol=2)


async def listen() -> None:
    async with REDIS.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe("glue")
        async for message in pubsub.listen():
            text = message["data"].decode()
            for member in list(ROOM):
                await member.send_text(text)


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    task = asyncio.create_task(listen())
    yield
    task.cancel()


async def fan(ws: WebSocket) -> None:
    await ws.accept()
    ROOM.add(ws)
    try:
        async for text in ws.iter_text():
            if json.loads(text)["type"] == "chat":
                await REDIS.publish("glue", text)
    finally:
        ROOM.discard(ws)


app = Starlette(routes=[WebSocketRoute("/fan/bench", fan)], lifespan=lifespan)
uvicorn.run(
    app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", ws_per_message_deflate=False
)
