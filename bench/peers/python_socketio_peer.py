"""Peer: python-socketio on uvicorn; echoes, or emits to a room."""

import sys
from typing import Any

import socketio
import uvicorn

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
FAN: set[str] = set()


@sio.event
async def connect(sid: str, environ: dict[str, Any], _auth: object = None) -> None:
    if "fan" in environ["QUERY_STRING"]:
        FAN.add(sid)
        await sio.enter_room(sid, "fan")


@sio.event
async def disconnect(sid: str, *_reason: object) -> None:
    FAN.discard(sid)


@sio.event
async def chat(sid: str, data: object) -> None:
    await sio.emit("chat", data, room="fan" if sid in FAN else sid)


uvicorn.run(
    socketio.ASGIApp(sio),
    host="127.0.0.1",
    port=int(sys.argv[1]),
    log_level="warning",
    backlog=4096,
    ws_per_message_deflate=False,
)
