"""Peer: Starlette on uvicorn; echoes, or sends to each member in turn, as its documentation shows."""

import os
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

ROOM: set[WebSocket] = set()


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)


async def parsed(ws: WebSocket) -> None:
    await ws.accept()
    async for value in ws.iter_json():
        await ws.send_json(value)


async def fan(ws: WebSocket) -> None:
    await ws.accept()
    ROOM.add(ws)
    try:
        async for text in ws.iter_text():
            for member in list(ROOM):
                await member.send_text(text)
    finally:
        ROOM.discard(ws)


app = Starlette(
    routes=[
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/parsed", parsed),
        WebSocketRoute("/fan", fan),
        WebSocketRoute("/idle", echo),
    ]
)
uvicorn.run(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    ws=sys.argv[2],
    log_level="warning",
    backlog=4096,
    ws_per_message_deflate=False,
    ssl_certfile=os.environ.get("BENCH_CERTIFICATE"),
    ssl_keyfile=os.environ.get("BENCH_KEY"),
)
