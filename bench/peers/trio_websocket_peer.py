"""Peer: trio-websocket, the plain loop of its documentation; `validated` adds `json` and `jsonschema` to each message."""

import json
import sys

import jsonschema
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "chat"}, "text": {"type": "string", "maxLength": 2000}},
    "additionalProperties": False,
}
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ROOM: set[WebSocketConnection] = set()


def checked(text: str) -> str:
    value = json.loads(text)
    VALIDATOR.validate(value)
    return json.dumps(value, separators=(",", ":"))


def unchecked(text: str) -> str:
    return text


rewrite = checked if sys.argv[2] == "validated" else unchecked


async def fan(ws: WebSocketConnection) -> None:
    ROOM.add(ws)
    try:
        while True:
            text = rewrite(await ws.get_message())
            for member in list(ROOM):
                await member.send_message(text)
    finally:
        ROOM.discard(ws)


async def connection(request: WebSocketRequest) -> None:
    ws = await request.accept()
    try:
        if request.path == "/fan":
            await fan(ws)
        while True:
            await ws.send_message(rewrite(await ws.get_message()))
    except ConnectionClosed:
        pass


trio.run(serve_websocket, connection, "127.0.0.1", int(sys.argv[1]), None)
